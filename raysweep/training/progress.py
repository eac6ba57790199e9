"""What a run tells of itself while it trains, into its folder: the driver, `raysweep status` and the tracking
system read it there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pandas as pd

from raysweep.data.inputs import RunInputs
from raysweep.errors import StorageFailed
from raysweep.results.measure import point_measurer
from raysweep.store.progress import append_line

if TYPE_CHECKING:
    from raysweep.training.history import History

_LEAST_SECONDS = 1.0
_MOST_SECONDS = 10.0
_SHARE = 0.01
"""Between two lines passes this share of the time so far, within the bounds above: a table changes by the
second, and a run of a week writes some 60,000 lines."""
_SILENT_SECONDS = 15.0
"""Without a line, before a sign of life makes one."""


class _Pace:
    """Whether it is time for another line of a kind."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last = -_MOST_SECONDS

    def is_due(self) -> bool:
        now = time.monotonic()
        pause = min(max(_SHARE * (now - self._began), _LEAST_SECONDS), _MOST_SECONDS)
        if now - self._last < pause:
            return False
        self._last = now
        return True


class ProgressWriter:
    """Writes the progress of a run, in the process of rank 0."""

    def __init__(self, inputs: RunInputs) -> None:
        self._inputs = inputs
        self._path = inputs.store.run(inputs.spec.id).progress
        self._path.unlink(missing_ok=True)  # of an earlier try
        self._training, self._points = _Pace(), _Pace()
        self._written = -_SILENT_SECONDS
        self._num_points: int | None = None
        """So far; None before the first report, which a resumed run begins with those of before."""
        self._measurers: dict[str, Callable[[pd.DataFrame], dict[str, float]]] = {}

    def report(self, step: int, num_steps: int, history: History) -> None:
        """See `raysweep.training.loop.Report`."""
        done = {"step": step, "num_steps": num_steps}
        num_points = sum(map(len, history.points.values()))
        is_point = self._num_points is not None and num_points > self._num_points
        self._num_points = num_points
        if is_point and self._points.is_due():
            self._append(done | self._measured(history))
        elif not is_point and self._training.is_due():
            losses = history.training["loss"]
            self._append(done | ({"loss": losses[-1]} if losses else {}))

    def sign(self, what: str) -> None:
        """A sign of life, told where reports are far between: see `raysweep.training.watchdog.alive`."""
        if time.monotonic() - self._written >= _SILENT_SECONDS:
            self._append({"sign": what})

    def _append(self, content: Mapping[str, Any]) -> None:
        with suppress(StorageFailed):  # a line for who watches ends no run
            append_line(self._path, content)
        self._written = time.monotonic()

    def _measured(self, history: History) -> dict[str, float]:
        """The metrics of the last point of each split."""
        found: dict[str, float] = {}
        for split, points in history.points.items():
            if split not in self._measurers:
                self._measurers[split] = point_measurer(self._inputs, split)
            found |= self._measurers[split](points[-1])
        return found
