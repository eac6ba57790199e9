"""What a transform is: a function from labels to labels, and what it may look at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.registry import Registry

Rows = npt.NDArray[np.int64]
"""Positions in the labels."""


@dataclass(frozen=True)
class TransformContext:
    """What a transform may look at beside the labels."""

    seed: int
    """Of the run that is trained on the labels."""
    difficulty: npt.NDArray[np.float64]
    """(N,) of the labels' examples, larger is harder; NaN where unknown."""
    truth: Callable[[], Predictions]
    """The ground truth of the labels' examples, in their order; for transforms that say that they read it."""

    def rng(self, what: str) -> np.random.Generator:
        """Random numbers that depend on the seed and on `what` alone."""
        return np.random.default_rng([self.seed, *what.encode()])


@dataclass(frozen=True)
class Transform:
    """A function from labels to labels."""

    apply: Callable[..., Predictions]
    """(labels, context, **params) → labels over the same ids."""
    check: Callable[..., None]
    """Called with the parameters when a sweep is planned; raises `InvalidInput` on a bad one."""
    reads_ground_truth: bool = False
    needs_probabilities: bool = False
    """Whether it has nothing to say of answers, and so doesn't fit generative tasks."""


transforms: Registry[Transform] = Registry("transform", Transform)


def no_parameters() -> None:
    """The check of a transform without parameters."""


def require_probabilities(labels: Predictions, name: str) -> None:
    """Refuse answers."""
    if labels.answers is not None:
        raise InvalidInput(f"transform {name!r} needs class probabilities; {labels.source} gives answers")


def known_difficulty(
    labels: Predictions, context: TransformContext, name: str, instead: str
) -> npt.NDArray[np.float64]:
    """(N,) difficulties; refused where a covered example's is unknown."""
    unknown = np.isnan(context.difficulty) & labels.covered
    if unknown.any():
        raise InvalidInput(
            f"transform {name!r}: the difficulty of {unknown.sum()} of {labels.covered.sum()} examples is "
            f"unknown, such as that of {str(labels.ids[unknown.argmax()])!r}; use a task whose examples have "
            f"one, or {instead}"
        )
    return context.difficulty


def rows_by_id(labels: Predictions) -> Rows:
    """The covered rows in the order of their ids."""
    order = np.argsort(labels.ids, kind="stable")
    return order[labels.covered[order]]


def shuffled_rows(labels: Predictions, context: TransformContext, name: str) -> Rows:
    """The covered rows in random order; the first m of it are a part of the first m + 1."""
    rows = rows_by_id(labels)
    return rows[context.rng(name).permutation(len(rows))]


def scattered_rows(labels: Predictions, name: str) -> Rows:
    """All rows in an order that only their ids and `name` decide, but as if at random."""
    keys = [hashlib.sha256(f"{name}:{identifier}".encode()).digest() for identifier in labels.ids]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def keep_rows(labels: Predictions, rows: Rows, name: str) -> Predictions:
    """The labels, of which only those of these rows are still covered."""
    inside = np.zeros(len(labels), dtype=bool)
    inside[rows] = True
    return replace(labels, covered=labels.covered & inside, source=f"{name}({labels.source})")


def with_labels_from(
    labels: Predictions, rows: Rows, other: Predictions, places: Rows, name: str
) -> Predictions:
    """The labels, of which those of `rows` say what `other` says at `places`; weights and coverage stay."""
    probabilities = labels.probabilities.copy()
    probabilities[rows] = other.probabilities[places]
    answers = None
    if labels.answers is not None and other.answers is not None:
        spoken = labels.answers.astype(object)  # a fixed-width array would cut longer answers
        spoken[rows] = other.answers[places]
        answers = spoken.astype(str)
    return replace(labels, probabilities=probabilities, answers=answers, source=f"{name}({labels.source})")
