"""Probes of neighbours and of contrast, against numbers worked out by hand."""

import numpy as np

from raysweep.probes import LabelledFeatures, fit_probe
from raysweep.probes.contrast import consistency_loss
from raysweep.probes.mixtures import mixture_shares
from raysweep.probes.neighbours import topologically_clean
from raysweep.spec import Call


def line(labels: list[float], weights: list[float] | None = None) -> LabelledFeatures:
    """Examples at 0, 1, 2, … on a line, with these probabilities of class 1."""
    second = np.array(labels)
    places = np.arange(len(labels), dtype=float)[:, None]
    return LabelledFeatures(
        places, np.stack([1 - second, second], axis=1), np.array(weights or [1.0] * len(labels)), 0
    )


def test_nearest_neighbours_are_averaged_with_their_weights() -> None:
    predict = fit_probe(Call("nearest_neighbours", {"k": 2}), line([0.0, 0.2, 1.0], [1, 3, 1]))
    # Next to 0.4 are 0 and 1: (1·0 + 3·0.2)/4; next to 1.9, 2 and 1: (1·1 + 3·0.2)/4.
    np.testing.assert_allclose(predict(np.array([[0.4], [1.9]]))[:, 1], [0.15, 0.4], rtol=0, atol=1e-12)


def test_all_neighbours_give_the_prior() -> None:
    data = line([0.0, 0.2, 1.0], [1, 3, 1])
    predict = fit_probe(Call("nearest_neighbours", {"k": 50}), data)
    np.testing.assert_allclose(predict(np.array([[9.0]]))[0], data.prior, rtol=0, atol=1e-12)


def test_the_one_nearest_neighbour_of_an_example_is_itself() -> None:
    data = line([0.0, 0.2, 1.0, 0.4])
    np.testing.assert_allclose(
        fit_probe(Call("nearest_neighbours", {"k": 1}), data)(data.features), data.labels, rtol=0, atol=1e-12
    )


def test_the_consistency_loss_by_hand_and_its_gradient() -> None:
    """p of the first text .3 and of the second .8: (1.1 − 1)² + .3² = .10."""
    logits = np.log([0.3 / 0.7, 0.8 / 0.2])
    pairs = logits[None, :, None]
    loss, _ = consistency_loss(np.array([1.0, 0.0]), pairs, np.ones(1))
    assert abs(loss - 0.1) < 1e-12
    rng = np.random.default_rng(0)
    pairs, weights, at = rng.normal(size=(20, 2, 3)), rng.uniform(1, 2, 20), rng.normal(size=4)
    gradient = consistency_loss(at, pairs, weights)[1]
    for place, step in enumerate(np.eye(4) * 1e-6):
        above, below = (consistency_loss(at + sign * step, pairs, weights)[0] for sign in (1, -1))
        assert abs((above - below) / 2e-6 - gradient[place]) < 1e-7


def test_contrast_consistent_finds_a_planted_direction_whatever_the_labels_say_but_the_sign() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 300)
    noise = rng.normal(size=(300, 2, 4)) * 0.3
    sides = np.stack([1 - 2 * truth, 2 * truth - 1], axis=1)  # text k has +1 if it is the better one
    pairs = noise + sides[..., None] * np.array([2.0, 0, 0, 0])
    few_right = np.where(rng.random(300) < 0.6, truth, 1 - truth)
    predict = fit_probe(
        Call("contrast_consistent"), LabelledFeatures(pairs, np.eye(2)[few_right], np.ones(300), 0)
    )
    assert (predict(pairs).argmax(axis=1) == truth).mean() == 1


def clouds(num_flipped: int = 5) -> tuple[LabelledFeatures, np.ndarray]:
    """Two clouds far apart of 100 examples each, with flipped labels in both; and which are flipped."""
    rng = np.random.default_rng(2)
    features = rng.normal(size=(200, 3)) + np.repeat([[0.0], [20.0]], 100, axis=0)
    truth = np.repeat([0, 1], 100)
    flipped = np.zeros(200, dtype=bool)
    flipped[:num_flipped] = flipped[100 : 100 + num_flipped] = True
    labels = 0.9 * np.eye(2)[np.where(flipped, 1 - truth, truth)] + 0.05
    return LabelledFeatures(features, labels, np.ones(200), 0), flipped


def test_what_the_topology_speaks_against_is_dropped() -> None:
    data, flipped = clouds()
    np.testing.assert_array_equal(topologically_clean(data, 50, 0.05), ~flipped)
    np.testing.assert_array_equal(topologically_clean(data, 50, 0.0), ~flipped)  # their components alone
    assert topologically_clean(data, 50, 0.2).sum() == 160
    found = fit_probe(Call("topological", {"k": 10}), data)(data.features)
    np.testing.assert_allclose(found[:100, 0], 0.95, rtol=0, atol=1e-12)


def test_nothing_is_dropped_of_clean_clouds() -> None:
    data, _ = clouds(num_flipped=0)
    assert topologically_clean(data, 50, 0.0).all()


def test_the_best_mixture_of_two_heads_by_search() -> None:
    rng = np.random.default_rng(3)
    heads = rng.dirichlet([2, 2], size=(2, 50))
    labels = rng.dirichlet([2, 2], size=50)
    weights = rng.uniform(1, 2, 50)

    def loss(share: float) -> float:
        mixed = share * heads[0] + (1 - share) * heads[1]
        return float(np.average((mixed * np.log(mixed / labels)).sum(axis=1), weights=weights))

    best = min(np.linspace(0, 1, 10_001), key=loss)
    found = mixture_shares(heads, labels, weights)
    np.testing.assert_allclose(found, [best, 1 - best], rtol=0, atol=2e-4)


def test_a_mixture_gains_at_least_its_misfit() -> None:
    """KL(t‖w) − KL(t‖p) ≥ KL(p‖w) for every truth t in the convex set (2501.19105)."""

    def kl(one: np.ndarray, two: np.ndarray) -> float:
        return float((one * np.log(one / two)).sum(axis=1).mean())

    rng = np.random.default_rng(4)
    heads = rng.dirichlet([1, 1, 1], size=(5, 80))
    for _ in range(5):
        truth = np.tensordot(rng.dirichlet(np.ones(5)), heads, 1)
        weak = 0.5 * truth + 0.5 * rng.dirichlet([1, 1, 1], size=80)
        student = np.tensordot(mixture_shares(heads, weak, np.ones(80)), heads, 1)
        assert kl(truth, weak) - kl(truth, student) >= kl(student, weak) - 1e-7
        assert kl(student, weak) > 0.01


def test_a_mixture_of_heads_learns_what_its_labels_say() -> None:
    data, _ = clouds(num_flipped=0)
    found = fit_probe(Call("mixture_of_heads", {"k": 3}), data)(data.features)
    assert (found.argmax(axis=1) == data.labels.argmax(axis=1)).all()
