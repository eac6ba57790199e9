"""Methods against each other, and the seeds it would take: numbers by hand, by scipy, and by simulation."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from raysweep.planning.graph import CellGroup
from raysweep.results.comparisons import Comparison, compare_methods, seeds_needed
from raysweep.results.noise import Groups
from raysweep.results.statistics import (
    Correct,
    Difference,
    Outcomes,
    mean_difference,
    ratio_of_means,
)

COLUMNS = ["task", "weak", "strong", "method", "seed", "supervisor", "student", "ceiling"]


class Sweep:
    """Finished cells whose runs are right on the examples that are named."""

    def __init__(self) -> None:
        self.cells: list[tuple[Any, ...]] = []
        self.rights: dict[str, Correct] = {}
        self.groups: Groups | None = None

    def add(
        self, method: str, seed: int, accuracy: float, task: str = "t", supervisor: str = "", jitter: int = 0
    ) -> None:
        """A cell; the student is right on the first share of the examples, moved by `jitter` for each
        seed."""
        student = f"{task} {method} {seed}"
        ends = (f"{task} supervisor{supervisor} {seed}", f"{task} ceiling {seed}")
        self.cells.append((task, "w", "s", method, seed, ends[0], student, ends[1]))
        for run, share in zip((ends[0], student, ends[1]), (0.6, accuracy, 0.9), strict=True):
            shift = jitter * seed if run == student else 0
            self.rights[run] = np.roll(np.arange(400) < 400 * share, shift)

    def compared(self) -> list[Comparison]:
        cells = pd.DataFrame(self.cells, columns=COLUMNS)
        return compare_methods(cells, lambda run: Outcomes(self.rights[run], self.groups))


def test_methods_are_compared_with_naive_on_common_seeds() -> None:
    sweep = Sweep()
    for seed in (0, 1, 2):
        sweep.add("first", seed, 0.7 + seed / 100)
    for seed in (1, 2, 3):
        sweep.add("naive", seed, 0.7, jitter=1)
    sweep.add("elsewhere", 7, 0.8)
    (found,) = sweep.compared()
    assert (found.group, found.baseline) == (CellGroup("t", "w", "s", "first"), "naive")
    assert found.seeds == (1, 2) and found.covers_seeds
    assert (found.method_accuracy, found.baseline_accuracy) == pytest.approx((0.715, 0.7))
    assert found.difference == pytest.approx(0.015)

    def stacked(name: str) -> Correct:
        return np.stack([sweep.rights[f"t {name} {seed}"] for seed in (1, 2)])

    expected = mean_difference(stacked("first"), stacked("naive"))
    assert (found.interval, found.p_value) == (expected.interval, expected.p_value)
    numerator = stacked("first").astype(float) - stacked("naive")
    pgr = ratio_of_means(numerator, stacked("ceiling").astype(float) - stacked("supervisor"))
    assert pgr is not None and found.same_gap
    assert found.pgr_difference == pytest.approx(0.05) and found.pgr_interval == pgr[1]


def test_the_examples_of_a_group_are_one_in_a_comparison() -> None:
    """Each example four times over, in groups of four, says no more than each once."""
    once = Sweep()
    for seed in (0, 1, 2):
        once.add("naive", seed, 0.7, jitter=3)
        once.add("better", seed, 0.75 + seed / 100)
    fourfold = Sweep()
    fourfold.cells = once.cells
    fourfold.rights = {run: np.repeat(right, 4) for run, right in once.rights.items()}
    fourfold.groups = np.repeat(np.arange(400), 4)
    (expected,) = once.compared()
    (found,) = fourfold.compared()
    assert dataclasses.asdict(found) == approximately(dataclasses.asdict(expected))
    fourfold.groups = None
    (independent,) = fourfold.compared()
    assert independent.power.resolvable is not None and expected.power.resolvable is not None
    assert independent.power.resolvable < 0.6 * expected.power.resolvable


def approximately(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: approximately(inner) for name, inner in value.items()}
    return pytest.approx(value) if isinstance(value, float | tuple) else value


def test_without_naive_the_first_method_is_the_baseline_of_each_task() -> None:
    sweep = Sweep()
    for task, methods in (("one", ("a", "b", "c")), ("two", ("c", "a"))):
        for method in methods:
            for seed in (0, 1):
                sweep.add(method, seed, 0.7, task=task)
    assert [(found.group.task, found.group.method, found.baseline) for found in sweep.compared()] == [
        ("one", "b", "a"),
        ("one", "c", "a"),
        ("two", "a", "c"),
    ]
    assert Sweep().compared() == []


def test_no_pgr_difference_where_the_ends_of_the_gap_differ_or_there_is_no_gap() -> None:
    sweep = Sweep()
    for seed in (0, 1, 2):
        sweep.add("naive", seed, 0.7)
        sweep.add("other supervisor", seed, 0.8, supervisor=" of its own")
        sweep.add("same", seed, 0.8)
    other, same = sweep.compared()
    assert not other.same_gap and other.pgr_difference is None and other.pgr_interval is None
    assert other.difference == pytest.approx(0.1)
    assert same.same_gap and same.pgr_difference == pytest.approx(1 / 3)
    for run in sweep.rights:
        if "ceiling" in run:
            sweep.rights[run] = sweep.rights[run.replace("ceiling", "supervisor")]
    _, same = sweep.compared()
    assert same.same_gap and same.pgr_difference is None and same.pgr_interval is None


def test_one_seed_knows_the_test_sets_noise_alone() -> None:
    sweep = Sweep()
    sweep.add("naive", 0, 0.7)
    sweep.add("better", 0, 0.75)
    (found,) = sweep.compared()
    values = np.repeat([1.0, 0.0], [20, 380])
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert not found.covers_seeds and found.interval == pytest.approx((interval.low, interval.high))
    assert found.power.num_seeds is None and found.power.seeds_deviation is None
    assert found.power.resolvable == pytest.approx((1.959964 + 0.841621) * stats.sem(values))


def test_p_values_are_corrected_by_holm_over_what_has_more_than_one_seed() -> None:
    sweep = Sweep()
    for task in ("one", "two"):
        for seed in (0, 1):
            sweep.add("naive", seed, 0.7, task=task)
    for task, method, accuracy in (
        ("one", "a", 0.703),
        ("one", "b", 0.72),
        ("two", "a", 0.71),
        ("two", "b", 0.7),
    ):
        sweep.add(method, 0, accuracy, task=task)
        sweep.add(method, 1, accuracy + 0.005, task=task)
    sweep.add("once", 0, 0.9, task="one")
    found = sweep.compared()
    (once,) = [comparison for comparison in found if comparison.group.method == "once"]
    assert (once.p_value, once.p_value_corrected, once.covers_seeds) == (None, None, False)
    assert once.difference == pytest.approx(0.2) and once.interval is not None  # of these very models
    several = [comparison for comparison in found if comparison is not once]
    raw = [comparison.p_value for comparison in several]
    ordered: list[float] = sorted(value for value in raw if value is not None)
    stepped = [
        min(1.0, p * (4 - place)) for place, p in enumerate(ordered)
    ]  # Holm 1979: times 4, 3, 2, 1, and never falling
    stepped = list(np.maximum.accumulate(stepped))
    assert len(set(ordered)) == 4 and ordered[0] < 0.1
    expected = [stepped[ordered.index(value)] for value in raw if value is not None]
    assert [comparison.p_value_corrected for comparison in several] == pytest.approx(expected)


# Seeds needed
# ------------------------------------------------------------------------------------------------------------


def difference(value: float, seeds_error: float | None, examples_error: float | None) -> Difference:
    covers = seeds_error is not None
    return Difference(
        value=value,
        interval=None,
        p_value=None,
        covers_seeds=covers,
        seeds_error=seeds_error,
        examples_error=examples_error,
    )


@pytest.mark.parametrize(
    ("effect", "num_seeds"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (3.0, 4), (9.0, 3)]
)
def test_the_seeds_of_a_paired_t_test(effect: float, num_seeds: int) -> None:
    """199, 34 and 15 pairs are Cohen's for small, medium and large effects (G*Power's manual has them
    too)."""
    found = seeds_needed(difference(-0.01 * effect, 0.01 / 2, 0), num_seeds=4)
    assert (found.num_seeds, found.resolvable) == (num_seeds, 0) and found.seeds_deviation == pytest.approx(
        0.01
    )


def test_more_seeds_do_not_help_where_the_examples_are_too_few() -> None:
    shared = 0.01 / (1.959964 + 0.841621)
    assert seeds_needed(difference(0.0099, 0.001, shared), 4).num_seeds is None
    assert seeds_needed(difference(0.0099, 0.001, shared), 4).resolvable == pytest.approx(0.01)
    just_above = seeds_needed(difference(0.0101, 0.001, shared), 4).num_seeds
    far_above = seeds_needed(difference(0.02, 0.001, shared), 4).num_seeds
    assert just_above is not None and far_above is not None and just_above > far_above >= 3
    assert seeds_needed(difference(0, 0, 0), 3).num_seeds is None
    assert seeds_needed(difference(0.1, 0, 0), 3).num_seeds == 3
    assert dataclasses.astuple(seeds_needed(difference(0.1, None, None), 1)) == (None, None, None)


def test_the_seeds_that_are_said_to_be_needed_find_the_difference_four_times_in_five() -> None:
    """Sweeps with that many seeds, whose true difference and noise are known, tested at 5 % with both
    errors."""
    true = 0.02
    deviation = 0.012
    shared = 0.005
    needed = seeds_needed(difference(true, deviation / 2, shared), num_seeds=4).num_seeds
    assert needed is not None and needed > 3
    rng = np.random.default_rng(0)
    found: dict[int, float] = {}
    for num_seeds in (needed // 2, needed):
        seeds = rng.normal(0, deviation, (20_000, num_seeds))
        means = true + seeds.mean(axis=1) + rng.normal(0, shared, 20_000)
        errors = seeds.std(axis=1, ddof=1) / np.sqrt(num_seeds)
        critical = np.hypot(stats.t.isf(0.025, num_seeds - 1) * errors, stats.norm.isf(0.025) * shared)
        found[num_seeds] = float(np.mean(abs(means) > critical))
    assert 0.75 <= found[needed] <= 0.9 and found[needed // 2] < 0.65


def test_the_noise_of_seeds_alone_makes_a_method_no_better() -> None:
    """Of methods that differ by nothing but luck, hardly any is told from the baseline after correction."""
    rng = np.random.default_rng(3)
    told = 0
    for _ in range(30):
        hardness = rng.random(300)
        rights = {}
        cells = []
        for method in ["naive", *map(str, range(6))]:
            for seed in range(3):
                run = f"{method} {seed}"
                rights[run] = hardness + rng.normal(0, 0.2, 300) + rng.normal(0, 0.02) < 0.7
                cells.append(("t", "w", "s", method, seed, "naive 0", run, "naive 1"))
        found = compare_methods(
            pd.DataFrame(cells, columns=COLUMNS), lambda run, rights=rights: Outcomes(rights[run], None)
        )
        told += any(
            comparison.p_value_corrected is not None and comparison.p_value_corrected < 0.1
            for comparison in found
        )
    assert told / 30 <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 30)
