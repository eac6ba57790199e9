"""The Ray runner: Ray Tune starts every ready run of the graph, in dependency order and without barriers.

Tune is a scheduler here, never the record: what became of a run is read from the store.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from raysweep.planning.shadows import require_no_shadows
from raysweep.scheduling.capacity import ClusterCapacity
from raysweep.scheduling.endings import cause_of_death
from raysweep.scheduling.gpu_memory import smallest_gpu_bytes
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.ray_startup import begin, is_elsewhere, require_ray
from raysweep.scheduling.ray_startup import start as start_ray
from raysweep.scheduling.runner import Runner
from raysweep.scheduling.searcher import QueueSearcher
from raysweep.scheduling.shared_store import require_shared
from raysweep.scheduling.slot import JobBoard, SlotTrial
from raysweep.scheduling.stopper import ActorStopper, make_stopper
from raysweep.scheduling.worker_group import DRIVER_CPUS


class RayRunner(Runner):
    """Executes runs on the Ray cluster that `RAY_ADDRESS` names, or on this machine. Tune is only the
    scheduler; its trials are slots (see `raysweep.scheduling.searcher`)."""

    def check(self) -> None:
        """See `Runner.check`."""
        require_no_shadows(Path.cwd())  # from which Ray's processes import before all else
        if not ray.is_initialized():
            require_ray()

    def prepare(self) -> None:
        """Start Ray while the sweep is being planned."""
        begin()

    def nodes(self) -> list[Mapping[str, float]]:
        """See `Runner.nodes`."""
        start_ray()
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def smallest_gpu_bytes(self) -> int:
        """See `Runner.smallest_gpu_bytes`."""
        start_ray()
        return smallest_gpu_bytes()

    def run(self, queue: RunQueue, jobs: Jobs) -> None:
        """See `Runner.run`."""
        start_ray()
        if is_elsewhere():
            require_shared(queue.store.folder)
        while not queue.is_complete:
            queue.wait()  # not within Tune, which would look for an interrupt every ten minutes
            with queue.store.scratch() as folder:
                has_finished = self._run(queue, jobs, folder)
            if not has_finished:  # Tune catches the signal of an interrupt and returns
                raise KeyboardInterrupt

    def _run(self, queue: RunQueue, jobs: Jobs, folder: Path) -> bool:
        """Execute runs until none is left, or the queue is held up. Returns whether it came so far."""
        local_stopper = make_stopper(queue.plan)
        stopper = ActorStopper(local_stopper, f"raysweep-stopper-{folder.name}") if local_stopper else None
        board = JobBoard(jobs, stopper, folder.name)
        searcher = QueueSearcher(queue, ClusterCapacity(ray.cluster_resources()), board)
        trainable = tune.with_resources(
            tune.with_parameters(SlotTrial, import_path=tuple(sys.path), folder=folder / "train"),
            lambda config: _slot_resources(config["num_workers"], config["cpus"], config["gpus"]),
        )
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(search_alg=searcher, scheduler=_InOrder(), num_samples=-1),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                verbose=0,
                callbacks=[_SlotWatcher(searcher)],
                # A trial that Tune can't checkpoint at its end counts as failed.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        (folder / "train").mkdir(mode=0o700)
        try:
            tuner.fit()
        finally:
            board.clear()
        return searcher.has_finished or queue.is_complete


def _slot_resources(num_workers: int, cpus: float, gpus: float) -> PlacementGroupFactory:
    if num_workers == 0:
        return PlacementGroupFactory(
            [{name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}]
        )
    return PlacementGroupFactory([{"CPU": DRIVER_CPUS}])


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


class _SlotWatcher(tune.Callback):
    """Tells the searcher when a suggested run has really started, and why a slot failed."""

    def __init__(self, searcher: QueueSearcher) -> None:
        self._searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._searcher.on_start(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._searcher.on_error(trial.trial_id, cause_of_death(str(trial.get_error() or "")))

    def __getstate__(self) -> dict[str, Any]:
        return {}
