"""The Tune runner: Ray Tune starts every ready run of the graph, in dependency order and without barriers.

Tune is a scheduler here, never the record. Its trials are *lanes*: a process, or a worker group, that executes one ready run
after another of the same resources, and tells Tune when one has ended. A `Searcher` opens a lane for a ready run that fits, and
says what a lane does next. What became of a run is read from the store.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from raysweep.errors import InvalidInput, RaysweepError
from raysweep.packing import Packer, is_open, with_more_memory
from raysweep.plan import PlannedRun
from raysweep.resources import Resources
from raysweep.scheduling.board import Board, Standing
from raysweep.scheduling.devices import smallest_gpu_bytes
from raysweep.scheduling.group import DRIVER_CPUS
from raysweep.scheduling.room import Room
from raysweep.scheduling.start import start as start_ray
from raysweep.scheduling.trial import Lane
from raysweep.search.searches import histories
from raysweep.search.stopping import Referee, Reports
from raysweep.training.execute import Job

_PATIENCE_SECONDS = 30.0
"""How long a lane waits for a run."""
_PAUSE_SECONDS, _PAUSE_SECONDS_PER_LANE = 0.2, 0.02
"""Between two times that a waiting lane asks: longer the more of them there are, since each time takes the driver a moment."""


def run_with_tune(board: Board, code: Mapping[str, Any]) -> None:
    """Execute every run of the board that isn't done on the Ray cluster (`RAY_ADDRESS`, or this machine).

    Raises:
        InvalidInput: the cluster can never fit a run's resources, or a search suggests what can't be trained; what runs then
            is finished.
        KeyboardInterrupt: somebody did.
    """
    open_runs = [entry.run for entry in board.entries.values() if entry.standing is Standing.WAITING]
    if not open_runs:
        return
    start_ray()
    total = ray.cluster_resources()
    if is_open(open_runs):
        board.choose_resources(Packer(board.store, smallest_gpu_bytes()).resources)
    for run in open_runs:
        _require_fit(board.entries[run.id].run, total)
    name = f"tune-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    jobs = _Jobs(board, code, _referee(board, f"raysweep-referee-{name}"), board.store.ray / name / "jobs")
    trainable = tune.with_resources(
        tune.with_parameters(_LaneTrial, import_path=tuple(sys.path)),
        lambda config: _lane_resources(config["num_workers"], config["cpus"], config["gpus"]),
    )
    searcher = _GraphSearcher(board, Room(total), jobs)
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(search_alg=searcher, scheduler=_InOrder(), num_samples=-1),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(board.store.ray),
            verbose=0,
            callbacks=[_StartWatcher(searcher)],
            # A trial that Tune can't checkpoint at its end counts as failed.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(board.store.ray / name, ignore_errors=True)
    if searcher.problem:
        raise searcher.problem
    if not board.is_complete:  # Tune catches it, and returns
        raise KeyboardInterrupt


def _lane_resources(num_workers: int, cpus: float, gpus: float) -> PlacementGroupFactory:
    if num_workers == 0:
        return PlacementGroupFactory([{name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}])
    return PlacementGroupFactory([{"CPU": DRIVER_CPUS}])


class _Jobs:
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


def _referee(board: Board, name: str) -> Reports | None:
    """An actor that decides which trials of a search go on."""
    if board.plan.growth is None or board.plan.growth.searches.search.stopping_call is None:
        return None
    searches = board.plan.growth.searches
    return _ReferredTo(name, ray.remote(num_cpus=0)(Referee).options(name=name).remote(searches.search, histories(searches)))


class _ReferredTo:
    """The referee as trials and workers reach it: by its name."""

    def __init__(self, name: str, actor: Any) -> None:
        self._name = name
        self._actor = actor  # which lives as long as the driver holds it

    def __reduce__(self) -> tuple[Any, ...]:
        return _ReferredTo, (self._name, None)

    def report(self, study: str, run_id: str, percent: float, signal: float) -> bool:
        self._actor = self._actor or ray.get_actor(self._name)
        return bool(ray.get(self._actor.report.remote(study, run_id, percent, signal)))


def _require_fit(run: PlannedRun, total: Mapping[str, float]) -> None:
    wanted = run.resources.total()
    one = {"CPU": run.resources.cpus_per_worker, "GPU": run.resources.num_gpus}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fits_a_node = any(all(node.get(name, 0) >= amount for name, amount in one.items()) for node in nodes)
    short = [name for name, amount in wanted.items() if amount > total.get(name, 0)]
    if short or not fits_a_node:
        there = ", ".join(f"{total.get(name, 0):g} {name}" for name in wanted)
        asked = ", ".join(f"{amount:g} {name}" for name, amount in wanted.items() if amount)
        raise InvalidInput(
            f"the {run.kind} run of {run.spec.model.name!r} asks for {asked} ({run.resources.world_size} process(es) of "
            f"{one['CPU']:g} CPU and {one['GPU']:g} GPU each); the cluster has {there} on {len(nodes)} node(s) and can never "
            "fit it. Change the sweep's Resources, or start more nodes first"
        )


class _GraphSearcher(Searcher):
    """Opens a lane for a ready run, in the board's order as far as `Room` lets it, and says what lanes do next.

    A lane whose run has ended gets the run that is due, if that needs what the lane has. If none is due it waits a while, since
    a new one would first have to import everything; if one that needs other resources is due or was given them and can't start,
    it ends. A run that ran out of memory while it shared a device is tried once more, with more of one.
    """

    def __init__(self, board: Board, room: Room, jobs: _Jobs) -> None:
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


class _InOrder(FIFOScheduler):
    """Trials start in the order in which they were suggested, as by `FIFOScheduler`, which however looks through all trials
    there have ever been, twice a run."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[Trial] = deque()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._waiting.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        while self._waiting and self._waiting[0].status != Trial.PENDING:
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None


class _StartWatcher(tune.Callback):
    """Tells the searcher when a suggested run has really started."""

    def __init__(self, searcher: _GraphSearcher) -> None:
        self._searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._searcher.on_start(trial.trial_id)

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _LaneTrial(tune.Trainable):
    """A lane: each step is a run, or a pause."""

    def setup(self, config: dict[str, Any], import_path: Sequence[str]) -> None:  # type: ignore[override]
        self._lane = Lane(import_path)

    def step(self) -> dict[str, Any]:
        what: Job | float | None = cloudpickle.loads(Path(f"{self.config['jobs']}-{self.iteration}").read_bytes())
        if isinstance(what, Job):
            self._lane.run(what)
        elif what is not None:
            time.sleep(what)
        return {"done": what is None}

    def cleanup(self) -> None:
        self._lane.close()
