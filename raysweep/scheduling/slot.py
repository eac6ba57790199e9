"""One trial: one run after another through Ray Train, in this process or in a worker group that is kept
between runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune

from raysweep.scheduling.worker_group import WorkerGroup, import_from
from raysweep.store import Store
from raysweep.store.run_folder import RunState
from raysweep.training.process import clean_process
from raysweep.training.run import Job, execute


class Slot:
    """Executes runs of the same resources.

    With `num_workers=0`, Ray Train's local mode calls the loop in this process: each run leaves it as it was
    found, or `ProcessNotClean` is raised and the process must end. Otherwise a worker group trains, which is
    started for the first run.

    Args:
        import_path: the driver's `sys.path`, so that a run can import the user's own code (`module:object`)
        as the driver can.
    """

    def __init__(self, import_path: Sequence[str]) -> None:
        self._import_path = import_path
        self._group: WorkerGroup | None = None

    def run(self, job: Job) -> None:
        """Execute a run; return at once if it is done."""
        import_from(self._import_path)
        store = Store(job.store_folder)
        is_done = store.state(job.spec) is RunState.DONE
        if is_done and (store.run(job.spec.id).has_model or not job.save_weights):
            return
        folder = Path(store.ray) / "train"
        if job.resources.num_workers == 0:
            with clean_process():
                _train_here(job, folder)
            return
        self._group = self._group or WorkerGroup(job.resources, folder, self._import_path)
        self._group.run(job)

    def close(self) -> None:
        """Give back what the slot holds."""
        if self._group is not None:
            self._group.close()


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
    """A slot: each step is a run, or a pause."""

    def setup(self, config: dict[str, Any], import_path: Sequence[str]) -> None:  # type: ignore[override]
        self._slot = Slot(import_path)

    def step(self) -> dict[str, Any]:
        what: Job | float | None = cloudpickle.loads(
            Path(f"{self.config['jobs']}-{self.iteration}").read_bytes()
        )
        if isinstance(what, Job):
            self._slot.run(what)
        elif what is not None:
            time.sleep(what)
        return {"done": what is None}

    def cleanup(self) -> None:
        self._slot.close()
