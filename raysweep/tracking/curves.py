"""The numbers of runs and cells as points: final numbers, and curves by step, thinned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from raysweep.data.inputs import RunInputs
from raysweep.planning.graph import PlannedCell
from raysweep.results.from_store import CellReader
from raysweep.results.measure import measure_curve

CURVE = "curve/"
"""Prefix of the names of curves. All other names are final numbers."""
_MAX_POINTS = 200
"""Points of one curve: more than a screen shows, few enough that a thousand runs load quickly."""


class Point(NamedTuple):
    """One value of a metric."""

    name: str
    value: float
    step: int = 0


def run_points(inputs: RunInputs) -> Iterator[Point]:
    """The numbers and curves of a run that is done."""
    folder = inputs.store.run(inputs.spec.id)
    result = folder.read_result()
    yield from _numbers(result["info"], result["metrics"])
    training = _thinned(pd.read_parquet(folder.verified(folder.training_curve)))
    for name in ("loss", "learning_rate"):
        values = zip(training[name], training["step"], strict=True)
        yield from (Point(f"{CURVE}training_{name}", float(value), int(step)) for value, step in values)
    yield from _evaluation_points(measure_curve(inputs))


def stopped_points(stopped: Mapping[str, Any], metric: str) -> Iterator[Point]:
    """The numbers of a run that a search stopped early, and the curve that it was judged by.

    Args:
        stopped: the content of its stopped.json.
        metric: the name of the number on the curve.
    """
    yield from _numbers(stopped["info"], stopped["metrics"])
    yield from (Point(f"{CURVE}{metric}", float(signal), int(step)) for step, _, signal in stopped["history"])


def cell_points(cell: PlannedCell, reader: CellReader) -> Iterator[Point]:
    """The numbers and curves of a cell whose supervisor, student and ceiling are done."""
    yield from (Point(name, value) for name, value in reader.numbers(cell).items())
    for name, curve in reader.curves(cell).items():
        points = (curve[index] for index in _kept(len(curve)))
        yield from (Point(f"{CURVE}{name}", value, step) for step, value in points)


def _numbers(info: Mapping[str, Any], metrics: Mapping[str, float]) -> Iterator[Point]:
    numbers = {name: value for name, value in info.items() if isinstance(value, int | float)}
    numbers.pop("finished_at", None)
    yield from (Point(name, float(value)) for name, value in (numbers | dict(metrics)).items())


def _evaluation_points(curve: pd.DataFrame) -> Iterator[Point]:
    for row in _thinned(curve).to_dict("records"):
        step = int(row.pop("step"))
        defined = {name: float(value) for name, value in row.items() if np.isfinite(value)}
        yield from (Point(f"{CURVE}{name}", value, step) for name, value in defined.items())


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    return curve.iloc[_kept(len(curve))]


def _kept(num_points: int) -> list[int]:
    """Indices of the points of a curve that are kept: the first, the last, and evenly spaced ones between, at
    most `_MAX_POINTS` in all."""
    num_kept = min(num_points, _MAX_POINTS)
    return np.unique(np.linspace(0, num_points - 1, num_kept).round().astype(int)).tolist()
