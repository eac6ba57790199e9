"""Metrics of decisions, which are classes or answers: right or wrong, agreed or not, allowed or not."""

from __future__ import annotations

import numpy as np

from raysweep.errors import RaysweepError
from raysweep.metrics.base import Measurement, correct, metric, metrics

_ROUNDING = 1e-9
NUM_QUARTERS = 4


def _in_quarter(number: int) -> str:
    return f"accuracy_in_difficulty_quarter_{number}"


@metrics.register("accuracy")
@metric(columns={"accuracy": "", "accuracy_on_own_labels": ""})
def accuracy(measurement: Measurement) -> dict[str, float]:
    """Share of examples whose most probable class, or whose answer, is the true one.

    `accuracy` against ground truth; `accuracy_on_own_labels` against what the run was trained on, over the
    examples that have such a label.
    """
    values = {"accuracy": float(correct(measurement.predicted, measurement.truth).mean())}
    own = measurement.own_labels
    if own is not None and own.covered.any():  # what a transform dropped has no label
        values["accuracy_on_own_labels"] = float(correct(measurement.predicted, own)[own.covered].mean())
    return values


@metrics.register("agreement")
@metric(
    columns={
        "agreement": "",
        "agreement_supervisor_right": "",
        "agreement_supervisor_wrong": "agrees when weak is wrong",
    },
    compares_with_supervisor=("student", "ceiling"),
)
def agreement(measurement: Measurement) -> dict[str, float]:
    """Agreement with the supervisor: overall, where it is right, where it is wrong (Burns et al. 2023).

    A = mean[ŷ = ŷ_w], A⁺ = mean[ŷ = ŷ_w | ŷ_w = y], A⁻ = mean[ŷ = ŷ_w | ŷ_w ≠ y] (their figure 8), each left
    out where there is no such example. On two classes accuracy = accuracy_w·A⁺ + (1 − accuracy_w)·(1 − A⁻),
    which is checked.

    Raises:
        RaysweepError: two classes, and accuracy doesn't follow from agreement: something mixed up the
        predictions.
    """
    supervisor = measurement.supervisor
    truth = measurement.truth
    if supervisor is None:
        return {}
    same = correct(measurement.predicted, supervisor)
    right = correct(supervisor, truth)
    values = {"agreement": float(same.mean())}
    if right.any():
        values["agreement_supervisor_right"] = float(same[right].mean())
    if not right.all():
        values["agreement_supervisor_wrong"] = float(same[~right].mean())
    if measurement.predicted.probabilities.shape[1] == 2:
        of_supervisor = float(right.mean())
        own = float(correct(measurement.predicted, truth).mean())
        of_right = of_supervisor * values.get("agreement_supervisor_right", 0)
        implied = of_right + (1 - of_supervisor) * (1 - values.get("agreement_supervisor_wrong", 0))
        if abs(own - implied) > _ROUNDING:
            raise RaysweepError(
                f"predictions of {measurement.predicted.source} are right on {own:.6f} of the examples; "
                f"their agreement with {supervisor.source} implies {implied:.6f}. This is a bug of raysweep, "
                "or of a task whose labels aren't two classes; please report it with the store's folder"
            )
    return values


@metrics.register("known")
@metric(columns={"known_given_weak_wrong": "right when weak is wrong"}, compares_with_supervisor=("student",))
def known(measurement: Measurement) -> dict[str, float]:
    """What is known beyond the supervisor: mean[ŷ = y | ŷ_w ≠ y], left out if the supervisor is never wrong.

    Of a read-out, what the strong model's features hold that the weak model doesn't know; of a student, what
    of it came out. A guess counts as much as knowledge: on two classes the number is 1 − A⁻ of `agreement`.
    """
    if measurement.supervisor is None:
        return {}
    wrong = ~correct(measurement.supervisor, measurement.truth)
    if not wrong.any():
        return {}
    right = correct(measurement.predicted, measurement.truth)
    return {"known_given_weak_wrong": float(right[wrong].mean())}


@metrics.register("difficulty")
@metric(columns={_in_quarter(number): "" for number in range(1, NUM_QUARTERS + 1)})
def accuracy_by_difficulty(measurement: Measurement) -> dict[str, float]:
    """Accuracy by quarter of difficulty, 1 the easiest, where a task tells how hard its examples are.

    The quartiles are those of this split's known difficulties, an example at a quartile belonging to the
    easier side, so that equally hard ones stay together. A quarter without examples is left out; nothing is
    told if all are equally hard.
    """
    difficulty = measurement.difficulty
    known = np.isfinite(difficulty) if difficulty is not None else np.zeros(0, dtype=bool)
    if difficulty is None or not known.any() or np.ptp(difficulty[known]) == 0:
        return {}
    bounds = np.quantile(difficulty[known], np.arange(1, NUM_QUARTERS) / NUM_QUARTERS)
    quarters = np.searchsorted(bounds, difficulty, side="left")
    right = correct(measurement.predicted, measurement.truth)
    within = [known & (quarters == number) for number in range(NUM_QUARTERS)]
    return {
        _in_quarter(number): float(right[chosen].mean())
        for number, chosen in enumerate(within, start=1)
        if chosen.any()
    }


@metrics.register("legality")
def legality(measurement: Measurement) -> dict[str, float]:
    """Share of answers that are among the allowed ones (legal chess moves), where a task lists them."""
    answers = measurement.predicted.answers
    allowed = measurement.allowed
    if answers is None or allowed is None:
        return {}
    legal = [
        str(answer) in answers_to for answer, answers_to in zip(answers, allowed, strict=True) if answers_to
    ]
    return {"legality": float(np.mean(legal))} if legal else {}
