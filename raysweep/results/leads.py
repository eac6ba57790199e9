"""How far each method leads the baseline over all tasks, pairs and seeds together.

A task is tested on the same examples by all its pairs, and a supervisor's seed teaches the students of
several strong models, so pairs of a task aren't independent. Their outcomes are averaged before anything
else, and the task is the unit: a (seeds × examples) table, whose noise is crossed as everywhere
(`raysweep.results.noise`). Tasks have trainings and examples of their own, so their noise adds up.

This is a hierarchical paired estimate. A mixed model (task, pair, seed and example as crossed random effects,
statsmodels' MixedLM) would need a likelihood over every outcome, minutes for a sweep of thousands of runs,
takes crossed effects only as variance components of one group of everything, and leans on normal outcomes
where these are 0 or 1; sums of squares give the same variances of a mean in a balanced design, and those are
all that a lead needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from raysweep.results.cells import CELL_RUNS, GROUP
from raysweep.results.comparisons import BASELINE, POWER, SIGNIFICANCE, holm
from raysweep.results.noise import CONFIDENCE, Groups, Numbers, freedom_of_sum, p_value_of, squared_width
from raysweep.results.over_tasks import pooled_gaps
from raysweep.results.statistics import Difference, GapRecovered, Outcomes, gap_recovered, mean_difference


@dataclass(frozen=True, kw_only=True)
class Lead:
    """A method against the baseline, over every task and pair that both have finished with common seeds."""

    method: str
    baseline: str
    is_yardstick: bool
    """Whether it is a control, or a baseline that is no weak-to-strong method."""
    tasks: tuple[str, ...]
    num_compared: int
    """How many (task, pair)s are compared."""
    num_ahead: int
    """In how many of them the method's mean accuracy is above the baseline's."""
    difference: float
    """Method − baseline in accuracy, the mean over tasks of the mean over pairs."""
    interval: tuple[float, float] | None
    """90 % interval of the difference; None where nothing is known of the noise of training."""
    p_value: float | None
    p_value_corrected: float | None
    """By Holm, over the methods or over the yardsticks."""
    noise: Literal["within tasks", "between tasks"] | None
    """Within tasks where each has two seeds or more: interval and p-value are of these very tasks. Else
    between tasks, which vary by the noise of training too, by Student's t: of all such tasks, and no less
    than the noise that is known within them. None with one task of one seed."""
    tells: float | None
    """The difference that about four of five sweeps like this one would tell from 0 at 5 %, before
    correction; three of five where it has two seeds or tasks."""
    pgr: float | None
    pgr_interval: tuple[float, float] | None
    """The pooled PGR over these tasks and pairs, and its 90 % interval, see `raysweep.results.over_tasks`."""
    baseline_pgr: float | None

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON."""
        return asdict(self)


def leads(
    cells: pd.DataFrame, outcomes: Callable[[str], Outcomes], yardsticks: Collection[str] = ()
) -> list[Lead]:
    """Every method against the sweep's baseline: "naive" if it is there, else the first.

    p-values are corrected by Holm's method, apart for methods and for yardsticks: what a control is known to
    do takes nothing from what a method is asked.

    Args:
        cells: one row per finished cell, in the plan's order: task, weak, strong, method, seed, and the run
            ids supervisor, student, ceiling.
        outcomes: run id → its outcomes on the test examples, in the same order for all runs of a task.
        yardsticks: names of the methods that are controls or baselines.
    """
    methods = list(dict.fromkeys(cells["method"]))
    if len(methods) < 2:
        return []
    baseline = BASELINE if BASELINE in methods else methods[0]
    theirs = cells[cells["method"] == baseline]
    found = []
    for method in methods:
        if method != baseline:
            both = cells[cells["method"] == method].merge(
                theirs, on=[*(name for name in GROUP if name != "method"), "seed"], suffixes=("", "_baseline")
            )
            of_tasks = [_of_task(own, outcomes) for _, own in both.groupby("task", sort=False)]
            known = [task for task in of_tasks if task is not None]
            if known:
                found.append(_lead(method, baseline, method in yardsticks, known))
    corrected = {
        is_yardstick: iter(holm([item.p_value for item in found if item.is_yardstick is is_yardstick]))
        for is_yardstick in (False, True)
    }
    return [replace(item, p_value_corrected=next(corrected[item.is_yardstick])) for item in found]


@dataclass(frozen=True, kw_only=True)
class _OfTask:
    """A method and the baseline on one task, the mean over its pairs."""

    task: str
    differences: tuple[float, ...]
    """(pairs,)"""
    difference: Difference
    num_seeds: int
    num_groups: int
    gap: GapRecovered
    baseline_gap: GapRecovered


def _of_task(both: pd.DataFrame, outcomes: Callable[[str], Outcomes]) -> _OfTask | None:
    """What a method's and the baseline's cells of one task say, over the seeds that all its pairs have; None
    if there is no such seed.

    Args:
        both: a row per pair and seed, with the run ids of the method and, as `…_baseline`, of the baseline.
    """
    pairs = [pair.set_index("seed") for _, pair in both.groupby(["weak", "strong"], sort=False)]
    seeds = sorted(set.intersection(*(set(pair.index) for pair in pairs)))
    if not seeds:
        return None

    def right(column: str) -> Numbers:
        """(pairs, seeds, examples)"""
        return np.array(
            [[outcomes(pair.loc[seed, column]).right for seed in seeds] for pair in pairs], np.float64
        )

    own = {role: right(role) for role in CELL_RUNS}
    others = {role: right(f"{role}_baseline") for role in CELL_RUNS}
    groups = outcomes(both["student"].iloc[0]).groups
    gap, baseline_gap = (_mean_gap(of, groups) for of in (own, others))
    difference = mean_difference(own["student"].mean(axis=0), others["student"].mean(axis=0), groups)
    by_pair = (own["student"] - others["student"]).mean(axis=(1, 2))
    return _OfTask(
        task=str(both["task"].iloc[0]),
        differences=tuple(by_pair.tolist()),
        difference=difference,
        num_seeds=len(seeds),
        num_groups=gap.num_groups or gap.num_examples,
        gap=gap,
        baseline_gap=baseline_gap,
    )


def _mean_gap(right: dict[str, Numbers], groups: Groups | None) -> GapRecovered:
    weak, student, ceiling = (right[role].mean(axis=0) for role in CELL_RUNS)
    return gap_recovered(weak, student, ceiling, groups)


def _lead(method: str, baseline: str, is_yardstick: bool, tasks: Sequence[_OfTask]) -> Lead:
    mean = mean_lead(
        [task.difference for task in tasks],
        [task.num_seeds for task in tasks],
        [task.num_groups for task in tasks],
    )
    pgr, pgr_over_tasks = pooled_gaps([task.gap for task in tasks])
    baseline_pgr, _ = pooled_gaps([task.baseline_gap for task in tasks])
    interval = pgr if mean.noise == "within tasks" else pgr_over_tasks
    by_pair = [difference for task in tasks for difference in task.differences]
    return Lead(
        method=method,
        baseline=baseline,
        is_yardstick=is_yardstick,
        tasks=tuple(task.task for task in tasks),
        num_compared=len(by_pair),
        num_ahead=sum(difference > 0 for difference in by_pair),
        difference=mean.value,
        interval=mean.interval,
        p_value=mean.p_value,
        p_value_corrected=None,
        noise=mean.noise,
        tells=mean.tells,
        pgr=pgr[0] if pgr else None,
        pgr_interval=interval[1] if pgr and interval else None,
        baseline_pgr=baseline_pgr[0] if baseline_pgr else None,
    )


class MeanLead(NamedTuple):
    """A mean difference over tasks."""

    value: float
    noise: Literal["within tasks", "between tasks"] | None
    """See `Lead.noise`, and so the others."""
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    tells: float | None = None


def mean_lead(
    differences: Sequence[Difference], num_seeds: Sequence[int], num_groups: Sequence[int]
) -> MeanLead:
    """The mean of differences on independent tasks, with what its noise allows to be said.

    By simulation (tests/results/test_leads.py: 1 and 4 tasks with 3 seeds and 6 tasks with one, 2 pairs, 3
    methods and 2 controls without any effect), after Holm's correction a method is told from the baseline in
    at most 5 % of the sweeps; a lead of `tells` is, before it, in 66 % (1 task), 74 % and 80 %.

    Args:
        differences: (tasks,)
        num_seeds, num_groups: (tasks,) of which each is.
    """
    value = float(np.mean([task.value for task in differences]))
    num_tasks = len(differences)
    errors = [(task.seeds_error, task.examples_error) for task in differences]
    known = [(seeds, examples) for seeds, examples in errors if seeds is not None and examples is not None]
    if len(known) == num_tasks:
        by_seeds, by_groups = (np.array(of) ** 2 / num_tasks**2 for of in zip(*known, strict=True))
        freedom = freedom_of_sum(by_seeds.tolist(), [number - 1 for number in num_seeds])
        of_groups = freedom_of_sum(by_groups.tolist(), [number - 1 for number in num_groups])
        variances = (float(by_seeds.sum()), float(by_groups.sum()))
        return _told("within tasks", value, freedom + 1, of_groups + 1, *variances)
    if num_tasks > 1:
        spread = float(np.var([task.value for task in differences], ddof=1)) / num_tasks
        # Few tasks may have equal differences by luck, but what is known of their noise stays.
        least = sum((part or 0.0) ** 2 for error in errors for part in error) / num_tasks**2
        return _told("between tasks", value, 1, num_tasks, 0.0, max(spread, least))
    return MeanLead(value, None)


def _told(
    noise: Literal["within tasks", "between tasks"],
    value: float,
    num_seeds: float,
    num_units: float,
    seeds: float,
    units: float,
) -> MeanLead:
    """What variances by seeds and by units, with num_seeds − 1 and num_units − 1 degrees of freedom, tell; of
    one seed, those by units alone."""
    from scipy.stats import norm

    half, least = (
        math.sqrt(squared_width(significance, num_seeds, num_units, seeds, units))
        for significance in (1 - CONFIDENCE, SIGNIFICANCE)
    )
    return MeanLead(
        value,
        noise,
        (value - half, value + half),
        p_value_of(value, num_seeds, num_units, seeds, units),
        least + float(norm.isf(1 - POWER)) * math.sqrt(seeds + units),
    )
