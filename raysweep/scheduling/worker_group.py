"""A worker group that is kept: Ray Train starts it once, and it trains one run after another.

To start one takes longer than a small run: a controller, a process for each worker, and their imports. So the
workers don't end with a run. They ask a job_queue, an actor, for the next one, until there is none.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray

from raysweep.spec.resources import Resources
from raysweep.training.process import clean_process
from raysweep.training.run import Job, execute

DRIVER_CPUS = 0.01
"""What a trial takes that only waits for its worker group: were it a whole CPU, trials could take all that
workers need."""
_LOOK_SECONDS = 1.0
"""Between two looks at whether the group is still there."""


class WorkerGroup:
    """Worker processes of one shape. What they raise ends the group.

    Args:
        resources: of each run that it trains.
        folder: scratch space of Ray Train.
        import_path: where workers find the user's own code.
    """

    def __init__(self, resources: Resources, folder: Path, import_path: Sequence[str]) -> None:
        self._resources = resources
        # Ray Train resumes whatever ran under the same name.
        self._name = f"group-{uuid.uuid4().hex[:12]}"
        self._folder = folder
        self._job_queue: Any = ray.remote(num_cpus=0)(_JobQueue).remote(resources.num_workers)
        self._import_path = tuple(import_path)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._fit, name=self._name, daemon=True)
        self._thread.start()

    def run(self, job: Job) -> None:
        """Train a run to its end; raises what a worker raised. Without a group any more, only a new one can
        train."""
        number = ray.get(self._job_queue.put.remote(job))
        while not ray.get(self._job_queue.is_done.remote(number, _LOOK_SECONDS)):
            if not self._thread.is_alive():
                raise self._error or RuntimeError("the worker group ended before its run was done")

    def close(self) -> None:
        """Let the workers go, and wait until they are gone."""
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
                run_config=RunConfig(name=self._name, storage_path=str(self._folder)),
            ).fit()
        except Exception as error:  # told to whoever waits for a run
            self._error = error


def _serve(config: dict[str, Any]) -> None:
    """What a worker does: run after run, until there are no more."""
    import_from(config["import_path"])
    number = 0
    while (job := ray.get(config["job_queue"].job.remote(number))) is not None:
        with clean_process(keeps_group=True):
            execute(job)
        ray.get(config["job_queue"].done.remote(number))
        number += 1


def import_from(import_path: Sequence[str]) -> None:
    """Look for modules where the driver does, too."""
    sys.path.extend(entry for entry in import_path if entry not in sys.path)


class _JobQueue:
    """Where jobs are put, and told to be done, in order; None is the end."""

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers
        self._jobs: list[Job | None] = []
        self._num_done: list[int] = []
        self._changed = asyncio.Condition()

    async def put(self, job: Job | None) -> int:
        """Put a job down; its number."""
        async with self._changed:
            self._jobs.append(job)
            self._num_done.append(0)
            self._changed.notify_all()
            return len(self._jobs) - 1

    async def job(self, number: int) -> Job | None:
        """The job of that number, as soon as it is there."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._jobs) > number)
            return self._jobs[number]

    async def done(self, number: int) -> None:
        """A worker has done its part of a job."""
        async with self._changed:
            self._num_done[number] += 1
            self._changed.notify_all()

    async def is_done(self, number: int, seconds: float) -> bool:
        """Whether all workers have done their parts, now or within that time."""
        async with self._changed:
            try:
                await asyncio.wait_for(
                    self._changed.wait_for(lambda: self._num_done[number] == self._num_workers), seconds
                )
            except TimeoutError:
                return False
            return True
