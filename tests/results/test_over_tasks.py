"""PGR over tasks: numbers by hand, by scipy, and by simulation."""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from raysweep.planning.graph import CellGroup
from raysweep.results.cells import Row
from raysweep.results.over_tasks import over_tasks
from raysweep.results.statistics import GapRecovered


def gap(pgr: float | None, student: float = 0.7, ceiling: float = 0.8) -> GapRecovered:
    return GapRecovered(
        weak_accuracy=0.6,
        student_accuracy=student,
        ceiling_accuracy=ceiling,
        pgr=pgr,
        interval=None if pgr is None else (pgr - 0.1, pgr + 0.1),
        num_seeds=3,
        num_examples=400,
        num_groups=400,
        covers_seeds=True,
        pgr_of_noise=0.3,
    )


def tasks(gaps: Sequence[GapRecovered | None], method: str = "naive") -> list[Row]:
    agreements = {"agreement": None, "agreement_supervisor_right": None, "agreement_supervisor_wrong": None}
    return [
        Row(
            group=CellGroup(f"task {number}", "w", "s", method),
            seeds=(0,) if found else (),
            missing_seeds=() if found else (0,),
            gap=found,
            accuracies={},
            odd_seeds=(),
            **agreements,
        )
        for number, found in enumerate(gaps)
    ]


def test_mean_and_median_are_of_defined_tasks_and_the_others_are_named() -> None:
    (found,) = over_tasks(tasks([gap(0.1), gap(None, student=0.8), gap(0.2), None, gap(0.9)]))
    assert (found.weak, found.strong, found.method) == ("w", "s", "naive")
    assert (found.defined, found.undefined, found.missing) == (
        ("task 0", "task 2", "task 4"),
        ("task 1",),
        ("task 3",),
    )
    assert (found.median_pgr, found.mean_pgr) == pytest.approx((0.2, 0.4))
    interval = stats.ttest_1samp([0.1, 0.2, 0.9], 0).confidence_interval(0.9)
    assert found.interval == pytest.approx((interval.low, interval.high))
    accuracies = (found.weak_accuracy, found.student_accuracy, found.ceiling_accuracy)
    assert accuracies == pytest.approx((0.6, 0.725, 0.8))  # of the undefined one too


def test_the_pooled_pgr_is_of_all_tasks_with_fiellers_interval_over_them() -> None:
    """At its ends, what students gain less that share of the gap is told from 0 at 10 % exactly."""
    gained = np.array([0.01, 0.11, 0.06, 0.03, -0.01])
    at_most = np.array([0.04, 0.23, 0.15, 0.1, 0.03])
    gaps = [
        gap(None if most < 0.05 else gain / most, 0.6 + gain, 0.6 + most)
        for gain, most in zip(gained, at_most, strict=True)
    ]
    (found,) = over_tasks(tasks([*gaps, None]))
    assert found.pooled_pgr == pytest.approx(gained.sum() / at_most.sum())
    assert found.pooled_interval is not None
    for end in found.pooled_interval:
        assert stats.ttest_1samp(gained - end * at_most, 0).pvalue == pytest.approx(0.1)
    low, high = found.pooled_interval
    assert low < gained.sum() / at_most.sum() < high


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([gap(0.5), gap(0.6), gap(None)], "low"),
        ([gap(0.1, 0.62), gap(0.2, 0.64), gap(None, 0.62)], "high"),
        ([gap(0.5), gap(0.6), None], None),
        ([gap(None), gap(None)], None),
    ],
)
def test_which_way_the_mean_errs(gaps: Sequence[GapRecovered | None], expected: str | None) -> None:
    """Away from the PGR of all tasks, to what noise alone would show: 0.3."""
    assert over_tasks(tasks(gaps))[0].bias == expected


def test_few_tasks_claim_little() -> None:
    nothing, undefined, one = over_tasks(
        tasks([None, None], "a") + tasks([gap(None), gap(None)], "b") + tasks([gap(0.5), gap(None)], "c")
    )
    assert (nothing.median_pgr, nothing.mean_pgr, nothing.interval, nothing.weak_accuracy) == (
        None,
        None,
        None,
        None,
    )
    assert (undefined.mean_pgr, undefined.interval, undefined.weak_accuracy) == (None, None, 0.6)
    assert (one.median_pgr, one.mean_pgr, one.interval) == (0.5, 0.5, None)
    (alone,) = over_tasks(tasks([gap(0.5), None]))
    assert (nothing.pooled_pgr, alone.pooled_pgr, alone.pooled_interval) == (None, None, None)
    for found in (nothing, undefined, one):
        json.dumps(dataclasses.asdict(found), allow_nan=False)
