"""The Ray runner: Ray Tune starts every ready run of the graph, in dependency order and without barriers.

Tune is a scheduler here, never the record: what became of a run is read from the store.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from raysweep.errors import ClusterLost
from raysweep.planning.shadows import require_no_shadows
from raysweep.scheduling.capacity import ClusterCapacity
from raysweep.scheduling.cluster import describe_cluster, why_idle
from raysweep.scheduling.cluster_size import NodeWait, cluster_size, wait_minutes
from raysweep.scheduling.cluster_watch import ClusterWatch
from raysweep.scheduling.gpu_memory import smallest_gpu_bytes
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.ray_startup import begin, head_address, is_elsewhere, require_ray
from raysweep.scheduling.ray_startup import start as start_ray
from raysweep.scheduling.runner import Runner
from raysweep.scheduling.searcher import QueueSearcher
from raysweep.scheduling.shared_store import require_shared
from raysweep.scheduling.slot import JobBoard, SlotTrial
from raysweep.scheduling.stopper import ActorStopper, make_stopper
from raysweep.scheduling.worker_group import DRIVER_CPUS

_PAUSE_SECONDS = 0.5


class RayRunner(Runner):
    """Executes runs on the Ray cluster that `RAY_ADDRESS` names, or on this machine. Tune is only the
    scheduler; its trials are slots (see `raysweep.scheduling.searcher`)."""

    def check(self) -> None:
        """See `Runner.check`."""
        wait_minutes()
        require_no_shadows(Path.cwd())  # from which Ray's processes import before all else
        if not ray.is_initialized():
            require_ray()

    def prepare(self) -> None:
        """Start Ray while the sweep is being planned."""
        begin()

    def place(self) -> str:
        """See `Runner.place`."""
        start_ray()
        return describe_cluster()

    def why_idle(self, queue: RunQueue) -> str:
        """See `Runner.why_idle`."""
        return why_idle(queue)

    def nodes(self) -> Sequence[Mapping[str, float]] | None:
        """See `Runner.nodes`."""
        start_ray()
        return cluster_size().most

    def smallest_gpu_bytes(self) -> int | None:
        """See `Runner.smallest_gpu_bytes`."""
        start_ray()
        size = cluster_size()
        is_to_come = size.may_grow and not any(node.get("GPU") for node in size.nodes)
        return None if is_to_come else smallest_gpu_bytes()

    def run(self, queue: RunQueue, jobs: Jobs) -> None:
        """See `Runner.run`."""
        start_ray()
        if is_elsewhere():
            require_shared(queue.store.folder)
        try:
            with ClusterWatch(head_address(), queue):
                self._run_all(queue, jobs)
        except BaseException:
            if not isinstance(queue.problem, ClusterLost):  # which is told in place of what it led to
                raise

    def _run_all(self, queue: RunQueue, jobs: Jobs) -> None:
        wait = NodeWait(wait_minutes())
        while not queue.is_complete:
            queue.wait()  # not within Tune, which would look for an interrupt every ten minutes
            _wait_for_room(queue, wait)
            if queue.problem:
                break
            with queue.store.scratch() as folder:
                has_finished = self._run(queue, jobs, folder, wait)
            if not has_finished:  # Tune catches the signal of an interrupt and returns
                raise KeyboardInterrupt

    def _run(self, queue: RunQueue, jobs: Jobs, folder: Path, wait: NodeWait) -> bool:
        """Execute runs until none is left, or the queue is held up, or no node has room. Returns whether it
        came so far."""
        local_stopper = make_stopper(queue.plan)
        stopper = ActorStopper(local_stopper, f"raysweep-stopper-{folder.name}") if local_stopper else None
        board = JobBoard(jobs, stopper, folder.name)
        searcher = QueueSearcher(queue, wait, board)
        trainable = tune.with_resources(
            tune.with_parameters(SlotTrial, import_path=tuple(sys.path), folder=folder / "train"),
            lambda config: _slot_resources(config["num_workers"], config["cpus"], config["gpus"]),
        )
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(search_alg=searcher, scheduler=_InOrder(searcher), num_samples=-1),
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


def _wait_for_room(queue: RunQueue, wait: NodeWait) -> None:
    """Wait until a run may be given a slot: as long as the cluster's nodes, and those that are sure to be
    started for it, hold none of them."""
    while candidates := queue.candidates():
        wait.refresh()
        if ClusterCapacity(wait.size).choose(candidates) is not None:
            return
        if problem := wait.problem([run.resources for run in candidates]):
            queue.close(problem)
            return
        time.sleep(_PAUSE_SECONDS)


def _slot_resources(num_workers: int, cpus: float, gpus: float) -> PlacementGroupFactory:
    if num_workers == 0:
        return PlacementGroupFactory(
            [{name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}]
        )
    return PlacementGroupFactory([{"CPU": DRIVER_CPUS}])


def _told_of(trial: Trial) -> str:
    """What Ray says of a slot that failed. `Trial.get_error` looks in Tune's storage, where it isn't yet."""
    file = trial.error_file
    return Path(file).read_text() if file and Path(file).exists() else ""


class _InOrder(FIFOScheduler):
    """Trials start in the order in which they were suggested, as by `FIFOScheduler`, which however looks
    through all trials there have ever been, twice a run. Those that needn't start any more are stopped."""

    def __init__(self, searcher: QueueSearcher) -> None:
        super().__init__()
        self._searcher = searcher
        self._waiting: deque[Trial] = deque()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._waiting.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        if surplus := self._searcher.surplus():
            for trial in [trial for trial in self._waiting if trial.trial_id in surplus]:
                if trial.status == Trial.PENDING:
                    # Tune lets schedulers pause trials, which wants them to run first, and has nothing else.
                    tune_controller._tune_controller.stop_trial(trial)
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
        self._searcher.on_error(trial.trial_id, self._searcher.cause(trial.trial_id, _told_of(trial)))

    def __getstate__(self) -> dict[str, Any]:
        return {}
