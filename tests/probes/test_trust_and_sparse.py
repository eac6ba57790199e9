"""Trust and sparse codes, on made-up features of which it is known what can be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import roc_auc_score

from raysweep.errors import InvalidInput
from raysweep.probes import LabelledFeatures, fit_probe, probes
from raysweep.probes.sparse import learn_dictionary, sparse_codes
from raysweep.probes.trust import out_of_fold
from raysweep.spec import Call

Array = npt.NDArray[Any]


def labelled(features: Array, classes: Array, num_classes: int = 2) -> LabelledFeatures:
    return LabelledFeatures(features, np.eye(num_classes)[classes], np.ones(len(classes)), 0)


def noisy_side(num: int, seed: int) -> tuple[Array, Array]:
    """Feature 0 tells the class where feature 1 is negative; elsewhere the class is a coin's."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(num, 2))
    coins = rng.integers(0, 2, num)
    return features, np.where(features[:, 1] < 0, features[:, 0] > 0, coins == 1).astype(int)


def test_trust_tells_where_the_supervisor_is_right() -> None:
    data = labelled(*noisy_side(2000, 0))
    features, classes = noisy_side(2000, 1)
    said = fit_probe(Call("correctness"), data)(features)
    supervisor = fit_probe(Call("logistic"), data)(features)
    np.testing.assert_array_equal(said.argmax(axis=1), supervisor.argmax(axis=1))  # only its labels
    trust = said.max(axis=1)
    right = said.argmax(axis=1) == classes
    assert roc_auc_score(right, trust) > 0.75  # the sign of feature 1 tells right from a coin's half
    assert roc_auc_score(right, supervisor.max(axis=1)) < 0.65  # confidence alone doesn't know
    most = np.argsort(-trust)[: len(trust) // 2]
    assert right[most].mean() > 0.93 > right.mean() + 0.1


def test_trust_is_of_labels_that_were_not_learnt_from() -> None:
    """The one nearest neighbour is always right on what it was fitted to, and of coins on half of others."""
    rng = np.random.default_rng(2)
    features, classes = rng.normal(size=(1000, 2)), rng.integers(0, 2, 1000)
    nearest = Call("nearest_neighbours", {"k": 1})
    data = labelled(features, classes)
    assert (fit_probe(nearest, data)(features).argmax(axis=1) == classes).all()
    assert abs((out_of_fold(data, nearest, 5).argmax(axis=1) == classes).mean() - 0.5) < 0.06
    trust = fit_probe(Call("correctness", {"of": nearest}), data)(features).max(axis=1)
    assert trust.mean() < 0.56


def test_out_of_fold_is_as_by_hand() -> None:
    """With as many folds as examples, each is asked of the others: their mean label."""
    data = labelled(np.arange(4.0)[:, None], np.array([0, 0, 1, 1]))
    found = out_of_fold(data, Call("nearest_neighbours", {"k": 50}), 4)
    np.testing.assert_allclose(found[:, 1], [2 / 3, 2 / 3, 1 / 3, 1 / 3], rtol=0, atol=1e-12)


def test_a_supervisor_that_is_always_right_is_trusted_wholly() -> None:
    features = np.repeat([[-1.0], [1.0]], 10, axis=0)
    data = labelled(features, np.repeat([0, 1], 10))
    found = fit_probe(Call("correctness", {"of": Call("nearest_neighbours", {"k": 1})}), data)(features)
    np.testing.assert_array_equal(found, data.labels)


def test_a_supervisor_that_is_never_right_is_not_trusted() -> None:
    """Each of two examples is labelled like the other one, wrongly."""
    data = labelled(np.array([[-1.0], [1.0]]), np.array([0, 1]))
    call = Call("correctness", {"of": Call("nearest_neighbours", {"k": 1}), "folds": 2})
    found = fit_probe(call, data)(data.features)
    # Asked of all, the supervisor knows them.
    np.testing.assert_allclose(found, [[0.5001, 0.4999], [0.4999, 0.5001]], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"of": Call("correctness")}, "of is 'correctness' itself"),
        ({"judge": Call("rigde")}, "unknown probe 'rigde'"),
        ({"of": Call("ridge", {"l2": 0})}, "probe 'ridge': l2 is 0"),
        ({"of": Call("contrast_consistent")}, "is for tasks of kind preference"),
        ({"folds": 1}, "folds is 1"),
    ],
)
def test_a_judge_that_cannot_be_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        probes.get("correctness").parameters.check(params, "probe 'correctness'")
    assert message in str(refused.value)


def test_as_many_codes_as_features_reconstruct_them() -> None:
    """With all codes of an invertible dictionary active, the error is 0."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(50, 4))
    dictionary = rng.normal(size=(4, 4))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    codes = sparse_codes(features, dictionary, 4)
    np.testing.assert_allclose(codes @ dictionary, features, rtol=0, atol=1e-10)
    assert ((sparse_codes(features, dictionary, 2) != 0).sum(axis=1) <= 2).all()


def test_a_dictionary_comes_nearer_with_rounds() -> None:
    """Of features that are made of two of six directions each."""
    rng = np.random.default_rng(4)
    true = rng.normal(size=(6, 12))
    codes = np.zeros((400, 6))
    for row in codes:
        row[rng.permutation(6)[:2]] = rng.normal(size=2)
    features = codes @ true

    def error(rounds: int) -> float:
        dictionary = learn_dictionary(features, 6, 2, rounds, 0)
        return float(((sparse_codes(features, dictionary, 2) @ dictionary - features) ** 2).mean())

    assert error(20) < 0.5 * error(0)


def test_a_planted_code_is_found() -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(400, 8)) * 0.1
    classes = rng.integers(0, 2, 400)
    features[:, 3] += 3 * classes
    call = Call("sparse_code", {"num_codes": 8, "active": 2, "keep": 4})
    predict = fit_probe(call, labelled(features[:200], classes[:200]))
    assert (predict(features[200:]).argmax(axis=1) == classes[200:]).all()


def test_more_active_codes_than_there_are_is_refused() -> None:
    with pytest.raises(InvalidInput, match="active is 9; with num_codes=4"):
        probes.get("sparse_code").parameters.check({"num_codes": 4, "active": 9, "keep": 2}, "probe")
