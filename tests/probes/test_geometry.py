"""The representation gap and overlap density, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from raysweep.errors import InvalidInput
from raysweep.probes import LabelledFeatures, fit_probe
from raysweep.probes.geometry import change_point, overlap, representation_gap
from raysweep.spec import Call

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(30, 5))
LABELS = RNG.integers(0, 2, 30).astype(float)


@pytest.mark.parametrize("ridge", [0.0, 0.1, 3.0])
def test_the_gap_is_that_of_the_formula(ridge: float) -> None:
    weak, strong = FEATURES, RNG.normal(size=(30, 8))

    def smoother(features: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        centred = features - features.mean(axis=0)
        kernel = centred @ centred.T / 30
        return kernel @ np.linalg.pinv(kernel + ridge * np.trace(kernel) / 30 * np.eye(30), rcond=1e-10)

    expected = smoother(strong) @ (np.eye(30) - smoother(weak)) @ LABELS
    np.testing.assert_allclose(representation_gap(weak, strong, LABELS, ridge), expected, rtol=0, atol=1e-10)


def test_two_examples_by_hand() -> None:
    """Centred features ±1: s² = 2 = tr(K)·N, so each smoother keeps 2/(2 + ridge·2/2) = 2/3 at ridge 1 of the
    centred labels ±½; P(I − P)y = 2/3 · (1 − 2/3) · (±½) = ±1/9."""
    features = np.array([[0.0], [2.0]])
    found = representation_gap(features, features, np.array([0.0, 1.0]), 1.0)
    np.testing.assert_allclose(found, [-1 / 9, 1 / 9], rtol=0, atol=1e-12)


def test_of_equal_features_at_most_a_quarter_is_missed() -> None:
    """p(1 − p) ≤ ¼."""
    for ridge in (0.01, 1.0, 100.0):
        gap = representation_gap(FEATURES, FEATURES, LABELS, ridge)
        assert 0 < np.linalg.norm(gap) <= np.linalg.norm(LABELS) / 4


def test_labels_that_the_weak_features_hold_have_no_gap() -> None:
    labels = FEATURES @ np.arange(5.0) + 7
    strong = RNG.normal(size=(30, 40))
    np.testing.assert_allclose(representation_gap(FEATURES, strong, labels, 0.0), 0, rtol=0, atol=1e-12)
    constant = representation_gap(FEATURES, strong, np.full(30, 0.3))
    np.testing.assert_allclose(constant, 0, rtol=0, atol=1e-12)


def test_weak_features_that_are_constant_miss_all_but_the_mean() -> None:
    strong = RNG.normal(size=(30, 40))
    found = representation_gap(np.ones((30, 2)), strong, LABELS, 0.0)
    np.testing.assert_allclose(found, LABELS - LABELS.mean(), rtol=0, atol=1e-12)


def test_what_is_not_of_the_same_examples_is_refused() -> None:
    with pytest.raises(InvalidInput, match="features of 30 and 29 examples, and 30 targets"):
        representation_gap(FEATURES, FEATURES[:29], LABELS)
    with pytest.raises(InvalidInput, match="ridge is -1; it must be at least 0"):
        representation_gap(FEATURES, FEATURES, LABELS, -1)
    with pytest.raises(InvalidInput, match="2 weak labels and features of 30 examples"):
        overlap(np.full((2, 2), 0.5), FEATURES)


@pytest.mark.parametrize(
    ("values", "place"), [((0, 0, 0, 1, 1), 3), ((0, 5), 1), ((1, 1, 9, 9, 9.5), 2), ((4, 4, 4), 1)]
)
def test_change_points_by_hand(values: tuple[float, ...], place: int) -> None:
    assert change_point(np.array(values, dtype=float)) == place


def test_change_points_are_those_of_least_squares() -> None:
    for seed in range(20):
        values = np.sort(np.random.default_rng(seed).normal(size=12))
        errors = [values[:n].var() * n + values[n:].var() * (12 - n) for n in range(1, 12)]
        assert change_point(values) == int(np.argmin(errors)) + 1


def test_one_value_has_no_change_point() -> None:
    with pytest.raises(InvalidInput, match="1 values have no change point"):
        change_point(np.ones(1))


def test_overlap_by_hand() -> None:
    """Confidences .0 .1 | .8 .9 .9 1.: two hard ones, along the first axis. Of the sure ones two lie nearly
    along it too, one of them the other way round."""
    second = np.array([0.5, 0.55, 0.9, 0.95, 0.05, 1.0])
    strong = np.array([[1.0, 0], [2, 0], [3, 0.1], [0, 1], [-5, 0.1], [0.1, 2]])
    found = overlap(np.stack([1 - second, second], axis=1), strong)
    assert found.hard.tolist() == [True, True, False, False, False, False]
    assert found.overlap.tolist() == [False, False, True, False, True, False]
    assert found.density == pytest.approx(2 / 6)
    order = np.array([3, 0, 5, 1, 4, 2])
    again = overlap(np.stack([1 - second, second], axis=1)[order], strong[order])
    assert again.overlap.tolist() == found.overlap[order].tolist()


@pytest.mark.parametrize(("part", "rows"), [("overlap", [2, 4]), ("easy", [3, 5])])
def test_the_probe_keeps_the_labels_of_a_part(part: str, rows: list[int]) -> None:
    """Of the same examples; another one takes what its nearest has."""
    second = np.array([0.5, 0.55, 0.9, 0.95, 0.05, 1.0])
    strong = np.array([[1.0, 0], [2, 0], [3, 0.1], [0, 1], [-5, 0.1], [0.1, 2]])
    data = LabelledFeatures(strong, np.stack([1 - second, second], axis=1), np.ones(6), 0)
    predict = fit_probe(Call("overlap", {"part": part}), data)
    expected = np.full((6, 2), 0.5)
    expected[rows] = data.labels[rows]
    np.testing.assert_array_equal(predict(strong), expected)
    np.testing.assert_array_equal(predict(strong + 0.01), expected)


def test_without_a_change_in_confidence_there_is_no_overlap() -> None:
    found = overlap(np.tile([0.1, 0.9], (30, 1)), FEATURES)
    assert found.hard.all() and found.density == 0
