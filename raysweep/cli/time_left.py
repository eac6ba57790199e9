"""How long a sweep still takes: as forecast at first, and more and more by what its runs have taken."""

from __future__ import annotations

import time
from collections import defaultdict

from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import QueuedRun
from raysweep.store import RunStatus

_OPEN = (RunStatus.WAITING, RunStatus.RUNNING)
_Like = tuple[str, str]
"""A role and a model."""


class TimeLeft:
    """Keeps count of a queue, so that the runs needn't be gone through at every change."""

    def __init__(self) -> None:
        self._open: dict[str, float] = {}
        """By id, what open runs were expected to take."""
        self._open_by_like: defaultdict[_Like, list[float]] = defaultdict(lambda: [0.0, 0.0])
        """Of open runs: the number, and the seconds that they were expected to take."""
        self._took: defaultdict[_Like, list[float]] = defaultdict(lambda: [0.0, 0.0])
        """Of the runs that were done here: the number, and their seconds."""
        self._expected_of_done = 0.0
        self._most_at_once = 1

    def begin(self, queue: RunQueue) -> None:
        """Count the open runs of a plan, or of one that has grown."""
        self._open.clear()
        self._open_by_like.clear()
        for queued in queue.runs.values():
            if queued.status in _OPEN:
                expected = queue.expected_seconds.get(queued.run.id, 0.0)
                self._open[queued.run.id] = expected
                _add(self._open_by_like[_like(queued)], 1, expected)
        self._most_at_once = max(1, queue.num_at_once)

    def changed(self, queued: QueuedRun) -> None:
        """A run's status has changed."""
        if queued.status in _OPEN:
            return
        expected = self._open.pop(queued.run.id, None)
        if expected is not None:
            _add(self._open_by_like[_like(queued)], -1, -expected)
        if queued.status is RunStatus.DONE:
            _add(self._took[_like(queued)], 1, queued.seconds or 0.0)
            self._expected_of_done += expected or 0.0

    def seconds(self, queue: RunQueue) -> float | None:
        """From what finished runs of the same role and model took; of others, from what was forecast, times
        the error of the forecast so far. None if there is nothing to tell it by."""
        num_done = sum(number for number, _ in self._took.values())
        took = sum(seconds for _, seconds in self._took.values())
        if not num_done and not any(self._open.values()):
            return None
        error = took / self._expected_of_done if self._expected_of_done else 1.0
        total = 0.0
        for like, (number, expected) in self._open_by_like.items():
            done, seconds = self._took.get(like, (0.0, 0.0))
            forecast = expected * error if expected else number * took / max(1.0, num_done)
            total += number * seconds / done if done else forecast
        running = queue.first(RunStatus.RUNNING, queue.count(RunStatus.RUNNING))
        now = time.monotonic()
        total -= sum(min(self._mean(queued, error), now - (queued.started or now)) for queued in running)
        self._most_at_once = max(self._most_at_once, len(running))
        return max(0.0, total) / max(1, min(self._most_at_once, len(self._open)))

    def _mean(self, queued: QueuedRun, error: float) -> float:
        done, seconds = self._took.get(_like(queued), (0.0, 0.0))
        return seconds / done if done else error * self._open.get(queued.run.id, 0.0)


def _add(pair: list[float], number: float, seconds: float) -> None:
    pair[0] += number
    pair[1] += seconds


def _like(queued: QueuedRun) -> _Like:
    return queued.run.role, queued.run.spec.model.name
