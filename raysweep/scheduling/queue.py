"""The queue: the status of every run of a plan, and which of them may start. A state machine that every
runner uses."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from raysweep.errors import RaysweepError
from raysweep.estimates.gpu_sharing import with_more_memory
from raysweep.files import storage
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan
from raysweep.spec.resources import Resources
from raysweep.store import RunFolder, RunStatus, Store


@dataclass
class QueuedRun:
    """A run in the queue."""

    run: PlannedRun
    status: RunStatus
    """WAITING, RUNNING, CACHED, DONE, STOPPED or FAILED."""
    reason: str = ""
    """Why it failed or was stopped."""
    started: float | None = None
    """By the monotonic clock."""
    seconds: float | None = None
    """How long it took here."""
    waits_for: set[str] = field(default_factory=set)
    """Ids of the runs it depends on that aren't finished."""


ENDED = (RunStatus.DONE, RunStatus.STOPPED, RunStatus.FAILED)
"""Statuses of a run that has ended in this process."""


class RunQueue:
    """The runs of a plan. Safe to read from a second thread. Finding the next run takes no longer in a larger
    plan.

    Args:
        plan: the runs; `extend` adds those of a larger plan.
        store: where their files are.
        on_change: called after each change with the run that changed. A `RaysweepError` that it raises closes
        the queue.
    """

    def __init__(
        self, plan: Plan, store: Store, on_change: Callable[[QueuedRun], None] = lambda queued: None
    ) -> None:
        self.plan = plan
        self.store = store
        self.problem: RaysweepError | None = None
        """Why the queue hands out no more runs, if it was closed."""
        self._on_change = on_change
        self._lock = threading.RLock()
        self._queued: dict[str, QueuedRun] = {}
        self._by_status: dict[RunStatus, OrderedDict[str, QueuedRun]] = {
            status: OrderedDict() for status in RunStatus
        }
        self._dependents: dict[str, list[str]] = {}
        self._place: dict[str, int] = {}
        self._remaining: Mapping[str, float] = {}
        self._reserved: set[str] = set()
        self._ready: dict[Resources, list[tuple[float, int, str]]] = {}
        self._choose: Callable[[PlannedRun], Resources] = lambda run: run.resources
        self._enlarged: set[str] = set()
        """Runs that were given more of a GPU after they ran out of its memory."""
        self.extend(plan)

    def extend(self, plan: Plan) -> None:
        """Add the runs of a larger plan that aren't in the queue yet."""
        with self._lock:
            self.plan = plan
            added = [self._add(run) for run in plan.runs.values() if run.id not in self._queued]
            for queued in list(self._by_status[RunStatus.STOPPED].values()):
                run = plan.runs[queued.run.id]
                if not run.may_be_stopped:  # a cell needs it now
                    queued.run = replace(run, resources=queued.run.resources)
                    queued.reason = ""
                    self._reserved.discard(run.id)
                    self._move(queued, RunStatus.WAITING)
            self.order_by(self._remaining)
        for queued in added:
            lost = [item for item in queued.waits_for if self._queued[item].status is RunStatus.FAILED]
            if lost and queued.status is RunStatus.WAITING:
                cause = self._queued[lost[0]].reason
                self._fail(queued, f"run {lost[0]}, which it depends on, failed: {cause}")
                self._fail_dependents(queued, queued.reason)

    def _add(self, run: PlannedRun) -> QueuedRun:
        status = run.status(self.store)
        if status is RunStatus.DONE:
            status = RunStatus.CACHED
        elif status is not RunStatus.STOPPED:
            status = RunStatus.WAITING
        queued = QueuedRun(run, status)
        if status is RunStatus.WAITING:
            queued.run = replace(run, resources=self._choose(run))
            dependencies = {item.id for item in run.spec.dependencies}
            queued.waits_for = {item for item in dependencies if not self._queued[item].status.is_finished}
        for dependency in queued.waits_for:
            self._dependents.setdefault(dependency, []).append(run.id)
        self._queued[run.id] = queued
        self._by_status[status][run.id] = queued
        self._place[run.id] = len(self._place)
        return queued

    @property
    def runs(self) -> Mapping[str, QueuedRun]:
        """All runs by id."""
        return self._queued

    def order_by(self, remaining: Mapping[str, float]) -> None:
        """Hand out ready runs in the order of the longest remaining path, in seconds by run id. Equal ones,
        and those that aren't named, come in the plan's order. `raysweep.estimates.runtime.remaining_seconds`
        estimates it."""
        with self._lock:
            self._remaining = remaining
            self._ready = {}
            for run_id, queued in self._by_status[RunStatus.WAITING].items():
                if not queued.waits_for and run_id not in self._reserved:
                    self._add_ready(queued.run)

    def choose_resources(self, choose: Callable[[PlannedRun], Resources]) -> None:
        """Replace the resources of every waiting run, and of every run that is added later."""
        with self._lock:
            self._choose = choose
            for queued in self._by_status[RunStatus.WAITING].values():
                queued.run = replace(queued.run, resources=choose(queued.run))
            self.order_by(self._remaining)

    def _add_ready(self, run: PlannedRun) -> None:
        heap = self._ready.setdefault(run.resources, [])
        heapq.heappush(heap, (-self._remaining.get(run.id, 0.0), self._place[run.id], run.id))

    def ready(self) -> list[PlannedRun]:
        """The runs that could start now, the longest remaining path first."""
        with self._lock:
            if self.problem:
                return []
            found = sorted(
                item for heap in self._ready.values() for item in heap if item[2] not in self._reserved
            )
            return [self._queued[run_id].run for *_, run_id in found]

    def candidates(self) -> list[PlannedRun]:
        """Of the runs that could start now, the first of each distinct `Resources`, in the order of
        `ready`."""
        with self._lock:
            if self.problem:
                return []
            for heap in self._ready.values():
                while heap and heap[0][2] in self._reserved:
                    heapq.heappop(heap)
            found = sorted(heap[0] for heap in self._ready.values() if heap)
            return [self._queued[run_id].run for *_, run_id in found]

    def reserve(self, run: PlannedRun) -> None:
        """Take a ready run out of the candidates before it is started."""
        with self._lock:
            self._reserved.add(run.id)

    def close(self, problem: RaysweepError) -> None:
        """Hand out no more runs: the plan can't go on. Of several problems the first one is kept."""
        with self._lock:
            self.problem = self.problem or problem

    @property
    def is_complete(self) -> bool:
        """Whether nothing runs, and nothing waits that will be handed out."""
        with self._lock:
            return not self._by_status[RunStatus.RUNNING] and (
                self.problem is not None or not self._by_status[RunStatus.WAITING]
            )

    def count(self, status: RunStatus) -> int:
        """The number of runs with a status."""
        return len(self._by_status[status])

    def first(self, status: RunStatus, count: int) -> list[QueuedRun]:
        """At most `count` of the runs with a status, those that got it first."""
        with self._lock:
            return list(itertools.islice(self._by_status[status].values(), count))

    @property
    def failures(self) -> list[QueuedRun]:
        """The runs that failed, and those that can't run since they depend on one, in the plan's order."""
        with self._lock:
            failed = list(self._by_status[RunStatus.FAILED].values())
        return sorted(failed, key=lambda queued: self._place[queued.run.id])

    def _move(self, queued: QueuedRun, status: RunStatus) -> None:
        del self._by_status[queued.status][queued.run.id]
        queued.status = status
        self._by_status[status][queued.run.id] = queued

    def start(self, run: PlannedRun) -> None:
        """A run starts. The error of an earlier try is removed."""
        with self._lock:
            queued = self._queued[run.id]
            self._reserved.add(run.id)
            self._move(queued, RunStatus.RUNNING)
            queued.started = time.monotonic()
        try:
            self._forget_earlier_try(self.store.run(run.id))
        except RaysweepError as error:  # as in `end`
            self.close(error)
        self._tell(queued)

    @staticmethod
    def _forget_earlier_try(folder: RunFolder) -> None:
        if lock := folder.lock(wait=False):  # else another sweep is executing it
            with lock, storage(folder.folder):
                folder.error.unlink(missing_ok=True)
                folder.progress.unlink(missing_ok=True)

    def end(self, run: PlannedRun, reason: str = "") -> None:
        """A run has ended. Its files tell whether it is done; if it isn't, the runs that depend on it fail
        too.

        A run that ran out of memory while it shared a GPU is tried once more with a larger share.

        Args:
            run: the run.
            reason: what is known of a failure, for a run that left no error.txt.
        """
        queued = self._queued[run.id]
        queued.seconds = time.monotonic() - (queued.started or time.monotonic())
        folder = self.store.run(run.id)
        larger = with_more_memory(run.resources, folder) if run.id not in self._enlarged else None
        if larger is not None:
            self._enlarged.add(run.id)
            self._try_again(queued, larger)
            return
        try:
            status = run.status(self.store)
            stopped = str(folder.read_stopped()["reason"]) if status is RunStatus.STOPPED else ""
            if status not in (RunStatus.STOPPED, RunStatus.DONE):
                folder.tell_failure(
                    reason or "the process that trained it died; it may have run out of memory"
                )
        except RaysweepError as error:  # the store can't be trusted; raised in here, Ray Tune would bury it
            self._fail(queued, str(error))
            self.close(error)
            return
        if status is RunStatus.STOPPED:
            with self._lock:
                self._reserved.add(run.id)
                self._move(queued, status)
                queued.reason = stopped
            self._tell(queued)
        elif status is RunStatus.DONE:
            self._finish(queued)
        else:
            cause = folder.failure()
            self._fail(queued, cause)
            what = f"run {run.id} ({run.role}, {run.spec.model.name}), which it depends on, failed: {cause}"
            self._fail_dependents(queued, what)

    def _finish(self, queued: QueuedRun) -> None:
        with self._lock:
            self._reserved.add(queued.run.id)
            self._move(queued, RunStatus.DONE)
            for dependent in self._dependents.get(queued.run.id, []):
                waiting = self._queued[dependent]
                waiting.waits_for.discard(queued.run.id)
                if not waiting.waits_for and waiting.status is RunStatus.WAITING:
                    self._add_ready(waiting.run)
        self._tell(queued)

    def _try_again(self, queued: QueuedRun, resources: Resources) -> None:
        with self._lock:
            queued.run = replace(queued.run, resources=resources)
            self._reserved.discard(queued.run.id)
            self._move(queued, RunStatus.WAITING)
            self.order_by(self._remaining)
        self._tell(queued)

    def _fail(self, queued: QueuedRun, reason: str) -> None:
        with self._lock:
            self._reserved.add(queued.run.id)
            self._move(queued, RunStatus.FAILED)
            queued.reason = reason
        self._tell(queued)

    def _fail_dependents(self, queued: QueuedRun, reason: str) -> None:
        """Fail all runs that wait for a failed one, directly or not, with the first cause as their reason."""
        for dependent in self._dependents.get(queued.run.id, []):
            waiting = self._queued[dependent]
            if waiting.status is RunStatus.WAITING:
                self._fail(waiting, reason)
                self._fail_dependents(waiting, reason)

    def _tell(self, queued: QueuedRun) -> None:
        try:
            self._on_change(queued)
        except RaysweepError as error:  # what runs is finished first, whichever runner runs it
            self.close(error)
