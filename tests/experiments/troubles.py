"""The tiny sweep with all that goes wrong in one: a weak model that diverges, and a method that leaves a
thread behind."""

import dataclasses
import threading
import time

from tiny_sweep import sweep as tiny

from raysweep.planning.sweep import Method, Sweep
from raysweep.predictions import Predictions
from raysweep.recipes import Cell, CellRuns
from raysweep.spec import Call
from raysweep.spec.optimization import Optimization
from raysweep.spec.resources import Resources
from raysweep.transforms.base import Transform, TransformContext


def sweep() -> Sweep:
    """Two pairs, one with a weak model whose loss becomes NaN; two methods, one of which doesn't clean up."""
    small = tiny()
    weak, strong = small.pairs[0]
    steps = weak.optimization.steps
    diverging = dataclasses.replace(
        weak,
        spec=dataclasses.replace(weak.spec, name="diverging"),
        optimization=Optimization(learning_rate=1e30, batch_size=16, steps=steps),
    )
    methods = ["naive", Method(name="leaky", recipe="troubles:leaky")]
    return dataclasses.replace(
        small,
        name="troubles",
        pairs=[(weak, strong), (diverging, strong)],
        methods=methods,
        resources=Resources(num_workers=0, cpus_per_worker=2),
    )


def in_groups() -> Sweep:
    """The same in worker groups of two."""
    return dataclasses.replace(sweep(), resources=Resources(num_workers=2))


def too_wide() -> Sweep:
    """Asks for more than any machine that runs this has."""
    return dataclasses.replace(tiny(), resources=Resources(num_workers=2, cpus_per_worker=500))


def leaky(cell: Cell) -> CellRuns:
    """Naive finetuning whose labels go through a transform that starts a thread."""
    supervisor = cell.supervisor()
    student = cell.student(supervisor, transforms=(Call("troubles:leave_a_thread"),))
    return CellRuns(supervisor=supervisor, student=student, ceiling=cell.ceiling())


def _start_a_thread(labels: Predictions, context: TransformContext) -> Predictions:
    """The labels as they are, and a thread that outlives the run."""
    threading.Thread(target=time.sleep, args=(600,), name="left-behind", daemon=True).start()
    return labels


leave_a_thread = Transform(apply=_start_a_thread)
