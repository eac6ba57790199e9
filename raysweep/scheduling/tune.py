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
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray import tune
from ray.tune import PlacementGroupFactory
from ray.tune.search import Searcher

from raysweep.errors import InvalidInput
from raysweep.plan import PlannedRun
from raysweep.resources import Resources
from raysweep.scheduling.board import Board, Standing
from raysweep.scheduling.trial import DRIVER_CPUS, run_trial
from raysweep.training.execute import Job


def run_with_tune(board: Board, code: Mapping[str, Any]) -> None:
    """Execute every run of the board that isn't done on the Ray cluster (`RAY_ADDRESS`, or this machine).

    Raises:
        InvalidInput: the cluster can never fit a run's resources.
    """
    open_runs = [entry.run for entry in board.entries.values() if entry.standing is Standing.WAITING]
    if not open_runs:
        return
    _start_ray()
    total = ray.cluster_resources()
    for run in open_runs:
        _require_fit(run, total)
    jobs = {run.id: Job.of(run, board.store, code) for run in open_runs}
    needs = {run_id: job.resources for run_id, job in jobs.items()}
    trainable = tune.with_resources(
        tune.with_parameters(_Trial, jobs=jobs, import_path=tuple(sys.path)),
        lambda config: _trial_resources(needs[config["run_id"]]),
    )
    name = f"tune-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(search_alg=_GraphSearcher(board, total), num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(board.store.ray),
            verbose=0,
            callbacks=[_StartWatcher(board)],
            # A trial that Tune can't checkpoint at its end counts as failed, and its process isn't kept.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(board.store.ray / name, ignore_errors=True)


def _start_ray() -> None:
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000")  # the searcher itself limits how far it looks ahead
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    # Trials read and write the store by absolute paths; relative paths in specs mean the directory of the driver.
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _trial_resources(resources: Resources) -> PlacementGroupFactory:
    if resources.num_workers == 0:
        own = {"CPU": resources.cpus_per_worker, "GPU": resources.gpus_per_worker}
        return PlacementGroupFactory([{name: amount for name, amount in own.items() if amount}])
    return PlacementGroupFactory([{"CPU": DRIVER_CPUS}])


def _require_fit(run: PlannedRun, total: Mapping[str, float]) -> None:
    wanted = run.resources.total()
    one = {"CPU": run.resources.cpus_per_worker, "GPU": run.resources.gpus_per_worker}
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
    """Suggests ready runs; None while all that is left waits.

    Runs in a trial's own process are suggested ahead of free resources, up to one more for each that could run: Tune keeps
    a process only if a run of the same shape is waiting for it. A run with a worker group is suggested when its workers
    fit, and while it waits for that nothing overtakes it.
    """

    def __init__(self, board: Board, total: Mapping[str, float]) -> None:
        super().__init__()
        self._board = board
        self._ahead = {name: total.get(name, 0.0) for name in ("CPU", "GPU")}
        self._free = dict(self._ahead)
        self._suggested: dict[str, PlannedRun] = {}
        """By trial, until its run has ended."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if self._board.is_complete:
            return Searcher.FINISHED
        heads = self._board.heads()  # of runs with the same resources, all fit or none
        is_wide_ready = any(run.resources.num_workers > 0 for run in heads)
        for run in heads:
            slack = 1e-6 if run.resources.num_workers or is_wide_ready else self._ahead
            if self._fits(run, slack):
                self._board.take(run)
                self._suggested[trial_id] = run
                self._take(run, 1)
                return {"run_id": run.id}
            if run.resources.num_workers:
                return None
        return None

    def _fits(self, run: PlannedRun, slack: float | Mapping[str, float]) -> bool:
        room = {name: free + (slack[name] if isinstance(slack, Mapping) else slack) for name, free in self._free.items()}
        return all(amount <= room[name] for name, amount in run.resources.total().items())

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        run = self._suggested.pop(trial_id)
        self._take(run, -1)
        self._board.end(run)

    def _take(self, run: PlannedRun, sign: int) -> None:
        for name, amount in run.resources.total().items():
            self._free[name] -= sign * amount

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the store is the record."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for `Tuner.restore`, which isn't used here."""
        return {}


class _StartWatcher(tune.Callback):
    """Tells the board when a suggested run has really started."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._board.start(self._board.plan.runs[trial.config["run_id"]])

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Trial(tune.Trainable):
    """A process that executes one run after another."""

    def setup(self, config: dict[str, Any], jobs: Mapping[str, Job], import_path: Sequence[str]) -> None:  # type: ignore[override]
        self._jobs = jobs
        self._import_path = import_path

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True

    def step(self) -> dict[str, Any]:
        run_trial(self._jobs[self.config["run_id"]], self._import_path)
        return {"done": True}
