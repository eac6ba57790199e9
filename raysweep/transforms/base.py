"""The interface of a transform: a function from labels to labels, and what it may look at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.registry import Registry
from raysweep.spec.parameters import Parameters

Rows = npt.NDArray[np.int64]
"""Row numbers of the labels."""


@dataclass(frozen=True)
class TransformContext:
    """What a transform may look at beside the labels."""

    seed: int
    """Seed of the run that is trained on the labels."""
    difficulty: npt.NDArray[np.float64]
    """(N,) difficulty of the labels' examples, larger is harder; NaN where unknown."""
    truth: Callable[[], Predictions]
    """Returns the ground truth of the labels' examples, in their order; raises `InvalidInput` unless the
    transform declares `reads_ground_truth`."""

    def rng(self, what: str) -> np.random.Generator:
        """A generator of random numbers that is seeded by the run's seed and `what` alone."""
        return np.random.default_rng([self.seed, *what.encode()])


@dataclass(frozen=True)
class Transform:
    """A function from labels to labels."""

    apply: Callable[..., Predictions]
    """(labels, context, **params) → labels over the same ids. Its signature declares its parameters, from
    which they are checked (see `raysweep.spec.parameters`)."""
    _: KW_ONLY
    check: Callable[..., None] | None = None
    """Only for a rule that binds several parameters: see `Parameters.rule`."""
    reads_ground_truth: bool = False
    is_by_id: bool = False
    """Whether what it covers depends on the ids alone, and so is known before there are any labels."""
    needs_probabilities: bool = False
    """Whether it works on class probabilities only, and so not on the answers of generative tasks."""

    @property
    def parameters(self) -> Parameters:
        """The parameters of the transform: those after labels and context."""
        return Parameters(self.apply, num_leading=2, rule=self.check)


transforms: Registry[Transform] = Registry("transform", Transform, of_function=Transform)


def require_probabilities(labels: Predictions, name: str) -> None:
    """Require class probabilities.

    Args:
        labels: the labels to be transformed.
        name: the transform, for the message.

    Raises:
        InvalidInput: the labels are answers.
    """
    if labels.answers is not None:
        raise InvalidInput(f"transform {name!r} needs class probabilities; {labels.source} gives answers")


def known_difficulty(
    labels: Predictions, context: TransformContext, name: str, instead: str
) -> npt.NDArray[np.float64]:
    """(N,) difficulties, known for every covered example.

    Args:
        labels: the labels to be transformed.
        context: holds the difficulties.
        name: the transform, for the message.
        instead: what the user can do about it, for the message.

    Raises:
        InvalidInput: the difficulty of a covered example is unknown.
    """
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
    """The covered rows in a random order that depends on their ids, the run's seed and `name`.

    Transforms take as many of its first rows as they need, so that with one seed a larger share contains a
    smaller one.
    """
    rows = rows_by_id(labels)
    return rows[context.rng(name).permutation(len(rows))]


def scattered_rows(labels: Predictions, name: str) -> Rows:
    """All rows, covered or not, in a pseudorandom order that depends on their ids and `name` alone."""
    keys = [hashlib.sha256(f"{name}:{identifier}".encode()).digest() for identifier in labels.ids]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def keep_rows(labels: Predictions, rows: Rows, name: str) -> Predictions:
    """The labels with coverage restricted to these rows."""
    inside = np.zeros(len(labels), dtype=bool)
    inside[rows] = True
    return replace(labels, covered=labels.covered & inside, source=f"{name}({labels.source})")


def with_labels_from(
    labels: Predictions, rows: Rows, other: Predictions, places: Rows, name: str
) -> Predictions:
    """The labels, with those of `rows` replaced by those of `other` at `places`; weights and coverage stay.

    Args:
        labels: N labels.
        rows: (M,) rows of `labels` to replace.
        other: where the new labels come from.
        places: (M,) rows of `other`, in the order of `rows`.
        name: the transform, for the source of the result.
    """
    probabilities = labels.probabilities.copy()
    probabilities[rows] = other.probabilities[places]
    answers = None
    if labels.answers is not None and other.answers is not None:
        replaced = labels.answers.astype(object)  # a fixed-width array would cut longer answers
        replaced[rows] = other.answers[places]
        answers = replaced.astype(str)
    return replace(labels, probabilities=probabilities, answers=answers, source=f"{name}({labels.source})")
