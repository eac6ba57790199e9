"""The queue: the status of every run of a plan, and which of them may start. A state machine that every
runner uses."""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace

from raysweep.errors import RaysweepError
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan
from raysweep.scheduling.endings import Tries, cause_of_end, may_be_tried_again
from raysweep.scheduling.ownership import Ownership
from raysweep.scheduling.queued_run import QueuedRun
from raysweep.scheduling.ready import ReadyRuns
from raysweep.spec.resources import Resources
from raysweep.store import RunStatus, Store
from raysweep.store.lease import Holder

_PAUSE_SECONDS = 0.2


class RunQueue:
    """The runs of a plan. Safe to read from a second thread.

    Args:
        plan: the runs; `extend` adds those of a larger plan.
        store: where their files are.
        on_change: called after each change with the run. A `RaysweepError` that it raises closes the queue.
    """

    def __init__(
        self, plan: Plan, store: Store, on_change: Callable[[QueuedRun], None] = lambda queued: None
    ) -> None:
        self.plan = plan
        self.store = store
        self.expected_seconds: Mapping[str, float] = {}
        self.num_at_once = 1
        self.problem: RaysweepError | None = None
        """Why the queue hands out no more runs, if it was closed."""
        self._on_change = on_change
        self._lock = threading.RLock()
        self._queued: dict[str, QueuedRun] = {}
        self._by_status: dict[RunStatus, OrderedDict[str, QueuedRun]] = {
            status: OrderedDict() for status in RunStatus
        }
        self._dependents: dict[str, list[str]] = {}
        self._ready = ReadyRuns()
        self._remaining: Mapping[str, float] = {}
        self.ownership = Ownership(store)
        self._tries = Tries()
        self._choose: Callable[[PlannedRun], Resources] = lambda run: run.resources
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
                    self._ready.put_back(run.id)
                    self._move(queued, RunStatus.WAITING)
            self.order_by(self._remaining)
        for queued in added:
            lost = [item for item in queued.waits_for if self._queued[item].status is RunStatus.FAILED]
            if lost and queued.status is RunStatus.WAITING:
                queued.is_lost = (of := self._queued[lost[0]]).is_lost
                reason = f"run {lost[0]}, which it depends on, failed: {of.reason}"
                self._fail_all(queued, reason, reason, is_dependent=True)

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
        self._ready.name(run.id)
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
            waiting = self._by_status[RunStatus.WAITING].values()
            self._ready.order_by(remaining, (queued.run for queued in waiting if not queued.waits_for))

    def choose_resources(self, choose: Callable[[PlannedRun], Resources]) -> None:
        """Replace the resources of every waiting run, and of every run that is added later."""
        with self._lock:
            self._choose = choose
            for queued in self._by_status[RunStatus.WAITING].values():
                queued.run = replace(queued.run, resources=choose(queued.run))
            self.order_by(self._remaining)

    def ready(self) -> list[PlannedRun]:
        """The runs that could start now, the longest remaining path first."""
        return self._listed(self._ready.all)

    def candidates(self) -> list[PlannedRun]:
        """Of the runs that could start now, the first of each distinct `Resources`, in the same order."""
        return self._listed(self._ready.firsts)

    def _listed(self, which: Callable[[], list[str]]) -> list[PlannedRun]:
        self._look_again()
        with self._lock:
            return [] if self.problem else [self._queued[run_id].run for run_id in which()]

    @property
    def is_held_up(self) -> bool:
        """Whether nothing runs and nothing can start, since other sweeps execute what is left, or lost runs
        pause before their next try."""
        return not (self.candidates() or self.count(RunStatus.RUNNING) or self.is_complete)

    def wait(self) -> None:
        """Wait while `is_held_up`."""
        while self.is_held_up:
            time.sleep(_PAUSE_SECONDS)

    def _look_again(self) -> None:
        for run_id in self._tries.due():
            self._wait_again(self._queued[run_id])
        try:
            ended = self.ownership.ended_elsewhere()
        except RaysweepError as error:  # as in `end`
            self.close(error)
            return
        for run_id, status in ended.items():
            queued = self._queued[run_id]
            if status in (RunStatus.DONE, RunStatus.STOPPED):
                self._settle(queued, RunStatus.CACHED if status is RunStatus.DONE else status)
            elif status is RunStatus.FAILED and not may_be_tried_again(self.store.run(run_id).failure()):
                cause = self.store.run(run_id).failure()
                self._fail(queued, f"in another sweep, which executed it: {cause}")
            else:
                self._wait_again(queued)

    def reserve(self, run: PlannedRun) -> bool:
        """Take a ready run out of the candidates, for this sweep alone, before it is started.

        Returns:
            Whether it is to be started: not if another sweep on the store executes it, or has just ended it.
            Until the other has ended it, or is dead, it isn't among the candidates.
        """
        queued = self._queued[run.id]
        try:
            with self._lock:
                self._ready.take(run.id)
                taken = self.ownership.take(run)
        except RaysweepError as error:  # as in `end`
            self.close(error)
            return False
        if isinstance(taken, Holder):
            self._leave(queued, taken)
        elif taken is not RunStatus.WAITING:
            self._settle(queued, RunStatus.CACHED if taken is RunStatus.DONE else taken)
        return taken is RunStatus.WAITING

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
        return sorted(failed, key=lambda queued: self._ready.place(queued.run.id))

    def _move(self, queued: QueuedRun, status: RunStatus, reason: str = "") -> None:
        del self._by_status[queued.status][queued.run.id]
        queued.status, queued.reason = status, reason
        self._by_status[status][queued.run.id] = queued

    def _leave(self, queued: QueuedRun, holder: Holder) -> None:
        with self._lock:
            self._move(queued, RunStatus.WAITING, f"another sweep executes it: {holder}")
        self._tell(queued)

    def start(self, run: PlannedRun) -> bool:
        """A run starts, if it may: see `reserve`. The error of an earlier try is removed."""
        if not self.reserve(run):
            return False
        queued = self._queued[run.id]
        with self._lock:
            self._move(queued, RunStatus.RUNNING)
            queued.started = time.monotonic()
        try:
            self.store.run(run.id).forget_earlier_try()
        except RaysweepError as error:  # as in `end`
            self.close(error)
        self._tell(queued)
        return True

    def end(self, run: PlannedRun, reason: str = "", *, has_succeeded: bool = False) -> None:
        """A run has ended. Its files tell whether it is done; if it isn't, the runs that depend on it fail
        too, unless it is tried again: with a larger share if it ran out of memory while it shared a GPU, or
        after a pause if it was lost to the machine, the network or the store (see `endings`). `reason` is
        what is known of a run that left no error.txt; `has_succeeded`, that its processes ended well."""
        queued = self._queued[run.id]
        queued.seconds = time.monotonic() - (queued.started or time.monotonic())
        folder = self.store.run(run.id)
        if larger := self._tries.larger(run, folder):
            self.ownership.lose(run)
            self._wait_again(queued, larger)
            return
        try:
            if holder := self.ownership.overtaken_by(run):
                self._leave(queued, holder)
                return
            status = self.ownership.status_at_end(run, has_succeeded=has_succeeded)
            is_over = status in (RunStatus.STOPPED, RunStatus.DONE)
            cause, is_lost = ("", False) if is_over else cause_of_end(folder, reason)
            # Of a queue that was closed, as when the cluster is lost, the next command tries again.
            if has_another := is_lost and (self.problem is not None or self._tries.again(run.id)):
                folder.forget_earlier_try()
        except RaysweepError as error:  # the store can't be trusted; raised in here, Ray Tune would bury it
            self._fail(queued, str(error))
            self.close(error)
            return
        if has_another:
            self.ownership.lose(run)
            with self._lock:
                reason = f"{self._tries.of(run.id)} was lost, another follows: {cause}"
                self._move(queued, RunStatus.WAITING, reason)
            self._tell(queued)
            return
        self.ownership.release(run, is_over=not is_lost)
        if is_over:
            self._settle(queued, status)
        else:
            self._fail(queued, f"{cause} ({self._tries.of(run.id)})" if is_lost else cause, is_lost=is_lost)

    def _settle(self, queued: QueuedRun, status: RunStatus) -> None:
        """A run is done, here or elsewhere, or was stopped."""
        with self._lock:
            self._ready.take(queued.run.id)
            self._move(queued, status)
            if status is RunStatus.STOPPED:
                queued.reason = str(self.store.run(queued.run.id).read_stopped()["reason"])
            for dependent in self._dependents.get(queued.run.id, []) if status.is_finished else []:
                waiting = self._queued[dependent]
                waiting.waits_for.discard(queued.run.id)
                if not waiting.waits_for and waiting.status is RunStatus.WAITING:
                    self._ready.add(waiting.run)
        self._tell(queued)

    def _wait_again(self, queued: QueuedRun, resources: Resources | None = None) -> None:
        with self._lock:
            queued.run = replace(queued.run, resources=resources or queued.run.resources)
            self._ready.put_back(queued.run.id)
            self._move(queued, RunStatus.WAITING)
            self.order_by(self._remaining)
        self._tell(queued)

    def _fail(self, queued: QueuedRun, cause: str, *, is_lost: bool = False) -> None:
        run, queued.is_lost = queued.run, is_lost
        what = f"run {run.id} ({run.role}, {run.spec.model.name}), which it depends on, failed: {cause}"
        self._fail_all(queued, cause, what)

    def _fail_all(
        self, queued: QueuedRun, reason: str, for_dependents: str, *, is_dependent: bool = False
    ) -> None:
        """Fail a run, and all that wait for it, directly or not, with the first cause as their reason."""
        with self._lock:
            queued.is_dependent = is_dependent
            self._ready.take(queued.run.id)
            self._move(queued, RunStatus.FAILED, reason)
        self._tell(queued)
        for dependent in self._dependents.get(queued.run.id, []):
            waiting = self._queued[dependent]
            if waiting.status is RunStatus.WAITING:
                waiting.is_lost = queued.is_lost
                self._fail_all(waiting, for_dependents, for_dependents, is_dependent=True)

    def _tell(self, queued: QueuedRun) -> None:
        try:
            self._on_change(queued)
        except RaysweepError as error:  # what runs is finished first, whichever runner runs it
            self.close(error)
