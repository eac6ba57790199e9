"""Execute one run in the processes that train it, from its claim on the folder to its `result.json`."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from raysweep.errors import ForeignFolder, RaysweepError, StoppedEarly, TrainingDiverged
from raysweep.files import write_json
from raysweep.results.measure import measure_run
from raysweep.spec import RunSpec
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.training.checkpoint import Checkpoints
from raysweep.training.early_stopping import TrialContext, TrialMonitor
from raysweep.training.engine import process_group
from raysweep.training.loop import Report, ShouldStop, train
from raysweep.training.memory import forget_peak, memory_info

if TYPE_CHECKING:
    from raysweep.training.history import History

_PROGRESS_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """One run to be executed: what, with what, and where its record is."""

    spec: RunSpec
    resources: Resources
    store_folder: str
    save_weights: bool
    code: Mapping[str, Any]
    """The state of the user's code when the sweep was started: commit, uncommitted changes."""
    trial: TrialContext | None = None
    """Its part in a search, if it is a trial of one: it may be ended early."""


def execute(job: Job) -> None:
    """Train, measure and record a run; called by every worker of it, rank 0 writes.

    A failure is written to the run's error.txt, its cause in the first line and the traceback after it, and
    raised on.
    """
    try:
        _execute(job)
    except ForeignFolder:
        raise  # nothing is written into another run's folder
    except Exception as error:
        cause = str(error) if isinstance(error, RaysweepError) else f"{type(error).__name__}: {error}"
        path = Store(job.store_folder).run(job.spec.id).error
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{' '.join(cause.split())}\n\n{traceback.format_exc()}")
        raise


def _execute(job: Job) -> None:
    started = time.time()
    store = Store(job.store_folder)
    paths = store.run(job.spec.id)
    rank = int(os.environ.get("RANK", "0"))
    if rank == 0:
        paths.claim(job.spec)
        write_json(paths.environment, environment(job))
    with process_group(on_gpu=job.resources.num_gpus > 0):
        forget_peak()
        report = _progress_writer(job) if rank == 0 else lambda progress: None
        monitor = TrialMonitor(job.spec, store, job.trial) if job.trial and rank == 0 else None
        should_stop: ShouldStop | None = None
        if job.trial:  # only rank 0 decides, but all ranks must ask
            should_stop = monitor.should_stop if monitor else lambda step, num_steps, records: False
        try:
            records = train(job.spec, job.resources, store, job.save_weights, report, should_stop)
        except (StoppedEarly, TrainingDiverged) as error:
            if job.trial is None:
                raise
            if monitor is not None:  # in a search, to diverge is to be bad
                paths.stop(
                    job.spec, str(error), monitor.content() | {"info": _info(job, monitor.records, started)}
                )
        else:
            if rank == 0:
                paths.finish(job.spec, measure_run(job.spec, store), _info(job, records, started))
        if rank == 0:
            Checkpoints(paths, job.resources).remove()


def _info(job: Job, records: History | None, started: float) -> dict[str, Any]:
    """What a run took: counts and seconds."""
    counts: dict[str, Any] = {}
    if records is not None:
        counts = {
            "num_steps": len(records.training["step"]),
            "resumed_at_step": records.resumed_at_step,
            "num_tokens": records.num_tokens,
            "seconds_training": records.seconds["training"],
            "seconds_evaluation": records.seconds["evaluation"],
        }
        if records.num_parameters:  # counted when the training is over
            counts["num_parameters"] = records.num_parameters
            counts["num_trainable_parameters"] = records.num_trainable_parameters
            counts |= memory_info(job.spec, job.resources, Store(job.store_folder), records)
    now = time.time()
    return counts | {
        "seconds_total": now - started,
        "finished_at": now,
        "process": os.getpid(),
        "resources": asdict(job.resources),
    }


def _progress_writer(job: Job) -> Report:
    """Write progress.json at most twice a second: what the live table shows of a run."""
    path = Store(job.store_folder).run(job.spec.id).progress
    last = 0.0

    def report(progress: Mapping[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_SECONDS:
            last = time.monotonic()
            write_json(path, dict(progress))

    return report


def environment(job: Job) -> dict[str, Any]:
    """What the run was computed with and on: resources, versions of all packages, machine, code."""
    import torch

    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    machine = {
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "gpus": devices,
    }
    return {
        "resources": asdict(job.resources),
        "machine": machine,
        "packages": _package_versions(),
        "code": dict(job.code),
    }


@functools.cache
def _package_versions() -> dict[str, str]:
    found = ((item.metadata["Name"], item.version) for item in importlib.metadata.distributions())
    return dict(sorted((name, version) for name, version in found if name))
