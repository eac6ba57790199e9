"""Methods over tasks: mean, median and pooled PGR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from raysweep.results.cells import Row
from raysweep.results.statistics import CONFIDENCE, GapRecovered, ratio_of_means


@dataclass(frozen=True, kw_only=True)
class OverTasks:
    """One (weak, strong, method) over its tasks."""

    weak: str
    strong: str
    method: str
    defined: tuple[str, ...]
    """Tasks whose PGR is defined; mean and median are over these."""
    undefined: tuple[str, ...]
    """Tasks whose gap is inside the noise."""
    missing: tuple[str, ...]
    """Tasks without a finished seed."""
    weak_accuracy: float | None
    student_accuracy: float | None
    ceiling_accuracy: float | None
    """Means over all tasks with a finished seed, also those whose PGR is undefined; None if there are
    none."""
    median_pgr: float | None
    """The number that Burns et al. 2023 report of their NLP tasks; None if no task's PGR is defined."""
    mean_pgr: float | None
    interval: tuple[float, float] | None
    """90 % interval of the mean, by Student's t, the tasks being a sample of all such tasks; None with fewer
    than two."""
    pooled_pgr: float | None
    """Σ (student − weak) / Σ (ceiling − weak) over all tasks with a finished seed, also those whose own PGR
    is undefined; None with fewer than two, or where the sum of the gaps can't be told from 0."""
    pooled_interval: tuple[float, float] | None
    """90 % interval of the pooled PGR by Fieller, the tasks being a sample of all such tasks; None with
    it."""
    bias: Literal["low", "high"] | None
    """To which side mean and median err; None where every task's PGR is defined, or none is.

    Luck that makes a gap look larger makes its PGR defined, and pulls it to what noise alone would show
    (`GapRecovered.pgr_of_noise`, about 0.3): most PGRs down, those below it up."""


def over_tasks(rows: Sequence[Row]) -> list[OverTasks]:
    """Mean, median and pooled PGR over tasks for every (weak, strong, method), in the order in which they
    come.

    Intervals are over tasks, whose numbers hold the noise of their seeds and examples: the spread between
    tasks shows both that and how tasks differ. By simulation (tests/results/test_coverage.py), of 8 tasks
    with gaps of 2 to 5 points the mean of the defined PGRs is 0.18 to 0.09 where 0.1 is true, and 0.55 to 0.8
    where 0.8 is, and its interval covers 78 to 94 %; the pooled one covers 87 to 92 % (with 3 to 22 tasks
    and PGRs that differ between them by a standard deviation of 0.2, 88 to 91 %).
    """
    methods: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        methods.setdefault((row.group.weak, row.group.strong, row.group.method), []).append(row)
    return [_over_tasks(of_method) for of_method in methods.values()]


def _over_tasks(rows: Sequence[Row]) -> OverTasks:
    """One method's rows, each of another task."""
    gaps = {row.group.task: row.gap for row in rows if row.gap is not None}
    pgrs = {task: gap.pgr for task, gap in gaps.items() if gap.pgr is not None}
    values = list(pgrs.values())
    gained = np.array([[gap.student_accuracy - gap.weak_accuracy for gap in gaps.values()]])
    at_most = np.array([[gap.ceiling_accuracy - gap.weak_accuracy for gap in gaps.values()]])
    pooled = ratio_of_means(gained, at_most) if len(gaps) > 1 else None

    def mean(values: Sequence[float]) -> float | None:
        return float(np.mean(values)) if values else None

    return OverTasks(
        weak=rows[0].group.weak,
        strong=rows[0].group.strong,
        method=rows[0].group.method,
        defined=tuple(pgrs),
        undefined=tuple(task for task in gaps if task not in pgrs),
        missing=tuple(row.group.task for row in rows if row.gap is None),
        weak_accuracy=mean([gap.weak_accuracy for gap in gaps.values()]),
        student_accuracy=mean([gap.student_accuracy for gap in gaps.values()]),
        ceiling_accuracy=mean([gap.ceiling_accuracy for gap in gaps.values()]),
        median_pgr=float(np.median(values)) if values else None,
        mean_pgr=mean(values),
        interval=_interval_of_mean(values),
        pooled_pgr=pooled[0] if pooled else None,
        pooled_interval=pooled[1] if pooled else None,
        bias=_bias(list(gaps.values()), pooled[0] if pooled else None),
    )


def _bias(gaps: Sequence[GapRecovered], pooled: float | None) -> Literal["low", "high"] | None:
    """Where the mean of defined PGRs errs to; `pooled` is the PGR over all tasks, if it is known."""
    defined = [gap.pgr for gap in gaps if gap.pgr is not None]
    pulls = [gap.pgr_of_noise for gap in gaps if gap.pgr_of_noise is not None]
    if not pulls or len(defined) in (0, len(gaps)):
        return None
    true = float(np.mean(defined)) if pooled is None else pooled
    return "low" if true > float(np.mean(pulls)) else "high"


def _interval_of_mean(values: Sequence[float]) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    from scipy.stats import sem, t

    error: Any = sem(values)
    half = float(t.isf((1 - CONFIDENCE) / 2, len(values) - 1) * error)
    mean = float(np.mean(values))
    return mean - half, mean + half
