"""Small tables of labels, and transforms applied to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from raysweep.predictions import Predictions
from raysweep.transforms import TransformContext, transforms


def forbidden() -> Predictions:
    raise AssertionError("ground truth was read")


def context(
    labels: Predictions,
    seed: int = 0,
    difficulty: Sequence[float] | None = None,
    truth: Predictions | None = None,
) -> TransformContext:
    unknown = np.full(len(labels), np.nan)
    hard = unknown if difficulty is None else np.asarray(difficulty, dtype=np.float64)
    return TransformContext(seed, hard, forbidden if truth is None else lambda: truth)


def apply(
    name: str, labels: Predictions, within: TransformContext | None = None, **params: Any
) -> Predictions:
    transform = transforms.get(name)
    transform.parameters.check(params, name)
    return transform.apply(labels, within or context(labels), **params)


def names(number: int) -> list[str]:
    return [f"example {row:05d}" for row in range(number)]


def soft(rows: Sequence[Sequence[float]] | npt.NDArray[np.float64]) -> Predictions:
    return Predictions.of(names(len(rows)), rows, "weak")


def hard(classes: Sequence[int] | npt.NDArray[np.int64], num_classes: int = 2) -> Predictions:
    return Predictions.one_hot(names(len(classes)), classes, num_classes, "weak")


def spoken(answers: Sequence[str]) -> Predictions:
    return Predictions.of_answers(names(len(answers)), answers, "weak")


def without(labels: Predictions, *rows: int) -> Predictions:
    """The labels with these rows not covered."""
    covered = labels.covered.copy()
    covered[list(rows)] = False
    return replace(labels, covered=covered)


def kept(labels: Predictions) -> list[int]:
    """The rows that are covered."""
    return np.flatnonzero(labels.covered).tolist()
