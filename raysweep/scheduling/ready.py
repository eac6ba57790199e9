"""The runs that may start, in the order in which they should."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from raysweep.planning.graph import PlannedRun
from raysweep.spec.resources import Resources


class ReadyRuns:
    """Runs whose dependencies are finished: those with the longest remaining path first, equal ones in the
    order in which they were named. To find the first takes no longer if there are more."""

    def __init__(self) -> None:
        self._heaps: dict[Resources, list[tuple[float, int, str]]] = {}
        self._remaining: Mapping[str, float] = {}
        self._place: dict[str, int] = {}
        self._taken: set[str] = set()

    def name(self, run_id: str) -> None:
        """Give a run its place in the order, which it keeps."""
        self._place[run_id] = len(self._place)

    def place(self, run_id: str) -> int:
        """The place of a run among all."""
        return self._place[run_id]

    def order_by(self, remaining: Mapping[str, float], runs: Iterable[PlannedRun]) -> None:
        """Make anew of these runs, without those that were taken.

        Args:
            remaining: seconds of the longest remaining path, by run id.
            runs: all that are ready.
        """
        self._remaining = remaining
        self._heaps = {}
        for run in runs:
            if run.id not in self._taken:
                self.add(run)

    def add(self, run: PlannedRun) -> None:
        """A run has become ready."""
        heap = self._heaps.setdefault(run.resources, [])
        heapq.heappush(heap, (-self._remaining.get(run.id, 0.0), self._place[run.id], run.id))

    def take(self, run_id: str) -> None:
        """Take a run out, ready or not."""
        self._taken.add(run_id)

    def put_back(self, run_id: str) -> None:
        """Let a run that was taken be ready again: it is with the next `order_by`."""
        self._taken.discard(run_id)

    def all(self) -> list[str]:
        """The ids of all, in order."""
        found = sorted(item for heap in self._heaps.values() for item in heap if item[2] not in self._taken)
        return [run_id for *_, run_id in found]

    def firsts(self) -> list[str]:
        """The ids of the first of each distinct `Resources`, in order."""
        for heap in self._heaps.values():
            while heap and heap[0][2] in self._taken:
                heapq.heappop(heap)
        return [run_id for *_, run_id in sorted(heap[0] for heap in self._heaps.values() if heap)]
