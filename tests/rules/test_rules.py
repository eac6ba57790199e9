"""Rules against numbers worked out by hand and against scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.rules import HalfA, RuleContext, combine, rules
from raysweep.rules.models import boosting
from raysweep.spec import Call


def names(number: int) -> list[str]:
    return [f"example {row:03d}" for row in range(number)]


def says(*rows: list[float], covered: list[int] | None = None) -> Predictions:
    found = Predictions.of(names(len(rows)), np.array(rows), "a source")
    return found if covered is None else replace(found, covered=np.array(covered, bool))


def blind() -> HalfA:
    raise InvalidInput("half A was read")


def apply(name: str, *sources: Predictions, half: HalfA | None = None, **params: Any) -> Predictions:
    return combine(Call(name, params), sources, RuleContext(0, (lambda: half) if half else blind))


def test_averages_by_hand() -> None:
    """Followups, fact 7: (.9, .1) with (.6, .4)."""
    a, b = says([0.9, 0.1]), says([0.6, 0.4])
    assert apply("mean", a, b).probabilities[0, 0] == pytest.approx(0.75, abs=1e-12)
    ratio = np.sqrt(9 * 1.5)
    assert apply("log_mean", a, b).probabilities[0, 0] == pytest.approx(ratio / (1 + ratio), abs=1e-12)
    assert round(ratio / (1 + ratio), 3) == 0.786
    found = apply("weighted", a, b, weights=[3, 1]).probabilities[0]
    np.testing.assert_allclose(found, [0.825, 0.175], atol=1e-12)


def test_mean_and_vote_are_scikit_learns() -> None:
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB

    rng = np.random.default_rng(0)
    features = rng.normal(size=(90, 3))
    classes = (features @ rng.normal(size=(3, 3)) + rng.normal(size=(90, 3))).argmax(axis=1)
    members = [("a", LogisticRegression()), ("b", GaussianNB()), ("c", DummyClassifier(strategy="prior"))]
    fitted = [model.fit(features, classes) for _, model in members]
    sources = [says(*model.predict_proba(features).tolist()) for model in fitted]
    soft = VotingClassifier(members, voting="soft").fit(features, classes)
    hard = VotingClassifier(members, voting="hard").fit(features, classes)
    np.testing.assert_allclose(
        apply("mean", *sources).probabilities, soft.predict_proba(features), atol=1e-12
    )
    assert apply("vote", *sources).classes.tolist() == hard.predict(features).tolist()


def test_a_source_has_no_say_where_it_gives_no_label() -> None:
    a = says([0.9, 0.1], [0.8, 0.2], [0.7, 0.3], covered=[1, 0, 0])
    b = says([0.5, 0.5], [0.1, 0.9], [0.1, 0.9], covered=[1, 1, 0])
    found = apply("mean", a, b)
    np.testing.assert_allclose(found.probabilities, [[0.7, 0.3], [0.1, 0.9], [0.4, 0.6]], atol=1e-12)
    assert found.covered.tolist() == [True, True, False]


def test_choices_by_hand() -> None:
    a = says([0.9, 0.1], [0.6, 0.4], [0.2, 0.8], covered=[1, 1, 0])
    b = says([0.7, 0.3], [0.3, 0.7], [0.1, 0.9])
    assert apply("agree", a, b).covered.tolist() == [True, False, False]
    first = apply("first", a, b)
    assert first.probabilities.tolist() == [[0.9, 0.1], [0.6, 0.4], [0.1, 0.9]] and first.covered.all()
    left = apply("rest", a, b)
    assert left.covered.tolist() == [False, False, True]
    assert left.probabilities.tolist() == b.probabilities.tolist()
    sure = apply("where", a, b, at_least=0.8)
    assert sure.probabilities.tolist() == [[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]]
    judge = says([0.9, 0.1], [0.4, 0.6], [0.9, 0.1])
    judged = apply("where", a, b, judge, at_least=0.5)
    assert judged.probabilities.tolist() == [[0.7, 0.3], [0.6, 0.4], [0.1, 0.9]]
    assert apply("where", a, b, at_least=0).probabilities.tolist() == a.probabilities.tolist()
    assert apply("where", a, b, at_least=1.5).probabilities.tolist() == b.probabilities.tolist()


def test_the_most_disagreed_with_labels_are_dropped() -> None:
    a = says([0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.1, 0.9])
    b = says([0.8, 0.2], [0.1, 0.9], [0.5, 0.5], [0.4, 0.6])
    assert apply("drop_disagreeing", a, b, share=0.25).covered.tolist() == [True, False, True, True]
    assert apply("drop_disagreeing", a, b, share=0.5).covered.tolist() == [True, False, True, False]
    assert apply("drop_disagreeing", a, b, share=0).covered.all()


def test_the_nearest_teacher_is_that_of_the_least_divergence() -> None:
    from scipy.stats import entropy

    rng = np.random.default_rng(1)
    student, *teachers = (says(*rng.dirichlet([1, 1, 1], 40).tolist()) for _ in range(4))
    found = apply("nearest", student, *teachers, keep=0.5)
    far = [
        [entropy(p, q) for p, q in zip(t.probabilities, student.probabilities, strict=True)] for t in teachers
    ]
    chosen = np.argmin(far, axis=0)
    expected = np.array([teachers[which].probabilities[row] for row, which in enumerate(chosen)])
    assert found.probabilities.tolist() == expected.tolist() and found.covered.sum() == 20
    losses = -(expected * np.log(student.probabilities)).sum(axis=1)
    assert losses[found.covered].max() <= losses[~found.covered].min()


def hard(classes: Any, num_classes: int = 2) -> Predictions:
    return Predictions.one_hot(names(len(classes)), classes, num_classes, "a source")


def test_dawid_skene_recovers_annotators_of_known_quality() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 20_000)
    rates = (0.95, 0.6, 0.6, 0.6, 0.6)
    sources = [hard(np.where(rng.random(20_000) < rate, truth, 1 - truth)) for rate in rates]
    found = apply("dawid_skene", *sources, iterations=500)
    majority = apply("vote", *sources)
    right = [(labels.classes == truth).mean() for labels in (found, majority)]
    assert right[0] > 0.94 and right[1] < 0.85
    for source, rate in zip(sources, rates, strict=True):
        estimated = (found.probabilities[np.arange(20_000), source.classes]).mean()
        assert estimated == pytest.approx(rate, abs=0.02)


def test_dawid_skene_of_equal_labels_is_them() -> None:
    labels = hard([0, 1, 1, 2, 0], 3)
    np.testing.assert_allclose(
        apply("dawid_skene", labels, labels, labels).probabilities, labels.probabilities, atol=1e-12
    )


def test_adaboosts_weights_by_hand() -> None:
    """Followups § 4.14: 10 equal weights, 2 wrong."""
    truth = hard([0] * 10)
    weak = hard([1, 1] + [0] * 8)
    say, weights = boosting(HalfA([weak], truth), "rule")
    assert say[0] == pytest.approx(0.6931, abs=5e-5)
    np.testing.assert_allclose(weights, [0.25] * 2 + [0.0625] * 8, atol=1e-12)
    assert weights[:2].sum() == pytest.approx(0.5, abs=1e-12)  # the old model is at chance now
    reweighted = apply("reweighted", weak, half=HalfA([weak], truth))
    np.testing.assert_allclose(reweighted.weight, [2.5] * 2 + [0.625] * 8, atol=1e-12)
    assert reweighted.classes.tolist() == [0] * 10


def test_boosting_votes_as_scikit_learns_adaboost() -> None:
    """The same sequence of stumps, reweighted here, gives AdaBoostClassifier's decisions."""
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(3)
    features = rng.normal(size=(200, 4))
    truth = (features.sum(axis=1) + rng.normal(size=200) > 0).astype(int)
    theirs = AdaBoostClassifier(DecisionTreeClassifier(max_depth=1), n_estimators=6).fit(features, truth)
    sources = [hard(model.predict(features)) for model in theirs.estimators_]
    half = HalfA(sources, hard(truth))
    say, _ = boosting(half, "rule")
    np.testing.assert_allclose(2 * say, theirs.estimator_weights_[: len(sources)], rtol=1e-9)
    found = apply("adaboost", *sources, half=half)
    assert found.classes.tolist() == theirs.predict(features).tolist()


def test_a_first_source_at_chance_is_refused_and_a_later_one_has_no_say() -> None:
    truth = hard([0, 0, 0, 1])
    with pytest.raises(InvalidInput, match="no better than chance"):
        boosting(HalfA([hard([1, 1, 0, 1])], truth), "rule")
    say, weights = boosting(HalfA([hard([1, 0, 0, 1]), hard([1, 1, 0, 1])], truth), "rule")
    assert say[0] > 0 == say[1] and weights[0] == pytest.approx(0.5)


def test_right_or_wrong() -> None:
    half = HalfA([hard([0, 1, 2], 3)], hard([0, 1, 1], 3))
    assert apply("right_or_wrong", *half.sources, half=half).classes.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("call", "num_sources", "kind", "message"),
    [
        (Call("rest"), 1, "classification", "1 source.*at least 2"),
        (Call("where"), 4, "classification", "takes 2 to 3"),
        (Call("mean"), 2, "generative", "classification or preference"),
        (Call("weighted", {"weights": [1.0]}), 2, "classification", "1 weights for 2 sources"),
        (Call("weighted", {"weights": [0.0, 0.0]}), 2, "classification", "all are 0"),
        (Call("drop_disagreeing", {"share": 1.0}), 2, "classification", "leaves no label"),
        (Call("drop_disagreeing", {"share": 2.0}), 2, "classification", "share"),
        (Call("dawid_skene", {"iterations": 0}), 2, "classification", "iterations"),
    ],
    ids=str,
)
def test_what_a_rule_cannot_do_is_refused(call: Call, num_sources: int, kind: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        rules.get(call.name).require_fit(call, num_sources, kind, "rule")


def test_sources_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(InvalidInput, match="different classes"):
        apply("mean", hard([0, 1]), hard([0, 1], 3))
    with pytest.raises(InvalidInput, match="different examples"):
        apply("mean", hard([0, 1]), hard([0, 1, 1]))


def test_answers_are_voted_on() -> None:
    sources = [
        Predictions.of_answers(names(2), texts, "w") for texts in (["a", "long"], ["b", "x"], ["b", "y"])
    ]
    found = apply("vote", *sources)
    assert found.answers is not None and found.answers.tolist() == ["b", "long"]
    assert apply("agree", *sources[1:]).covered.tolist() == [True, False]
