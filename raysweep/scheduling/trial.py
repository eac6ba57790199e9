"""One trial: one run, through Ray Train, in this process or in a worker group."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raysweep.store import RunState, Store
from raysweep.training.execute import Job, execute
from raysweep.training.process import clean_process

DRIVER_CPUS = 0.01
"""What a trial takes that only waits for its worker group: were it a whole CPU, trials could take all that workers need."""


def run_trial(job: Job, import_path: Sequence[str]) -> None:
    """Execute a run with a `TorchTrainer`; return at once if it is done.

    With `num_workers=0`, Ray Train's local mode calls the loop in this process, which Tune keeps for its next run: it is
    left as it was found, or `ProcessNotClean` is raised and Tune lets it go. Otherwise a worker group trains.

    Args:
        job: the run.
        import_path: the driver's `sys.path`, so that a run can import the user's own code (`module:object`) as the driver can.
    """
    _import_from(import_path)
    store = Store(job.store_folder)
    is_done = store.state(job.spec) is RunState.DONE
    if is_done and (store.run(job.spec.id).has_model or not job.save_weights):
        return
    if job.resources.num_workers == 0:
        with clean_process():
            _fit(job, store, import_path)
    else:
        _fit(job, store, import_path)


def _fit(job: Job, store: Store, import_path: Sequence[str]) -> None:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    resources = job.resources
    on_gpu = resources.num_gpus > 0
    # The trial itself holds a sliver of a CPU beside its workers: without theirs, a run that takes all CPUs would never start.
    per_worker = {"CPU": resources.cpus_per_worker - DRIVER_CPUS} | ({"GPU": resources.num_gpus} if on_gpu else {})
    scaling = ScalingConfig(num_workers=resources.num_workers, use_gpu=on_gpu, resources_per_worker=per_worker)
    # Ray Train resumes whatever ran under the same name: the name is the run's id, so it can only be the run itself.
    config = RunConfig(name=job.spec.id, storage_path=str(Path(store.ray) / "train"))
    backend = TorchConfig(backend="nccl" if on_gpu else "gloo", timeout_s=resources.timeout_seconds)
    TorchTrainer(
        _train_worker,
        train_loop_config={"job": job, "import_path": import_path},
        torch_config=backend,
        scaling_config=scaling,
        run_config=config,
    ).fit()


def _train_worker(config: dict[str, Any]) -> None:
    _import_from(config["import_path"])
    execute(config["job"])


def _import_from(import_path: Sequence[str]) -> None:
    sys.path.extend(entry for entry in import_path if entry not in sys.path)
