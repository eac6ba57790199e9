"""Metrics against scikit-learn, SciPy and hand-worked numbers, and against the identities between them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

from raysweep.errors import InvalidInput, RaysweepError
from raysweep.metrics import (
    Measurement,
    accuracy,
    accuracy_by_difficulty,
    agreement,
    auroc,
    calibration,
    correct,
    declaration,
    known,
    legality,
    measured,
    metric,
    metrics,
    misfit,
)
from raysweep.predictions import Predictions
from raysweep.registry import summary


def predictions(seed: int, num_classes: int, count: int = 200, source: str = "run") -> Predictions:
    rng = np.random.default_rng(seed)
    return Predictions.of([str(n) for n in range(count)], rng.dirichlet(np.ones(num_classes), count), source)


def truth_of(seed: int, num_classes: int, count: int = 200) -> Predictions:
    classes = np.random.default_rng(seed).integers(num_classes, size=count)
    return Predictions.one_hot([str(n) for n in range(count)], classes, num_classes)


def binary(positive: list[float], source: str = "run") -> Predictions:
    """Predictions of two classes from the probabilities of class 1."""
    return Predictions.of([str(n) for n in range(len(positive))], [[1 - p, p] for p in positive], source)


def answers(*texts: str) -> Predictions:
    return Predictions.of_answers([str(n) for n in range(len(texts))], texts, "run")


def random_measurement(seed: int, num_classes: int) -> Measurement:
    return Measurement(
        predicted=predictions(seed, num_classes),
        truth=truth_of(200 + seed, num_classes),
        supervisor=predictions(100 + seed, num_classes, source="supervisor"),
    )


# Decisions
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_accuracy_and_agreement_are_scikit_learns(num_classes: int) -> None:
    for seed in range(10):
        case = random_measurement(seed, num_classes)
        student = case.predicted.classes
        truth = case.truth.classes
        assert case.supervisor is not None
        supervisor = case.supervisor.classes
        score = sklearn.metrics.accuracy_score
        assert accuracy(case) == pytest.approx({"accuracy": score(truth, student)})
        right = supervisor == truth
        assert agreement(case) == pytest.approx(
            {
                "agreement": score(supervisor, student),
                "agreement_supervisor_right": score(supervisor[right], student[right]),
                "agreement_supervisor_wrong": score(supervisor[~right], student[~right]),
            }
        )


def test_own_labels_count_where_there_is_one() -> None:
    predicted = binary([0.9, 0.9, 0.1, 0.1])
    truth = binary([1, 1, 1, 1])
    own = replace(binary([1, 0, 1, 0]), covered=np.array([True, True, False, True]))
    case = Measurement(predicted=predicted, truth=truth, own_labels=own)
    assert accuracy(case) == pytest.approx({"accuracy": 0.5, "accuracy_on_own_labels": 2 / 3})
    none = replace(own, covered=np.zeros(4, dtype=bool))
    assert accuracy(replace(case, own_labels=none)) == {"accuracy": 0.5}


def test_on_two_classes_accuracy_follows_from_agreement() -> None:
    for seed in range(20):
        case = random_measurement(seed, 2)
        found = agreement(case)
        right = found["agreement_supervisor_right"]
        wrong = found["agreement_supervisor_wrong"]
        assert case.supervisor is not None
        of_supervisor = float(correct(case.supervisor, case.truth).mean())
        assert accuracy(case)["accuracy"] == pytest.approx(
            of_supervisor * right + (1 - of_supervisor) * (1 - wrong)
        )
        assert found["agreement"] == pytest.approx(of_supervisor * right + (1 - of_supervisor) * wrong)


def test_accuracy_that_does_not_follow_from_agreement_is_told_as_a_bug() -> None:
    # Two classes predicted, and a third one true: who is wrong differently from the supervisor isn't right.
    case = Measurement(
        predicted=binary([0.9, 0.9, 0.2]),
        truth=Predictions.one_hot(["0", "1", "2"], [1, 2, 0], 3),
        supervisor=binary([0.9, 0.2, 0.2], "supervisor"),
    )
    with pytest.raises(
        RaysweepError, match=r"run are right on 0\.666667 .* implies 1\.000000\. This is a bug"
    ):
        agreement(case)


def test_agreement_where_there_is_nothing_to_agree_on() -> None:
    truth = truth_of(0, 2)
    always_wrong = Predictions.of(truth.ids, 1 - truth.probabilities, "wrong")
    case = Measurement(predicted=truth, truth=truth, supervisor=truth)
    assert agreement(case) == {"agreement": 1.0, "agreement_supervisor_right": 1.0}
    assert agreement(replace(case, supervisor=always_wrong)) == {
        "agreement": 0.0,
        "agreement_supervisor_wrong": 0.0,
    }
    assert agreement(replace(case, supervisor=None)) == {}


def test_only_predictions_of_the_same_examples_are_compared() -> None:
    truth = truth_of(0, 2)
    empty = Predictions.of([], np.empty((0, 2)), "empty")
    for other in (truth.align(truth.ids[::-1]), truth.align(truth.ids[:-1])):
        for fields in (
            {"truth": other},
            {"truth": truth, "supervisor": other},
            {"truth": truth, "own_labels": other},
        ):
            with pytest.raises(
                InvalidInput, match="predictions of run and ground truth aren't of the same examples"
            ):
                Measurement(predicted=predictions(1, 2), **fields)
    with pytest.raises(InvalidInput, match="aren't of the same examples"):
        Measurement(predicted=empty, truth=empty)
    with pytest.raises(InvalidInput, match="difficulty has 3 entries for 200 examples"):
        Measurement(predicted=predictions(1, 2), truth=truth, difficulty=np.zeros(3))


def test_accuracy_by_quarter_of_difficulty() -> None:
    right = np.array([1, 1, 1, 0, 1, 0, 0, 0, 1])
    difficulty = np.array([10, 20, 30, 40, 50, 60, 70, 80, np.nan])  # the last one is in no quarter
    case = Measurement(predicted=binary([0.9] * 9), truth=binary(right.tolist()), difficulty=difficulty)
    quarters = {"1": 1.0, "2": 0.5, "3": 0.5, "4": 0.0}
    assert accuracy_by_difficulty(case) == {
        f"accuracy_in_difficulty_quarter_{number}": q for number, q in quarters.items()
    }
    shuffled = np.random.default_rng(0).permutation(9)
    moved = Measurement(
        predicted=case.predicted.rows(shuffled),
        truth=case.truth.rows(shuffled),
        difficulty=difficulty[shuffled],
    )
    assert accuracy_by_difficulty(moved) == accuracy_by_difficulty(case)
    # Equally hard examples stay together, so a quarter may be larger than others or empty.
    tied = replace(case, difficulty=np.array([1, 1, 1, 1, 1, 1, 1, 2, 2.0]))
    assert accuracy_by_difficulty(tied) == pytest.approx(
        {"accuracy_in_difficulty_quarter_1": 4 / 7, "accuracy_in_difficulty_quarter_4": 1 / 2}
    )
    for nothing in (None, np.full(9, np.nan), np.full(9, 3.0)):
        assert accuracy_by_difficulty(replace(case, difficulty=nothing)) == {}


def test_legality_is_the_share_of_allowed_answers() -> None:
    allowed = (("e4", "d4"), ("Nf3",), (), ("O-O",))
    case = Measurement(
        predicted=answers("e4", "Nf6", "anything", "O-O"),
        truth=answers("d4", "Nf3", "x", "O-O"),
        allowed=allowed,
    )
    assert legality(case) == pytest.approx({"legality": 2 / 3})  # the third example allows any text
    assert legality(replace(case, allowed=((),) * 4)) == legality(replace(case, allowed=None)) == {}
    assert legality(random_measurement(0, 2)) == {}


# Probabilities
# ------------------------------------------------------------------------------------------------------------


def test_the_calibration_error_by_hand() -> None:
    # Confidences 0.9 and 0.92 are in bin 14, 0.8667 to 0.9333; 0.55 and 0.6 in bin 9, whose upper end 0.6
    # belongs to it.
    case = Measurement(predicted=binary([0.9, 0.92, 0.45, 0.6]), truth=binary([1, 0, 0, 0]))
    by_hand = (abs(1 / 2 - (0.9 + 0.92) / 2) * 2 + abs(1 / 2 - (0.55 + 0.6) / 2) * 2) / 4
    assert calibration(case)["expected_calibration_error"] == pytest.approx(by_hand)
    certain = Measurement(predicted=binary([1, 0, 1, 0]), truth=binary([1, 0, 0, 0]))
    assert calibration(certain) == pytest.approx({"expected_calibration_error": 0.25, "brier_score": 0.25})


@pytest.mark.parametrize("num_classes", [2, 4])
def test_calibration_against_other_implementations(num_classes: int) -> None:
    for seed in range(5):
        case = random_measurement(seed, num_classes)
        confidence = pd.Series(case.predicted.probabilities.max(axis=1))
        right = pd.Series(correct(case.predicted, case.truth).astype(float))
        bins = pd.cut(confidence, np.linspace(0, 1, 16))
        gaps = (
            right.groupby(bins, observed=True).mean() - confidence.groupby(bins, observed=True).mean()
        ).abs()
        expected = float((gaps * bins.value_counts()[gaps.index] / len(bins)).sum())
        found = calibration(case)
        assert found["expected_calibration_error"] == pytest.approx(expected)
        if num_classes == 2:
            brier = sklearn.metrics.brier_score_loss(case.truth.classes, case.predicted.probabilities[:, 1])
        else:
            brier = sklearn.metrics.brier_score_loss(
                case.truth.classes, case.predicted.probabilities, scale_by_half=True
            )
        assert found["brier_score"] == pytest.approx(brier)


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 8, 300) / 8  # many ties
    labels = rng.random(300) < 0.2 + 0.6 * scores
    case = Measurement(predicted=binary(scores.tolist()), truth=binary(labels.astype(float).tolist()))
    pairs = scipy.stats.mannwhitneyu(scores[labels], scores[~labels]).statistic / (
        labels.sum() * (~labels).sum()
    )
    assert auroc(case) == pytest.approx({"auroc": pairs}) and 0.6 < pairs < 0.95
    reversed_ = Measurement(predicted=binary((1 - scores).tolist()), truth=case.truth)
    assert auroc(reversed_)["auroc"] == pytest.approx(1 - pairs)


def test_auroc_of_several_classes_is_the_mean_of_one_against_the_rest() -> None:
    case = random_measurement(3, 4)
    expected = []
    for number in range(4):
        own = case.predicted.probabilities[:, number]
        positive = case.truth.classes == number
        pairs = positive.sum() * (~positive).sum()
        expected.append(scipy.stats.mannwhitneyu(own[positive], own[~positive]).statistic / pairs)
    assert auroc(case)["auroc"] == pytest.approx(np.mean(expected))
    library = sklearn.metrics.roc_auc_score(
        case.truth.classes, case.predicted.probabilities, multi_class="ovr"
    )
    assert auroc(case)["auroc"] == pytest.approx(library)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_auroc_of_sure_models_is_that_of_their_logits(num_classes: int) -> None:
    """In single precision every second probability is 1, and its ties would hide the order."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, num_classes, 400)
    logits = (8 * np.eye(num_classes)[classes] + rng.normal(0, 12, (400, num_classes))).astype(np.float32)
    probabilities = scipy.special.softmax(logits, axis=1)
    assert probabilities.dtype == np.float32 and (probabilities == 1).any(axis=1).mean() > 0.2
    ids = [str(n) for n in range(400)]
    case = Measurement(
        predicted=Predictions.of(ids, probabilities, "run"),
        truth=Predictions.one_hot(ids, classes, num_classes),
    )
    precise = logits.astype(np.float64)
    expected = [
        sklearn.metrics.roc_auc_score(
            classes == number,
            precise[:, number] - scipy.special.logsumexp(np.delete(precise, number, axis=1), axis=1),
        )
        for number in range(num_classes)
    ]
    assert auroc(case)["auroc"] == pytest.approx(np.mean(expected), abs=1e-6)
    tied = sklearn.metrics.roc_auc_score(classes == 0, probabilities[:, 0])
    assert abs(tied - expected[0]) > 1e-4


def test_auroc_needs_every_class() -> None:
    assert auroc(Measurement(predicted=binary([0.2, 0.7]), truth=binary([1, 1]))) == {}
    truth = Predictions.one_hot([str(n) for n in range(200)], np.arange(200) % 2, 3)
    assert auroc(Measurement(predicted=predictions(0, 3), truth=truth)) == {}


@pytest.mark.parametrize("num_classes", [2, 3])
def test_misfit_and_gain_in_three_forms(num_classes: int) -> None:
    case = random_measurement(7, num_classes)
    assert case.supervisor is not None
    p = case.predicted.probabilities
    q = case.supervisor.probabilities
    y = case.truth.classes
    found = misfit(case)
    assert found["misfit_error_rate"] == pytest.approx((p.argmax(axis=1) != q.argmax(axis=1)).mean())
    assert found["gain_error_rate"] == pytest.approx(
        (p.argmax(axis=1) == y).mean() - (q.argmax(axis=1) == y).mean()
    )
    assert found["misfit_cross_entropy"] == pytest.approx(scipy.stats.entropy(p, q, axis=1).mean())
    loss = sklearn.metrics.log_loss
    assert found["gain_cross_entropy"] == pytest.approx(loss(y, q) - loss(y, p))
    brier = (
        [sklearn.metrics.brier_score_loss(y, each, scale_by_half=True) for each in (q, p)]
        if num_classes > 2
        else None
    )
    if brier is None:  # the squared loss of Charikar et al., on the probability of class 1
        assert found["misfit_squared_error"] == pytest.approx(((p[:, 1] - q[:, 1]) ** 2).mean())
        brier = [((each[:, 1] - y) ** 2).mean() for each in (q, p)]
    assert found["gain_squared_error"] == pytest.approx(brier[0] - brier[1])
    assert len(found) == 6


def test_of_a_projection_of_the_supervisor_the_gain_is_the_misfit() -> None:
    # The student may say anything of the first half and knows the second: the truth is among what it can say,
    # and the nearest it can come to the supervisor is the supervisor itself on the first half. Charikar et
    # al.'s theorem 1 and its KL form hold with equality then, if misfit and gain are in the same units.
    supervisor = predictions(1, 3, source="supervisor")
    truth = truth_of(2, 3)
    known = (np.arange(200) >= 100)[:, None]
    student = Predictions.of(
        truth.ids, np.where(known, truth.probabilities, supervisor.probabilities), "student"
    )
    found = misfit(Measurement(predicted=student, truth=truth, supervisor=supervisor))
    for form in ("squared_error", "cross_entropy"):
        assert found[f"gain_{form}"] == pytest.approx(found[f"misfit_{form}"]) and found[f"gain_{form}"] > 0.1
    assert (
        found["gain_error_rate"] == pytest.approx(found["misfit_error_rate"])
        and found["gain_error_rate"] > 0.1
    )


def test_what_is_known_where_the_supervisor_is_wrong() -> None:
    """It is wrong on the first three, of which the last two are right."""
    case = Measurement(
        predicted=binary([0.1, 0.9, 0.8, 0.2]),
        truth=binary([1, 1, 1, 1]),
        supervisor=binary([0.2, 0.3, 0.4, 0.9], "supervisor"),
    )
    assert known(case) == pytest.approx({"known_given_weak_wrong": 2 / 3})
    assert known(replace(case, supervisor=binary([0.9] * 4, "supervisor"))) == {}
    assert known(replace(case, supervisor=None)) == {}


def test_a_probability_of_zero_is_no_infinite_loss() -> None:
    found = misfit(
        Measurement(
            predicted=binary([1.0, 0.5]), truth=binary([1, 1]), supervisor=binary([0.0, 0.5], "supervisor")
        )
    )
    assert (
        found["misfit_cross_entropy"]
        == pytest.approx(-np.log(1e-12) / 2)
        == pytest.approx(found["gain_cross_entropy"])
    )


def test_of_answers_only_decisions_are_measured() -> None:
    case = Measurement(
        predicted=answers("a", "b", "c", "x"),
        truth=answers("a", "b", "d", "d"),
        supervisor=answers("a", "c", "c", "y"),
    )
    assert measured(case, [name for name, _ in metrics]) == pytest.approx(
        {
            "accuracy": 0.5,
            "agreement": 0.5,  # both wrong with another answer, as on the last example, is no agreement
            "agreement_supervisor_right": 1.0,
            "agreement_supervisor_wrong": 1 / 3,
            "known_given_weak_wrong": 1 / 3,  # of the last three
            "misfit_error_rate": 0.5,
            "gain_error_rate": 0.25,
        }
    )


# The registry
# ------------------------------------------------------------------------------------------------------------


def own_metric(folder: Path, code: str) -> str:
    (folder / "own_metrics.py").write_text(f"def metric(m):\n    {code}\n")
    sys.modules.pop("own_metrics", None)
    return "own_metrics:metric"


def test_all_metrics_are_registered_and_say_what_they_are() -> None:
    named: dict[str, Callable[..., object]] = dict(metrics)
    assert list(named) == [
        "accuracy",
        "agreement",
        "auroc",
        "calibration",
        "difficulty",
        "known",
        "legality",
        "misfit",
    ]
    for function in named.values():
        line = summary(function)
        assert 20 < len(line) <= 110 and line.endswith(".")


def test_a_metric_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = own_metric(tmp_path, "return {'first': m.predicted.probabilities[0, 0]}")
    case = random_measurement(0, 2)
    found = measured(case, ["accuracy", name])
    assert found["first"] == case.predicted.probabilities[0, 0] and set(found) == {"accuracy", "first"}
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("return 0.5", "returned a float; it must return a dict of numbers by name"),
        ("return {'a b': 1}", "names a number 'a b'; a name has letters, digits and underscores only"),
        ("return {'a': float('nan')}", "a is nan; it must be a finite number, or be left out"),
        ("return {'a': float('inf')}", "a is inf; it must be"),
        ("return {'a': None}", "a is None; it must be"),
        ("return {'a': True}", "a is True; it must be"),
        ("return {'a': 10**400}", "a is 1000000000"),
        ("return {'a': 10**5000}", "a is a number of thousands of digits; it must be a finite number"),
        ("m.predicted.probabilities[0] = 0; return {}", "assignment destination is read-only"),
        ("m.truth.probabilities[0] = 0; return {}", "assignment destination is read-only"),
        ("m.supervisor.weight[0] = 0; return {}", "assignment destination is read-only"),
        ("m.difficulty[0] = 0; return {}", "assignment destination is read-only"),
        ("return {'accuracy': 1}", "gives accuracy, which another metric gives too; choose another name"),
        ("return m.nothing", "AttributeError: 'Measurement' object has no attribute 'nothing'"),
    ],
)
def test_what_a_metric_of_ones_own_may_not_do(
    code: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidInput, match="own_metrics:metric") as refused:
        case = replace(random_measurement(0, 2), difficulty=np.arange(200.0))
        measured(case, ["accuracy", own_metric(tmp_path, code)])
    assert told in str(refused.value)


# What metrics say of their numbers
# ------------------------------------------------------------------------------------------------------------


def test_every_number_of_a_registered_metric_is_declared_or_its_own_name() -> None:
    for num_classes in (2, 3):
        case = replace(random_measurement(0, num_classes), difficulty=np.arange(200.0))
        for name, function in metrics:
            declared = declaration(name)
            if declared.columns is None:
                assert set(function(case)) <= {name}
            elif name != "accuracy":  # which needs own labels for one of its numbers
                assert set(function(case)) == set(declared.columns)


def test_metrics_that_compare_need_a_supervisor_and_the_others_none() -> None:
    case = random_measurement(0, 2)
    alone = replace(case, supervisor=None)
    for name, function in metrics:
        compares = declaration(name).compares_with_supervisor
        assert bool(compares) == (function(case) != function(alone))
        assert not compares or function(alone) == {}
    assert declaration("agreement").compares_with_supervisor == ("student", "ceiling")
    assert declaration("misfit").compares_with_supervisor == ("student",)


def test_a_metric_gives_no_other_numbers_than_it_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = own_metric(tmp_path, "return {'first': 1, 'second': 2, 'third': 3}")
    function = metrics.get(name)
    metric(columns={"first": "1st", "second": ""})(function)
    assert declaration(name).columns == {"first": "1st", "second": ""}
    with pytest.raises(
        InvalidInput, match="gives third, which it doesn't declare; it declares first, second"
    ):
        measured(random_measurement(0, 2), [name])


def test_what_a_metric_compares_has_to_be_declared() -> None:
    with pytest.raises(InvalidInput, match="has to declare its numbers"):
        metric(compares_with_supervisor=["student"])


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        InvalidInput,
        match=r"unknown metric 'acuracy' .*'accuracy'.*; known: accuracy, agreement, auroc, calibration",
    ):
        measured(random_measurement(0, 2), ["acuracy"])
