"""The interval of a PGR, against a bootstrap written as a loop, and where there is nothing to be said."""

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest

from raysweep.statistics import GapRecovered, gap_recovered

Correct = npt.NDArray[np.bool_]


def world(seed: int, num_seeds: int, num_examples: int, accuracies: tuple[float, float, float]) -> list[Correct]:
    """Who is right where, for weak, student and ceiling, which share what is hard."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(num_examples)
    found = []
    for accuracy in accuracies:
        noise = rng.normal(0, 0.15, (num_seeds, num_examples)) + rng.normal(0, 0.02, (num_seeds, 1))
        found.append(hardness + noise < accuracy)
    return found


def looped_bootstrap(weak: Correct, student: Correct, ceiling: Correct, num_draws: int = 3000) -> tuple[float, float, float]:
    """The 5 % and 95 % percentiles of the PGR, and the 5 % percentile of the gap."""
    rng = np.random.default_rng(99)
    num_seeds, num_examples = weak.shape
    ratios, gaps = [], []
    for _ in range(num_draws):
        seeds = rng.integers(num_seeds, size=num_seeds)
        examples = rng.integers(num_examples, size=num_examples)
        accuracy = [float(right[np.ix_(seeds, examples)].mean()) for right in (weak, student, ceiling)]
        gaps.append(accuracy[2] - accuracy[0])
        if gaps[-1] > 0:
            ratios.append((accuracy[1] - accuracy[0]) / gaps[-1])
    low, high = np.percentile(ratios, [5, 95])
    return float(low), float(high), float(np.percentile(gaps, 5))


@pytest.mark.parametrize("num_seeds", [1, 3, 5])
def test_the_interval_is_that_of_a_bootstrap_written_as_a_loop(num_seeds: int) -> None:
    weak, student, ceiling = world(num_seeds, num_seeds, 300, (0.6, 0.7, 0.85))
    found = gap_recovered(weak, student, ceiling)
    low, high, _ = looped_bootstrap(weak, student, ceiling)
    assert found.interval == pytest.approx((low, high), abs=0.03)
    assert found.pgr == pytest.approx((student.mean() - weak.mean()) / (ceiling.mean() - weak.mean()))
    assert found.interval is not None and found.pgr is not None
    assert found.interval[0] < found.pgr < found.interval[1]
    assert found.num_seeds == num_seeds
    assert (found.weak_accuracy, found.student_accuracy, found.ceiling_accuracy) == pytest.approx(
        (weak.mean(), student.mean(), ceiling.mean())
    )


def test_it_is_undefined_exactly_when_the_interval_of_the_gap_reaches_zero() -> None:
    decided = []
    for seed in range(30):
        weak, student, ceiling = world(seed, 3, 200, (0.6, 0.62, 0.62 + seed / 400))
        lowest_gap = looped_bootstrap(weak, student, ceiling, 1000)[2]
        if abs(lowest_gap) > 0.006:  # else two bootstraps may differ
            found = gap_recovered(weak, student, ceiling)
            assert (found.pgr is None) == (found.interval is None) == (lowest_gap <= 0)
            decided.append(found.pgr is None)
    assert True in decided and False in decided


def test_the_interval_is_narrow_where_much_is_known_and_wide_where_little_is() -> None:
    def width(num_seeds: int, num_examples: int, ceiling: float) -> float:
        interval = gap_recovered(*world(1, num_seeds, num_examples, (0.6, 0.7, ceiling))).interval
        assert interval is not None
        return interval[1] - interval[0]

    assert width(10, 5000, 0.9) < width(3, 300, 0.9)
    assert width(3, 1000, 0.95) < width(3, 1000, 0.72)


def test_the_same_numbers_twice() -> None:
    data = world(0, 3, 100, (0.5, 0.7, 0.9))
    assert gap_recovered(*data) == gap_recovered(*data)


def test_as_many_seeds_as_examples() -> None:
    weak, student, ceiling = world(5, 40, 40, (0.5, 0.7, 0.9))
    low, high, _ = looped_bootstrap(weak, student, ceiling)
    assert gap_recovered(weak, student, ceiling).interval == pytest.approx((low, high), abs=0.03)


def test_what_is_known_for_sure() -> None:
    weak = np.repeat([[True, False]], 50, axis=0).T.reshape(1, -1)
    ceiling = np.ones_like(weak)
    assert gap_recovered(weak, ceiling, ceiling) == GapRecovered(
        weak_accuracy=0.5, student_accuracy=1, ceiling_accuracy=1, pgr=1.0, interval=(1.0, 1.0), num_seeds=1
    )
    assert gap_recovered(weak, weak, ceiling).interval == (0.0, 0.0)
    for equal in (weak, ceiling, ~ceiling):
        found = gap_recovered(equal, equal, equal)
        assert found.pgr is None and found.interval is None
    assert gap_recovered(ceiling, weak, weak).pgr is None


def test_it_is_never_not_a_number() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(60):
            rng = np.random.default_rng(seed)
            shape = (int(rng.integers(1, 4)), int(rng.integers(1, 12)))
            found = gap_recovered(*(rng.random(shape) < rng.random() for _ in range(3)))
            values = [found.weak_accuracy, found.student_accuracy, found.ceiling_accuracy, found.pgr, *(found.interval or ())]
            assert all(value is None or (math.isfinite(value) and type(value) is float) for value in values), values
            assert (found.pgr is None) == (found.interval is None)
