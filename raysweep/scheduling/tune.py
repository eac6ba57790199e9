"""The Tune runner: Ray Tune starts every ready run of the graph, in dependency order and without barriers.

Tune is a scheduler here, never the record. Its trials are slots (see `raysweep.scheduling.searcher`). What
became of a run is read from the store.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import ray
from ray import tune
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from raysweep.errors import InvalidInput
from raysweep.estimates.gpu_sharing import GpuShares, is_open
from raysweep.planning.plan import PlannedRun
from raysweep.planning.search.stopping import EarlyStopper
from raysweep.planning.search.studies import signal_histories
from raysweep.scheduling.capacity import ClusterCapacity
from raysweep.scheduling.gpu_memory import smallest_gpu_bytes
from raysweep.scheduling.jobs import JobFiles
from raysweep.scheduling.queue import RunQueue, RunStatus
from raysweep.scheduling.ray_startup import start as start_ray
from raysweep.scheduling.searcher import QueueSearcher
from raysweep.scheduling.slot import SlotTrial
from raysweep.scheduling.worker_group import DRIVER_CPUS
from raysweep.training.early_stopping import Stopper


def run_with_tune(queue: RunQueue, code: Mapping[str, Any]) -> None:
    """Execute every run of the queue that isn't done on the Ray cluster (`RAY_ADDRESS`, or this machine).

    Raises:
        InvalidInput: the cluster can never fit a run's resources, or a search suggests what can't be trained;
            what runs then is finished.
        KeyboardInterrupt: somebody did.
    """
    open_runs = [entry.run for entry in queue.entries.values() if entry.standing is RunStatus.WAITING]
    if not open_runs:
        return
    start_ray()
    total = ray.cluster_resources()
    if is_open(open_runs):
        queue.choose_resources(GpuShares(queue.store, smallest_gpu_bytes()).resources)
    for run in open_runs:
        _require_fit(queue.entries[run.id].run, total)
    name = f"tune-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    jobs = JobFiles(queue, code, _stopper(queue, f"raysweep-stopper-{name}"), queue.store.ray / name / "jobs")
    trainable = tune.with_resources(
        tune.with_parameters(SlotTrial, import_path=tuple(sys.path)),
        lambda config: _slot_resources(config["num_workers"], config["cpus"], config["gpus"]),
    )
    searcher = QueueSearcher(queue, ClusterCapacity(total), jobs)
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(search_alg=searcher, scheduler=_InOrder(), num_samples=-1),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(queue.store.ray),
            verbose=0,
            callbacks=[_StartWatcher(searcher)],
            # A trial that Tune can't checkpoint at its end counts as failed.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(queue.store.ray / name, ignore_errors=True)
    if searcher.problem:
        raise searcher.problem
    if not queue.is_complete:  # Tune catches it, and returns
        raise KeyboardInterrupt


def _slot_resources(num_workers: int, cpus: float, gpus: float) -> PlacementGroupFactory:
    if num_workers == 0:
        return PlacementGroupFactory(
            [{name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}]
        )
    return PlacementGroupFactory([{"CPU": DRIVER_CPUS}])


def _stopper(queue: RunQueue, name: str) -> Stopper | None:
    """An actor that decides which trials of a search go on."""
    if queue.plan.driver is None or queue.plan.driver.studies.search.stopping_call is None:
        return None
    studies = queue.plan.driver.studies
    return ActorStopper(
        name,
        ray.remote(num_cpus=0)(EarlyStopper)
        .options(name=name)
        .remote(studies.search, signal_histories(studies)),
    )


class ActorStopper:
    """The stopper as trials and workers reach it: by its name."""

    def __init__(self, name: str, actor: Any) -> None:
        self._name = name
        self._actor = actor  # which lives as long as the driver holds it

    def __reduce__(self) -> tuple[Any, ...]:
        return ActorStopper, (self._name, None)

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
            f"the {run.kind} run of {run.spec.model.name!r} asks for {asked} ({run.resources.world_size} "
            f"process(es) of {one['CPU']:g} CPU and {one['GPU']:g} GPU each); the cluster has {there} on "
            f"{len(nodes)} node(s) and can never fit it. Change the sweep's Resources, or start more nodes "
            "first"
        )


class _InOrder(FIFOScheduler):
    """Trials start in the order in which they were suggested, as by `FIFOScheduler`, which however looks
    through all trials there have ever been, twice a run."""

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

    def __init__(self, searcher: QueueSearcher) -> None:
        self._searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._searcher.on_start(trial.trial_id)

    def __getstate__(self) -> dict[str, Any]:
        return {}
