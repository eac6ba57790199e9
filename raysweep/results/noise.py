"""The noise of means over seeds and test examples, and the intervals that follow from it.

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
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.9
_LEAST_P = 1e-12

Groups = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


def count_groups(values: npt.NDArray[Any], groups: Groups | None) -> int:
    """How many groups there are of the examples in the last axis of some values; see
    `raysweep.results.statistics.Outcomes`."""
    return values.shape[-1] if groups is None else len(np.unique(groups))


def noise_of_means(values: Numbers, groups: Groups | None) -> tuple[Numbers, Numbers]:
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


def freedom_of_sum(variances: Sequence[float], freedom: Sequence[float]) -> float:
    """Satterthwaite's degrees of freedom of a sum of estimated variances (Satterthwaite 1946), at least 1.

    Args:
        variances: the estimates.
        freedom: the degrees of freedom of each.
    """
    known = [(variance, max(of, 1)) for variance, of in zip(variances, freedom, strict=True) if variance > 0]
    if not known:
        return max(float(sum(freedom)), 1.0)
    return sum(variance for variance, _ in known) ** 2 / sum(variance**2 / of for variance, of in known)


def squared_width(significance: float, num_seeds: float, num_groups: float, seeds: Any, examples: Any) -> Any:
    """Squared half width of an interval, each part with its own t."""
    of_examples = quantile(significance, num_groups - 1) ** 2 * examples
    return of_examples if num_seeds == 1 else quantile(significance, num_seeds - 1) ** 2 * seeds + of_examples


def quantile(significance: float, freedom: float) -> float:
    """Student's t that is exceeded on both sides together with this probability."""
    from scipy.special import stdtrit

    if significance >= 1:  # where stdtrit isn't exactly 0 in every scipy
        return 0.0
    return float(-stdtrit(freedom, significance / 2))


def p_value_of(value: float, num_seeds: float, num_groups: float, seeds: float, examples: float) -> float:
    """The significance at which the interval around `value` reaches 0; at least 1e-12, below which the
    approximation says nothing."""
    from scipy.optimize import brentq

    def excess(logarithm: float) -> float:
        return float(squared_width(np.exp(logarithm), num_seeds, num_groups, seeds, examples)) - value**2

    if value == 0:
        return 1.0
    lowest = float(np.log(_LEAST_P))
    return _LEAST_P if excess(lowest) <= 0 else float(np.exp(brentq(excess, lowest, 0.0)))


def fieller(top: float, bottom: float, spread: Numbers) -> tuple[float, tuple[float, float]] | None:
    """top / bottom with its interval: the ratios ρ with (top − ρ·bottom)² ≤ (1, −ρ) spread (1, −ρ)ᵀ.

    None unless `bottom` can be told to be above 0, where the interval is bounded.

    Args:
        top, bottom: two means.
        spread: (2, 2) their covariance, times the squared t of the interval's confidence.
    """
    # That is square·ρ² − 2·cross·ρ + rest ≤ 0.
    square = bottom**2 - spread[1, 1]
    cross = top * bottom - spread[0, 1]
    rest = top**2 - spread[0, 0]
    if bottom <= 0 or square <= 1e-12 * bottom**2:  # a rounding error isn't a gap
        return None
    root = float(np.sqrt(max(cross**2 - square * rest, 0.0)))
    return top / bottom, (float(cross - root) / float(square), float(cross + root) / float(square))
