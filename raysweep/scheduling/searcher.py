"""The searcher that drives Ray Tune: it opens slots, hears from Tune when a run has ended, and tells slots
what to do next.

Tune suggests a trial by asking its searcher. Here a trial is a slot: a process, or a worker group, that
executes one ready run after another of the same resources.
"""

from __future__ import annotations

import time
from typing import Any

from ray.tune.search import Searcher

from raysweep.planning.graph import PlannedRun
from raysweep.scheduling.capacity import ClusterCapacity
from raysweep.scheduling.cluster_size import NodeWait
from raysweep.scheduling.endings import cause_of_death
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.slot import JobBoard
from raysweep.spec.resources import Resources
from raysweep.store import RunStatus

_PATIENCE_SECONDS = 30.0
"""How long a slot without a run waits before it ends, and how long one that hasn't started keeps its run from
those that wait."""
_PAUSE_SECONDS = 0.2
_PAUSE_SECONDS_PER_SLOT = 0.02
"""Time between two requests of a waiting slot. It is longer the more slots wait, since each request takes the
driver a moment."""


class QueueSearcher(Searcher):
    """Opens a slot for a ready run, in the queue's order as far as `ClusterCapacity` allows, and tells slots
    what to do next.

    A slot whose run has ended gets the next run if that needs the slot's resources. If none is ready it waits
    a while, since a new slot would first have to import everything. It ends if the next run, or one that has
    reserved its resources and can't start, needs other resources.
    """

    def __init__(self, queue: RunQueue, wait: NodeWait, jobs: JobBoard) -> None:
        super().__init__()
        self._queue = queue
        self._jobs = jobs
        self._wait = wait
        self._capacity = ClusterCapacity(wait.size)
        self._shapes: dict[str, Resources] = {}
        """Of slots, by Tune's trial."""
        self._runs: dict[str, PlannedRun] = {}
        """What slots are executing."""
        self._started: set[str] = set()
        """Slots."""
        self._opened: dict[str, float] = {}
        """When slots that haven't started were suggested, by the monotonic clock; the earliest first."""
        self._idle_since: dict[str, float] = {}
        self.has_finished = False
        """Whether Tune was told that there is nothing to do now: the queue is complete, or held up."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        self._look_at_cluster()
        if self._queue.is_complete or self._queue.problem or (not self._shapes and not self._can_open()):
            self.has_finished = True
            return Searcher.FINISHED
        while True:
            run = self._capacity.choose(self._queue.candidates())  # of equal resources, all fit or none
            if run is None or run.resources in self._idle():
                return None  # nothing fits, or a slot that waits will take it
            if self._queue.reserve(run):
                break
        shape = self._shapes[trial_id] = run.resources
        self._opened[trial_id] = time.monotonic()
        self._capacity.reserve(shape)
        self._hand(trial_id, 0, run)
        amounts = {"cpus": shape.cpus_per_worker, "gpus": shape.num_gpus}
        return {"jobs": self._jobs.key(trial_id), "num_workers": shape.num_workers, **amounts}

    def on_start(self, trial_id: str) -> None:
        """A slot has started."""
        self._started.add(trial_id)
        self._opened.pop(trial_id, None)
        self._capacity.start(self._shapes[trial_id])
        if trial_id in self._runs:
            self._queue.start(self._runs[trial_id])

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """A slot has taken a step."""
        if trial_id in self._runs:
            self._queue.end(self._runs.pop(trial_id), has_succeeded=True)
        since = self._idle_since.setdefault(trial_id, time.monotonic())
        step = result["training_iteration"]
        shape = self._shapes[trial_id]
        idle = self._idle()
        while True:
            run = self._capacity.choose_without(idle, self._queue.candidates())
            if run is None or run.resources != shape:
                break
            if self._queue.start(run):
                del self._idle_since[trial_id]
                self._hand(trial_id, step, run)
                return
        if run is None and (waiting := self._take_over(shape)) and self._queue.start(waiting):
            del self._idle_since[trial_id]
            self._hand(trial_id, step, waiting)
            return
        is_over = (
            self._queue.is_complete or self._queue.problem or time.monotonic() - since > _PATIENCE_SECONDS
        )
        if is_over or run is not None or self._capacity.is_reserved_for_wider(shape):
            del self._idle_since[trial_id]
            self._jobs.write(trial_id, step, None)
        else:
            self._jobs.write(trial_id, step, max(_PAUSE_SECONDS, _PAUSE_SECONDS_PER_SLOT * len(idle)))

    def cause(self, trial_id: str, told: str) -> str:
        """Why a slot failed, in one line, from what Ray says of it."""
        return cause_of_death(told, self._jobs.where(trial_id))

    def on_error(self, trial_id: str, cause: str) -> None:
        """A slot has failed, and its process with it; it is told after `on_trial_complete`."""
        if trial_id in self._runs:
            self._queue.end(self._runs.pop(trial_id), cause)

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        self._capacity.release(self._shapes.pop(trial_id), has_started=trial_id in self._started)
        self._started.discard(trial_id)
        self._opened.pop(trial_id, None)
        self._idle_since.pop(trial_id, None)
        if trial_id in self._runs and not error:  # it was stopped
            run = self._runs.pop(trial_id)
            if self._queue.runs[run.id].status is RunStatus.RUNNING:
                self._queue.end(run)

    def surplus(self) -> list[str]:
        """The slots that needn't start any more: another one took their run, or there is nothing left to do.
        They would wait for nodes, and make an autoscaler start them."""
        if self._queue.is_complete or self._queue.problem:
            return list(self._opened)
        return [slot for slot in self._opened if slot not in self._runs]

    def _take_over(self, shape: Resources) -> PlannedRun | None:
        """The run of a slot of these resources that has long waited to start."""
        for slot, opened in self._opened.items():
            if time.monotonic() - opened <= _PATIENCE_SECONDS:
                break
            if self._shapes[slot] == shape and slot in self._runs:
                self._jobs.write(slot, 0, None)
                return self._runs.pop(slot)
        return None

    def _look_at_cluster(self) -> None:
        """Use nodes that have joined, count lost ones no longer, and wait for others no longer than the user
        wants."""
        if self._wait.refresh():
            self._capacity.resize(self._wait.size)
            shapes = [run.resources for run in (*self._runs.values(), *self._queue.candidates())]
            if problem := self._wait.problem(shapes):
                self._queue.close(problem)

    def _can_open(self) -> bool:
        """Whether a slot may be opened now. While none is open, Ray Tune would wait for that without looking
        for an interrupt."""
        return self._capacity.choose(self._queue.candidates()) is not None

    def _hand(self, trial_id: str, step: int, run: PlannedRun) -> None:
        self._runs[trial_id] = run
        self._jobs.write(trial_id, step, run)

    def _idle(self) -> list[Resources]:
        """The resources of the slots that wait."""
        return [self._shapes[slot] for slot in self._idle_since]

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the store is the record."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for `Tuner.restore`, which isn't used here."""
        return {}
