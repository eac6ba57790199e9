"""The interval of a PGR and of a difference, against numbers by other hands, and where there is nothing to be
said.

Whether intervals hold the truth as often as they say is in test_coverage.py.
"""

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from raysweep.results.statistics import GapRecovered, gap_recovered, mean_difference

Correct = npt.NDArray[np.bool_]


def world(
    seed: int, num_seeds: int, num_examples: int, accuracies: tuple[float, float, float]
) -> list[Correct]:
    """Who is right where, for weak, student and ceiling, which share what is hard."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(num_examples)
    found = []
    for accuracy in accuracies:
        noise = rng.normal(0, 0.15, (num_seeds, num_examples)) + rng.normal(0, 0.02, (num_seeds, 1))
        found.append(hardness + noise < accuracy)
    return found


def half_width_by_statsmodels(values: npt.NDArray[np.float64]) -> float:
    """Of the mean of (seeds, examples) values, from the mean squares of statsmodels' analysis of variance."""
    import pandas as pd

    num_seeds, num_examples = values.shape
    seeds, examples = np.indices(values.shape)
    frame = pd.DataFrame({"value": values.ravel(), "seed": seeds.ravel(), "example": examples.ravel()})
    table = anova_lm(ols("value ~ C(seed) + C(example)", frame).fit())
    squares = table["sum_sq"] / table["df"]
    count = num_seeds * num_examples
    of_seeds = stats.t.ppf(0.95, num_seeds - 1) ** 2 * squares["C(seed)"] / count
    of_examples = (
        stats.t.ppf(0.95, num_examples - 1) ** 2 * (squares["C(example)"] - squares["Residual"]) / count
    )
    return math.sqrt(of_seeds + of_examples)


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_a_difference_has_the_mean_squares_of_statsmodels(num_seeds: int) -> None:
    first, _, second = world(num_seeds, num_seeds, 60, (0.9, 0.7, 0.6))
    found = mean_difference(first, second)
    values = first.astype(float) - second
    assert found.value == pytest.approx(first.mean() - second.mean()) and found.covers_seeds
    half = half_width_by_statsmodels(values)
    assert found.interval == pytest.approx((found.value - half, found.value + half))
    by_seed = values.mean(axis=1)
    assert found.seeds_error == pytest.approx(stats.sem(by_seed))


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_a_pgr_is_in_its_interval_where_what_it_leaves_over_is_not_told_from_0(num_seeds: int) -> None:
    """Fieller's interval by its definition, from the analysis of variance of student − weak − ρ·(ceiling −
    weak)."""
    weak, student, ceiling = world(num_seeds, num_seeds, 60, (0.4, 0.6, 0.9))
    found = gap_recovered(weak, student, ceiling)
    assert found.interval is not None and found.pgr is not None and found.covers_seeds
    for end, inwards in zip(found.interval, (1, -1), strict=True):
        for ratio, is_inside in ((end + inwards * 1e-4, True), (end - inwards * 1e-4, False)):
            left = student.astype(float) - weak - ratio * (ceiling.astype(float) - weak)
            assert (abs(left.mean()) <= half_width_by_statsmodels(left)) == is_inside
    assert found.pgr == pytest.approx((student.mean() - weak.mean()) / (ceiling.mean() - weak.mean()))
    assert found.interval[0] < found.pgr < found.interval[1]
    assert found.num_seeds == num_seeds
    assert (found.weak_accuracy, found.student_accuracy, found.ceiling_accuracy) == pytest.approx(
        (weak.mean(), student.mean(), ceiling.mean())
    )


def test_with_one_seed_a_difference_is_scipys_paired_t_test_over_examples() -> None:
    first, _, second = world(4, 1, 200, (0.7, 0.7, 0.62))
    found = mean_difference(first, second)
    expected = stats.ttest_rel(first[0].astype(float), second[0].astype(float))
    interval = expected.confidence_interval(0.9)
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert not found.covers_seeds and found.seeds_error is None
    assert not gap_recovered(second, first, np.ones_like(first)).covers_seeds


def test_where_examples_make_no_noise_a_difference_is_scipys_t_test_over_seeds() -> None:
    """Each seed is wrong somewhere else, so that examples have nothing in common."""
    first = np.ones((4, 1000), dtype=bool)
    second = first.copy()
    for seed, num_wrong in enumerate((10, 30, 15, 45)):
        second[seed, seed * 200 : seed * 200 + num_wrong] = False
    found = mean_difference(first, second)
    expected = stats.ttest_1samp([0.010, 0.030, 0.015, 0.045], 0)
    interval = expected.confidence_interval(0.9)
    assert found.examples_error == 0
    assert found.interval == pytest.approx((interval.low, interval.high)) and found.p_value == pytest.approx(
        expected.pvalue
    )


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_groups_of_one_are_examples(num_seeds: int) -> None:
    """In any order, and under any numbers."""
    weak, student, ceiling = world(5, num_seeds, 300, (0.6, 0.7, 0.85))
    groups = np.random.default_rng(0).permutation(np.arange(7, 307))
    for found, expected in (
        (mean_difference(student, weak, groups), mean_difference(student, weak)),
        (gap_recovered(weak, student, ceiling, groups), gap_recovered(weak, student, ceiling)),
    ):
        assert found.interval == pytest.approx(expected.interval, rel=1e-12)
    assert gap_recovered(weak, student, ceiling, groups).num_groups == 300
    assert gap_recovered(weak, student, ceiling).num_groups is None


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_groups_have_the_errors_of_their_sums_by_hand(num_seeds: int) -> None:
    """One seed: the variance of a mean of clusters, as survey sampling has it. Several: the analysis of
    variance of the sums, each seed's own mean taken out of its groups by their sizes."""
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 12, 200)
    first = rng.random((num_seeds, 200)) < rng.random(12)[groups]
    second = rng.random((num_seeds, 200)) < 0.5
    found = mean_difference(first, second, groups)
    values = first.astype(float) - second
    members = [groups == group for group in range(12)]
    sums = np.array([(values - values.mean())[:, own].sum(axis=1) for own in members]).T
    variance = (sums.mean(axis=0) ** 2).sum() * 12 / 11 / 200**2
    half = stats.t.ppf(0.95, 11) ** 2 * variance
    if num_seeds > 1:
        own = values - values.mean(axis=1, keepdims=True)
        rest = np.array([own[:, chosen].sum(axis=1) for chosen in members]).T - sums.mean(axis=0)
        variance -= (rest**2).sum() * 12 / 11 / 2 / 200**2 / 3
        half = stats.t.ppf(0.95, 2) ** 2 * stats.sem(values.mean(axis=1)) ** 2
        half += stats.t.ppf(0.95, 11) ** 2 * variance
    assert variance > 0 and found.examples_error == pytest.approx(math.sqrt(variance))
    assert found.interval == pytest.approx((found.value - math.sqrt(half), found.value + math.sqrt(half)))


def test_one_group_tells_nothing() -> None:
    right = np.arange(60).reshape(3, 20) % 3 > 0
    found = mean_difference(right, ~right, np.zeros(20, dtype=int))
    assert found.interval is None and found.p_value is None and found.examples_error is None
    assert gap_recovered(~right, right, right, np.zeros(20, dtype=int)).pgr is None


def test_a_p_value_is_where_the_interval_reaches_0() -> None:
    for seed in range(30):
        first, _, second = world(seed, 3, 200, (0.6, 0.6, 0.62))
        found = mean_difference(first, second)
        mirrored = mean_difference(second, first)
        assert found.interval is not None and found.p_value is not None
        assert (found.p_value < 0.1) == (not found.interval[0] <= 0 <= found.interval[1])
        assert mirrored.value == -found.value and mirrored.p_value == pytest.approx(found.p_value)


def test_it_is_undefined_exactly_when_the_interval_of_the_gap_reaches_zero() -> None:
    decided = []
    for seed in range(60):
        weak, student, ceiling = world(seed, 3, 200, (0.6, 0.62, 0.57 + seed / 400))
        found = gap_recovered(weak, student, ceiling)
        gap = mean_difference(ceiling, weak)
        assert gap.interval is not None
        assert (found.pgr is None) == (found.interval is None) == (gap.interval[0] <= 0)
        decided.append(found.pgr is None)
    assert True in decided and False in decided
    weak, student, ceiling = world(
        1, 3, 200, (0.9, 0.7, 0.5)
    )  # a ceiling that is surely below the floor is no gap
    assert gap_recovered(weak, student, ceiling).pgr is None


def test_the_interval_is_narrow_where_much_is_known_and_wide_where_little_is() -> None:
    def width(num_seeds: int, num_examples: int, ceiling: float) -> float:
        interval = gap_recovered(*world(1, num_seeds, num_examples, (0.6, 0.7, ceiling))).interval
        assert interval is not None
        return interval[1] - interval[0]

    assert width(10, 5000, 0.9) < width(3, 300, 0.9) < width(2, 300, 0.9)
    assert width(3, 1000, 0.95) < width(3, 1000, 0.72)


def test_the_noise_of_a_gap_is_how_it_varies_over_sweeps() -> None:
    """The covariance of student − weak and ceiling − weak over 2,000 sweeps of one world."""
    sweeps = [world(seed, 3, 100, (0.4, 0.6, 0.9)) for seed in range(2000)]
    accuracies = np.array([[model.mean() for model in models] for models in sweeps])
    expected = np.cov(accuracies[:, 1] - accuracies[:, 0], accuracies[:, 2] - accuracies[:, 0])
    noises = [gap_recovered(*models).noise for models in sweeps]
    parts = np.array([[noise.seeds, noise.examples] for noise in noises if noise])
    means = parts.sum(axis=1).mean(axis=0)
    assert len(parts) == 2000
    assert means == pytest.approx((expected[0, 0], expected[0, 1], expected[1, 1]), rel=0.1)
    assert gap_recovered(*(model[:1] for model in sweeps[0])).noise is not None


def test_what_is_known_for_sure() -> None:
    weak = np.repeat([[True, False]], 50, axis=0).T.reshape(1, -1)
    ceiling = np.ones_like(weak)
    for num_seeds in (1, 2, 3):  # with equal seeds
        weaks = np.repeat(weak, num_seeds, axis=0)
        ceilings = np.repeat(ceiling, num_seeds, axis=0)
        found = gap_recovered(weaks, ceilings, ceilings)
        assert found.interval == pytest.approx((1, 1), abs=1e-6)
        assert found == GapRecovered(
            weak_accuracy=0.5,
            student_accuracy=1,
            ceiling_accuracy=1,
            pgr=1.0,
            interval=found.interval,
            num_seeds=num_seeds,
            num_examples=100,
            num_groups=None,
            covers_seeds=num_seeds > 1,
            noise=found.noise,
        )
        assert gap_recovered(weaks, weaks, ceilings).interval == pytest.approx((0, 0), abs=1e-6)
        for equal in (weaks, ceilings, ~ceilings):
            found = gap_recovered(equal, equal, equal)
            assert found.pgr is None and found.interval is None
            same = mean_difference(equal, equal)
            assert (same.value, same.interval, same.p_value) == (0, (0, 0), 1)
        assert gap_recovered(ceilings, weaks, weaks).pgr is None
        sure = mean_difference(ceilings, ~ceilings)
        assert sure.interval == (1, 1) and sure.p_value is not None
        # Of seeds that agree the p-value takes the rounding of 1/100 for noise: t = 100·√(12·seeds).
        by_rounding = 2 * stats.t.sf(100 * math.sqrt(12 * num_seeds), max(num_seeds - 1, 1))
        assert sure.p_value == pytest.approx(by_rounding if num_seeds > 1 else 1e-12)


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_one_example_tells_nothing(num_seeds: int) -> None:
    right = np.ones((num_seeds, 1), dtype=bool)
    found = gap_recovered(~right, right, right)
    assert found.pgr is None and (found.weak_accuracy, found.ceiling_accuracy) == (0, 1)
    difference = mean_difference(right, ~right)
    assert difference.value == 1 and difference.interval is None and difference.p_value is None


def test_it_is_never_not_a_number() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(300):
            rng = np.random.default_rng(seed)
            shape = (int(rng.integers(1, 4)), int(rng.integers(1, 12)))
            rights = [rng.random(shape) < rng.random() for _ in range(3)]
            found = gap_recovered(*rights)
            difference = mean_difference(*rights[:2])
            values = [
                found.weak_accuracy,
                found.student_accuracy,
                found.ceiling_accuracy,
                found.pgr,
                *(found.interval or ()),
            ]
            values += [difference.value, *(difference.interval or ()), difference.p_value]
            values += [difference.seeds_error, difference.examples_error]
            assert all(
                value is None or (math.isfinite(value) and type(value) is float) for value in values
            ), values
            assert (found.pgr is None) == (found.interval is None)
            if found.pgr is not None and found.interval is not None:
                assert found.interval[0] - 1e-6 <= found.pgr <= found.interval[1] + 1e-6
