"""The tiny sweep with a student whose first try stands still in its 120th step, after two checkpoints, so
that its node can be lost there: it says where it is, and waits.

STANDS_STILL names the file in which it says so; without that variable, nothing stands still.
"""

import dataclasses
import os
import time
from pathlib import Path

from two_workers import one_process

from raysweep.objectives import Objective, cross_entropy
from raysweep.objectives.base import BatchContext
from raysweep.planning.sweep import Method, Sweep
from raysweep.recipes import Cell, CellRuns
from raysweep.spec import Call
from raysweep.spec.resources import Resources


def sweep() -> Sweep:
    """One cell: five runs, each in one process."""
    return dataclasses.replace(
        one_process(),
        name="lost_node",
        methods=[Method(name="still", recipe="lost_node:still")],
        resources=Resources(num_workers=0, checkpoint_every=50),
    )


def still(cell: Cell) -> CellRuns:
    """Naive finetuning with an objective that waits."""
    supervisor = cell.supervisor()
    student = cell.student(supervisor, Call("lost_node:OBJECTIVE"))
    return CellRuns(supervisor=supervisor, student=student, ceiling=cell.ceiling())


def _loss(logits, labels, context: BatchContext):
    """Cross-entropy; the first process that comes to step 120 waits to be killed."""
    named = os.environ.get("STANDS_STILL")
    if named and context.step == 120 and not (file := Path(named)).exists():
        import ray

        file.with_suffix(".tmp").write_text(f"{ray.get_runtime_context().get_node_id()} {os.getpid()}")
        file.with_suffix(".tmp").rename(file)
        time.sleep(300)
    return cross_entropy(logits, labels, context)


OBJECTIVE = Objective(_loss)
