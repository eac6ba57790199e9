"""Points of a run that is still being trained. MLflow keeps every value that it is given, so none may be
given twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from raysweep.tracking.curves import CURVE, Point

if TYPE_CHECKING:
    from mlflow import MlflowClient

_Place = tuple[str, int]
"""A metric's name and a step."""


class WrittenPoints:
    """Which points of curves MLflow has of the runs that are being trained."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._places: dict[str, set[_Place]] = {}

    def new(self, mlflow_id: str, points: Iterable[Point]) -> Iterator[Point]:
        """Of the points of a run, those that it doesn't have yet. They count as written from now on."""
        if mlflow_id not in self._places:
            self._places[mlflow_id] = set(self._there(mlflow_id))
        there = self._places[mlflow_id]
        for point in points:
            if (point.name, point.step) not in there:
                there.add((point.name, point.step))
                yield point

    def _there(self, mlflow_id: str) -> Iterator[_Place]:
        for name in self._client.get_run(mlflow_id).data.metrics:
            if name.startswith(CURVE):
                yield from ((name, item.step) for item in self._client.get_metric_history(mlflow_id, name))
