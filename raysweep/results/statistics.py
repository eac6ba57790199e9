"""Intervals of PGRs and of differences between methods, over seeds and test examples.

Outcomes are crossed two ways: every seed is tested on the same examples. A mean over both varies with the
seeds that were trained (and with the examples that each seed gets wrong), and with the examples that were
drawn. Examples are drawn in groups, which share a passage, a question or a prompt: the group is the unit,
and how its examples depend on each other is left open (Liang and Zeger 1986). With S seeds, N examples in G
groups of n_g, outcomes v less their mean, T[s, g] the sums of v over groups and m_s the seeds' means, the
mean squares of a two-way analysis of variance (Searle, Casella, McCulloch 1992, chapter 4) of the sums give
two parts:

    seeds     Σ_s m_s² / (S·(S − 1)),                                     S − 1 degrees of freedom
    examples  Σ_g T̄_g² · G/(G − 1) / N²  −  interaction / S,              about G − 1
    interaction = Σ_sg (T[s, g] − n_g·m_s − T̄_g)² · G / ((S − 1)(G − 1)) / N²

The interaction is the noise that each seed has of its own in each group, which seeds average out, so it is
in the seeds' part already. Groups of one example give the familiar MS_seeds / (S·N) and
(MS_examples − MS_rest) / (S·N).

Each part has its own t: half width² = t²(S−1) · seeds' part + t²(G−1) · examples' part (Howe 1974; MOVER of
Zou and Donner 2008). It covers exactly 90 % if one part is all the noise, and never less between: at a seeds'
share r of the variance the chance of covering is E[G(t²·r·W + z²·(1−r))], with W the seeds' estimate over its
truth, and G, the distribution function of χ² with 1 degree of freedom, concave. The price is at most 96 % at
2 seeds, 93.5 % at 3, 92 % at 5 and 90.5 % at 16. Welch's and Satterthwaite's degrees of freedom fall to 83 %
at 2 seeds; a bootstrap over seeds to 50 %, as 2 seeds show it half of their variance.

A ratio of two means has Fieller's interval (Fieller 1954): the ratios ρ for which the mean of numerator −
ρ·denominator can't be told from 0. The interval is bounded exactly where the denominator itself can be told
from 0; elsewhere a ratio is undefined.

With one seed the noise of training is unknown: an interval is then for these very models, over other test
examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.9
_LEAST_P = 1e-12
_LEAST_VARIANCE = 1e-20

Correct = npt.NDArray[np.bool_]
Groups = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class Outcomes(NamedTuple):
    """What a run made of the test examples of its task."""

    right: Correct
    """(examples,) whether it was right on each."""
    groups: Groups | None
    """(examples,) a number for each example's group. None where groups aren't known: each example is then
    taken for a group of its own."""


def stacked(outcomes: Sequence[Outcomes]) -> Correct:
    """(seeds, examples), from the outcomes of one task's runs, a run for each seed."""
    return np.stack([found.right for found in outcomes])


@dataclass(frozen=True, kw_only=True)
class GapRecovered:
    """PGR over the seeds of one (task, weak, strong, method): mean accuracies before the division."""

    weak_accuracy: float
    student_accuracy: float
    ceiling_accuracy: float
    pgr: float | None
    """None where the gap is inside the noise."""
    interval: tuple[float, float] | None
    """90 % interval of the PGR; None with it."""
    num_seeds: int
    num_examples: int
    num_groups: int | None
    """Groups of examples, over which the interval is; None where they aren't known, and it is over
    examples."""
    covers_seeds: bool
    """Whether the interval includes the noise of training; with one seed it is of the test set's noise
    alone."""
    pgr_of_noise: float | None
    """The PGR that a gap of noise alone would show: the covariance of the noise of student − weak with that
    of the gap, over the latter's variance. Where luck decides whether a PGR is defined, it is pulled there.
    None without noise."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean paired difference in accuracy over seeds and test examples."""

    value: float
    interval: tuple[float, float] | None
    """90 % interval; None if there is one group of examples."""
    p_value: float | None
    """Two-sided, of no difference: 1 − the confidence at which the interval would reach 0."""
    covers_seeds: bool
    """Whether interval and p-value include the noise of training; with one seed they are of the test set's
    noise alone."""
    seeds_error: float | None
    """Standard error from seeds, which shrinks with √seeds; None with one seed."""
    examples_error: float | None
    """Standard error from the test examples, which more seeds don't reduce."""


def gap_recovered(
    weak: Correct, student: Correct, ceiling: Correct, groups: Groups | None = None
) -> GapRecovered:
    """PGR with its 90 % interval, from which test examples each model got right; models are paired by seed,
    and examples by position.

    PGR is undefined where the 90 % interval of the gap (ceiling − weak) reaches 0 or lies below it. Where few
    gaps can be told from 0, those that are told are the lucky ones. By simulation
    (tests/results/test_coverage.py with 6,000 sweeps of 1,000 examples, 0.5 and 1.5 points of seed noise, 1
    to 16 seeds), defined intervals cover the PGR in 89.6 to 91.7 % for gaps of 5 to 30 points, and in 87 to
    91.2 % at 2 points, where 1 to 3 seeds leave 60 to 86 % undefined.

    The quantiles assume normal means: a test set should have hundreds of groups.

    Args:
        weak, student, ceiling: (seeds, examples), whether each test example was classified right.
        groups: see `Outcomes`.
    """
    gained = _difference(student, weak)
    gap = _difference(ceiling, weak)
    found = ratio_of_means(gained, gap, groups)
    return GapRecovered(
        weak_accuracy=float(weak.mean()),
        student_accuracy=float(student.mean()),
        ceiling_accuracy=float(ceiling.mean()),
        pgr=found[0] if found else None,
        interval=found[1] if found else None,
        num_seeds=len(weak),
        num_examples=weak.shape[1],
        num_groups=None if groups is None else _num_groups(weak, groups),
        covers_seeds=len(weak) > 1,
        pgr_of_noise=_slope_of_noise(gained, gap, groups),
    )


def mean_difference(first: Correct, second: Correct, groups: Groups | None = None) -> Difference:
    """Accuracy of `first` − accuracy of `second`, paired by seed and example, with its 90 % interval and
    p-value.

    Args:
        first, second: (seeds, examples), whether each test example was classified right.
        groups: see `Outcomes`.
    """
    values = _difference(first, second)
    num_seeds = len(values)
    num_groups = _num_groups(values, groups)
    value = float(values.mean())
    if num_groups == 1:
        return Difference(
            value=value,
            interval=None,
            p_value=None,
            covers_seeds=False,
            seeds_error=None,
            examples_error=None,
        )
    seeds, examples = (float(part[0, 0]) for part in _noise(values[None], groups))
    half = float(np.sqrt(_squared_width(1 - CONFIDENCE, num_seeds, num_groups, seeds, examples)))
    return Difference(
        value=value,
        interval=(value - half, value + half),
        p_value=_p_value(value, num_seeds, num_groups, seeds, examples),
        covers_seeds=num_seeds > 1,
        seeds_error=float(np.sqrt(seeds)) if num_seeds > 1 else None,
        examples_error=float(np.sqrt(examples)),
    )


def ratio_of_means(
    numerator: Numbers, denominator: Numbers, groups: Groups | None = None
) -> tuple[float, tuple[float, float]] | None:
    """mean(numerator) / mean(denominator) with Fieller's 90 % interval; None unless the denominator can be
    told to be above 0.

    Args:
        numerator, denominator: (seeds, examples), paired.
        groups: see `Outcomes`.
    """
    num_groups = _num_groups(numerator, groups)
    if num_groups == 1:
        return None
    top = float(numerator.mean())
    bottom = float(denominator.mean())
    parts = _noise(np.stack([numerator, denominator]), groups)
    spread = _squared_width(1 - CONFIDENCE, len(numerator), num_groups, *parts)
    # The ratios with (top − ρ·bottom)² ≤ (1, −ρ) spread (1, −ρ)ᵀ, which is square·ρ² − 2·cross·ρ + rest ≤ 0.
    square = bottom**2 - spread[1, 1]
    cross = top * bottom - spread[0, 1]
    rest = top**2 - spread[0, 0]
    if bottom <= 0 or square <= 1e-12 * bottom**2:  # a rounding error isn't a gap
        return None
    root = float(np.sqrt(max(cross**2 - square * rest, 0.0)))
    return top / bottom, (float(cross - root) / float(square), float(cross + root) / float(square))


def _slope_of_noise(numerator: Numbers, denominator: Numbers, groups: Groups | None) -> float | None:
    if _num_groups(numerator, groups) == 1:
        return None
    seeds, examples = _noise(np.stack([numerator, denominator]), groups)
    noise = seeds + examples
    return float(noise[0, 1] / noise[1, 1]) if noise[1, 1] > _LEAST_VARIANCE else None


def half_width(outcomes: Outcomes) -> float:
    """Half the 90 % interval of one run's accuracy over groups of test examples; infinite with one group."""
    right, groups = outcomes
    num_groups = _num_groups(right, groups)
    if num_groups == 1:
        return float("inf")
    error = np.sqrt(_noise(right[None, None].astype(np.float64), groups)[1][0, 0])
    return float(_quantile(1 - CONFIDENCE, num_groups - 1) * error)


def _difference(first: Correct, second: Correct) -> Numbers:
    return first.astype(np.float64) - second


def _num_groups(values: npt.NDArray[Any], groups: Groups | None) -> int:
    return values.shape[-1] if groups is None else len(np.unique(groups))


def _noise(values: Numbers, groups: Groups | None) -> tuple[Numbers, Numbers]:
    """Covariances of the means of (quantities, seeds, examples) values: the part from seeds (and seed ×
    group), and the part from groups of examples.

    Both are (quantities, quantities). With one seed the first is unknown, and 0.
    """
    num_seeds = values.shape[1]
    values = values - values.mean(axis=(1, 2), keepdims=True)
    by_seed = values.mean(axis=2)
    sums, sizes = _sums(values, groups)
    num_groups = len(sizes)
    scale = num_groups / values.shape[2]  # so that the mean over groups is the mean over examples
    sums, sizes = sums * scale, sizes * scale
    by_group = sums.mean(axis=1)
    group_squares = by_group @ by_group.T
    examples = group_squares / (num_groups - 1) / num_groups
    if num_seeds == 1:
        return np.zeros_like(examples), examples
    seed_squares = by_seed @ by_seed.T
    flat = (sums - sizes * by_seed[..., None]).reshape(len(values), -1)
    rest_squares = flat @ flat.T - num_seeds * group_squares
    rest = rest_squares / ((num_seeds - 1) * (num_groups - 1))
    examples = _possible(examples - rest / (num_seeds * num_groups))
    return seed_squares / (num_seeds - 1) / num_seeds, examples


def _sums(values: Numbers, groups: Groups | None) -> tuple[Numbers, Numbers]:
    """Sums of (…, examples) values over groups, (…, groups); and the sizes of the groups, (groups,)."""
    if groups is None:
        return values, np.ones(values.shape[-1])
    order = np.argsort(groups, kind="stable")
    starts = np.unique(groups[order], return_index=True)[1]
    sizes = np.diff(starts, append=len(groups)).astype(np.float64)
    return np.add.reduceat(values[..., order], starts, axis=-1), sizes


def _possible(covariance: Numbers) -> Numbers:
    """The nearest covariance to a difference of mean squares, which may be none: negative variances become 0,
    correlations at most 1."""
    variances = covariance.diagonal().clip(min=0)
    most = np.sqrt(np.outer(variances, variances))
    possible = covariance.clip(-most, most)
    np.fill_diagonal(possible, variances)
    return possible


def _squared_width(significance: float, num_seeds: int, num_groups: int, seeds: Any, examples: Any) -> Any:
    """Squared half width of an interval, each part with its own t."""
    of_examples = _quantile(significance, num_groups - 1) ** 2 * examples
    return (
        of_examples if num_seeds == 1 else _quantile(significance, num_seeds - 1) ** 2 * seeds + of_examples
    )


def _quantile(significance: float, freedom: int) -> float:
    """Student's t that is exceeded on both sides together with this probability."""
    from scipy.special import stdtrit

    return float(-stdtrit(freedom, significance / 2))


def _p_value(value: float, num_seeds: int, num_groups: int, seeds: float, examples: float) -> float:
    """The significance at which the interval around `value` reaches 0; at least 1e-12, below which the
    approximation says nothing."""
    from scipy.optimize import brentq

    def excess(logarithm: float) -> float:
        return float(_squared_width(np.exp(logarithm), num_seeds, num_groups, seeds, examples)) - value**2

    if value == 0:
        return 1.0
    lowest = float(np.log(_LEAST_P))
    return _LEAST_P if excess(lowest) <= 0 else float(np.exp(brentq(excess, lowest, 0.0)))
