"""Linear probes against scikit-learn, numpy and the identities of weak-to-strong theory."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from raysweep.errors import InvalidInput
from raysweep.probes import LabelledFeatures, fit_probe, probes
from raysweep.probes.linear import gradient_flow, logistic_regression, regression
from raysweep.spec import Call


def some(num: int = 120, width: int = 5, num_classes: int = 2, seed: int = 0) -> LabelledFeatures:
    """Classes that overlap, with soft labels and weights."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(num, width))
    logits = features @ rng.normal(size=(width, num_classes)) + rng.gumbel(size=(num, num_classes))
    labels = 0.8 * np.eye(num_classes)[logits.argmax(axis=1)] + 0.2 / num_classes
    return LabelledFeatures(features, labels, rng.integers(1, 4, size=num).astype(float), 0)


def hard(data: LabelledFeatures) -> LabelledFeatures:
    return replace(data, labels=np.eye(data.labels.shape[1])[data.labels.argmax(axis=1)])


def repeated(data: LabelledFeatures) -> LabelledFeatures:
    """Each example as often as its weight says."""
    times = data.weights.astype(int)
    return LabelledFeatures(
        data.features.repeat(times, axis=0),
        data.labels.repeat(times, axis=0),
        np.ones(times.sum()),
        data.seed,
    )


NEW = np.random.default_rng(7).normal(size=(40, 5))
CLASSIFIERS = [name for name, entry in probes if "classification" in entry.kinds]
RANDOM = {"mixture_of_heads", "correctness", "sparse_code"}
"""Those that draw halves, folds or directions."""


def test_least_squares_is_numpys() -> None:
    data = some()
    roots = np.sqrt(data.weights)[:, None]
    matrix = np.hstack([data.features, np.ones((120, 1))])
    expected = np.linalg.lstsq(roots * matrix, roots * data.labels, rcond=None)[0]
    found = regression(data.features, data.labels, data.weights)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [5, 300], ids=["few features", "more features than examples"])
def test_ridge_is_scikit_learns(width: int) -> None:
    data = some(width=width)
    reference = Ridge(alpha=0.3 * data.weights.sum(), solver="svd").fit(
        data.features, data.labels, data.weights
    )
    found = regression(data.features, data.labels, data.weights, 0.3)
    np.testing.assert_allclose(found[:-1], reference.coef_.T, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found[-1], reference.intercept_, rtol=0, atol=1e-10)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_logistic_is_scikit_learns(num_classes: int) -> None:
    data = hard(some(num_classes=num_classes))
    reference = LogisticRegression(C=1 / (0.05 * data.weights.sum()), tol=1e-12, max_iter=5000)
    reference.fit(data.features, data.labels.argmax(axis=1), data.weights)
    found = fit_probe(Call("logistic", {"l2": 0.05}), data)(NEW)
    np.testing.assert_allclose(found, reference.predict_proba(NEW), rtol=0, atol=1e-7)


def test_a_soft_label_is_two_weighted_hard_ones() -> None:
    data = some()
    both = LabelledFeatures(
        np.tile(data.features, (2, 1)),
        np.repeat(np.eye(2), 120, axis=0),
        np.concatenate([data.weights * data.labels[:, 0], data.weights * data.labels[:, 1]]),
        0,
    )
    call = Call("logistic", {"l2": 0.01})
    np.testing.assert_allclose(fit_probe(call, data)(NEW), fit_probe(call, both)(NEW), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["least_squares", "ridge", "logistic", "difference_in_means"])
def test_a_weight_counts_equal_examples(name: str) -> None:
    data = some()
    np.testing.assert_allclose(
        fit_probe(Call(name), data)(NEW), fit_probe(Call(name), repeated(data))(NEW), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in RANDOM])
def test_neither_the_order_of_examples_nor_a_rotation_of_features_matters(name: str) -> None:
    data = some(num=60)
    order = np.random.default_rng(1).permutation(60)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0]
    shuffled = LabelledFeatures(
        data.features[order] @ rotation, data.labels[order], data.weights[order], data.seed
    )
    expected = fit_probe(Call(name), data)(NEW)
    np.testing.assert_allclose(fit_probe(Call(name), shuffled)(NEW @ rotation), expected, rtol=0, atol=1e-8)


def test_gain_is_misfit_for_least_squares_in_the_span_and_not_for_ridge() -> None:
    """Charikar et al. 2024 (2405.15116), as an equality: the truth is linear in the student's features, and
    the student is the projection of the weak labels."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(400, 12))
    matrix = np.hstack([features, np.ones((400, 1))])
    truth = matrix @ rng.normal(size=(13, 1))
    weak = truth + rng.normal(size=(400, 1)) + 0.5 * np.sin(3 * features[:, :1])

    def mse(one: np.ndarray, two: np.ndarray) -> float:
        return float(((one - two) ** 2).mean())

    def gain_and_misfit(l2: float) -> tuple[float, float]:
        student = matrix @ regression(features, weak, np.ones(400), l2)
        return mse(weak, truth) - mse(student, truth), mse(student, weak)

    gain, misfit = gain_and_misfit(0.0)
    assert misfit > 0.5
    assert abs(gain - misfit) < 1e-12
    gain, misfit = gain_and_misfit(0.5)
    assert misfit - gain > 0.1


def test_gradient_flow_is_many_small_steps_and_ends_in_least_squares() -> None:
    data = some(num=30, width=3)
    shares = data.weights / data.weights.sum()
    center, middle = shares @ data.features, shares @ data.labels
    slopes = np.zeros((3, 2))
    for _ in range(20_000):
        error = (data.features - center) @ slopes - (data.labels - middle)
        slopes -= 1e-4 * (data.features - center).T @ (shares[:, None] * error)
    found = gradient_flow(data.features, data.labels, data.weights, 2.0)
    np.testing.assert_allclose(found[:-1], slopes, rtol=0, atol=1e-4)
    whole = regression(data.features, data.labels, data.weights)
    np.testing.assert_allclose(
        gradient_flow(data.features, data.labels, data.weights, 1e9), whole, rtol=0, atol=1e-10
    )


def test_early_stopping_is_the_whole_effect_in_linear_theory() -> None:
    """Spiked covariance, a teacher of M random features, a student of all on the teacher's outputs: much of
    the gap at the best time, and nothing of it at convergence, where the student is the teacher."""
    rng = np.random.default_rng(6)
    width = 60
    scales = np.where(np.arange(width) < 5, 3.0, 0.3)
    ideal = np.where(np.arange(width) < 5, 1.0, 0.0)[:, None]

    def draw(num: int) -> tuple[np.ndarray, np.ndarray]:
        features = rng.normal(size=(num, width)) * scales
        return features, features @ ideal

    (half_a, truth_a), (half_b, _), (test, truth) = draw(500), draw(500), draw(2000)
    some_of = rng.normal(size=(width, 12))
    ones = np.ones(500)
    teacher = regression(half_a @ some_of, truth_a, ones)
    taught = (half_b @ some_of) @ teacher[:-1] + teacher[-1]

    def error(slopes: np.ndarray, intercept: np.ndarray) -> float:
        return float(((test @ slopes + intercept - truth) ** 2).mean())

    weak = error(some_of @ teacher[:-1], teacher[-1])
    # The ceiling knows the truth, which is linear: its error is 0.
    flows = [gradient_flow(half_b, taught, ones, time) for time in np.geomspace(1e-2, 1e3, 40)]
    recovered = [1 - error(flow[:-1], flow[-1]) / weak for flow in flows]
    assert max(recovered) > 0.3
    last = gradient_flow(half_b, taught, ones, 1e9)
    assert abs(error(last[:-1], last[-1]) / weak - 1) < 1e-12


def test_the_identity_of_cross_entropy_for_a_logistic_head() -> None:
    """KL(w‖t) − KL(p‖t) = KL(w‖p), t a soft truth of the same family and p the head fitted to w."""
    rng = np.random.default_rng(4)
    features = rng.normal(size=(300, 6))
    matrix = np.hstack([features, np.ones((300, 1))])

    def sigmoid(logits: np.ndarray) -> np.ndarray:
        second = 1 / (1 + np.exp(-logits))
        return np.stack([1 - second, second], axis=1)

    def kl(one: np.ndarray, two: np.ndarray) -> float:
        return float((one * np.log(one / two)).sum(axis=1).mean())

    truth = sigmoid(matrix @ rng.normal(size=7))
    weak = sigmoid(matrix @ rng.normal(size=7) * 0.5 + rng.normal(size=300))
    head = logistic_regression(features, weak, np.ones(300), 0.0)
    student = sigmoid((matrix @ head)[:, 1])
    assert kl(weak, student) > 0.01
    assert abs(kl(weak, truth) - kl(student, truth) - kl(weak, student)) < 1e-12


def test_classes_that_a_line_separates_have_no_logistic_fit_without_a_penalty() -> None:
    features = np.concatenate([np.linspace(-2, -1, 20), np.linspace(1, 2, 20)])[:, None]
    data = LabelledFeatures(features, np.eye(2)[(features[:, 0] > 0).astype(int)], np.ones(40), 0)
    with pytest.raises(InvalidInput, match="give a larger l2"):
        fit_probe(Call("logistic", {"l2": 0}), data)
    assert fit_probe(Call("logistic"), data)(features)[:, 1].round().tolist() == [0] * 20 + [1] * 20


def test_difference_in_means_is_a_bayes_classifier_of_two_gaussians() -> None:
    """In one dimension: means 0 and 3 of deviation 1 give log-odds 3·(x − 1.5)."""
    around = np.array([-1.0, 1.0])
    data = LabelledFeatures(
        np.concatenate([around, around + 3])[:, None], np.repeat(np.eye(2), 2, axis=0), np.ones(4), 0
    )
    found = fit_probe(Call("difference_in_means"), data)(np.array([[1.5], [2.5]]))
    np.testing.assert_allclose(found[:, 1], [0.5, 1 / (1 + np.exp(-3))], rtol=0, atol=1e-12)


def test_difference_in_means_says_which_class_has_no_label() -> None:
    data = LabelledFeatures(np.zeros((4, 2)), np.tile([1.0, 0.0], (4, 1)), np.ones(4), 0)
    with pytest.raises(InvalidInput, match="needs labels of every class"):
        fit_probe(Call("difference_in_means"), data)


@pytest.mark.parametrize("name", [name for name, entry in probes if "preference" in entry.kinds])
def test_a_preference_is_the_other_one_if_texts_change_places(name: str) -> None:
    rng = np.random.default_rng(5)
    good, bad = rng.normal(size=(80, 4)) + 1, rng.normal(size=(80, 4)) - 1
    second = rng.integers(0, 2, 80)
    pairs = np.where((second == 1)[:, None, None], np.stack([bad, good], 1), np.stack([good, bad], 1))
    data = LabelledFeatures(pairs, np.eye(2)[second], np.ones(80), 0)
    predict = fit_probe(Call(name), data)
    found = predict(pairs)
    assert (found.argmax(axis=1) == second).mean() > 0.95
    # Some draw, or tell first texts from second; topological breaks ties of neighbours by their order.
    if name not in ("contrast_consistent", "mixture_of_heads", "topological"):
        np.testing.assert_allclose(predict(pairs[:, ::-1]), found[:, ::-1], rtol=0, atol=1e-8)


def _wrong(data: LabelledFeatures) -> object:
    return lambda features: np.zeros((len(features), 5))


def test_an_own_probe_that_gives_no_probabilities_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from raysweep.probes import ProbeFit

    monkeypatch.setattr("test_linear_probes.WRONG", ProbeFit(_wrong), raising=False)
    with pytest.raises(InvalidInput, match=r"must give class probabilities of shape \(40, 2\)"):
        fit_probe(Call("test_linear_probes:WRONG"), some())(NEW)
