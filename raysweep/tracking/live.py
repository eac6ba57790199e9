"""What a run has told so far, as points: the driver reads it from the run's folder while it trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from raysweep.store import Store
from raysweep.store.progress import read_lines
from raysweep.tracking.curves import CURVE, Point

_NO_METRICS = ("at", "step", "num_steps", "sign")


class LivePoints:
    """Reads on where it has read before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offsets: dict[str, int] = {}

    def of(self, run_id: str) -> list[Point]:
        """The points that a run has told since the last call."""
        lines, self._offsets[run_id] = read_lines(
            self._store.run(run_id).progress, self._offsets.get(run_id, 0)
        )
        return list(_points(lines))


def _points(lines: Iterable[Mapping[str, Any]]) -> Iterable[Point]:
    """Under the names and at the steps that they have in `raysweep.tracking.curves.run_points`."""
    for line in lines:
        step = line.get("step", 0)
        for name, value in line.items():
            if name == "loss":  # of the step before, which is counted from 0
                yield Point(f"{CURVE}training_loss", value, step - 1)
            elif name not in _NO_METRICS:
                yield Point(f"{CURVE}{name}", value, step)
