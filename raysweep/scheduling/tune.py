"""The Tune runner: Ray Tune starts every ready run of the graph, in dependency order and without barriers.

Tune is a scheduler here, never the record: a `Searcher` hands it the id of a ready run, or nothing while all that is left
waits. What became of a run is read from the store.
"""

from __future__ import annotations

import logging
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
from raysweep.scheduling.board import Board, Standing
from raysweep.scheduling.devices import smallest_gpu_bytes
from raysweep.scheduling.room import Room
from raysweep.scheduling.trial import DRIVER_CPUS, run_trial
from raysweep.search.searches import histories
from raysweep.search.stopping import Referee, Reports
from raysweep.training.execute import Job


def run_with_tune(board: Board, code: Mapping[str, Any]) -> None:
    """Execute every run of the board that isn't done on the Ray cluster (`RAY_ADDRESS`, or this machine).

    Raises:
        InvalidInput: the cluster can never fit a run's resources, or a search suggests what can't be trained; what runs then
            is finished.
    """
    open_runs = [entry.run for entry in board.entries.values() if entry.standing is Standing.WAITING]
    if not open_runs:
        return
    _start_ray()
    total = ray.cluster_resources()
    if is_open(open_runs):
        board.choose_resources(Packer(board.store, smallest_gpu_bytes()).resources)
    for run in open_runs:
        _require_fit(board.entries[run.id].run, total)
    name = f"tune-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    jobs = _Jobs(board, code, _referee(board, f"raysweep-referee-{name}"), board.store.ray / name / "jobs")
    trainable = tune.with_resources(
        tune.with_parameters(_Trial, jobs=jobs.folder, import_path=tuple(sys.path)),
        lambda config: _trial_resources(config["num_workers"], config["cpus"], config["gpus"]),
    )
    searcher = _GraphSearcher(board, total, jobs)
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(search_alg=searcher, scheduler=_InOrder(), num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(board.store.ray),
            verbose=0,
            callbacks=[_StartWatcher(searcher)],
            # A trial that Tune can't checkpoint at its end counts as failed, and its process isn't kept.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(board.store.ray / name, ignore_errors=True)
    if searcher.problem:
        raise searcher.problem


def _start_ray() -> None:
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000")  # the searcher itself limits how far it looks ahead
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    # Tune's own record of all trials is for `Tuner.restore`; every 10 s, it would take longer the more there have been.
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "inf")
    # Trials read and write the store by absolute paths; relative paths in specs mean the directory of the driver.
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _trial_resources(num_workers: int, cpus: float, gpus: float) -> PlacementGroupFactory:
    if num_workers == 0:
        return PlacementGroupFactory([{name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}])
    return PlacementGroupFactory([{"CPU": DRIVER_CPUS}])


class _Jobs:
    """Files that say what to train, since a sweep that searches doesn't know all of its runs when it begins."""

    def __init__(self, board: Board, code: Mapping[str, Any], referee: Reports | None, folder: Path) -> None:
        self._board = board
        self._code = code
        self._referee = referee
        self.folder = folder
        folder.mkdir(parents=True)

    def write(self, run: PlannedRun) -> dict[str, Any]:
        """Write a run's job; what Ray Tune is told of it."""
        job = Job.of(run, self._board.store, self._code, self._referee)
        (self.folder / run.id).write_bytes(cloudpickle.dumps(job))
        shape = job.resources
        return {
            "run_id": run.id,
            "num_workers": shape.num_workers,
            "cpus": shape.cpus_per_worker,
            "gpus": shape.num_gpus,
        }


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
    """Suggests ready runs, in the board's order as far as `Room` lets them; None while all that is left waits.

    A run that ran out of memory while it shared a device is suggested once more, with more of one.
    """

    def __init__(self, board: Board, total: Mapping[str, float], jobs: _Jobs) -> None:
        super().__init__()
        self._board = board
        self._jobs = jobs
        self._room = Room(total)
        self._suggested: dict[str, PlannedRun] = {}
        """By trial, until its run has ended."""
        self._started: set[str] = set()
        """Trials."""
        self._enlarged: set[str] = set()
        """Runs that got more of a device."""
        self.problem: RaysweepError | None = None
        """Why nothing more is suggested, if it isn't that all is done. Raised in here, Ray Tune would bury it."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if self._board.is_complete or self.problem:
            return Searcher.FINISHED
        run = self._room.choose(self._board.heads())  # of runs with the same resources, all fit or none
        if run is None:
            return None
        self._board.take(run)
        self._room.give(run.resources)
        self._suggested[trial_id] = run
        return self._jobs.write(run)

    def on_start(self, trial_id: str) -> None:
        """A trial has really started."""
        run = self._suggested[trial_id]
        if trial_id not in self._started:
            self._started.add(trial_id)
            self._room.start(run.resources)
        self._board.start(run)

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        run = self._suggested.pop(trial_id)
        self._room.give_back(run.resources, has_started=trial_id in self._started)
        self._started.discard(trial_id)
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


class _Trial(tune.Trainable):
    """A process that executes one run after another."""

    def setup(self, config: dict[str, Any], jobs: Path, import_path: Sequence[str]) -> None:  # type: ignore[override]
        self._jobs = jobs
        self._import_path = import_path

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True

    def step(self) -> dict[str, Any]:
        job: Job = cloudpickle.loads((self._jobs / self.config["run_id"]).read_bytes())
        run_trial(job, self._import_path)
        return {"done": True}
