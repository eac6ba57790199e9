"""Intervals of PGRs and of differences between methods, over seeds and test examples.

They are made of the noise of means, see `raysweep.results.noise`. With one seed the noise of training is
unknown: an interval is then for these very models, over other test examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from raysweep.results.noise import (
    CONFIDENCE,
    Groups,
    Numbers,
    count_groups,
    fieller,
    noise_of_means,
    p_value_of,
    quantile,
    squared_width,
)

Correct = npt.NDArray[np.bool_]


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
    noise: GapNoise | None
    """None if there is one group of examples."""


@dataclass(frozen=True, kw_only=True)
class GapNoise:
    """Squared errors of the means of student − weak and of ceiling − weak, by what makes them.

    Each is (variance of student − weak, covariance, variance of ceiling − weak).
    """

    seeds: tuple[float, float, float]
    """0 with one seed, of which it is unknown."""
    examples: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean paired difference in accuracy over seeds and test examples."""

    value: float
    interval: tuple[float, float] | None
    """90 % interval; None if there is one group of examples."""
    p_value: float | None
    """Two-sided, of no difference: 1 − the confidence at which the interval would reach 0, if seeds whose
    means are equal differed by the rounding of 1/N. Without that two seeds, which on 200 examples often
    agree, gave 19 % false claims among five methods without an effect, after Holm, and 9 % on 1,000 examples;
    so they give 0 and 2 %."""
    covers_seeds: bool
    """Whether interval and p-value include the noise of training; with one seed they are of the test set's
    noise alone."""
    seeds_error: float | None
    """Standard error from seeds, which shrinks with √seeds; None with one seed."""
    examples_error: float | None
    """Standard error from the test examples, which more seeds don't reduce."""


def gap_recovered(
    weak: Correct | Numbers,
    student: Correct | Numbers,
    ceiling: Correct | Numbers,
    groups: Groups | None = None,
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
        weak, student, ceiling: (seeds, examples), whether each test example was classified right; or a mean
            of that over several models.
        groups: see `Outcomes`.
    """
    gained = _difference(student, weak)
    gap = _difference(ceiling, weak)
    num_groups = count_groups(gap, groups)
    found = noise = None
    if num_groups > 1:
        parts = noise_of_means(np.stack([gained, gap]), groups)
        noise = GapNoise(seeds=_upper(parts[0]), examples=_upper(parts[1]))
        spread = squared_width(1 - CONFIDENCE, len(weak), num_groups, *parts)
        found = fieller(float(gained.mean()), float(gap.mean()), spread)
    return GapRecovered(
        weak_accuracy=float(weak.mean()),
        student_accuracy=float(student.mean()),
        ceiling_accuracy=float(ceiling.mean()),
        pgr=found[0] if found else None,
        interval=found[1] if found else None,
        num_seeds=len(weak),
        num_examples=weak.shape[1],
        num_groups=None if groups is None else num_groups,
        covers_seeds=len(weak) > 1,
        noise=noise,
    )


def mean_difference(
    first: Correct | Numbers, second: Correct | Numbers, groups: Groups | None = None
) -> Difference:
    """Accuracy of `first` − accuracy of `second`, paired by seed and example, with its 90 % interval and
    p-value.

    Args:
        first, second: (seeds, examples), whether each test example was classified right; or a mean of that
            over several models.
        groups: see `Outcomes`.
    """
    values = _difference(first, second)
    num_seeds = len(values)
    num_groups = count_groups(values, groups)
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
    seeds, examples = (float(part[0, 0]) for part in noise_of_means(values[None], groups))
    half = float(np.sqrt(squared_width(1 - CONFIDENCE, num_seeds, num_groups, seeds, examples)))
    return Difference(
        value=value,
        interval=(value - half, value + half),
        # Means of N outcomes are multiples of 1/N: seeds that agree by luck differ by that rounding at least.
        p_value=p_value_of(
            value, num_seeds, num_groups, max(seeds, 1 / (12 * num_seeds * values.shape[1] ** 2)), examples
        ),
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
    num_groups = count_groups(numerator, groups)
    if num_groups == 1:
        return None
    top = float(numerator.mean())
    bottom = float(denominator.mean())
    parts = noise_of_means(np.stack([numerator, denominator]), groups)
    spread = squared_width(1 - CONFIDENCE, len(numerator), num_groups, *parts)
    return fieller(top, bottom, spread)


def half_width(outcomes: Outcomes) -> float:
    """Half the 90 % interval of one run's accuracy over groups of test examples; infinite with one group."""
    right, groups = outcomes
    num_groups = count_groups(right, groups)
    if num_groups == 1:
        return float("inf")
    error = np.sqrt(noise_of_means(right[None, None].astype(np.float64), groups)[1][0, 0])
    return float(quantile(1 - CONFIDENCE, num_groups - 1) * error)


def _difference(first: Correct | Numbers, second: Correct | Numbers) -> Numbers:
    return first.astype(np.float64) - second


def _upper(covariance: Numbers) -> tuple[float, float, float]:
    """The three numbers of a (2, 2) covariance."""
    return float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])
