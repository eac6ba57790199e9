"""The metrics of a raysweep run in MLflow: its final numbers, and its curves by step, thinned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from raysweep.data.inputs import RunInputs
from raysweep.results.measure import measure_curve
from raysweep.spec import RunSpec
from raysweep.store import Store

_MAX_POINTS = 200
"""Points of one curve: more than a screen shows, few enough that a thousand runs load quickly."""


class Point(NamedTuple):
    """One value of a metric."""

    name: str
    value: float
    step: int = 0


def run_points(spec: RunSpec, store: Store) -> Iterator[Point]:
    """A finished run's numbers by name, and its curves as `curve/…`."""
    paths = store.run(spec.id)
    result = paths.read_result()
    numbers = {
        name: value
        for name, value in result["info"].items()
        if isinstance(value, int | float) and name != "finished_at"
    }
    yield from (Point(name, float(value)) for name, value in (numbers | result["metrics"]).items())
    training = _thinned(pd.read_parquet(paths.verified(paths.training_curve)))
    for name in ("loss", "learning_rate"):
        values = zip(training[name], training["step"], strict=True)
        yield from (Point(f"curve/training_{name}", float(value), int(step)) for value, step in values)
    yield from _evaluation_points(measure_curve(RunInputs(spec, store)))


def stopped_points(stopped: Mapping[str, Any], metric: str) -> Iterator[Point]:
    """The numbers of a run that a search ended early, and the curve that it was judged by.

    Args:
        stopped: the content of its stopped.json.
        metric: the number that the curve is of.
    """
    numbers = {name: value for name, value in stopped["info"].items() if isinstance(value, int | float)}
    numbers.pop("finished_at", None)
    yield from (Point(name, float(value)) for name, value in (numbers | stopped["metrics"]).items())
    yield from (Point(f"curve/{metric}", float(signal), int(step)) for step, _, signal in stopped["history"])


def _evaluation_points(curve: pd.DataFrame) -> Iterator[Point]:
    for row in _thinned(curve).to_dict("records"):
        step = int(row.pop("step"))
        yield from (
            Point(f"curve/{name}", float(value), step) for name, value in row.items() if np.isfinite(value)
        )


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    return curve.iloc[kept(len(curve))]


def kept(num_points: int) -> list[int]:
    """Which points of a curve are shown: the first and the last one, and as many evenly between as there is
    room for."""
    return np.unique(
        np.linspace(0, num_points - 1, min(num_points, _MAX_POINTS)).round().astype(int)
    ).tolist()
