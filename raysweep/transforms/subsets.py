"""Transforms that keep a part of the labels. The rest stays in the table, not covered."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec.parameters import Above, AtLeast, Between
from raysweep.transforms.base import (
    Transform,
    TransformContext,
    keep_rows,
    known_difficulty,
    require_probabilities,
    scattered_rows,
    transforms,
)


def _require_one_filter(*, keep: float | None, at_least: float | None, balanced: bool) -> None:
    if (keep is None) is (at_least is None):
        raise InvalidInput("give exactly one of keep and at_least")
    if balanced and keep is None:
        raise InvalidInput("balanced keeps a share of each class; give keep instead of at_least")


def filter_confidence(
    labels: Predictions,
    context: TransformContext,
    *,
    keep: Annotated[float, Above(0, 1)] | None = None,
    at_least: Annotated[float, Between(0, 1)] | None = None,
    balanced: bool = False,
) -> Predictions:
    """The supervisor's most confident labels only (the confident-only baseline of automated-w2s-research).

    Confidence is the largest class probability; that baseline keeps labels of at least 0.75. Among equally
    confident ones the choice is pseudorandom but fixed, by a hash of the id.

    Args:
        labels: class probabilities.
        context: not used.
        keep: keep this share of the covered examples, rounded (a half to the even number). Give either this
            or `at_least`.
        at_least: keep the labels of at least this confidence.
        balanced: keep the share `keep` of the examples of each predicted class, so that the filter preserves
            the class shares: a supervisor is often more confident in one class.

    Raises:
        InvalidInput: the labels are answers.
    """
    require_probabilities(labels, "filter_confidence")
    confidence = labels.probabilities.max(axis=1)
    classes = labels.classes
    rows = scattered_rows(labels, "filter_confidence")
    rows = rows[labels.covered[rows]]
    if keep is None:
        assert at_least is not None
        return keep_rows(labels, rows[confidence[rows] >= at_least], "filter_confidence")
    rows = rows[np.argsort(-confidence[rows], kind="stable")]
    groups = [rows[classes[rows] == number] for number in np.unique(classes[rows])] if balanced else [rows]
    kept = [group[: round(keep * len(group))] for group in groups]
    return keep_rows(labels, np.concatenate([rows[:0], *kept]), "filter_confidence")


def _require_one_cut(*, share: float | None, at_most: float | None) -> None:
    if (share is None) is (at_most is None):
        raise InvalidInput("give exactly one of share and at_most")


def easiest(
    labels: Predictions,
    context: TransformContext,
    *,
    share: Annotated[float, Above(0, 1)] | None = None,
    at_most: float | None = None,
) -> Predictions:
    """The easiest examples only: easy-to-hard generalization (Burns et al. 2023; arXiv 2401.06751).

    By the task's difficulty; among equally difficult examples the choice is pseudorandom but fixed, by a hash
    of the id.

    Args:
        labels: answers or probabilities.
        context: holds the difficulties.
        share: keep this share of the covered examples, rounded (a half to the even number). Give either this
            or `at_most`.
        at_most: keep the examples of at most this difficulty, in the task's own unit.

    Raises:
        InvalidInput: the difficulty of a covered example is unknown.
    """
    difficulty = known_difficulty(labels, context, "easiest", "leave the transform out")
    rows = scattered_rows(labels, "easiest")
    rows = rows[labels.covered[rows]]
    if share is None:
        assert at_most is not None
        return keep_rows(labels, rows[difficulty[rows] <= at_most], "easiest")
    rows = rows[np.argsort(difficulty[rows], kind="stable")]
    return keep_rows(labels, rows[: round(share * len(rows))], "easiest")


def _require_number_below_of(*, number: int, of: int, complement: bool) -> None:
    if number >= of:
        raise InvalidInput(f"number is {number}; with of={of} it must be one of 0 to {of - 1}")
    if complement and of == 1:
        raise InvalidInput("complement=True of a single slice is nothing; give of=2 or more")


def part(
    labels: Predictions,
    context: TransformContext,
    *,
    number: Annotated[int, AtLeast(0)],
    of: Annotated[int, AtLeast(1)],
    complement: bool = False,
) -> Predictions:
    """One of several equal random slices: fresh data for each step of bootstrapping (Burns et al. 2023).

    Slice `number` (from 0) of `of`. The slices are disjoint, cover all ids and differ in size by at most one.
    They depend on a hash of the ids alone, over all rows, covered or not: the seed, the labels and earlier
    filters change nothing. Examples of one group may fall into two slices. Answers or probabilities. With
    complement=True it is all other slices, for cross-fitting: what learnt from these labels the rest.
    """
    slices = np.array_split(scattered_rows(labels, "part"), of)
    others = [rows for place, rows in enumerate(slices) if place != number]
    return keep_rows(
        labels, np.concatenate([[], *others]).astype(int) if complement else slices[number], "part"
    )


transforms.add(
    "filter_confidence", Transform(filter_confidence, check=_require_one_filter, needs_probabilities=True)
)
transforms.add("easiest", Transform(easiest, check=_require_one_cut))
transforms.add("part", Transform(part, check=_require_number_below_of, is_by_id=True))
