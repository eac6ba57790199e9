"""Objectives whose targets hold the student's own predictions, against numpy and against what their
documentation says."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
from losses import Array, cross_entropies, finite_differences, gradient, loss, random_batch

from raysweep.errors import InvalidInput
from raysweep.objectives import objectives

# Product
# ------------------------------------------------------------------------------------------------------------


def product_target(logits: Array, labels: Array, alpha: float, beta: float) -> Array:
    powers = scipy.special.softmax(logits, axis=1) ** beta * labels**alpha
    return powers / powers.sum(axis=1, keepdims=True)


def test_product_by_hand() -> None:
    # p = (3/4, 1/4): p·w = (0.15, 0.2)
    logits = np.array([[math.log(3), 0.0]])
    labels = np.array([[0.2, 0.8]])
    expected = -3 / 7 * math.log(0.75) - 4 / 7 * math.log(0.25)
    assert loss("product", logits, labels) == pytest.approx(expected)


@pytest.mark.parametrize("num_classes", [2, 5])
@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (0.5, 2), (1, 0), (0, 1), (0, 0)])
def test_product(num_classes: int, alpha: float, beta: float) -> None:
    logits, labels = random_batch(0, 16, num_classes, 2.0)
    labels[0] = np.eye(num_classes)[0]  # 0⁰ = 1
    target = product_target(logits, labels, alpha, beta)
    params = {"alpha": alpha, "beta": beta}
    assert loss("product", logits, labels, params=params) == pytest.approx(
        cross_entropies(logits, target), rel=1e-9
    )
    expected = scipy.special.softmax(logits, axis=1) - target  # no gradient through the target
    assert gradient("product", logits, labels, params=params) == pytest.approx(expected, abs=1e-9)


def test_product_stays_finite_where_its_target_underflows() -> None:
    logits = np.array([[1e4, -1e4]])
    labels = np.array([[0.0, 1.0]])
    assert loss("product", logits, labels).tolist() == [2e4]


def test_product_pulls_a_student_beyond_its_label() -> None:
    """With beta = 1 even far beyond; with beta = ½ to 2·logit(w)."""
    label = scipy.special.expit(0.7)
    beyond = np.array([[0.0, 5.0]])
    assert gradient("product", beyond, np.array([[1 - label, label]]))[0, 1] < -1e-3
    rest = np.array([[0.0, 1.4]])
    found = gradient("product", rest, np.array([[1 - label, label]]), params={"beta": 0.5})
    assert found == pytest.approx(0, abs=1e-12)


# Entropy
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alpha_max", "step_fraction", "alpha"), [(0.5, 0.1, 0.25), (0.5, 0.9, 0.5), (-0.4, 0.05, -0.1)]
)
def test_entropy_regularization(alpha_max: float, step_fraction: float, alpha: float) -> None:
    logits, labels = random_batch(1, 16, 3, 2.0)
    own = scipy.stats.entropy(scipy.special.softmax(logits, axis=1), axis=1)
    expected = (1 - abs(alpha)) * cross_entropies(logits, labels) + alpha * own
    params = {"alpha_max": alpha_max}
    found = loss("entropy_regularization", logits, labels, step_fraction=step_fraction, params=params)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("alpha_max", [0.5, -0.5])
def test_the_entropy_has_its_gradient(alpha_max: float) -> None:
    logits, labels = random_batch(2, 8, 3, 2.0)
    context = {"params": {"alpha_max": alpha_max}}
    found = gradient("entropy_regularization", logits, labels, **context)
    assert found == pytest.approx(
        finite_differences("entropy_regularization", logits, labels, **context), abs=1e-7
    )
    # Where student and label agree, cross-entropy pulls nowhere: what is left is the entropy's.
    logits = np.array([[0.0, 1.0]])
    pull = gradient("entropy_regularization", logits, scipy.special.softmax(logits, axis=1), **context)
    assert np.sign(pull[0]).tolist() == (
        [1, -1] if alpha_max > 0 else [-1, 1]
    )  # to confidence, or away from it


def test_a_negative_weight_is_the_confidence_penalty() -> None:
    logits, labels = random_batch(3, 8, 4)
    penalty = 1 / 3  # of CE − β·H; |α| = β/(1 + β)
    own = scipy.stats.entropy(scipy.special.softmax(logits, axis=1), axis=1)
    found = loss("entropy_regularization", logits, labels, params={"alpha_max": -0.25})
    assert found / 0.75 == pytest.approx(cross_entropies(logits, labels) - penalty * own)


# Adaptive confidence
# --------------------------------------------------------------------------------------------------------


def adaptive(
    logits: Array, labels: Array, sharpness: float, temperature: float, ramp: float
) -> tuple[Array, Array]:
    """AdaptConf written out again from its description, with (loss, α)."""
    rows = np.arange(len(logits))
    student = scipy.special.softmax(logits, axis=1)
    to_self = np.exp(-np.log(student[rows, student.argmax(axis=1)]) / sharpness)
    to_label = np.exp(-np.log(student[rows, labels.argmax(axis=1)]) / sharpness)
    alpha = to_self / (to_self + to_label) * ramp
    soft = labels ** (1 / temperature) / (labels ** (1 / temperature)).sum(axis=1, keepdims=True)
    divergence = temperature**2 * scipy.stats.entropy(
        soft, scipy.special.softmax(logits / temperature, axis=1), axis=1
    )
    return (1 - alpha) * divergence - alpha * np.log(student.max(axis=1)), alpha


@pytest.mark.parametrize("num_classes", [2, 6])
@pytest.mark.parametrize(
    ("sharpness", "temperature", "warmup"), [(0.5, 1.0, 0.0), (4.0, 1.0, 0.0), (0.5, 4.0, 0.25)]
)
def test_adaptive_confidence(num_classes: int, sharpness: float, temperature: float, warmup: float) -> None:
    logits, labels = random_batch(4, 16, num_classes, 2.0)
    params = {"sharpness": sharpness, "temperature": temperature, "warmup_fraction": warmup}
    expected, _ = adaptive(logits, labels, sharpness, temperature, 0.4 if warmup else 1.0)
    found = loss("adaptive_confidence", logits, labels, step_fraction=0.1, params=params)
    assert found == pytest.approx(expected, rel=1e-9)


def test_adaptive_confidence_with_hard_labels() -> None:
    logits = np.array([[math.log(3), 0.0], [math.log(3), 0.0]])
    labels = np.array([[1.0, 0.0], [0.0, 1.0]])
    # agree: α = ½, both terms −log ¾; disagree: α = (1/4)²/((3/4)² + (1/4)²) = 0.1 at τ = ½
    expected = [-math.log(0.75), -0.9 * math.log(0.25) - 0.1 * math.log(0.75)]
    assert loss("adaptive_confidence", logits, labels) == pytest.approx(expected)


def test_the_adaptive_weight_is_a_half_at_most_and_has_no_gradient() -> None:
    logits, labels = random_batch(5, 64, 3, 3.0)
    _, alpha = adaptive(logits, labels, 0.5, 1.0, 1.0)
    agree = logits.argmax(axis=1) == labels.argmax(axis=1)
    assert alpha[agree] == pytest.approx(0.5) and (alpha[~agree] < 0.5).all() and agree.any()
    student = scipy.special.softmax(logits, axis=1)
    own = np.eye(3)[logits.argmax(axis=1)]
    expected = student - (1 - alpha[:, None]) * labels - alpha[:, None] * own
    assert gradient("adaptive_confidence", logits, labels) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("warmup_fraction", "learnt"), [(0.0, False), (1.0, True)])
def test_an_undecided_student_keeps_its_first_guess_without_a_warm_up(
    warmup_fraction: float, learnt: bool
) -> None:
    logits = np.array([[0.01, 0.0]])
    labels = np.array([[0.15, 0.85]])
    params = {"warmup_fraction": warmup_fraction}
    for step in range(400):
        logits = logits - 0.5 * gradient(
            "adaptive_confidence", logits, labels, step_fraction=step / 400, params=params
        )
    assert bool(logits.argmax() == 1) is learnt


def test_the_adaptive_weight_survives_certainty() -> None:
    logits = np.array([[500.0, -500.0], [500.0, -500.0]])
    labels = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert loss("adaptive_confidence", logits, labels, params={"sharpness": 0.01}) == pytest.approx([1000, 0])


# Parameters
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("product", {"alpha": -1}, "alpha is -1; it must be a finite number of at least 0"),
        ("product", {"beta": None}, "beta is None; it must be a finite number of at least 0"),
        (
            "entropy_regularization",
            {"alpha_max": -1.5},
            r"alpha_max is -1.5; it must be a number in \[-1, 1\]",
        ),
        (
            "entropy_regularization",
            {"warmup_fraction": math.nan},
            r"warmup_fraction is nan; it must be a number in \[0, 1\]",
        ),
        ("adaptive_confidence", {"sharpness": 0}, "sharpness is 0; it must be a finite number above 0"),
        ("adaptive_confidence", {"temperature": -2}, "temperature is -2; it must be a finite number above 0"),
        (
            "adaptive_confidence",
            {"warmup_fraction": 2},
            r"warmup_fraction is 2; it must be a number in \[0, 1\]",
        ),
    ],
)
def test_parameters_out_of_range_are_refused(name: str, params: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=f"objective '{name}': {told}"):
        objectives.get(name).parameters.check(params, f"objective '{name}'")
