"""Supervisors made rather than trained: ground truth mixed in, and errors of a chosen number and place."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec.validation import check_number
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


def _check_share(*, share: float) -> None:
    check_number("transform 'mix_ground_truth'", "share", share, 0, 1)


def mix_ground_truth(labels: Predictions, context: TransformContext, *, share: float) -> Predictions:
    """Ground truth for a share of the covered examples, drawn at random: what a few true labels are worth.

    Rounded to whole examples; with one seed, a larger share holds a smaller one's examples. Answers or
    probabilities. Reads ground truth.
    """
    rows = shuffled_rows(labels, context, "mix_ground_truth")
    rows = rows[: round(share * len(rows))]
    return with_labels_from(labels, rows, context.truth(), rows, "mix_ground_truth")


def _check_where(name: str, where: object) -> None:
    if where not in get_args(Where):
        raise InvalidInput(f"transform {name!r}: where is {where!r}; it must be 'uniform' or 'hard'")


def _check_errors(*, rate: float, where: Where = "uniform") -> None:
    check_number("transform 'errors'", "rate", rate, 0, 1)
    _check_where("errors", where)


def errors(
    labels: Predictions, context: TransformContext, *, rate: float, where: Where = "uniform"
) -> Predictions:
    """Another class for exactly a share of the labels, at random or where it is hard (Burns et al. 2023,
    figures 25, 26).

    round(rate·N) of the N covered examples get another class than the one they have, drawn uniformly among
    the others, and answers the answer of another example that reads differently. On ground truth these are
    errors; on a supervisor's labels some are corrections. An uncertain label swaps the probabilities of its
    old and new class. With one seed, a higher rate holds a lower one's errors.

    Args:
        where: "uniform" for examples drawn at random; "hard" for the most difficult ones first, at random
            among equals, which is refused where a difficulty is unknown.
    """
    rows = _error_rows(labels, context, "errors", where)
    return _with_errors(labels, rows[: round(rate * len(rows))], context, "errors")


def _check_simulated(*, where: Where = "uniform") -> None:
    _check_where("simulated_supervisor", where)


def simulated_supervisor(
    labels: Predictions, context: TransformContext, *, where: Where = "uniform"
) -> Predictions:
    """Ground truth with as many errors as the labels have, but elsewhere (Burns et al. 2023, figures 25 and
    26).

    Certain labels, as accurate on the covered examples as the incoming ones, with errors as `errors` makes
    them: whether a student owes its result to its supervisor's accuracy or to the kind of its errors. An
    answer counts as wrong if it isn't the true one letter by letter. Reads ground truth.

    Args:
        where: as in `errors`.
    """
    truth = context.truth()
    name = "simulated_supervisor"
    num_wrong = int((labels.decisions != truth.decisions)[labels.covered].sum())
    rows = _error_rows(labels, context, name, where)
    right = replace(with_labels_from(labels, rows, truth, rows, name), source=labels.source)
    return _with_errors(right, rows[:num_wrong], context, name)


def _error_rows(labels: Predictions, context: TransformContext, name: str, where: Where) -> Rows:
    """The covered rows in the order in which they are hit."""
    rows = shuffled_rows(labels, context, name)
    if where == "uniform":
        return rows
    difficulty = known_difficulty(labels, context, name, "where='uniform'")
    return rows[np.argsort(-difficulty[rows], kind="stable")]


def _with_errors(labels: Predictions, rows: Rows, context: TransformContext, name: str) -> Predictions:
    """The labels with another class, or answer, in these rows."""
    luck = context.rng(f"{name}: which instead").random(len(rows))
    if labels.answers is not None:
        return with_labels_from(labels, rows, labels, _other_answers(labels, rows, luck, name), name)
    num_classes = labels.probabilities.shape[1]
    old = labels.classes[rows]
    new = (old + 1 + (luck * (num_classes - 1)).astype(int)) % num_classes
    flipped = labels.probabilities[rows].copy()
    each = np.arange(len(rows))
    flipped[each, old], flipped[each, new] = flipped[each, new], flipped[each, old]
    tied = flipped.argmax(axis=1) != new  # another class was as probable as the old one
    flipped[tied] = np.eye(num_classes)[new[tied]]
    probabilities = labels.probabilities.copy()
    probabilities[rows] = flipped
    return replace(labels, probabilities=probabilities, source=f"{name}({labels.source})")


def _other_answers(labels: Predictions, rows: Rows, luck: npt.NDArray[np.float64], name: str) -> Rows:
    """(M,) a covered row for each of these rows whose answer reads differently."""
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


transforms.add("mix_ground_truth", Transform(mix_ground_truth, _check_share, reads_ground_truth=True))
transforms.add("errors", Transform(errors, _check_errors))
transforms.add(
    "simulated_supervisor", Transform(simulated_supervisor, _check_simulated, reads_ground_truth=True)
)
