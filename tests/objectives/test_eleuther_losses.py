"""EleutherAI/w2s' losses: a reference written from their description, buffer and all, and where ours departs
from it."""

import math

import numpy as np
import pytest
import scipy.special
from losses import Array, cross_entropies, finite_differences, gradient, loss, per_example, random_batch

from raysweep.errors import InvalidInput
from raysweep.objectives import objectives


class Published:
    """Their `log_confidence_loss`: called a minibatch at a time, with the last `size` predictions of class 0
    kept."""

    def __init__(
        self, size: int = 32, alpha: float = 0.5, warmup_steps: int = 100, balance: bool = False
    ) -> None:
        self.size = size
        self.alpha = alpha
        self.warmup_steps = warmup_steps
        self.balance = balance
        self.seen: list[float] = []

    def __call__(self, logits: Array, labels: Array, step: int) -> Array:
        positive = labels[:, 1]
        if self.balance:
            odds = np.log(positive + 1e-7) - np.log(1 - positive + 1e-7)
            positive = scipy.special.expit(odds - odds.mean())
            prior = 0.5
        else:
            prior = positive.mean() if len(positive) > 1 else 0.5
        coefficient = self.alpha * (min(1.0, step / self.warmup_steps) if self.warmup_steps > 0 else 1.0)
        first = scipy.special.softmax(logits, axis=1)[:, 0]
        self.seen = [*self.seen, *first][-self.size :]
        own = (first < np.quantile(self.seen, prior)).astype(float)
        target = (1 - coefficient) * positive + coefficient * own
        return cross_entropies(logits, np.stack([1 - target, target], axis=1))


# Confidence
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize("step", [0, 1, 50, 100, 1000])
def test_it_is_theirs_at_a_minibatch_of_the_batch(step: int, balance: bool) -> None:
    published = Published(balance=balance)
    for seed in range(5):  # one after another: what is left in the buffer of the batch before falls out
        logits, labels = random_batch(seed, 32, 2, 2.0)
        found = loss(
            "confidence_eleuther",
            logits,
            labels,
            step=step,
            params={"prior": "labels", "balance_batch": balance},
        )
        assert found == pytest.approx(published(logits, labels, step), rel=1e-9)


def test_other_parameters_are_theirs_too() -> None:
    logits, labels = random_batch(1, 16, 2, 2.0)
    params = {"prior": "labels", "alpha_max": 0.75, "warmup_steps": 40}
    expected = Published(16, 0.75, 40)(logits, labels, 10)
    assert loss("confidence_eleuther", logits, labels, step=10, params=params) == pytest.approx(
        expected, rel=1e-9
    )
    expected = Published(16, 0.75, 0)(logits, labels, 0)
    found = loss("confidence_eleuther", logits, labels, step=0, params=params | {"warmup_steps": 0})
    assert found == pytest.approx(expected, rel=1e-9)


def test_an_example_at_the_threshold_is_of_class_0() -> None:
    logits = np.log([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    found = loss("confidence_eleuther", logits, np.full((3, 2), 0.5), step=100, params={"alpha_max": 1.0})
    assert found == pytest.approx(-np.log([0.8, 0.5, 0.9]))
    logits[1] = np.log([0.4, 0.6])  # the median still
    found = loss("confidence_eleuther", logits, np.full((3, 2), 0.5), step=100, params={"alpha_max": 1.0})
    assert found == pytest.approx(-np.log([0.8, 0.4, 0.9]))


def test_at_a_minibatch_of_one_only_the_last_example_has_our_window() -> None:
    logits, labels = random_batch(2, 32, 2, 2.0)
    published = Published()
    theirs = np.array([published(logits[[row]], labels[[row]], 100)[0] for row in range(32)])
    ours = loss("confidence_eleuther", logits, labels, step=100)
    assert ours[-1] == pytest.approx(theirs[-1], rel=1e-9)
    own_class = 2 * (
        -np.log(scipy.special.softmax(logits, axis=1))
    )  # the very first example is its own threshold: class 0
    assert theirs[0] == pytest.approx(0.5 * cross_entropies(logits, labels)[0] + 0.25 * own_class[0, 0])
    assert (np.abs(theirs - ours) > 1e-6).any()


def test_the_prior_is_a_half_or_the_batchs_labels() -> None:
    logits, _ = random_batch(3, 40, 2, 2.0)
    labels = np.tile([[0.75, 0.25]], (40, 1))

    def share_of_positives(**params: object) -> float:
        found = loss("confidence_eleuther", logits, labels, step=100, params={"alpha_max": 1.0} | params)
        return float(np.isclose(found, -scipy.special.log_softmax(logits, axis=1)[:, 1]).mean())

    assert share_of_positives() == 0.5
    assert share_of_positives(prior="labels") == 0.25
    assert share_of_positives(prior="labels", balance_batch=True) == 0.5


def test_balancing_takes_the_mean_of_the_global_batch() -> None:
    logits = np.zeros((4, 2))
    positive = scipy.special.expit([-1.0, 1.0, 3.0, 5.0])  # mean log-odds 2
    labels = np.stack([1 - positive, positive], axis=1)
    params = {"balance_batch": True, "alpha_max": 0.0}
    logits[:, 1] = [0.5, -0.5, 1.0, 2.0]
    shifted = scipy.special.expit([-3.0, -1.0, 1.0, 3.0])
    expected = cross_entropies(logits, np.stack([1 - shifted, shifted], axis=1))
    assert loss("confidence_eleuther", logits, labels, params=params) == pytest.approx(expected, rel=1e-5)
    alone = per_example("confidence_eleuther", logits[:1], labels[:1], logits, labels, params=params)
    assert alone == pytest.approx(expected[:1], rel=1e-5)
    assert (
        Published(balance=True, alpha=0.0)(logits[:1], labels[:1], 0)
        == pytest.approx(  # theirs forgets the label
            cross_entropies(logits[:1], np.array([[0.5, 0.5]]))
        )
    )


# Entropy
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "coefficient"), [(0, 0.0), (25, 0.125), (100, 0.5), (500, 0.5)])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_the_published_entropy_loss_is_a_smaller_cross_entropy(
    step: int, coefficient: float, num_classes: int
) -> None:
    logits, labels = random_batch(4, 16, num_classes, 2.0)
    own = scipy.special.softmax(logits, axis=1)
    expected = cross_entropies(logits, (1 - coefficient) * labels + coefficient * own)
    assert loss("entropy", logits, labels, step=step) == pytest.approx(expected, rel=1e-9)
    found = gradient("entropy", logits, labels, step=step)
    assert found == pytest.approx((1 - coefficient) * gradient("cross_entropy", logits, labels), abs=1e-12)


def test_its_value_has_an_entropy_that_its_gradient_leaves_out() -> None:
    logits, labels = random_batch(5, 8, 3, 2.0)
    with_entropy = gradient("entropy_regularization", logits, labels)
    assert finite_differences("entropy", logits, labels, step=100) == pytest.approx(with_entropy, abs=1e-7)
    assert np.abs(gradient("entropy", logits, labels, step=100) - with_entropy).max() > 0.1


# Window
# ------------------------------------------------------------------------------------------------------------


def test_the_window_by_hand() -> None:
    sure = math.log(9)
    at_the_bound = math.log(0.65 / 0.35)
    unsure = math.log(0.64 / 0.36)
    logits = np.array([[0.0, sure], [sure, 0.0], [0.0, at_the_bound + 1e-9], [0.0, unsure], [unsure, 0.0]])
    labels = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.2, 0.8], [0.2, 0.8]])
    expected = [
        0,
        0,
        0,
        -0.2 * math.log(0.36) - 0.8 * math.log(0.64),
        -0.2 * math.log(0.64) - 0.8 * math.log(0.36),
    ]
    assert loss("confidence_window", logits, labels) == pytest.approx(expected)
    assert loss("confidence_window", logits, labels, params={"radius": 0.51}) == pytest.approx(
        cross_entropies(logits, labels)
    )
    slopes = gradient("confidence_window", logits, labels)
    assert slopes == pytest.approx(
        gradient("cross_entropy", logits, labels) * np.array([[0], [0], [0], [1], [1]])
    )


def test_the_window_for_three_classes_keeps_its_bound() -> None:
    logits, labels = random_batch(6, 32, 3, 2.0)
    unsure = scipy.special.softmax(logits, axis=1).max(axis=1) < 0.65
    assert 0 < unsure.sum() < 32
    assert loss("confidence_window", logits, labels) == pytest.approx(
        unsure * cross_entropies(logits, labels)
    )


@pytest.mark.parametrize("number", [100, 101])
def test_the_window_as_wide_as_the_median_label(number: int) -> None:
    logits, labels = random_batch(7, 16, 2)
    _, everything = random_batch(8, number, 2)
    radius = np.sort(np.abs(everything[:, 1] - 0.5))[(number - 1) // 2]
    unsure = scipy.special.softmax(logits, axis=1).max(axis=1) < 0.5 + radius
    assert 0 < unsure.sum() < 16
    found = loss("confidence_window", logits, labels, all_labels=everything, params={"radius": "midweak"})
    assert found == pytest.approx(unsure * cross_entropies(logits, labels))


# Parameters
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("entropy", {"alpha_max": 1.5}, r"alpha_max is 1.5; it must be a number in \[0, 1\]"),
        ("entropy", {"warmup_steps": 0.2}, "warmup_steps is 0.2; it must be a whole number of at least 0"),
        ("confidence_eleuther", {"alpha_max": -0.5}, r"alpha_max is -0.5; it must be a number in \[0, 1\]"),
        (
            "confidence_eleuther",
            {"warmup_steps": -1},
            "warmup_steps is -1; it must be a whole number of at least 0",
        ),
        ("confidence_eleuther", {"prior": 0.5}, "prior is 0.5; it must be 'half' or 'labels'"),
        ("confidence_eleuther", {"balance_batch": 1}, "balance_batch is 1; it must be True or False"),
        ("confidence_window", {"radius": 0}, r"radius is 0; it must be a number in \(0, 1\] or 'midweak'"),
        (
            "confidence_window",
            {"radius": "wide"},
            r"radius is 'wide'; it must be a number in \(0, 1\] or 'midweak'",
        ),
    ],
)
def test_parameters_out_of_range_are_refused(name: str, params: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=f"objective '{name}': {told}"):
        objectives.get(name).parameters.check(params, f"objective '{name}'")
