"""What a metric is: a pure function of one measurement, from saved predictions to named numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from numbers import Real

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput, user_code
from raysweep.predictions import Predictions
from raysweep.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a metric may look at: the same N examples of one split, in the same order in every field.

    Raises:
        InvalidInput: they aren't the same examples, or there are none.
    """

    predicted: Predictions
    truth: Predictions
    """Ground truth: certain class probabilities, or answers."""
    own_labels: Predictions | None = None
    """What the run took for true in its training, on this split; not covered where it has no label. None if
    not asked for."""
    supervisor: Predictions | None = None
    """Predictions of the run that `predicted` is compared with; None where there is none."""
    difficulty: npt.NDArray[np.float64] | None = None
    """(N,) larger is harder, in a unit of the task's own; NaN where unknown. None if unknown of all."""
    allowed: tuple[tuple[str, ...], ...] | None = None
    """(N,) the valid answers to each example, right or wrong; empty where any text is. None where answers
    aren't asked for."""

    def __post_init__(self) -> None:
        for other in (self.truth, self.own_labels, self.supervisor):
            if other is not None:
                require_same_examples(self.predicted, other)
        for name, values in (("difficulty", self.difficulty), ("allowed", self.allowed)):
            if values is not None and len(values) != len(self.predicted):
                raise InvalidInput(f"{name} has {len(values)} entries for {len(self.predicted)} examples")


def require_same_examples(predicted: Predictions, truth: Predictions) -> None:
    """Check that two predictions list the same examples in the same order, at least one.

    Raises:
        InvalidInput: they don't.
    """
    if not len(truth) or not np.array_equal(predicted.ids, truth.ids):
        raise InvalidInput(
            f"predictions of {predicted.source} and {truth.source} aren't of the same examples"
        )


def correct(predicted: Predictions, truth: Predictions) -> npt.NDArray[np.bool_]:
    """(N,) whether each prediction names the true class, or is the true answer; raises as
    `require_same_examples`."""
    require_same_examples(predicted, truth)
    right: npt.NDArray[np.bool_] = predicted.decisions == truth.decisions
    return right


MetricFunction = Callable[[Measurement], Mapping[str, float]]
"""A measurement → finite numbers by name; what is undefined (an empty share, a missing supervisor) is left
out."""

metrics: Registry[MetricFunction] = Registry("metric", Callable)


def measured(measurement: Measurement, names: Iterable[str]) -> dict[str, float]:
    """The numbers of some metrics, by their own names.

    Args:
        measurement: the predictions and what they are compared with.
        names: registered metrics, or `module:object`.

    Raises:
        InvalidInput: a metric is unknown, fails, gives something other than finite numbers, or a name of
        another metric.
    """
    values: dict[str, float] = {}
    for name in names:
        function = metrics.get(name)
        with user_code(f"metric {name!r}") if ":" in name else nullcontext():
            found = function(measurement)
        _require_numbers(name, found)
        twice = ", ".join(key for key in found if key in values)
        if twice:
            raise InvalidInput(
                f"metric {name!r} gives {twice}, which another metric gives too; choose another name"
            )
        values |= {key: float(value) for key, value in found.items()}
    return values


def _require_numbers(name: str, found: object) -> None:
    if not isinstance(found, Mapping):
        raise InvalidInput(
            f"metric {name!r} returned a {type(found).__name__}; it must return a dict of numbers by name"
        )
    for key, value in found.items():
        if not isinstance(key, str) or not key.isidentifier():
            raise InvalidInput(
                f"metric {name!r} names a number {key!r}; a name has letters, digits and underscores only"
            )
        if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not math.isfinite(value):
            raise InvalidInput(
                f"metric {name!r}: {key} is {value!r}; it must be a finite number, or be left out"
            )
