"""Transforms that keep a part of the labels. What falls away stays in the table, not covered."""

from __future__ import annotations

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec.validation import check_number, check_whole_number
from raysweep.transforms.base import (
    Transform,
    TransformContext,
    keep_rows,
    known_difficulty,
    require_probabilities,
    scattered_rows,
    transforms,
)


def _require_one(where: str, **given: object) -> None:
    if sum(value is not None for value in given.values()) != 1:
        raise InvalidInput(f"{where}: give exactly one of {' and '.join(given)}")


def _check_filter(
    *, keep: float | None = None, at_least: float | None = None, balanced: bool = False
) -> None:
    where = "transform 'filter_confidence'"
    _require_one(where, keep=keep, at_least=at_least)
    if keep is not None:
        check_number(where, "keep", keep, 0, 1, above=True)
    else:
        check_number(where, "at_least", at_least, 0, 1)
    if not isinstance(balanced, bool):
        raise InvalidInput(f"{where}: balanced is {balanced!r}; it must be True or False")
    if balanced and keep is None:
        raise InvalidInput(f"{where}: balanced keeps a share of each class; give keep instead of at_least")


def filter_confidence(
    labels: Predictions,
    context: TransformContext,
    *,
    keep: float | None = None,
    at_least: float | None = None,
    balanced: bool = False,
) -> Predictions:
    """Only the labels that the supervisor is surest of (the confident-only baseline of
    automated-w2s-research).

    By the largest class probability; that baseline keeps those of at least 0.75. Among equally sure ones a
    fixed choice that looks random, by a hash of the id. Not for answers: `InvalidInput`.

    Args:
        keep: this share of the covered examples, rounded (a half to the even number).
        at_least: those whose largest probability is at least this.
        balanced: the share `keep` of the examples of each predicted class, so that the filter doesn't change
            how often each class occurs: a supervisor is often surer of one class.
    """
    require_probabilities(labels, "filter_confidence")
    sureness = labels.probabilities.max(axis=1)
    classes = labels.classes
    rows = scattered_rows(labels, "filter_confidence")
    rows = rows[labels.covered[rows]]
    if keep is None:
        assert at_least is not None
        return keep_rows(labels, rows[sureness[rows] >= at_least], "filter_confidence")
    rows = rows[np.argsort(-sureness[rows], kind="stable")]
    groups = [rows[classes[rows] == number] for number in np.unique(classes[rows])] if balanced else [rows]
    kept = [group[: round(keep * len(group))] for group in groups]
    return keep_rows(labels, np.concatenate([rows[:0], *kept]), "filter_confidence")


def _check_easiest(*, share: float | None = None, at_most: float | None = None) -> None:
    where = "transform 'easiest'"
    _require_one(where, share=share, at_most=at_most)
    if share is not None:
        check_number(where, "share", share, 0, 1, above=True)
    else:
        check_number(where, "at_most", at_most)


def easiest(
    labels: Predictions,
    context: TransformContext,
    *,
    share: float | None = None,
    at_most: float | None = None,
) -> Predictions:
    """Only the easiest examples, by the task's difficulty: easy-to-hard generalization (Burns et al. 2023;
    arXiv 2401.06751).

    Among equally difficult ones a fixed choice that looks random, by a hash of the id. Answers or
    probabilities. Refused where the difficulty of a covered example is unknown.

    Args:
        share: this share of the covered examples, rounded (a half to the even number).
        at_most: those whose difficulty is at most this, in the task's own unit.
    """
    difficulty = known_difficulty(labels, context, "easiest", "leave the transform out")
    rows = scattered_rows(labels, "easiest")
    rows = rows[labels.covered[rows]]
    if share is None:
        assert at_most is not None
        return keep_rows(labels, rows[difficulty[rows] <= at_most], "easiest")
    rows = rows[np.argsort(difficulty[rows], kind="stable")]
    return keep_rows(labels, rows[: round(share * len(rows))], "easiest")


def _check_part(*, number: int, of: int) -> None:
    check_whole_number("transform 'part'", "of", of, 1)
    check_whole_number("transform 'part'", "number", number)
    if number >= of:
        raise InvalidInput(
            f"transform 'part': number is {number}; with of={of} it must be one of 0 to {of - 1}"
        )


def part(labels: Predictions, context: TransformContext, *, number: int, of: int) -> Predictions:
    """Slice `number` (from 0) of `of` equal random slices: fresh data for each step of bootstrapping (Burns
    et al. 2023).

    The slices are disjoint, cover all ids and differ in size by one at most. A hash of the ids decides them,
    over all rows, covered or not: the seed, the labels and what was filtered before change nothing. Examples
    of one group may fall into two slices. Answers or probabilities.
    """
    return keep_rows(labels, np.array_split(scattered_rows(labels, "part"), of)[number], "part")


transforms.add("filter_confidence", Transform(filter_confidence, _check_filter, needs_probabilities=True))
transforms.add("easiest", Transform(easiest, _check_easiest))
transforms.add("part", Transform(part, _check_part))
