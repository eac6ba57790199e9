"""Made-up supervisors: ground truth mixed into the labels, and errors of a chosen number and place."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec.parameters import Between
from raysweep.transforms.base import (
    Rows,
    Transform,
    TransformContext,
    known_difficulty,
    rows_by_id,
    shuffled_rows,
    transforms,
    with_labels_from,
)

Where = Literal["uniform", "hard"]
"""Which examples get errors: drawn at random, or the most difficult ones first."""


def mix_ground_truth(
    labels: Predictions, context: TransformContext, *, share: Annotated[float, Between(0, 1)]
) -> Predictions:
    """Ground truth for a random share of the covered examples, to measure what a few true labels are worth.

    Rounded to whole examples; with one seed, a larger share contains the examples of a smaller one. Answers
    or probabilities. Reads ground truth.
    """
    rows = shuffled_rows(labels, context, "mix_ground_truth")
    rows = rows[: round(share * len(rows))]
    return with_labels_from(labels, rows, context.truth(), rows, "mix_ground_truth")


def errors(
    labels: Predictions,
    context: TransformContext,
    *,
    rate: Annotated[float, Between(0, 1)],
    where: Where = "uniform",
) -> Predictions:
    """Wrong classes for an exact share of the labels, random or hard (Burns et al. 2023, figures 25, 26).

    round(rate·N) of the N covered examples get a class other than their own, drawn uniformly; an answer is
    replaced by the answer of another example that reads differently. On ground truth these are errors; on a
    supervisor's labels some are corrections. A soft label swaps the probabilities of its old and new class.
    With one seed, a higher rate contains the errors of a lower one.

    Args:
        labels: answers or probabilities.
        context: holds the seed and the difficulties.
        rate: share of the covered examples.
        where: "uniform" for examples drawn at random; "hard" for the most difficult ones first, at random
            among equals.

    Raises:
        InvalidInput: `where` is "hard" and a difficulty is unknown, or all answers are the same.
    """
    rows = _error_rows(labels, context, "errors", where)
    return _with_errors(labels, rows[: round(rate * len(rows))], context, "errors")


def simulated_supervisor(
    labels: Predictions, context: TransformContext, *, where: Where = "uniform"
) -> Predictions:
    """Ground truth with as many errors as the labels, but other ones (Burns et al. 2023, figures 25, 26).

    Hard labels, as accurate on the covered examples as the incoming ones, with errors as `errors` makes them,
    to see whether a student owes its result to its supervisor's accuracy or to the kind of its errors. An
    answer is wrong unless it equals the true one letter by letter. Reads ground truth.

    Args:
        labels: answers or probabilities.
        context: holds the seed, the difficulties and ground truth.
        where: as in `errors`.

    Raises:
        InvalidInput: as in `errors`.
    """
    truth = context.truth()
    name = "simulated_supervisor"
    num_wrong = int((labels.decisions != truth.decisions)[labels.covered].sum())
    rows = _error_rows(labels, context, name, where)
    right = replace(with_labels_from(labels, rows, truth, rows, name), source=labels.source)
    return _with_errors(right, rows[:num_wrong], context, name)


def _error_rows(labels: Predictions, context: TransformContext, name: str, where: Where) -> Rows:
    """The covered rows in the order in which they get errors."""
    rows = shuffled_rows(labels, context, name)
    if where == "uniform":
        return rows
    difficulty = known_difficulty(labels, context, name, "where='uniform'")
    return rows[np.argsort(-difficulty[rows], kind="stable")]


def _with_errors(labels: Predictions, rows: Rows, context: TransformContext, name: str) -> Predictions:
    """The labels with another class, or another answer, in these rows."""
    luck = context.rng(f"{name}: which instead").random(len(rows))
    if labels.answers is not None:
        return with_labels_from(labels, rows, labels, _other_answers(labels, rows, luck, name), name)
    num_classes = labels.probabilities.shape[1]
    old = labels.classes[rows]
    new = (old + 1 + (luck * (num_classes - 1)).astype(int)) % num_classes
    flipped = labels.probabilities[rows].copy()
    each = np.arange(len(rows))
    flipped[each, old] = labels.probabilities[rows, new]
    flipped[each, new] = labels.probabilities[rows, old]
    tied = flipped.argmax(axis=1) != new  # another class was as probable as the old one
    flipped[tied] = np.eye(num_classes)[new[tied]]
    probabilities = labels.probabilities.copy()
    probabilities[rows] = flipped
    return replace(labels, probabilities=probabilities, source=f"{name}({labels.source})")


def _other_answers(labels: Predictions, rows: Rows, luck: npt.NDArray[np.float64], name: str) -> Rows:
    """(M,) for each of these rows a covered row whose answer reads differently.

    Args:
        labels: with answers.
        rows: (M,) covered rows.
        luck: (M,) uniform random numbers in [0, 1).
        name: the transform, for the message.
    """
    assert labels.answers is not None
    places = rows_by_id(labels)
    _, texts = np.unique(labels.answers[places], return_inverse=True)
    own = dict(zip(places.tolist(), texts.tolist(), strict=True))
    if len(rows) and texts.max() == 0:
        raise InvalidInput(
            f"transform {name!r}: all answers of {labels.source} are the same; there is no other one to give"
        )
    chosen = np.empty(len(rows), dtype=np.int64)
    for number, row in enumerate(rows.tolist()):
        others = places[texts != own[row]]
        chosen[number] = others[int(luck[number] * len(others))]
    return chosen


transforms.add("mix_ground_truth", Transform(mix_ground_truth, reads_ground_truth=True))
transforms.add("errors", Transform(errors))
transforms.add("simulated_supervisor", Transform(simulated_supervisor, reads_ground_truth=True))
