"""The two-worker sweep with a method whose last worker stops in its third step: the first time, for ever."""

import dataclasses
import os
import signal
from pathlib import Path

from tiny_sweep import sweep as tiny

from raysweep.objectives import Objective, cross_entropy
from raysweep.objectives.base import BatchContext
from raysweep.planning.sweep import Method, Sweep
from raysweep.recipes import Cell, CellRuns
from raysweep.spec import Call
from raysweep.spec.resources import Resources


def sweep() -> Sweep:
    """One cell whose student's worker of rank 1 stands still."""
    resources = Resources(num_workers=2, timeout_seconds=25)
    methods = [Method(name="still", recipe="stands_still:still")]
    return dataclasses.replace(tiny(), name="stands_still", methods=methods, resources=resources)


def alone() -> Sweep:
    """The same in one process."""
    return dataclasses.replace(sweep(), resources=Resources(num_workers=0, timeout_seconds=25))


def still(cell: Cell) -> CellRuns:
    """Naive finetuning with an objective that stops its process."""
    supervisor = cell.supervisor()
    student = cell.student(supervisor, Call("stands_still:OBJECTIVE"))
    return CellRuns(supervisor=supervisor, student=student, ceiling=cell.ceiling())


def _loss(logits, labels, context: BatchContext):
    """Cross-entropy; the last worker stops, once."""
    flag = Path(os.environ["STANDS_STILL"])
    is_last = int(os.environ.get("RANK", "0")) == int(os.environ.get("WORLD_SIZE", "1")) - 1
    if context.step == 2 and is_last and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return cross_entropy(logits, labels, context)


OBJECTIVE = Objective(_loss)
