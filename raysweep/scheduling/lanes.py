"""Lanes, which are the trials of Ray Tune: a process, or a worker group, that executes one ready run after another of the same
resources. A `Searcher` opens one for a ready run that fits, hears from Tune when a run has ended, and says what is next.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.tune.search import Searcher

from raysweep.errors import RaysweepError
from raysweep.packing import with_more_memory
from raysweep.plan import PlannedRun
from raysweep.resources import Resources
from raysweep.scheduling.board import Board
from raysweep.scheduling.room import Room
from raysweep.search.stopping import Reports
from raysweep.training.execute import Job

_PATIENCE_SECONDS = 30.0
"""How long a lane waits for a run."""
_PAUSE_SECONDS, _PAUSE_SECONDS_PER_LANE = 0.2, 0.02
"""Between two times that a waiting lane asks: longer the more of them there are, since each time takes the driver a moment."""


class Jobs:
    """Files that say what a lane does in each of its steps, written before Ray Tune has it take the step.

    A step has a file of its own: one that was written anew could be read as it was before, on a network's file system.
    """

    def __init__(self, board: Board, code: Mapping[str, Any], referee: Reports | None, folder: Path) -> None:
        self._board = board
        self._code = code
        self._referee = referee
        self._folder = folder
        folder.mkdir(parents=True)

    def path(self, lane: str) -> str:
        """Where a lane's files are, less the number of the step."""
        return str(self._folder / lane)

    def write(self, lane: str, step: int, what: PlannedRun | float | None) -> None:
        """What a lane does in a step: a run, or wait for so many seconds; None is its end."""
        job = Job.of(what, self._board.store, self._code, self._referee) if isinstance(what, PlannedRun) else what
        Path(f"{self.path(lane)}-{step - 1}").unlink(missing_ok=True)
        Path(f"{self.path(lane)}-{step}").write_bytes(cloudpickle.dumps(job))


class GraphSearcher(Searcher):
    """Opens a lane for a ready run, in the board's order as far as `Room` lets it, and says what lanes do next.

    A lane whose run has ended gets the run that is due, if that needs what the lane has. If none is due it waits a while, since
    a new one would first have to import everything; if one that needs other resources is due or was given them and can't start,
    it ends. A run that ran out of memory while it shared a device is tried once more, with more of one.
    """

    def __init__(self, board: Board, room: Room, jobs: Jobs) -> None:
        super().__init__()
        self._board = board
        self._jobs = jobs
        self._room = room
        self._shapes: dict[str, Resources] = {}
        """Of lanes, by Tune's trial."""
        self._runs: dict[str, PlannedRun] = {}
        """What lanes are executing."""
        self._started: set[str] = set()
        """Lanes."""
        self._idle_since: dict[str, float] = {}
        self._enlarged: set[str] = set()
        """Runs that got more of a device."""
        self.problem: RaysweepError | None = None
        """Why nothing more is suggested, if it isn't that all is done. Raised in here, Ray Tune would bury it."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if self._board.is_complete or self.problem:
            return Searcher.FINISHED
        run = self._room.choose(self._board.heads())  # of runs with the same resources, all fit or none
        if run is None or run.resources in self._idle():
            return None  # nothing fits, or a lane that waits will take it
        shape = self._shapes[trial_id] = run.resources
        self._room.give(shape)
        self._hand(trial_id, 0, run)
        amounts = {"cpus": shape.cpus_per_worker, "gpus": shape.num_gpus}
        return {"jobs": self._jobs.path(trial_id), "num_workers": shape.num_workers, **amounts}

    def on_start(self, trial_id: str) -> None:
        """A lane has really started."""
        self._started.add(trial_id)
        self._room.start(self._shapes[trial_id])
        self._board.start(self._runs[trial_id])

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """A lane has taken a step."""
        if trial_id in self._runs:
            self._end(self._runs.pop(trial_id))
        since, step = self._idle_since.setdefault(trial_id, time.monotonic()), result["training_iteration"]
        shape, idle = self._shapes[trial_id], self._idle()
        run = None if self.problem else self._room.choose_without(idle, self._board.heads())
        if run is not None and run.resources == shape:
            del self._idle_since[trial_id]
            self._hand(trial_id, step, run)
            self._board.start(run)
            return
        is_over = self._board.is_complete or self.problem or time.monotonic() - since > _PATIENCE_SECONDS
        if is_over or run is not None or self._room.is_awaited(shape):
            del self._idle_since[trial_id]
            self._jobs.write(trial_id, step, None)
        else:
            self._jobs.write(trial_id, step, max(_PAUSE_SECONDS, _PAUSE_SECONDS_PER_LANE * len(idle)))

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        self._room.give_back(self._shapes.pop(trial_id), has_started=trial_id in self._started)
        self._started.discard(trial_id)
        self._idle_since.pop(trial_id, None)
        if trial_id in self._runs:  # it failed, and its process with it
            self._end(self._runs.pop(trial_id))

    def _hand(self, trial_id: str, step: int, run: PlannedRun) -> None:
        self._board.take(run)
        self._runs[trial_id] = run
        self._jobs.write(trial_id, step, run)

    def _idle(self) -> list[Resources]:
        """The shapes of the lanes that wait."""
        return [self._shapes[lane] for lane in self._idle_since]

    def _end(self, run: PlannedRun) -> None:
        more = with_more_memory(run.resources, self._board.store.run(run.id)) if run.id not in self._enlarged else None
        try:
            if more is None:
                self._board.end(run)
            else:
                self._enlarged.add(run.id)
                self._board.try_again(run, more)
        except RaysweepError as error:
            self.problem = self.problem or error

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the store is the record."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for `Tuner.restore`, which isn't used here."""
        return {}
