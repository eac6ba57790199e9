"""Methods over tasks: mean, median and pooled PGR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from raysweep.results.cells import Row
from raysweep.results.noise import CONFIDENCE, fieller, freedom_of_sum, quantile
from raysweep.results.statistics import GapRecovered, ratio_of_means


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
    is undefined; None where the sum of the gaps can't be told from 0."""
    pooled_interval: tuple[float, float] | None
    """90 % interval of the pooled PGR of these very tasks, over their seeds and examples; None with it."""
    pooled_interval_over_tasks: tuple[float, float] | None
    """90 % interval of the pooled PGR, the tasks being a sample of all such tasks; None where their mean gap
    can't be told from 0, as of few tasks whose gaps differ much."""
    covers_seeds: bool
    """Whether `pooled_interval` includes the noise of training; it doesn't if any task has one seed."""
    bias: Literal["low", "high"] | None
    """To which side mean and median err; None where every task's PGR is defined, or none is.

    Luck that makes a gap look larger makes its PGR defined, and pulls it to what noise alone would show, the
    covariance of the noise of student − weak and of the gap over the latter's variance, about 0.3: most PGRs
    down, those below it up."""


def over_tasks(rows: Sequence[Row]) -> list[OverTasks]:
    """Mean, median and pooled PGR over tasks for every (weak, strong, method), in the order in which they
    come.

    The pooled PGR has two intervals of Fieller's. Over these very tasks, the noise of their seeds and
    examples counts, added up task by task, with Satterthwaite's degrees of freedom at the pooled PGR. Over
    all such tasks, the spread between tasks counts, which holds how tasks differ and their noise too. By
    simulation (as in tests/results/test_coverage.py: 8 tasks with gaps of 2 and 5 points, one seed and three,
    150 times each) both cover 86 to 95 %, where chance allows 90 ± 5. The mean of the defined PGRs is
    then 0.09 to 0.17 where 0.1 is true, and 0.54 to 0.81 where 0.8 is, and its interval covers 81 to 94 %.
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
    pooled, over = pooled_gaps(list(gaps.values()))

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
        pooled_interval_over_tasks=over[1] if over else None,
        covers_seeds=all(gap.covers_seeds for gap in gaps.values()),
        bias=_bias(list(gaps.values()), pooled[0] if pooled else None),
    )


_Ratio = tuple[float, tuple[float, float]]


def pooled_gaps(gaps: Sequence[GapRecovered]) -> tuple[_Ratio | None, _Ratio | None]:
    """Σ (student − weak) / Σ (ceiling − weak) with its 90 % interval over these tasks, and with that over all
    such tasks; each None where the sum of the gaps can't be told from 0."""
    gained = np.array([[gap.student_accuracy - gap.weak_accuracy for gap in gaps]])
    at_most = np.array([[gap.ceiling_accuracy - gap.weak_accuracy for gap in gaps]])
    known = [gap.noise for gap in gaps if gap.noise is not None]
    if not gaps or len(known) < len(gaps) or at_most.sum() <= 0:
        return None, None
    ratio = float(gained.sum() / at_most.sum())
    seeds = _spread([noise.seeds for noise in known], [gap.num_seeds - 1 for gap in gaps], ratio)
    units = [(gap.num_groups or gap.num_examples) - 1 for gap in gaps]
    examples = _spread([noise.examples for noise in known], units, ratio)
    of_these = fieller(float(gained.mean()), float(at_most.mean()), seeds + examples)
    return of_these, ratio_of_means(gained, at_most) if len(gaps) > 1 else None


def _spread(
    noise: Sequence[tuple[float, float, float]], freedom: Sequence[int], ratio: float
) -> npt.NDArray[np.float64]:
    """(2, 2) covariance of the means over tasks of student − weak and of the gap, times the squared t with
    Satterthwaite's degrees of freedom of student − weak − ratio·gap; 0 where there is no noise.

    Args:
        noise: for each task, see `GapNoise`.
        freedom: the degrees of freedom of each task's noise.
        ratio: the ratio.
    """
    parts = np.array([[[gained, both], [both, gap]] for gained, both, gap in noise]) / len(noise) ** 2
    left = np.array([1, -ratio])
    variances = np.einsum("i,tij,j->t", left, parts, left).clip(min=0)
    total: npt.NDArray[np.float64] = parts.sum(axis=0)
    return total * quantile(1 - CONFIDENCE, freedom_of_sum(variances.tolist(), freedom)) ** 2


def _bias(gaps: Sequence[GapRecovered], pooled: float | None) -> Literal["low", "high"] | None:
    """Where the mean of defined PGRs errs to; `pooled` is the PGR over all tasks, if it is known."""
    defined = [gap.pgr for gap in gaps if gap.pgr is not None]
    parts = [part for gap in gaps if gap.noise for part in (gap.noise.seeds, gap.noise.examples)]
    variance = sum(part[2] for part in parts)
    if not variance or len(defined) in (0, len(gaps)):
        return None
    true = float(np.mean(defined)) if pooled is None else pooled
    return "low" if true > sum(part[1] for part in parts) / variance else "high"


def _interval_of_mean(values: Sequence[float]) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    from scipy.stats import sem, t

    error: Any = sem(values)
    half = float(t.isf((1 - CONFIDENCE) / 2, len(values) - 1) * error)
    mean = float(np.mean(values))
    return mean - half, mean + half
