"""A sweep's data for tables and figures, read from the store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from raysweep.files import read_json
from raysweep.identity import canonical
from raysweep.measure import example_table, measure_curve
from raysweep.plan import Plan, PlannedCell, PlannedRun
from raysweep.prepare import split_sizes
from raysweep.report.data import (
    CELL,
    COUNTS,
    SECONDS,
    SEPARATOR,
    RunStanding,
    SweepData,
    cells_frame,
    curves_frame,
    runs_frame,
)
from raysweep.results import Results
from raysweep.search.summary import choices
from raysweep.spec import Folder, Hub, ModelSpec, RunSpec, Scratch, TaskSpec, WeakLabels
from raysweep.store import RunState, Store

_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "deepspeed", "ray", "mlflow", "numpy", "pandas", "scipy")
"""Packages whose version can change a number or a timing."""


def read_store(plan: Plan, store: Store) -> SweepData:
    """A sweep's data, what is missing included. Every file is checked against its checksum.

    Raises:
        CorruptFile: a file of a finished run isn't what was written.
    """
    results, names = Results(plan, store), layout(plan)
    curves = CellCurves(results, store)
    finished = [results.is_finished(cell) for cell in plan.cells]
    pairs = list(zip(plan.cells, names["cells"], finished, strict=True))
    return SweepData(
        name=plan.sweep.name,
        cells=cells_frame(names["cells"], [results.cell(cell).metrics if is_done else None for cell, _, is_done in pairs]),
        runs=runs_frame(names["runs"], {run_id: _standing(run, store) for run_id, run in plan.runs.items()}),
        curves=curves_frame([(name, curves.of(cell)) for cell, name, is_done in pairs if is_done]),
        provenance=provenance(plan, store),
        read_examples=lambda run_id: example_table(plan.runs[run_id].spec, store),
    )


def layout(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The plan's cells and runs as plain values: what a reader needs to know what is missing."""
    runs = [
        {
            "run_id": run.id,
            "kind": run.kind,
            "task": run.spec.task.label,
            "model": run.spec.model.name,
            "seed": run.spec.seed,
            "depends_on": [dependency.id for dependency in run.spec.dependencies],
        }
        for run in plan.runs.values()
    ]
    cells = [
        {name: getattr(cell, name) for name in CELL}
        | {"floor": cell.runs.floor.id, "student": cell.runs.student.id, "ceiling": cell.runs.ceiling.id}
        | {"chain": SEPARATOR.join(_chain(cell.runs.student))}
        for cell in plan.cells
    ]
    return {"cells": cells, "runs": runs}


def _chain(run: RunSpec) -> list[str]:
    """Ids of a run and of those that taught it, the first teacher first."""
    taught = _chain(run.labels.supervisor) if isinstance(run.labels, WeakLabels) else []
    return [*taught, run.id]


class CellCurves:
    """The curves of a plan's finished cells; each ceiling is measured once for each floor, however many cells share them."""

    def __init__(self, results: Results, store: Store) -> None:
        self._results = results
        self._store = store
        self._of_ceilings: dict[tuple[str, str], pd.DataFrame] = {}

    def of(self, cell: PlannedCell) -> dict[str, list[tuple[int, float]]]:
        """The curves of a finished cell by name, see `SweepData.curves`, as (step, value); undefined points are left out."""
        student, ceiling = self._results.student_curve(cell), self._of_ceiling(cell)
        agreement = [str(name) for name in ceiling if str(name).startswith("test_agreement")]
        columns = {str(name): (student["step"], student[name]) for name in student if name != "step"}
        columns |= {f"ceiling_{name}": (ceiling["step"], ceiling[name]) for name in agreement}
        return {
            name: [(int(step), float(value)) for step, value in zip(steps, values, strict=True) if np.isfinite(value)]
            for name, (steps, values) in columns.items()
        }

    def _of_ceiling(self, cell: PlannedCell) -> pd.DataFrame:
        key = (cell.runs.ceiling.id, cell.runs.floor.id)
        if key not in self._of_ceilings:
            self._of_ceilings[key] = measure_curve(cell.runs.ceiling, self._store, supervisor=cell.runs.floor)
        return self._of_ceilings[key]


def _standing(run: PlannedRun, store: Store) -> RunStanding:
    state, paths = store.state(run.spec), store.run(run.id)
    if state is RunState.FAILED:
        return RunStanding(state="failed", reason=paths.failure())
    if state is RunState.MISSING or (state is RunState.STOPPED and not run.may_be_stopped):
        return RunStanding(state="missing")
    if state is RunState.STOPPED:
        stopped = read_json(paths.stopped)
        return RunStanding(state="stopped", reason=stopped["reason"], numbers=_numbers(stopped["info"]))
    info = paths.read_result()["info"]
    commit = read_json(paths.verified(paths.environment)).get("code", {}).get("commit")
    return RunStanding(state="done", numbers=_numbers(info), commit=commit or "")


def _numbers(info: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: float(info[name]) for name in (*COUNTS, *SECONDS) if name in info}
    return numbers | {"num_devices": num_devices(info["resources"])}


def num_devices(resources: Mapping[str, Any]) -> int:
    """GPUs that a run trains on, a shared one counted as one; 0 on CPU."""
    return math.ceil(max(int(resources.get("num_workers", 0)), 1) * float(resources.get("gpus_per_worker", 0)))


def provenance(plan: Plan, store: Store) -> dict[str, Any]:
    """How a sweep's numbers came about, as plain values that JSON holds.

    `sweep`; `num_cells`, `num_runs`, `num_finished_runs`, `num_trainings`, `num_pretrainings`,
    `num_trainings_without_sharing`; `tasks` and `models` by name (content, splits, commits); and of the finished runs
    `started_at` and `finished_at` (seconds since 1970, None if there is none), `seconds_total` (the sum over runs),
    `commits`, `commands`, `has_uncommitted_changes`, `devices`, `python` and `packages`, each a list of what was found;
    `search`, the fields of `raysweep.search.summary.Choice` for each study and signal; `num_open_cells`, which wait for it.
    """
    done = [run.spec for run in plan.runs.values() if store.state(run.spec) is RunState.DONE]
    infos = [store.run(spec.id).read_result()["info"] for spec in done]
    environments = [read_json(store.run(spec.id).verified(store.run(spec.id).environment)) for spec in done]
    codes = [environment.get("code", {}) for environment in environments]
    machines = [environment.get("machine", {}) for environment in environments]
    packages = [environment.get("packages", {}) for environment in environments]
    tasks = {run.spec.task.label: run.spec.task for run in plan.runs.values()}
    models = {run.spec.model.name: run.spec.model for run in plan.runs.values() if run.kinds != ("pretrain",)}
    return {
        "sweep": plan.sweep.name,
        "num_cells": len(plan.cells),
        "num_runs": len(plan.runs),
        "num_finished_runs": len(done),
        "num_trainings": plan.num_trainings,
        "num_pretrainings": plan.num_pretrainings,
        "num_trainings_without_sharing": plan.num_trainings_without_sharing,
        "tasks": {label: _task(task, store) for label, task in tasks.items()},
        "models": {name: _model(model) for name, model in models.items()},
        "started_at": min((info["finished_at"] - info["seconds_total"] for info in infos), default=None),
        "finished_at": max((info["finished_at"] for info in infos), default=None),
        "seconds_total": float(sum(info["seconds_total"] for info in infos)),
        "commits": _distinct(code.get("commit") for code in codes),
        "commands": _distinct(code.get("command") for code in codes),
        "has_uncommitted_changes": any(bool(code.get("diff")) for code in codes),
        "devices": _distinct(gpu for machine in machines for gpu in machine.get("gpus") or ["CPU"]),
        "python": _distinct(machine.get("python") for machine in machines),
        "packages": {name: _distinct(found.get(name) for found in packages) for name in _PACKAGES},
        "search": [asdict(choice) for choice in choices(plan, Results(plan, store))] if plan.growth else [],
        "num_open_cells": plan.num_open_cells,
    }


def _distinct(values: Any) -> list[str]:
    return sorted({value for value in values if value})


def _task(task: TaskSpec, store: Store) -> dict[str, Any]:
    return {
        "name": task.name,
        "content": task.content,
        "kind": task.kind,
        "class_names": list(task.class_names),
        "params": canonical(task.params),
        "split_seed": task.split_seed,
        "num_examples": split_sizes(task, store),
    }


def _model(model: ModelSpec) -> dict[str, Any]:
    base, tuning = model.base, type(model.tuning).__name__
    if isinstance(base, Hub):
        return {"base": base.id, "commit": base.commit, "tuning": tuning}
    if isinstance(base, Folder):
        return {"base": base.path, "content": base.content, "tuning": tuning}
    if isinstance(base, Scratch):
        return {"base": f"new {base.architecture}", "tuning": tuning}
    return {"base": f"run {base.id}", "tuning": tuning}
