"""The confidence losses against numbers worked out otherwise: by hand, with numpy, by trying all layouts."""

import itertools
import math

import numpy as np
import pytest
import scipy.special
import torch
from losses import Array, cross_entropies, loss, random_batch

from raysweep.objectives import BatchContext, hardened, objectives

# Hardening
# ------------------------------------------------------------------------------------------------------------


def harden(batch: Array, prior: list[float] | Array, logits: Array | None = None) -> Array:
    own = batch if logits is None else logits
    return hardened(torch.tensor(batch), torch.tensor(np.asarray(prior, float)), torch.tensor(own)).numpy()


@pytest.mark.parametrize("size", [2, 3, 5, 7, 8, 32, 33, 220])
def test_balanced_on_two_classes_is_the_batch_median(size: int) -> None:
    logits, _ = random_batch(size, size, 2, 2.0)
    positive = scipy.special.softmax(logits, axis=1)[:, 1]
    expected = positive > np.median(positive)
    assert harden(logits, [0.5, 0.5])[:, 1].tolist() == expected.tolist()
    assert expected.sum() == size // 2


@pytest.mark.parametrize("seed", range(30))
def test_two_classes_are_cut_at_the_quantile_of_the_prior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 65))
    share = float(rng.uniform(0, 1))
    logits, _ = random_batch(seed, size, 2, 2.0)
    positive = scipy.special.expit(logits[:, 1] - logits[:, 0])
    num_positive = round(size * share)
    threshold = np.sort(positive)[::-1][num_positive - 1] if num_positive else math.inf
    own = harden(logits, [1 - share, share])
    assert own[:, 1].tolist() == (positive >= threshold).tolist()
    assert own.sum(axis=1).tolist() == [1] * size
    # numpy's interpolated quantile cuts at most one example elsewhere
    assert abs(own[:, 1].sum() - (positive > np.quantile(positive, 1 - share)).sum()) <= 1


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, [0, 0, 0]), (1.0, [1, 1, 1]), (1 / 3, [0, 0, 1]), (0.6, [0, 1, 1])]
)
def test_a_class_may_have_no_share_or_all(share: float, expected: list[int]) -> None:
    logits = np.array([[0.0, -1.0], [0.0, 2.0], [0.0, 3.0]])
    assert harden(logits, [1 - share, share])[:, 1].tolist() == expected


def test_one_example_goes_to_the_class_with_the_larger_share() -> None:
    for logit in (-3.0, 3.0):
        assert harden(np.array([[0.0, logit]]), [0.3, 0.7]).tolist() == [[0, 1]]
        assert harden(np.array([[0.0, logit]]), [0.7, 0.3]).tolist() == [[1, 0]]
        assert harden(np.array([[0.0, logit, 0.0]]), [0.2, 0.2, 0.6]).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("num_classes", [2, 3, 4])
def test_examples_that_tie_go_to_the_lowest_class(num_classes: int) -> None:
    own = harden(np.zeros((8, num_classes)), np.full(num_classes, 1 / num_classes))
    assert own.sum(axis=0).tolist() == [8] + [0] * (num_classes - 1)


def test_a_tie_at_the_threshold_is_not_positive() -> None:
    logits = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 5.0]])
    assert harden(logits, [0.5, 0.5])[:, 1].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("num_classes", [3, 4, 5, 10])
@pytest.mark.parametrize("size", [8, 32, 100])
def test_class_counts_match_the_prior(num_classes: int, size: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng([seed, size, num_classes])
        logits = rng.normal(0, rng.choice([0.01, 1, 10]), (size, num_classes)) + rng.normal(0, 3, num_classes)
        prior = rng.dirichlet(np.full(num_classes, rng.choice([0.3, 5])))
        counts = harden(logits, prior).sum(axis=0)
        assert counts.sum() == size
        assert np.abs(counts - size * prior).max() < 1, (seed, counts, size * prior)


def test_exact_shares_give_exact_counts() -> None:
    logits, _ = random_batch(1, 32, 4)
    assert harden(logits, np.float32([0.25, 0.125, 0.5, 0.125])).sum(axis=0).tolist() == [8, 4, 16, 4]
    assert harden(logits, [0.5, 0.0, 0.5, 0.0]).sum(axis=0).tolist() == [16, 0, 16, 0]
    assert harden(logits, [0.0, 0.0, 1.0, 0.0]).sum(axis=0).tolist() == [0, 0, 32, 0]


def test_many_classes_get_the_most_probable_assignment() -> None:
    for seed in range(10):
        logits, _ = random_batch(seed, 6, 3, 2.0)
        rows = range(6)
        layouts = {tuple(layout) for layout in itertools.permutations([0, 0, 0, 1, 1, 2])}
        best = max(
            layouts,
            key=lambda layout: sum(logits[row, place] for row, place in zip(rows, layout, strict=True)),
        )
        assert harden(logits, [1 / 2, 1 / 3, 1 / 6]).argmax(axis=1).tolist() == list(best)


@pytest.mark.parametrize("seed", range(100))
def test_the_assignment_for_many_classes_is_the_threshold_for_two(seed: int) -> None:
    """A third class without a share takes the general way through the assignment problem; two classes the
    threshold."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 65))
    share = rng.choice([0.5, rng.uniform(0, 1)])
    logits = rng.normal(rng.normal(0, 2, 3), rng.choice([0.01, 1, 5]), (size, 3))
    general = harden(logits, [1 - share, share, 0])
    assert general[:, 2].sum() == 0
    assert general[:, :2].tolist() == harden(logits[:, :2], [1 - share, share]).tolist()


@pytest.mark.parametrize("num_classes", [2, 5])
def test_hardening_does_not_see_micro_batches_or_noise_in_the_last_digits(num_classes: int) -> None:
    logits, _ = random_batch(3, 32, num_classes)
    prior = np.random.default_rng(0).dirichlet(np.full(num_classes, 5.0))
    whole = harden(logits, prior)
    parts = [harden(logits, prior, logits[rows]) for rows in np.split(np.arange(32), [5, 6, 20])]
    assert np.concatenate(parts).tolist() == whole.tolist()
    order = np.random.default_rng(1).permutation(32)
    assert harden(logits[order], prior, logits).tolist() == whole.tolist()
    noise = np.random.default_rng(2).normal(0, 1e-9, logits.shape)
    assert harden(logits, prior, logits + noise).tolist() == whole.tolist()
    shifted = logits + np.random.default_rng(3).normal(0, 5, (32, 1))  # what softmax doesn't see
    assert harden(shifted, prior).tolist() == whole.tolist()


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_model_that_has_diverged_gives_a_loss_that_is_not_a_number(num_classes: int) -> None:
    logits, labels = random_batch(0, 8, num_classes)
    logits[3] = np.nan
    assert np.isnan(loss("confidence", logits, labels)[3])


# Confidence
# ------------------------------------------------------------------------------------------------------------


def test_confidence_by_hand() -> None:
    probabilities = np.array([0.2, 0.4, 0.6, 0.9])
    logits = np.stack([np.log(1 - probabilities), np.log(probabilities)], axis=1)
    weak = np.array([0.1, 0.3, 0.7, 0.5])
    labels = np.stack([1 - weak, weak], axis=1)
    params = {"alpha_max": 0.5}
    # A quarter of all weak labels is positive, so of these four only the 0.9 is hardened to class 1.
    own = [0, 0, 0, 1]
    expected = []
    for p, q, hard in zip(probabilities, weak, own, strict=True):
        to_weak = -q * math.log(p) - (1 - q) * math.log(1 - p)
        to_self = -math.log(p if hard else 1 - p)
        expected.append(0.5 * to_weak + 0.5 * to_self)
    prior = np.array([0.75, 0.25])
    found = loss("confidence", logits, labels, prior=prior, params=params | {"threshold": "prior"})
    assert found == pytest.approx(expected, rel=1e-12)
    # As in the paper, half of the batch is positive: the median lies between 0.4 and 0.6.
    balanced = loss("confidence", logits, labels, prior=prior, params=params)
    assert balanced[2] == pytest.approx(expected[2] + 0.5 * (math.log(0.4) - math.log(0.6)), rel=1e-12)
    assert balanced[[0, 1, 3]] == pytest.approx(np.array(expected)[[0, 1, 3]], rel=1e-12)


@pytest.mark.parametrize(
    ("step_fraction", "params", "alpha"),
    [
        (0.0, {}, 0.0),
        (0.05, {}, 0.125),
        (0.1, {}, 0.25),
        (0.2, {}, 0.5),
        (0.99, {}, 0.5),
        (0.1, {"alpha_max": 0.75}, 0.375),
        (0.3, {"alpha_max": 0.75}, 0.75),
        (0.3, {"warmup_fraction": 0.6}, 0.25),
        (0.0, {"warmup_fraction": 0.0}, 0.5),
        (0.9, {"warmup_fraction": 1.0, "alpha_max": 1.0}, 0.9),
    ],
)
def test_alpha_grows_linearly(step_fraction: float, params: dict[str, float], alpha: float) -> None:
    logits, labels = random_batch(4, 16, 2)
    own = np.eye(2)[(logits[:, 1] - logits[:, 0] > np.median(logits[:, 1] - logits[:, 0])).astype(int)]
    expected = (1 - alpha) * cross_entropies(logits, labels) + alpha * cross_entropies(logits, own)
    found = loss("confidence", logits, labels, step_fraction=step_fraction, params=params)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("threshold", ["prior", "balanced"])
def test_confidence_for_three_classes(threshold: str) -> None:
    logits, labels = random_batch(5, 32, 3, 2.0)
    prior = np.array([0.5, 0.25, 0.25])
    shares = prior if threshold == "prior" else np.full(3, 1 / 3)
    own = harden(logits, shares)
    assert sorted(own.sum(axis=0)) == ([8, 8, 16] if threshold == "prior" else [10, 11, 11])
    expected = 0.5 * cross_entropies(logits, labels) + 0.5 * cross_entropies(logits, own)
    assert loss("confidence", logits, labels, prior=prior, params={"threshold": threshold}) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    ("name", "num_classes"), [("confidence", 2), ("confidence", 4), ("confidence_openai", 2)]
)
def test_no_gradient_flows_through_the_targets(name: str, num_classes: int) -> None:
    logits, labels = random_batch(7, 16, num_classes)
    variable = torch.tensor(logits, requires_grad=True)
    prior = torch.tensor(labels.mean(axis=0))
    context = BatchContext(0.5, 5, prior, variable, torch.tensor(labels), torch.tensor(labels))
    objectives.get(name).loss(variable, torch.tensor(labels), context).sum().backward()
    gradient = variable.grad
    assert gradient is not None
    # Of a cross-entropy with a constant target that sums to one, the gradient is softmax − target.
    target = scipy.special.softmax(logits, axis=1) - gradient.numpy()
    own = 2 * target - labels
    assert own == pytest.approx(own.round(), abs=1e-9) and own.sum(axis=1) == pytest.approx(np.ones(16))


# As published
# ------------------------------------------------------------------------------------------------------------


def published(
    logits: Array, labels: Array, step_fraction: float, alpha: float = 0.5, warmup: float = 0.1
) -> Array:
    """openai/weak-to-strong's logconf, written out again from its description."""
    coefficient = (1.0 if step_fraction > warmup else step_fraction) * alpha
    first = scipy.special.softmax(logits, axis=1)[:, 0]
    threshold = np.quantile(first, labels[:, 1].mean())
    own = np.where((first >= threshold)[:, None], [[1.0, 0.0]], [[0.0, 1.0]])
    return cross_entropies(logits, (1 - coefficient) * labels + coefficient * own)


@pytest.mark.parametrize("step_fraction", [0.0, 0.05, 0.1, 0.100001, 0.5, 0.99])
@pytest.mark.parametrize("params", [{}, {"alpha_max": 0.75, "warmup_fraction": 0.3}])
def test_the_published_confidence_loss(step_fraction: float, params: dict[str, float]) -> None:
    for seed in range(5):
        logits, labels = random_batch(seed, 32, 2, 2.0)
        found = loss("confidence_openai", logits, labels, step_fraction=step_fraction, params=params)
        expected = published(
            logits, labels, step_fraction, params.get("alpha_max", 0.5), params.get("warmup_fraction", 0.1)
        )
        assert found == pytest.approx(expected, rel=1e-9)


def test_the_published_warm_up_climbs_to_a_tenth_and_jumps() -> None:
    logits, labels = random_batch(8, 32, 2)
    plain = cross_entropies(logits, labels)
    own_part = published(logits, labels, 1.0, alpha=1.0) - plain

    def coefficient(step_fraction: float) -> float:
        return float(
            np.median(
                (loss("confidence_openai", logits, labels, step_fraction=step_fraction) - plain) / own_part
            )
        )

    assert [coefficient(s) for s in (0.0, 0.04, 0.1, 0.11)] == pytest.approx([0.0, 0.02, 0.05, 0.5], abs=1e-9)


def test_the_published_threshold_is_the_batchs_own_prior() -> None:
    logits, labels = random_batch(9, 32, 2)
    one = loss("confidence_openai", logits, labels, prior=np.array([0.9, 0.1]))
    assert one.tolist() == loss("confidence_openai", logits, labels, prior=np.array([0.1, 0.9])).tolist()
