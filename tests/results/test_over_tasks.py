"""PGR over tasks: numbers by hand, by scipy, and by simulation."""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from raysweep.planning.graph import CellGroup
from raysweep.results.cells import Row
from raysweep.results.over_tasks import over_tasks
from raysweep.results.statistics import GapNoise, GapRecovered, gap_recovered


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
        noise=GapNoise(seeds=(2e-4, 0.6e-4, 2e-4), examples=(1e-4, 0.3e-4, 1e-4)),
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
    assert found.pooled_interval_over_tasks is not None
    for end in found.pooled_interval_over_tasks:
        assert stats.ttest_1samp(gained - end * at_most, 0).pvalue == pytest.approx(0.1)
    low, high = found.pooled_interval_over_tasks
    assert low < gained.sum() / at_most.sum() < high


def models(seed: int, num_seeds: int, num_examples: int) -> list[npt.NDArray[np.bool_]]:
    """Who is right where, for weak, student and ceiling."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(num_examples)
    return [
        hardness + rng.normal(0, 0.1, (num_seeds, num_examples)) + rng.normal(0, 0.01, (num_seeds, 1)) < share
        for share in (0.6, 0.7, 0.8)
    ]


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_of_one_task_the_pooled_pgr_is_its_own(num_seeds: int) -> None:
    own = gap_recovered(*models(0, num_seeds, 400))
    (found,) = over_tasks(tasks([own]))
    assert own.interval is not None
    assert (found.pooled_pgr, found.pooled_interval) == (pytest.approx(own.pgr), pytest.approx(own.interval))
    assert found.pooled_interval_over_tasks is None and found.covers_seeds is (num_seeds > 1)


def test_the_noise_of_a_task_counts_by_what_it_is_of_the_mean() -> None:
    """Two tasks of one seed are together one task of twice as many examples, if their differences vary alike;
    so are ten copies of a task √10 times as sure."""
    own = gap_recovered(*models(0, 1, 4000))
    (found,) = over_tasks(tasks([own] * 10))
    assert own.interval is not None and found.pooled_interval is not None
    widths = [high - low for low, high in (own.interval, found.pooled_interval)]
    assert widths[0] / widths[1] == pytest.approx(10**0.5, rel=0.01)
    several = [gap_recovered(*models(seed, 1, 400)) for seed in range(2)]
    (found,) = over_tasks(tasks(several))
    both = gap_recovered(*map(np.hstack, zip(*(models(seed, 1, 400) for seed in range(2)), strict=True)))
    assert found.pooled_pgr == pytest.approx(both.pgr) and both.interval is not None
    assert found.pooled_interval == pytest.approx(both.interval, abs=0.005)


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
    assert (nothing.pooled_pgr, nothing.pooled_interval, nothing.bias) == (None, None, None)
    assert alone.pooled_pgr == pytest.approx(0.5) and alone.pooled_interval_over_tasks is None
    for found in (nothing, undefined, one):
        json.dumps(dataclasses.asdict(found), allow_nan=False)
