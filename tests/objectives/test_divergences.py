"""Cross-entropy and the divergences against scipy's, and what their gradients see."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
from losses import Array, cross_entropies, finite_differences, gradient, loss, random_batch

from raysweep.errors import InvalidInput
from raysweep.objectives import objectives


def test_cross_entropy_by_hand() -> None:
    logits = np.array([[0.0, math.log(3)], [0.0, 0.0]])  # probabilities (1/4, 3/4) and (1/2, 1/2)
    labels = np.array([[0.2, 0.8], [1.0, 0.0]])
    expected = [-0.2 * math.log(1 / 4) - 0.8 * math.log(3 / 4), math.log(2)]
    assert loss("cross_entropy", logits, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_cross_entropy_is_entropy_plus_divergence(num_classes: int) -> None:
    logits, labels = random_batch(num_classes, 20, num_classes, 3.0)
    probabilities = scipy.special.softmax(logits, axis=1)
    expected = scipy.stats.entropy(labels, axis=1) + scipy.stats.entropy(labels, probabilities, axis=1)
    assert loss("cross_entropy", logits, labels) == pytest.approx(expected, rel=1e-9)
    hard = np.eye(num_classes)[labels.argmax(axis=1)]
    expected = -np.log(probabilities[np.arange(20), labels.argmax(axis=1)])
    assert loss("cross_entropy", logits, hard) == pytest.approx(expected, rel=1e-9)


def test_cross_entropy_stays_finite_far_out() -> None:
    logits = np.array([[1e4, -1e4], [1e4, -1e4]])
    assert loss("cross_entropy", logits, np.array([[1.0, 0.0], [0.0, 1.0]])).tolist() == [0, 2e4]


# Divergences
# ------------------------------------------------------------------------------------------------------------


def smoothed(labels: Array, epsilon: float) -> Array:
    return (1 - epsilon) * labels + epsilon / labels.shape[1]


def reverse_cross_entropies(logits: Array, labels: Array, epsilon: float) -> Array:
    return -(scipy.special.softmax(logits, axis=1) * np.log(smoothed(labels, epsilon))).sum(axis=1)


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_kl_both_ways(num_classes: int) -> None:
    logits, labels = random_batch(num_classes, 20, num_classes, 3.0)
    probabilities = scipy.special.softmax(logits, axis=1)
    assert loss("kl", logits, labels) == pytest.approx(
        scipy.stats.entropy(labels, probabilities, axis=1), rel=1e-9
    )
    for epsilon in (0.001, 0.1, 1.0):
        expected = scipy.stats.entropy(probabilities, smoothed(labels, epsilon), axis=1)
        assert loss("reverse_kl", logits, labels, params={"epsilon": epsilon}) == pytest.approx(
            expected, rel=1e-9
        )
    assert (
        loss("reverse_kl", logits, labels).tolist()
        == loss("reverse_kl", logits, labels, params={"epsilon": 1e-3}).tolist()
    )


def test_both_are_zero_where_the_student_says_what_the_label_says() -> None:
    labels = np.array([[0.2, 0.8], [0.5, 0.5]])
    assert loss("kl", np.log(labels), labels) == pytest.approx(0, abs=1e-12)
    assert loss("reverse_kl", np.log(labels), labels, params={"epsilon": 0}) == pytest.approx(0, abs=1e-12)


def test_reversed_losses_by_hand() -> None:
    # p = (3/4, 1/4); w̃ = (0.7, 0.3) at ε = ½
    logits = np.array([[math.log(3), 0.0]])
    labels = np.array([[0.9, 0.1]])
    crossed = -0.75 * math.log(0.7) - 0.25 * math.log(0.3)
    own = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    params = {"epsilon": 0.5}
    assert loss("reverse_cross_entropy", logits, labels, params=params) == pytest.approx(crossed)
    assert loss("reverse_kl", logits, labels, params=params) == pytest.approx(crossed - own)
    forward = -0.9 * math.log(0.75) - 0.1 * math.log(0.25)
    assert loss("symmetric_cross_entropy", logits, labels, params=params) == pytest.approx(
        forward + 0.1 * crossed
    )
    weighted = params | {"forward": 0.5, "reverse": 2.0}
    assert loss("symmetric_cross_entropy", logits, labels, params=weighted) == pytest.approx(
        0.5 * forward + 2 * crossed
    )


def test_kl_teaches_what_cross_entropy_teaches() -> None:
    logits, labels = random_batch(1, 16, 4)
    assert gradient("kl", logits, labels) == pytest.approx(
        gradient("cross_entropy", logits, labels), abs=1e-12
    )
    hard = np.eye(4)[labels.argmax(axis=1)]
    assert loss("kl", logits, hard) == pytest.approx(loss("cross_entropy", logits, hard))


@pytest.mark.parametrize("name", ["reverse_kl", "reverse_cross_entropy"])
def test_a_hard_label_without_smoothing_costs_a_hundred_nats(name: str) -> None:
    """As torch's binary cross-entropy, which the published code calls, cuts the logarithm."""
    logits = np.array([[math.log(3), 0.0]])
    hard = np.array([[0.0, 1.0]])
    own = scipy.stats.entropy([0.75, 0.25]) if name == "reverse_kl" else 0.0
    assert loss(name, logits, hard, params={"epsilon": 0}) == pytest.approx(75 - own)
    assert loss(name, logits, hard) == pytest.approx(-0.75 * math.log(0.0005) - 0.25 * math.log(0.9995) - own)


def test_reverse_cross_entropy_ignores_uncertain_labels() -> None:
    logits = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    labels = np.array([[0.5, 0.5], [0.4, 0.6], [0.1, 0.9]])
    reverse = gradient("reverse_cross_entropy", logits, labels)
    forward = gradient("cross_entropy", logits, labels)
    assert reverse[0] == pytest.approx(0, abs=1e-12) and abs(forward[0, 0]) > 0.2
    assert 0 < reverse[1, 0] < reverse[2, 0]  # the surer the label of class 1, the harder it pulls
    assert reverse == pytest.approx(finite_differences("reverse_cross_entropy", logits, labels), abs=1e-7)


def test_cace_by_hand() -> None:
    logits = np.array([[2.0, 0.0]] * 4)
    labels = np.array(
        [[0.3, 0.7], [0.45, 0.55], [0.41, 0.59], [0.39, 0.61]]
    )  # 0.2, 0.05, 0.09 and 0.11 from a half
    forward = cross_entropies(logits, labels)
    backward = reverse_cross_entropies(logits, labels, 1e-3)
    expected = np.where([True, False, False, True], forward, backward)
    assert loss("confidence_adaptive_cross_entropy", logits, labels) == pytest.approx(expected)
    expected = np.where([True, True, True, True], forward, backward)
    found = loss("confidence_adaptive_cross_entropy", logits, labels, params={"threshold": 0.01})
    assert found == pytest.approx(expected)


def test_cace_takes_its_threshold_from_all_labels() -> None:
    logits, labels = random_batch(2, 8, 3)
    _, everything = random_batch(3, 1001, 3)
    cut = np.quantile(everything.max(axis=1), 0.3)
    expected = np.where(
        labels.max(axis=1) >= cut,
        cross_entropies(logits, labels),
        reverse_cross_entropies(logits, labels, 0.01),
    )
    params = {"quantile": 0.3, "epsilon": 0.01}
    found = loss("confidence_adaptive_cross_entropy", logits, labels, all_labels=everything, params=params)
    assert found == pytest.approx(expected)
    assert 0 < (labels.max(axis=1) >= cut).sum() < 8
    surest = labels.max(axis=1).argmax()  # at a quantile of 1 it is the threshold, and so still confident
    found = loss("confidence_adaptive_cross_entropy", logits, labels, params={"quantile": 1.0})
    expected = reverse_cross_entropies(logits, labels, 1e-3)
    expected[surest] = cross_entropies(logits, labels)[surest]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("reverse_kl", {"epsilon": -0.1}, r"epsilon is -0.1; it must be a number in \[0, 1\]"),
        ("reverse_kl", {"epsilon": "no"}, "epsilon is 'no'"),
        ("reverse_cross_entropy", {"epsilon": 1.1}, r"epsilon is 1.1; it must be a number in \[0, 1\]"),
        (
            "symmetric_cross_entropy",
            {"forward": -1},
            "forward is -1; it must be a finite number of at least 0",
        ),
        (
            "symmetric_cross_entropy",
            {"reverse": math.inf},
            "reverse is inf; it must be a finite number of at least 0",
        ),
        ("symmetric_cross_entropy", {"epsilon": True}, "epsilon is True"),
        (
            "confidence_adaptive_cross_entropy",
            {"threshold": 0.6},
            r"threshold is 0.6; it must be a number in \[0, 0.5\]",
        ),
        (
            "confidence_adaptive_cross_entropy",
            {"quantile": 50},
            r"quantile is 50; it must be a number in \[0, 1\]",
        ),
        ("confidence_adaptive_cross_entropy", {"epsilon": 2}, "epsilon is 2"),
    ],
)
def test_parameters_out_of_range_are_refused(name: str, params: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=f"objective '{name}': {told}"):
        objectives.get(name).parameters.check(params, f"objective '{name}'")
