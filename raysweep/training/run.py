"""Execute one run in the processes that train it, from its claim on a folder to its `result.json`."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import time
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from raysweep.data.inputs import RunInputs
from raysweep.errors import (
    CorruptFile,
    ForeignFolder,
    RaysweepError,
    StoppedEarly,
    TrainingDiverged,
    is_interrupt,
)
from raysweep.files import write_json
from raysweep.results.measure import measure_run
from raysweep.spec import Features, RunSpec
from raysweep.spec.resources import Resources
from raysweep.spec.tuning import Feature
from raysweep.store import RunFolder, Store
from raysweep.store.lease import Fence, Overtaken
from raysweep.store.logs import log_of
from raysweep.training.checkpoint import Checkpoints
from raysweep.training.combining import combine_sources
from raysweep.training.early_stopping import TrialContext, TrialMonitor
from raysweep.training.engine import hide_gpus, process_group
from raysweep.training.features import extract
from raysweep.training.loop import Report, ShouldStop, train
from raysweep.training.memory import memory_info, reset_peak
from raysweep.training.output import kept_output
from raysweep.training.progress import ProgressWriter
from raysweep.training.watchdog import Watch, alive, heard, watched

if TYPE_CHECKING:
    from raysweep.training.history import History


@dataclass(frozen=True)
class Job:
    """A run to be executed: the spec, the resources, and where its result goes."""

    spec: RunSpec
    resources: Resources
    store_folder: str
    save_weights: bool
    code: Mapping[str, Any]
    """The state of the user's code when the sweep started: commit, uncommitted changes."""
    trial: TrialContext | None = None
    """What it knows of its search, if it is a trial, which may be ended early."""
    may_kill: bool = False
    """Whether the process that executes it is there for runs alone, so that it may be killed if it stands
    still for `Resources.timeout_seconds`."""
    fence: Fence | None = None
    """By which it may write into the run's folder, if other sweeps might want to."""
    features: frozenset[Feature] = frozenset()
    """What the runs of the plan read of it, if it is a features run."""
    also_predicts: frozenset[str] = frozenset()
    """Splits that it predicts beside its own, since other runs of the plan read them."""

    @property
    def folder(self) -> RunFolder:
        """The run's folder, as who executes it writes there."""
        return Store(self.store_folder).run(self.spec.id, self.fence)

    @property
    def is_done(self) -> bool:
        """Whether this very job is done, as when its processes were started again. An earlier result of the
        run, which the job is to replace, doesn't count."""
        if self.fence is None or not self.folder.result.exists():
            return False
        try:
            return bool(self.folder.read_result().get("nonce") == self.fence.nonce)
        except CorruptFile:
            return False

    @property
    def watch(self) -> Watch:
        """How a process that executes it is watched."""
        error = str(self.folder.error)
        return Watch(self.spec.id, self.resources.timeout_seconds, error, self.may_kill)


class RunEnded(Exception):
    """A run's code raised what isn't an `Exception`, such as `SystemExit`."""


def execute(job: Job) -> None:
    """Train, measure and record a run. Every worker of it calls this; rank 0 writes. A job that is done is
    left as it is.

    A failure is written to error.txt in the run's folder, the cause in the first line and the traceback
    below, and raised.

    Raises:
        RunEnded: code of the user's asked for the end of the process, as by `sys.exit`.
    """
    if job.is_done:
        return
    try:
        with watched(job.watch):
            _execute(job)
    except (ForeignFolder, Overtaken):
        raise  # nothing is written into the folder of another run, or of another try of this one
    except BaseException as error:
        if is_interrupt(error):
            raise
        cause = str(error) if isinstance(error, RaysweepError) else f"{type(error).__name__}: {error}"
        job.folder.tell_failure(cause, traceback.format_exc())
        if isinstance(error, Exception):
            raise
        raise RunEnded(cause) from error  # else the process would end as if all were well


def _execute(job: Job) -> None:
    started = time.monotonic()
    store = Store(job.store_folder)
    inputs = RunInputs(job.spec, store, job.also_predicts)
    paths = job.folder
    on_gpu = job.resources.num_gpus > 0
    if not on_gpu:
        hide_gpus()
    rank = int(os.environ.get("RANK", "0"))
    if rank == 0:
        paths.claim(job.spec)
        write_json(paths.environment, environment(job))
    needs_group = job.spec.loads_model  # all others need no DeepSpeed
    progress = ProgressWriter(inputs) if rank == 0 else None
    report: Report = progress.report if progress else lambda step, num_steps, history: None
    what = f"run {job.spec.id}: {job.spec.model.name} on {job.spec.task.label}, seed {job.spec.seed}"
    what += f", rank {rank} of {job.resources.world_size}"
    with (
        kept_output(log_of(paths, rank), what, has_process=job.may_kill) as log,
        heard(log.shorten, *([progress.sign] if progress else [])),
        process_group(on_gpu=on_gpu) if needs_group else nullcontext(),
    ):
        alive("that it had met its other workers")
        reset_peak(job.resources)
        monitor = TrialMonitor(inputs, job.trial) if job.trial and rank == 0 else None
        should_stop: ShouldStop | None = None
        if job.trial:  # rank 0 decides, but all ranks must ask
            should_stop = monitor.should_stop if monitor else lambda step, num_steps, history: False
        try:
            if job.spec.combination is not None:
                history = combine_sources(inputs)
            elif isinstance(job.spec.model.tuning, Features):
                history = extract(inputs, job.resources, paths, job.features, report)
            else:
                history = train(inputs, job.resources, job.save_weights, report, should_stop)
        except (StoppedEarly, TrainingDiverged) as error:
            if job.trial is None:
                raise
            if monitor is not None:  # a trial that diverges is a bad one, not a failure
                info = _info(job, inputs, monitor.history, started)
                paths.stop(job.spec, str(error), monitor.content() | {"info": info})
        else:
            if rank == 0:
                paths.finish(job.spec, measure_run(inputs), _info(job, inputs, history, started))
        if rank == 0:
            Checkpoints(paths, job.resources).remove()


def _info(job: Job, inputs: RunInputs, history: History | None, started: float) -> dict[str, Any]:
    """What a run took: counts, seconds and memory. `started` is a time of the monotonic clock, as others may
    jump while it runs."""
    counts: dict[str, Any] = {}
    if history is not None:
        counts = {
            "num_steps": len(history.training["step"]),
            "resumed_at_step": history.resumed_at_step,
            "num_tokens": history.num_tokens,
            "seconds_training": history.seconds["training"],
            "seconds_evaluation": history.seconds["evaluation"],
        }
        if history.num_parameters:  # counted once training is over
            counts["num_parameters"] = history.num_parameters
            counts["num_trainable_parameters"] = history.num_trainable_parameters
            counts |= memory_info(inputs, job.resources, history)
    return counts | {
        "seconds_total": time.monotonic() - started,
        "finished_at": time.time(),
        "process": os.getpid(),
        "resources": asdict(job.resources),
    }


def environment(job: Job) -> dict[str, Any]:
    """What a run is computed with: resources, machine, versions of all packages, code."""
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
