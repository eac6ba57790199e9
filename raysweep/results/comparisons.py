"""Methods compared on the same seeds and test examples, with the seeds needed to tell them apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from raysweep.planning.graph import CellGroup
from raysweep.results.cells import CELL, CELL_RUNS
from raysweep.results.statistics import (
    Correct,
    Difference,
    Outcomes,
    mean_difference,
    ratio_of_means,
    stacked,
)

POWER = 0.8
SIGNIFICANCE = 0.05
BASELINE = "naive"
"""The method that others are compared with, where it is there."""


class _Runs(NamedTuple):
    """The run ids of one cell."""

    supervisor: str
    student: str
    ceiling: str


_BySeed = dict[int, _Runs]


@dataclass(frozen=True, kw_only=True)
class Power:
    """The seeds needed to tell two methods apart with 80 % power at two-sided 5 %, if the observed difference
    is the true one.

    It is computed from this sweep's difference and noise, so it is a plan for the next sweep and not a
    finding about this one. With few seeds it is rough.
    """

    seeds_deviation: float | None
    """Standard deviation over seeds of the difference in accuracy on these test examples; None (unknown) with
    one seed."""
    num_seeds: int | None
    """Seeds needed by a paired t-test over seeds, at least 3; None if no number of seeds is enough, or if it
    is unknown."""
    resolvable: float | None
    """The smallest difference that can be told from 0 on this test set with any number of seeds; None if it
    has one example."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A method against the baseline of its (task, weak, strong), over the seeds that both have finished."""

    group: CellGroup
    baseline: str
    """The method that it is compared with."""
    seeds: tuple[int, ...]
    baseline_accuracy: float
    method_accuracy: float
    difference: float
    """Method − baseline, in accuracy."""
    interval: tuple[float, float] | None
    """90 % interval of the difference; None if there is one group of examples."""
    p_value: float | None
    """None where one seed was trained: what it differs by from another run of its own method isn't known, so
    nothing can be said of methods."""
    p_value_corrected: float | None
    """By Holm, over all comparisons of the sweep that have a p-value."""
    same_gap: bool
    """Whether the two methods have the same supervisors and ceilings."""
    pgr_difference: float | None
    """Difference / gap; None where the gap isn't the same, or inside the noise."""
    pgr_interval: tuple[float, float] | None
    covers_seeds: bool
    """Whether intervals include the noise of training; with one seed they are of the test set's noise alone,
    and there is no verdict."""
    power: Power

    def to_json(self) -> dict[str, Any]:
        """A dict for `raysweep results --format json`."""
        flat = asdict(self)
        return flat.pop("group")._asdict() | flat


def compare_methods(cells: pd.DataFrame, outcomes: Callable[[str], Outcomes]) -> list[Comparison]:
    """Every method against the baseline of its (task, weak, strong): "naive" if it is there, else the first.

    p-values are corrected by Holm's method over all comparisons of more than one seed. It holds whatever the
    dependence between comparisons, which share baselines, seeds and examples (Hochberg's method or a false
    discovery rate would need assumptions on it), and is never weaker than Bonferroni's. Methods that have no
    finished seed in common with their baseline are left out.

    Args:
        cells: one row per finished cell, in the plan's order: task, weak, strong, method, seed, and the run
            ids supervisor, student, ceiling.
        outcomes: run id → its outcomes on the test examples, in the same order for all runs of a task.
    """
    found = []
    for methods in _methods_by_pair(cells):
        baseline = next((group for group in methods if group.method == BASELINE), next(iter(methods)))
        for group, by_seed in methods.items():
            if group != baseline and methods[baseline].keys() & by_seed.keys():
                found.append(_compare(group, by_seed, baseline.method, methods[baseline], outcomes))
    corrected = holm([comparison.p_value for comparison in found])
    return [replace(item, p_value_corrected=value) for item, value in zip(found, corrected, strict=True)]


def _methods_by_pair(cells: pd.DataFrame) -> list[dict[CellGroup, _BySeed]]:
    """For each (task, weak, strong), the runs of its methods by seed."""
    pairs: dict[tuple[str, str, str], dict[CellGroup, _BySeed]] = {}
    for *names, seed, supervisor, student, ceiling in cells[[*CELL, *CELL_RUNS]].itertuples(index=False):
        group = CellGroup(*names)
        methods = pairs.setdefault((group.task, group.weak, group.strong), {})
        methods.setdefault(group, {})[int(seed)] = _Runs(supervisor, student, ceiling)
    return list(pairs.values())


def _compare(
    group: CellGroup,
    runs: _BySeed,
    baseline: str,
    baseline_runs: _BySeed,
    outcomes: Callable[[str], Outcomes],
) -> Comparison:
    """A method and its baseline over their common seeds."""
    seeds = [seed for seed in baseline_runs if seed in runs]
    own = [runs[seed] for seed in seeds]
    theirs = [baseline_runs[seed] for seed in seeds]

    def of(run_ids: Sequence[str]) -> Correct:
        return stacked([outcomes(run_id) for run_id in run_ids])

    students = of([cell.student for cell in own])
    baseline_students = of([cell.student for cell in theirs])
    groups = outcomes(own[0].student).groups
    difference = mean_difference(students, baseline_students, groups)
    same_gap = all(
        (cell.supervisor, cell.ceiling) == (other.supervisor, other.ceiling)
        for cell, other in zip(own, theirs, strict=True)
    )
    pgr = None
    if same_gap:
        gap = of([cell.ceiling for cell in own]).astype(float) - of([cell.supervisor for cell in own])
        pgr = ratio_of_means(students.astype(float) - baseline_students, gap, groups)
    return Comparison(
        group=group,
        baseline=baseline,
        seeds=tuple(seeds),
        baseline_accuracy=float(baseline_students.mean()),
        method_accuracy=float(students.mean()),
        difference=difference.value,
        interval=difference.interval,
        p_value=difference.p_value if difference.covers_seeds else None,
        p_value_corrected=None,
        same_gap=same_gap,
        pgr_difference=pgr[0] if pgr else None,
        pgr_interval=pgr[1] if pgr else None,
        covers_seeds=difference.covers_seeds,
        power=seeds_needed(difference, len(seeds)),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected by Holm's method over those that are known (Holm 1979)."""
    from statsmodels.stats.multitest import multipletests

    known = [value for value in p_values if value is not None]
    corrected = iter(multipletests(known, method="holm")[1] if known else [])
    return [None if value is None else float(next(corrected)) for value in p_values]


def seeds_needed(difference: Difference, num_seeds: int) -> Power:
    """How many seeds would tell a difference of this size from 0.

    All seeds are tested on the same examples, so the examples' error e doesn't shrink with seeds: below the
    resolvable r = (z(97.5 %) + z(80 %))·e no number of seeds is enough. Above it, a paired t-test over seeds
    has √(difference² − r²) left to find, which with many seeds amounts to a test of both errors together.
    """
    from scipy.stats import norm
    from statsmodels.stats.power import TTestPower

    if difference.examples_error is None:
        return Power(seeds_deviation=None, num_seeds=None, resolvable=None)
    resolvable = float(norm.isf(SIGNIFICANCE / 2) + norm.isf(1 - POWER)) * difference.examples_error
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
        needed = max(3, math.ceil(test.solve_power(effect_size=effect, alpha=SIGNIFICANCE, power=POWER)))
        while test.power(effect, needed, SIGNIFICANCE) < POWER:  # the solver may stop short of it
            needed += 1
    return Power(seeds_deviation=deviation, num_seeds=needed, resolvable=resolvable)
