"""Metrics against scikit-learn and against the identities between them."""

import numpy as np
import pytest
import sklearn.metrics

from raysweep.errors import InvalidInput
from raysweep.metrics import accuracy, agreement, correct, performance_gap_recovered
from raysweep.predictions import Predictions


def predictions(seed: int, num_classes: int, count: int = 200, source: str = "run") -> Predictions:
    rng = np.random.default_rng(seed)
    return Predictions.of([str(n) for n in range(count)], rng.dirichlet(np.ones(num_classes), count), source)


def truth_of(seed: int, num_classes: int, count: int = 200) -> Predictions:
    classes = np.random.default_rng(seed).integers(num_classes, size=count)
    return Predictions.one_hot([str(n) for n in range(count)], classes, num_classes)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_accuracy_and_agreement_are_scikit_learns(num_classes: int) -> None:
    for seed in range(10):
        student, supervisor = predictions(seed, num_classes), predictions(100 + seed, num_classes)
        truth = truth_of(200 + seed, num_classes)
        assert accuracy(student, truth) == pytest.approx(sklearn.metrics.accuracy_score(truth.classes, student.classes))
        right = supervisor.classes == truth.classes
        found = agreement(student, supervisor, truth)
        score = sklearn.metrics.accuracy_score
        assert found == pytest.approx(
            {
                "agreement": score(supervisor.classes, student.classes),
                "agreement_supervisor_right": score(supervisor.classes[right], student.classes[right]),
                "agreement_supervisor_wrong": score(supervisor.classes[~right], student.classes[~right]),
            }
        )


def test_on_two_classes_accuracy_follows_from_agreement() -> None:
    for seed in range(20):
        student, supervisor, truth = predictions(seed, 2), predictions(50 + seed, 2), truth_of(90 + seed, 2)
        found = agreement(student, supervisor, truth)
        right, wrong = found["agreement_supervisor_right"], found["agreement_supervisor_wrong"]
        assert right is not None and wrong is not None
        of_supervisor = accuracy(supervisor, truth)
        assert accuracy(student, truth) == pytest.approx(of_supervisor * right + (1 - of_supervisor) * (1 - wrong))
        assert found["agreement"] == pytest.approx(of_supervisor * right + (1 - of_supervisor) * wrong)


def test_agreement_where_there_is_nothing_to_agree_on() -> None:
    truth = truth_of(0, 2)
    always_wrong = Predictions.of(truth.ids, 1 - truth.probabilities, "wrong")
    assert agreement(truth, truth, truth) == {
        "agreement": 1.0,
        "agreement_supervisor_right": 1.0,
        "agreement_supervisor_wrong": None,
    }
    assert agreement(truth, always_wrong, truth) == {
        "agreement": 0.0,
        "agreement_supervisor_right": None,
        "agreement_supervisor_wrong": 0.0,
    }


def test_only_predictions_of_the_same_examples_are_compared() -> None:
    truth = truth_of(0, 2)
    empty = Predictions.of([], np.empty((0, 2)), "empty")
    for other in (truth.align(truth.ids[::-1]), truth.align(truth.ids[:-1])):
        with pytest.raises(InvalidInput, match="predictions of run and ground truth aren't of the same examples"):
            correct(predictions(1, 2), other)
    with pytest.raises(InvalidInput, match="aren't of the same examples"):
        accuracy(empty, empty)


@pytest.mark.parametrize(
    ("weak", "student", "ceiling", "expected"),
    [
        (0.6, 0.75, 0.9, 0.5),
        (0.6, 0.6, 0.9, 0.0),
        (0.6, 0.9, 0.9, 1.0),
        (0.6, 0.5, 0.8, -0.5),
        (0.6, 1.0, 0.8, 2.0),
        (0.6, 0.7, 0.6, None),
        (0.6, 0.7, 0.5, None),
    ],
)
def test_the_gap_recovered(weak: float, student: float, ceiling: float, expected: float | None) -> None:
    found = performance_gap_recovered(weak, student, ceiling)
    assert found is None if expected is None else found == pytest.approx(expected)
