"""Slots, which are the trials of Ray Tune: a process, or a worker group, that executes one run after another
through Ray Train, and what tells it what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.experimental import internal_kv

from raysweep.planning.graph import PlannedRun
from raysweep.scheduling.claim import claimed
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.shared_store import require_store_here
from raysweep.scheduling.worker_group import WorkerGroup, import_from
from raysweep.training.early_stopping import Stopper
from raysweep.training.process import clean_process
from raysweep.training.run import Job, execute
from raysweep.training.watchdog import watched

_NAMESPACE = b"raysweep"


class JobBoard:
    """What each slot is to do in each of its steps, told before Ray Tune has it take the step.

    It is in the table of keys and values that Ray's head keeps, not in files: what is unpickled comes from
    the cluster, behind its token, and no file system can show it late.

    Args:
        jobs: makes the job of a run.
        stopper: see `Jobs.make`.
        name: unique in the cluster.
    """

    def __init__(self, jobs: Jobs, stopper: Stopper | None, name: str) -> None:
        self._jobs = jobs
        self._stopper = stopper
        self._name = name

    def key(self, slot: str) -> str:
        """The name of a slot's entries, without the number of the step."""
        return f"{self._name}/{slot}"

    def write(self, slot: str, step: int, task: PlannedRun | float | None) -> None:
        """Tell a slot what to do in a step: execute a run, wait for so many seconds, or end (None)."""
        job: Job | float | None = (
            self._jobs.make(task, self._stopper, may_kill=True) if isinstance(task, PlannedRun) else task
        )
        internal_kv._internal_kv_del(f"{self.key(slot)}-{step - 1}", namespace=_NAMESPACE)
        internal_kv._internal_kv_put(f"{self.key(slot)}-{step}", cloudpickle.dumps(job), namespace=_NAMESPACE)

    def where(self, slot: str) -> str:
        """The process of a slot and its node, in words; "" if it hasn't said so."""
        told = internal_kv._internal_kv_get(_where_key(self.key(slot)), namespace=_NAMESPACE)
        return told.decode() if told else ""

    def clear(self) -> None:
        """Remove all entries."""
        internal_kv._internal_kv_del(f"{self._name}/", del_by_prefix=True, namespace=_NAMESPACE)


def _where_key(key: str) -> str:
    return f"{key}-where"


def say_where(key: str) -> None:
    """Tell the driver where this slot is, so that it can say so when nothing here can any more."""
    import ray

    address = ray.util.get_node_ip_address()
    where = f"process {os.getpid()} on node {address} ({ray.get_runtime_context().get_node_id()[:8]})"
    internal_kv._internal_kv_put(_where_key(key), where.encode(), namespace=_NAMESPACE)


def read_job(key: str, step: int) -> Job | float | None:
    """What a slot is to do in a step."""
    told = internal_kv._internal_kv_get(f"{key}-{step}", namespace=_NAMESPACE)
    if told is None:
        raise RuntimeError(f"Ray's head has no {key}-{step}; it may have been started again")
    what: Job | float | None = cloudpickle.loads(told)
    return what


class Slot:
    """Executes runs of equal resources.

    With `num_workers=0`, Ray Train's local mode calls the loop in this process: each run leaves the process
    as it was found, or `ProcessNotClean` is raised and the process must end. Otherwise a worker group trains,
    which is started for the first run.

    Args:
        import_path: the driver's `sys.path`, so that a run can import the user's own code (`module:object`)
            as the driver can.
        folder: scratch space of Ray Train.
    """

    def __init__(self, import_path: Sequence[str], folder: Path) -> None:
        self._import_path = import_path
        self._folder = folder
        self._group: WorkerGroup | None = None

    def run(self, job: Job) -> None:
        """Execute a run; return at once if it is done. If another sweep is executing it, wait for its end."""
        import_from(self._import_path)
        with claimed(job) as is_open:
            if is_open:
                self._train(job)

    def _train(self, job: Job) -> None:
        if job.resources.num_workers == 0:
            # Watched from here on and not only by `execute`: Ray Train's start imports for seconds.
            with clean_process(), watched(job.watch):
                _train_here(job, self._folder)
            return
        self._group = self._group or WorkerGroup(job.resources, self._folder, self._import_path)
        self._group.run(job)
        if self._group.is_worn:
            self.close()

    def close(self) -> None:
        """End the worker group, if there is one."""
        if self._group is not None:
            self._group.close()
            self._group = None


def _train_here(job: Job, folder: Path) -> None:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    on_gpu = job.resources.num_gpus > 0
    per_worker = {"CPU": job.resources.cpus_per_worker} | ({"GPU": job.resources.num_gpus} if on_gpu else {})
    TorchTrainer(
        _execute,
        train_loop_config={"job": job},
        scaling_config=ScalingConfig(num_workers=0, use_gpu=on_gpu, resources_per_worker=per_worker),
        # Ray Train resumes whatever ran under the same name: the name is the run's id, so it can only be the
        # run itself.
        run_config=RunConfig(name=job.spec.id, storage_path=str(folder)),
    ).fit()


def _execute(config: dict[str, Any]) -> None:
    execute(config["job"])


class SlotTrial(tune.Trainable):
    """A slot as a trial: each step executes a run, or waits."""

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], import_path: Sequence[str], folder: Path
    ) -> None:
        say_where(self.config["jobs"])
        require_store_here(folder)
        self._slot = Slot(import_path, folder)

    def step(self) -> dict[str, Any]:
        what = read_job(self.config["jobs"], self.iteration)
        if isinstance(what, Job):
            self._slot.run(what)
        elif what is not None:
            time.sleep(what)
        return {"done": what is None}

    def cleanup(self) -> None:
        self._slot.close()
