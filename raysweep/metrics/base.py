"""What a metric is: a pure function of one measurement, from saved predictions to named numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions, read_only
from raysweep.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a metric may read: the same N examples of one split, in the same order in every field.

    Raises:
        InvalidInput: they aren't the same examples, or there are none.
    """

    predicted: Predictions
    truth: Predictions
    """Ground truth: certain class probabilities, or answers."""
    own_labels: Predictions | None = None
    """The labels of this split that the run was trained on; not covered where an example has none. None where
    they aren't compared with."""
    supervisor: Predictions | None = None
    """Predictions of the run that `predicted` is compared with; None where there is none."""
    difficulty: npt.NDArray[np.float64] | None = None
    """(N,) difficulty of the examples, larger is harder, in the task's own unit; NaN where unknown. None if
    it isn't known of any."""
    allowed: tuple[tuple[str, ...], ...] | None = None
    """(N,) the valid answers to each example, right or wrong; empty where any text is valid. None unless the
    task is generative."""

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
"""A measurement → finite numbers by name; undefined numbers (a share of nothing, no supervisor to compare
with) are left out."""

metrics: Registry[MetricFunction] = Registry("metric", Callable)

Compared = Literal["student", "ceiling"]
"""A run of a cell that can be compared with the cell's supervisor."""
_Function = TypeVar("_Function", bound=MetricFunction)
_ATTRIBUTE = "raysweep_declaration"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a metric says of its numbers; see `metric`."""

    columns: Mapping[str, str] | None = None
    compares_with_supervisor: tuple[Compared, ...] = ()


def metric(
    *, columns: Mapping[str, str] | None = None, compares_with_supervisor: Sequence[Compared] = ()
) -> Callable[[_Function], _Function]:
    """A decorator by which a metric, registered or `module:object`, says what results tables need to know.

    Without it, the metric is of one run alone, and each of its numbers has a column of its name in the tables
    of `raysweep measure`.
    A metric that `raysweep measure --metric` adds is known to that command alone; one that the experiment
    registers is known to all.

    Args:
        columns: every number that the metric may give, with the title of its column; "" for none.
        compares_with_supervisor: the runs of a cell that the metric compares with the cell's supervisor,
            whichever supervisor they were trained on. Its numbers have to be declared.

    Raises:
        InvalidInput: a metric that compares with the supervisor declares no numbers.
    """
    if compares_with_supervisor and not columns:
        raise InvalidInput(
            "a metric that compares with the supervisor has to declare its numbers: "
            "@metric(columns={number: title}, compares_with_supervisor=...)"
        )
    found = Declaration(columns=columns, compares_with_supervisor=tuple(compares_with_supervisor))

    def declare(function: _Function) -> _Function:
        setattr(function, _ATTRIBUTE, found)
        return function

    return declare


def declaration(name: str) -> Declaration:
    """What a metric, registered or `module:object`, says of its numbers.

    Raises:
        InvalidInput: the metric is unknown.
    """
    found: Declaration = getattr(metrics.get(name), _ATTRIBUTE, Declaration())
    return found


def measured(measurement: Measurement, names: Iterable[str]) -> dict[str, float]:
    """The numbers of some metrics, by their own names.

    Args:
        measurement: the predictions and what they are compared with.
        names: registered metrics, or `module:object`.

    Raises:
        InvalidInput: a metric is unknown, fails, gives something other than finite numbers, a number that it
            doesn't declare, or one that another metric gives too.
    """
    values: dict[str, float] = {}
    for name in names:
        function = metrics.get(name)
        with metrics.calling(name):
            found = function(measurement if metrics.is_own(name) else _read_only(measurement))
        _require_numbers(name, found, declaration(name))
        twice = ", ".join(key for key in found if key in values)
        if twice:
            raise InvalidInput(
                f"metric {name!r} gives {twice}, which another metric gives too; choose another name"
            )
        values |= {key: float(value) for key, value in found.items()}
    return values


def _read_only(measurement: Measurement) -> Measurement:
    """The same measurement behind arrays that can't be written into: other metrics read it too."""
    difficulty = measurement.difficulty
    return replace(
        measurement,
        predicted=measurement.predicted.read_only(),
        truth=measurement.truth.read_only(),
        own_labels=measurement.own_labels and measurement.own_labels.read_only(),
        supervisor=measurement.supervisor and measurement.supervisor.read_only(),
        difficulty=None if difficulty is None else read_only(difficulty),
    )


def _require_numbers(name: str, found: object, declared: Declaration) -> None:
    if not isinstance(found, Mapping):
        raise InvalidInput(
            f"metric {name!r} returned a {type(found).__name__}; it must return a dict of numbers by name"
        )
    for key, value in found.items():
        if not isinstance(key, str) or not key.isidentifier():
            raise InvalidInput(
                f"metric {name!r} names a number {key!r}; a name has letters, digits and underscores only"
            )
        if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not _is_finite(value):
            raise InvalidInput(
                f"metric {name!r}: {key} is {_shown(value)}; it must be a finite number, or be left out"
            )
    undeclared = [key for key in found if declared.columns is not None and key not in declared.columns]
    if undeclared:
        raise InvalidInput(
            f"metric {name!r} gives {', '.join(undeclared)}, which it doesn't declare; it declares "
            f"{', '.join(declared.columns or ())}"
        )


def _is_finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        return False


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:79]}…"
