"""The queue: which runs of a plan wait, are ready, run, are done, or have failed. Both runners play on it."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from raysweep.files import read_json
from raysweep.planning.plan import Plan, PlannedRun
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.store.run_folder import RunState


class RunStatus(StrEnum):
    """Where a run stands in this sweep."""

    WAITING = "waiting"
    RUNNING = "running"
    CACHED = "cached"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass
class QueuedRun:
    """A run on the queue."""

    run: PlannedRun
    standing: RunStatus
    reason: str = ""
    """Why it failed, or was stopped."""
    started: float | None = None
    seconds: float | None = None
    """How long it took here."""
    waits_for: set[str] = field(default_factory=set)


Observer = Callable[[QueuedRun], None]

CLOSED = (RunStatus.DONE, RunStatus.STOPPED, RunStatus.FAILED)
"""Where a run stands that has ended here."""


class RunQueue:
    """The runs of a plan; safe to read from a second thread. What is asked for after each run doesn't take
    longer in a larger plan.

    `on_change` is called after each change with the entry that changed.
    """

    def __init__(self, plan: Plan, store: Store, on_change: Observer = lambda entry: None) -> None:
        self.plan = plan
        self.store = store
        self._on_change = on_change
        self._lock = threading.RLock()
        self._entries: dict[str, QueuedRun] = {}
        self._standing: dict[RunStatus, OrderedDict[str, QueuedRun]] = {
            standing: OrderedDict() for standing in RunStatus
        }
        self._dependents: dict[str, list[str]] = {}
        self._place: dict[str, int] = {}
        self._remaining: Mapping[str, float] = {}
        self._reserved: set[str] = set()
        self._ready: dict[Resources, list[tuple[float, int, str]]] = {}
        self._choose: Callable[[PlannedRun], Resources] = lambda run: run.resources
        self.extend(plan)

    def extend(self, plan: Plan) -> None:
        """Put the runs of a larger plan beside those that are here."""
        with self._lock:
            self.plan = plan
            added = [self._add(run) for run in plan.runs.values() if run.id not in self._entries]
            for entry in list(self._standing[RunStatus.STOPPED].values()):
                if not plan.runs[entry.run.id].may_be_stopped:  # a cell needs it now
                    entry.run = replace(plan.runs[entry.run.id], resources=entry.run.resources)
                    entry.reason = ""
                    self._reserved.discard(entry.run.id)
                    self._move(entry, RunStatus.WAITING)
            self.order_by(self._remaining)
        for entry in added:
            lost = [item for item in entry.waits_for if self._entries[item].standing is RunStatus.FAILED]
            if lost and entry.standing is RunStatus.WAITING:
                self._fail(
                    entry, f"run {lost[0]}, which it depends on, failed: {self._entries[lost[0]].reason}"
                )
                self._fail_dependents(entry, entry.reason)

    def _add(self, run: PlannedRun) -> QueuedRun:
        state = self.plan.state(run, self.store)
        entry = QueuedRun(run, RunStatus.CACHED if state is RunState.DONE else RunStatus.WAITING)
        if state is RunState.STOPPED:
            entry.standing = RunStatus.STOPPED
        if entry.standing is RunStatus.WAITING:
            entry.run = replace(run, resources=self._choose(run))
            gone = (RunStatus.CACHED, RunStatus.DONE)
            needed = {item.id for item in run.spec.dependencies}
            entry.waits_for = {item for item in needed if self._entries[item].standing not in gone}
        for dependency in entry.waits_for:
            self._dependents.setdefault(dependency, []).append(run.id)
        self._entries[run.id] = entry
        self._standing[entry.standing][run.id] = entry
        self._place[run.id] = len(self._place)
        return entry

    @property
    def entries(self) -> Mapping[str, QueuedRun]:
        """All runs by id."""
        return self._entries

    def order_by(self, remaining: Mapping[str, float]) -> None:
        """From now on, ready runs come in the order of the longest remaining path, in seconds by id; equal
        ones, and those that aren't named, in the plan's order. `raysweep.estimates.runtime.remaining_seconds`
        estimates it."""
        with self._lock:
            self._remaining = remaining
            self._ready = {}
            for run_id, entry in self._standing[RunStatus.WAITING].items():
                if not entry.waits_for and run_id not in self._reserved:
                    self._add_ready(entry.run)

    def choose_resources(self, choose: Callable[[PlannedRun], Resources]) -> None:
        """Have the resources of every run that waits, and of all that are added, chosen anew."""
        with self._lock:
            self._choose = choose
            for entry in self._standing[RunStatus.WAITING].values():
                entry.run = replace(entry.run, resources=choose(entry.run))
            self.order_by(self._remaining)

    def _add_ready(self, run: PlannedRun) -> None:
        heap = self._ready.setdefault(run.resources, [])
        heapq.heappush(heap, (-self._remaining.get(run.id, 0.0), self._place[run.id], run.id))

    def ready(self) -> list[PlannedRun]:
        """The runs that could start now, those with the longest remaining path first."""
        with self._lock:
            found = sorted(
                item for heap in self._ready.values() for item in heap if item[2] not in self._reserved
            )
            return [self._entries[run_id].run for *_, run_id in found]

    def candidates(self) -> list[PlannedRun]:
        """Of the runs that could start now, the first of each kind of resources, in the order of `ready`."""
        with self._lock:
            for heap in self._ready.values():
                while heap and heap[0][2] in self._reserved:
                    heapq.heappop(heap)
            found = sorted(heap[0] for heap in self._ready.values() if heap)
            return [self._entries[run_id].run for *_, run_id in found]

    def reserve(self, run: PlannedRun) -> None:
        """Give a ready run to somebody who will start it: it isn't ready any more."""
        with self._lock:
            self._reserved.add(run.id)

    @property
    def is_complete(self) -> bool:
        """Whether nothing waits or runs any more."""
        return not self._standing[RunStatus.WAITING] and not self._standing[RunStatus.RUNNING]

    def count(self, standing: RunStatus) -> int:
        """How many runs stand there."""
        return len(self._standing[standing])

    def first(self, standing: RunStatus, count: int) -> list[QueuedRun]:
        """At most that many of the runs that stand there, those that came there first."""
        with self._lock:
            return list(itertools.islice(self._standing[standing].values(), count))

    @property
    def failures(self) -> list[QueuedRun]:
        """The runs that failed, those that failed with what they depend on included, in the plan's order."""
        with self._lock:
            failed = list(self._standing[RunStatus.FAILED].values())
        return sorted(failed, key=lambda entry: self._place[entry.run.id])

    def _move(self, entry: QueuedRun, standing: RunStatus) -> None:
        del self._standing[entry.standing][entry.run.id]
        entry.standing = standing
        self._standing[standing][entry.run.id] = entry

    def start(self, run: PlannedRun) -> None:
        """A run begins; what an earlier try left as its error is removed."""
        with self._lock:
            entry = self._entries[run.id]
            self._reserved.add(run.id)
            self._move(entry, RunStatus.RUNNING)
            entry.started = time.monotonic()
        self.store.run(run.id).error.unlink(missing_ok=True)
        self.store.run(run.id).progress.unlink(missing_ok=True)
        self._on_change(entry)

    def end(self, run: PlannedRun, reason: str = "") -> None:
        """A run has ended; whether it is done is what its files say. If it isn't, its dependents fail with
        it.

        Args:
            run: the run.
            reason: what is known of a failure beyond the run's own error.txt.
        """
        entry = self._entries[run.id]
        entry.seconds = time.monotonic() - (entry.started or time.monotonic())
        state = self.plan.state(run, self.store)
        if state is RunState.STOPPED:
            with self._lock:
                self._reserved.add(run.id)
                self._move(entry, RunStatus.STOPPED)
                entry.reason = str(read_json(self.store.run(run.id).stopped)["reason"])
            self._on_change(entry)
            return
        if state is RunState.DONE:
            with self._lock:
                self._reserved.add(run.id)
                self._move(entry, RunStatus.DONE)
                for dependent in self._dependents.get(run.id, []):
                    waiting = self._entries[dependent]
                    waiting.waits_for.discard(run.id)
                    if not waiting.waits_for and waiting.standing is RunStatus.WAITING:
                        self._add_ready(waiting.run)
            self._on_change(entry)
            return
        paths = self.store.run(run.id)
        if not paths.error.exists():
            paths.folder.mkdir(parents=True, exist_ok=True)
            paths.error.write_text(
                (reason or "the process that trained it died; it may have run out of memory") + "\n"
            )
        cause = paths.failure()
        self._fail(entry, cause)
        self._fail_dependents(
            entry, f"run {run.id} ({run.kind}, {run.spec.model.name}), which it depends on, failed: {cause}"
        )

    def try_again(self, run: PlannedRun, resources: Resources) -> None:
        """A run has ended without a result, and is to be tried again with other resources."""
        with self._lock:
            entry = self._entries[run.id]
            entry.run = replace(entry.run, resources=resources)
            self._reserved.discard(run.id)
            self._move(entry, RunStatus.WAITING)
            self.order_by(self._remaining)
        self._on_change(entry)

    def _fail(self, entry: QueuedRun, reason: str) -> None:
        with self._lock:
            self._reserved.add(entry.run.id)
            self._move(entry, RunStatus.FAILED)
            entry.reason = reason
        self._on_change(entry)

    def _fail_dependents(self, entry: QueuedRun, reason: str) -> None:
        """Fail all that waits for a failed run, directly or not, with the cause at the root."""
        for dependent in self._dependents.get(entry.run.id, []):
            waiting = self._entries[dependent]
            if waiting.standing is RunStatus.WAITING:
                self._fail(waiting, reason)
                self._fail_dependents(waiting, reason)
