"""Metrics: pure functions from saved predictions to numbers, re-runnable on old results without training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions


def accuracy(predicted: Predictions, truth: Predictions) -> float:
    """Share of examples whose most probable class is the truth's; both cover the same examples in the same order."""
    return float(correct(predicted, truth).mean())


def correct(predicted: Predictions, truth: Predictions) -> npt.NDArray[np.bool_]:
    """(N,) whether each prediction names the true class.

    Raises:
        InvalidInput: the two don't list the same examples in the same order, or there are none.
    """
    if not len(truth) or not np.array_equal(predicted.ids, truth.ids):
        raise InvalidInput(f"predictions of {predicted.source} and {truth.source} aren't of the same examples")
    return predicted.classes == truth.classes


def agreement(student: Predictions, supervisor: Predictions, truth: Predictions) -> dict[str, float | None]:
    """How often the student's class is the supervisor's: over all examples, where the supervisor is right, and where it is
    wrong (Burns et al. 2023, figure 8). None where there is no such example.

    On two classes, accuracy(student) = accuracy(supervisor)·A⁺ + (1 − accuracy(supervisor))·(1 − A⁻).
    """
    same = correct(student, supervisor)
    right = correct(supervisor, truth)
    return {
        "agreement": float(same.mean()),
        "agreement_supervisor_right": float(same[right].mean()) if right.any() else None,
        "agreement_supervisor_wrong": float(same[~right].mean()) if (~right).any() else None,
    }


def performance_gap_recovered(weak: float, student: float, ceiling: float) -> float | None:
    """PGR = (student − weak) / (ceiling − weak) (Burns et al. 2023, section 3); None without a gap to recover."""
    return (student - weak) / (ceiling - weak) if ceiling > weak else None
