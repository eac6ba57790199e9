"""A worker group that is kept: Ray Train starts it once, and it trains one run after another.

Starting one takes longer than a small run: a controller, a process for each worker, and their imports. So
workers don't end with a run. They ask the job queue, an actor, for the next one until there is none.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
import uuid
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import ray

from raysweep.spec.resources import Resources
from raysweep.training.process import ProcessNotClean, clean_process
from raysweep.training.run import Job, execute
from raysweep.training.watchdog import watched

DRIVER_CPUS = 0.01
"""CPUs of a trial that only waits for its worker group. If it took a whole CPU, waiting trials could take all
CPUs that workers need."""
_LOOK_SECONDS = 1.0
"""Time between two checks that the group is still alive."""


class WorkerGroup:
    """Worker processes of equal resources. An exception of a worker ends the group; so does what a run leaves
    behind in one, once all of them have done their parts of it.

    Args:
        resources: of each run that it trains.
        folder: scratch space of Ray Train.
        import_path: folders in which workers find the user's own code.
    """

    def __init__(self, resources: Resources, folder: Path, import_path: Sequence[str]) -> None:
        self._resources = resources
        # Ray Train resumes whatever ran under the same name.
        self._name = f"group-{uuid.uuid4().hex[:12]}"
        self._folder = folder
        self._job_queue: Any = ray.remote(num_cpus=0)(_JobQueue).remote(resources.num_workers)
        self._import_path = tuple(import_path)
        self._error: Exception | None = None
        self.is_worn = False
        """Whether a run left something behind in a worker, so that the next run needs another group."""
        self._thread = threading.Thread(target=self._fit, name=self._name, daemon=True)
        self._thread.start()

    def run(self, job: Job) -> None:
        """Train a run to its end. Raises what a worker raised; the group has ended then."""
        number = ray.get(self._job_queue.put.remote(job))
        while not ray.get(self._job_queue.is_done.remote(number, _LOOK_SECONDS)):
            if not self._thread.is_alive():
                raise self._error or RuntimeError("the worker group ended before its run was done")
        self.is_worn = ray.get(self._job_queue.is_unclean.remote())

    def close(self) -> None:
        """End the workers, and wait until they have ended."""
        if self._thread.is_alive():
            ray.get(self._job_queue.put.remote(None))
            self._thread.join()
        ray.kill(self._job_queue)
        shutil.rmtree(self._folder / self._name, ignore_errors=True)

    def _fit(self) -> None:
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        resources = self._resources
        on_gpu = resources.num_gpus > 0
        # The trial itself holds a sliver of a CPU beside its workers: without theirs, a run that takes all
        # CPUs would never start.
        per_worker = {"CPU": resources.cpus_per_worker - DRIVER_CPUS} | (
            {"GPU": resources.num_gpus} if on_gpu else {}
        )
        try:
            TorchTrainer(
                _serve,
                train_loop_config={"job_queue": self._job_queue, "import_path": self._import_path},
                torch_config=TorchConfig(
                    backend="nccl" if on_gpu else "gloo", timeout_s=resources.timeout_seconds
                ),
                scaling_config=ScalingConfig(
                    num_workers=resources.num_workers, use_gpu=on_gpu, resources_per_worker=per_worker
                ),
                run_config=RunConfig(
                    name=self._name,
                    storage_path=str(self._folder),
                    failure_config=_no_retries(),
                ),
            ).fit()
        except Exception as error:  # told to whoever waits for a run
            self._error = error


def _no_retries() -> Any:
    """Tries are the queue's. Ray Train would start a group again whose node was drained, without limit, and
    it would serve from its first job on."""
    from ray.train.v2.api.config import FailureConfig

    limits = ("max_failures", "max_preemption_failures")  # the second isn't in all versions
    known: dict[str, Any] = {item.name: 0 for item in fields(FailureConfig) if item.name in limits}
    return FailureConfig(**known)


def _serve(config: dict[str, Any]) -> None:
    """The loop of a worker: run after run until there are no more."""
    from ray.train import get_context

    import_from(config["import_path"])
    rank = get_context().get_world_rank()
    number = 0
    while (job := ray.get(config["job_queue"].job.remote(number))) is not None:
        is_clean = True
        # Watched from here on and not only by `execute`: the first run's imports take seconds.
        with watched(job.watch):
            try:
                with clean_process(keeps_group=True):
                    execute(job)
            except ProcessNotClean:  # raised here, it would end rank 0 too, which may still be writing
                is_clean = False
        ray.get(config["job_queue"].done.remote(number, rank, is_clean))
        number += 1


def import_from(import_path: Sequence[str]) -> None:
    """Look for modules in the driver's folders too."""
    sys.path.extend(entry for entry in import_path if entry not in sys.path)


class _JobQueue:
    """Jobs in order, and which workers have done each. None ends the group."""

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers
        self._jobs: list[Job | None] = []
        self._ranks_done: list[set[int]] = []
        self._is_unclean = False
        self._changed = asyncio.Condition()

    async def put(self, job: Job | None) -> int:
        """Add a job; returns its number."""
        async with self._changed:
            self._jobs.append(job)
            self._ranks_done.append(set())
            self._changed.notify_all()
            return len(self._jobs) - 1

    async def job(self, number: int) -> Job | None:
        """The job of that number, as soon as there is one."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._jobs) > number)
            return self._jobs[number]

    async def done(self, number: int, rank: int, is_clean: bool = True) -> None:
        """A worker has done its part of a job."""
        async with self._changed:
            self._ranks_done[number].add(rank)
            self._is_unclean = self._is_unclean or not is_clean
            self._changed.notify_all()

    async def is_unclean(self) -> bool:
        """Whether a job left something behind in a worker."""
        return self._is_unclean

    async def is_done(self, number: int, seconds: float) -> bool:
        """Whether all workers have done their parts, now or within that many seconds."""
        async with self._changed:
            try:
                await asyncio.wait_for(
                    self._changed.wait_for(lambda: len(self._ranks_done[number]) == self._num_workers),
                    seconds,
                )
            except TimeoutError:
                return False
            return True
