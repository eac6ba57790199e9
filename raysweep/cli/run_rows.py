"""Runs as people are shown them: what a run is, how far it is, and what it has told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan
from raysweep.results.tables import shortest
from raysweep.store import RunFolder
from raysweep.store.progress import latest

COLUMNS = ("task", "models", "method", "seed", "state", "", "step", "metric")
"""Of the tables of runs. One that is no student has its role in place of a method; the column without a title
is the bar."""
NUM_NAMES = 3
DROPPED_FIRST = (5, 6, 3, 0)
"""Columns that a narrow terminal does without, in this order: bar, step, seed, task."""
DROPPED_NAMES = {5: "bar", 6: "step", 3: "seed", 0: "task"}
_BAR = 10
_METRICS = ("test_accuracy", "validation_accuracy", "validation_loss", "loss")
"""That of which a row shows the first that is there."""


def methods_of(plan: Plan) -> dict[str, list[str]]:
    """By the id of a student, the names of the methods that it is the student of."""
    methods: dict[str, list[str]] = {}
    for cell in plan.cells:
        named = methods.setdefault(cell.runs.student.id, [])
        if cell.method not in named:
            named.append(cell.method)
    return methods


def names_of(run: PlannedRun, methods: Mapping[str, list[str]]) -> tuple[str, str, str, str]:
    """A run's task, model or pair, method or role, and seed."""
    spec = run.spec
    is_of_a_pair = run.role == "student" and len(run.pairs) == 1
    models = " → ".join(run.pairs[0]) if is_of_a_pair else spec.model.name
    method = ", ".join(methods.get(run.id, [])) if run.role == "student" else ""
    tried = run.study.values_of(run.id) if run.study else {}
    values = ", ".join(f"{path.rpartition('.')[2]}={shortest(value)}" for path, value in tried.items())
    return spec.task.label, models, " ".join(filter(None, [method or run.role, values])), str(spec.seed)


def reading_of(folder: RunFolder, *, is_done: bool) -> dict[str, Any]:
    """What a run has told of itself: its result, or the last lines of its progress."""
    if not is_done:
        return latest(folder.progress)
    try:
        result = json.loads(folder.result.read_text())
        steps = result["info"]["num_steps"]
        return {"step": steps, "num_steps": steps} | result["metrics"]
    except (OSError, ValueError, KeyError):  # moved away meanwhile
        return {}


def progress_cells(reading: Mapping[str, Any]) -> tuple[str, str, str]:
    """The bar of a run, its steps, and a metric by its name."""
    if not reading.get("num_steps"):
        return "", "", metric_text(reading)
    step, num_steps = reading["step"], reading["num_steps"]
    return bar(step / num_steps, _BAR), f"{step}/{num_steps}", metric_text(reading)


def bar(share: float, width: int) -> str:
    """A bar of that many characters."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return "━" * full + "─" * (width - full)


def metric_text(reading: Mapping[str, Any]) -> str:
    """A metric by its name; "" if the run hasn't told any."""
    name = next((name for name in _METRICS if name in reading), None)
    return f"{name.replace('_', ' ')} {reading[name]:.3f}" if name else ""


def duration(seconds: float) -> str:
    """A duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else (f"{minutes} min {rest} s" if minutes else f"{rest} s")
