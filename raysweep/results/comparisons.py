"""Methods against each other on the same seeds and examples, methods over tasks, and how many seeds would
tell them apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from raysweep.results.statistics import (
    CONFIDENCE,
    Correct,
    Difference,
    GapRecovered,
    mean_difference,
    ratio_of_means,
)

_POWER = 0.8
_SIGNIFICANCE = 0.05
_BASELINE = "naive"
_NAMES = ("task", "weak", "strong", "method")

_Runs = dict[int, tuple[str, str, str]]
"""Seed → the ids of supervisor, student and ceiling."""


@dataclass(frozen=True, kw_only=True)
class Power:
    """What it would take to tell two methods apart with 80 % power at two-sided 5 %, if the difference seen
    is the true one.

    A plan for the next sweep, not a finding about this one, from whose difference and noise it is taken:
    rough with few seeds.
    """

    seeds_deviation: float | None
    """Standard deviation over seeds of the difference in accuracy on these test examples; None with one seed:
    unknown."""
    num_seeds: int | None
    """Seeds needed, at least 3, of a paired t-test over seeds; None if no number of them is enough, or if it
    is unknown."""
    resolvable: float | None
    """The smallest difference that this test set can tell from 0 however many seeds there are; None if there
    is one example."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A method against the baseline of its (task, weak, strong), over the seeds that both have finished."""

    task: str
    weak: str
    strong: str
    method: str
    baseline: str
    seeds: tuple[int, ...]
    baseline_accuracy: float
    method_accuracy: float
    difference: float
    """Method − baseline, in accuracy."""
    interval: tuple[float, float] | None
    """90 % interval of the difference; None if there is one example."""
    p_value: float | None
    p_value_corrected: float | None
    """By Holm, over all comparisons of the sweep."""
    same_gap: bool
    """Whether the two methods have the same supervisors and ceilings."""
    pgr_difference: float | None
    """Difference / gap; None where the gap isn't the same, or inside the noise."""
    pgr_interval: tuple[float, float] | None
    covers_seeds: bool
    """Whether intervals and p-values hold the noise of training; with one seed they are of the test set's
    noise alone."""
    power: Power


@dataclass(frozen=True, kw_only=True)
class OverTasks:
    """A (weak, strong, method) over its tasks."""

    weak: str
    strong: str
    method: str
    defined: tuple[str, ...]
    """Tasks whose PGR is defined: mean and median are of these alone."""
    undefined: tuple[str, ...]
    """Tasks whose gap is inside the noise."""
    missing: tuple[str, ...]
    """Tasks without a finished seed."""
    weak_accuracy: float | None
    student_accuracy: float | None
    ceiling_accuracy: float | None
    """Means over all tasks with a finished seed, those whose PGR is undefined too; None if there are none."""
    median_pgr: float | None
    """As Burns et al. 2023 report their NLP tasks; None if no task's PGR is defined."""
    mean_pgr: float | None
    interval: tuple[float, float] | None
    """90 % interval of the mean, by Student's t over tasks as a sample of all such tasks; None with fewer
    than two."""


Gaps = Mapping[tuple[str, str, str, str], GapRecovered | None]
"""(task, weak, strong, method) → its PGR; None if no seed is finished."""


def compare_methods(cells: pd.DataFrame, right: Callable[[str], Correct]) -> list[Comparison]:
    """Every method against the baseline of its (task, weak, strong): "naive" if it is there, else the first.

    p-values are corrected by Holm's method, over all that is returned. It holds however the comparisons
    depend on each other (they share a baseline, seeds and examples; Hochberg's method or a false discovery
    rate would have to assume something of that) and never finds less than Bonferroni's. Methods without a
    finished seed in common with their baseline are left out.

    Args:
        cells: a row a finished cell, in the plan's order: task, weak, strong, method, seed, and the run ids
            supervisor, student, ceiling.
        right: run id → (examples,) whether each test example was right, in the same order for all runs of a
        task.
    """
    groups: dict[tuple[str, str, str], dict[str, _Runs]] = {}
    for task, weak, strong, method, seed, *ends in cells[
        [*_NAMES, "seed", "supervisor", "student", "ceiling"]
    ].itertuples(index=False):
        groups.setdefault((task, weak, strong), {}).setdefault(method, {})[int(seed)] = (
            ends[0],
            ends[1],
            ends[2],
        )
    found = []
    for group, methods in groups.items():
        baseline = _BASELINE if _BASELINE in methods else next(iter(methods))
        for method, runs in methods.items():
            if method != baseline and methods[baseline].keys() & runs.keys():
                found.append(_compare((*group, method, baseline), runs, methods[baseline], right))
    return _corrected(found)


def _compare(
    names: tuple[str, str, str, str, str], method: _Runs, baseline: _Runs, right: Callable[[str], Correct]
) -> Comparison:
    """A method and its baseline over their common seeds; names are of task, weak, strong, method,
    baseline."""
    seeds = [seed for seed in baseline if seed in method]
    supervisors, students_of_baseline, ceilings = zip(*(baseline[seed] for seed in seeds), strict=True)

    def of(runs: Sequence[str]) -> Correct:
        return np.stack([right(run) for run in runs])

    students = of([method[seed][1] for seed in seeds]), of(students_of_baseline)
    difference = mean_difference(*students)
    same_gap = [method[seed][::2] for seed in seeds] == list(zip(supervisors, ceilings, strict=True))
    pgr = None
    if same_gap:
        gap = of(ceilings).astype(float) - of(supervisors)
        pgr = ratio_of_means(students[0].astype(float) - students[1], gap)
    return Comparison(
        task=names[0],
        weak=names[1],
        strong=names[2],
        method=names[3],
        baseline=names[4],
        seeds=tuple(seeds),
        baseline_accuracy=float(students[1].mean()),
        method_accuracy=float(students[0].mean()),
        difference=difference.value,
        interval=difference.interval,
        p_value=difference.p_value,
        p_value_corrected=None,
        same_gap=same_gap,
        pgr_difference=pgr[0] if pgr else None,
        pgr_interval=pgr[1] if pgr else None,
        covers_seeds=difference.covers_seeds,
        power=seeds_needed(difference, len(seeds)),
    )


def _corrected(found: Sequence[Comparison]) -> list[Comparison]:
    from statsmodels.stats.multitest import multipletests

    known = [comparison.p_value for comparison in found if comparison.p_value is not None]
    corrected = iter(multipletests(known, method="holm")[1] if known else [])
    return [
        comparison
        if comparison.p_value is None
        else replace(comparison, p_value_corrected=float(next(corrected)))
        for comparison in found
    ]


def seeds_needed(difference: Difference, num_seeds: int) -> Power:
    """How many seeds would tell a difference like this one from 0.

    However many seeds there are, the examples' error e stays, as all seeds are tested on the same ones: below
    the resolvable r = (z(97.5 %) + z(80 %))·e no number is enough. Above it, a paired t-test over seeds has
    √(difference² − r²) left to find, which with many seeds comes to a test of both errors together.
    """
    from scipy.stats import norm
    from statsmodels.stats.power import TTestPower

    if difference.examples_error is None:
        return Power(seeds_deviation=None, num_seeds=None, resolvable=None)
    resolvable = float(norm.isf(_SIGNIFICANCE / 2) + norm.isf(1 - _POWER)) * difference.examples_error
    if difference.seeds_error is None:
        return Power(seeds_deviation=None, num_seeds=None, resolvable=resolvable)
    deviation = difference.seeds_error * math.sqrt(num_seeds)
    left = difference.value**2 - resolvable**2
    needed = None
    if left > 0:
        # Three seeds show an effect of 5 standard deviations; two would need 12, where statsmodels's power
        # becomes nan.
        effect = min(math.sqrt(left) / deviation if deviation else math.inf, 5.0)
        test = TTestPower()
        needed = max(3, math.ceil(test.solve_power(effect_size=effect, alpha=_SIGNIFICANCE, power=_POWER)))
        while test.power(effect, needed, _SIGNIFICANCE) < _POWER:  # the solver may stop short of it
            needed += 1
    return Power(seeds_deviation=deviation, num_seeds=needed, resolvable=resolvable)


def over_tasks(gaps: Gaps) -> list[OverTasks]:
    """Mean and median PGR over tasks for every (weak, strong, method), in the order in which they come."""
    groups: dict[tuple[str, str, str], dict[str, GapRecovered | None]] = {}
    for (task, *rest), gap in gaps.items():
        weak, strong, method = rest
        groups.setdefault((weak, strong, method), {})[task] = gap
    return [_over_tasks(names, by_task) for names, by_task in groups.items()]


def _over_tasks(names: tuple[str, str, str], by_task: Mapping[str, GapRecovered | None]) -> OverTasks:
    finished = {task: gap for task, gap in by_task.items() if gap is not None}
    pgrs = {task: gap.pgr for task, gap in finished.items() if gap.pgr is not None}
    values = list(pgrs.values())

    def mean(end: str) -> float | None:
        return (
            float(np.mean([getattr(gap, f"{end}_accuracy") for gap in finished.values()]))
            if finished
            else None
        )

    return OverTasks(
        weak=names[0],
        strong=names[1],
        method=names[2],
        defined=tuple(pgrs),
        undefined=tuple(task for task in finished if task not in pgrs),
        missing=tuple(task for task in by_task if task not in finished),
        weak_accuracy=mean("weak"),
        student_accuracy=mean("student"),
        ceiling_accuracy=mean("ceiling"),
        median_pgr=float(np.median(values)) if values else None,
        mean_pgr=float(np.mean(values)) if values else None,
        interval=_interval_of_mean(values),
    )


def _interval_of_mean(values: Sequence[float]) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    from scipy.stats import sem, t

    error: Any = sem(values)
    half = float(t.isf((1 - CONFIDENCE) / 2, len(values) - 1) * error)
    mean = float(np.mean(values))
    return mean - half, mean + half
