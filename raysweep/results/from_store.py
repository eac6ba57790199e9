"""A sweep's data for tables and figures, read from the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from raysweep.data.inputs import RunInputs
from raysweep.files import read_json
from raysweep.planning.plan import Plan, PlannedCell, PlannedRun
from raysweep.results.cells import Results
from raysweep.results.frames import (
    CELL,
    COUNTS,
    SECONDS,
    SEPARATOR,
    RunFacts,
    SweepData,
    cells_frame,
    curves_frame,
    runs_frame,
)
from raysweep.results.measure import example_table, measure_curve
from raysweep.results.provenance import num_devices, provenance
from raysweep.spec import RunSpec, WeakLabels
from raysweep.store import Store
from raysweep.store.run_folder import RunStatus


def read_store(plan: Plan, store: Store) -> SweepData:
    """A sweep's data, what is missing included. Every file is checked against its checksum.

    Raises:
        CorruptFile: a file of a finished run isn't what was written.
    """
    results = Results(plan, store)
    names = layout(plan)
    curves = CellCurves(results, store)
    finished = [results.is_finished(cell) for cell in plan.cells]
    pairs = list(zip(plan.cells, names["cells"], finished, strict=True))
    return SweepData(
        name=plan.sweep.name,
        cells=cells_frame(
            names["cells"], [results.cell(cell).metrics if is_done else None for cell, _, is_done in pairs]
        ),
        runs=runs_frame(names["runs"], {run_id: _facts(run, store) for run_id, run in plan.runs.items()}),
        curves=curves_frame([(name, curves.of(cell)) for cell, name, is_done in pairs if is_done]),
        provenance=provenance(plan, store),
        read_examples=lambda run_id: example_table(RunInputs(plan.runs[run_id].spec, store)),
    )


def layout(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The plan's cells and runs as plain values: what a reader needs to know what is missing."""
    runs = [
        {
            "run_id": run.id,
            "role": run.role,
            "task": run.spec.task.label,
            "model": run.spec.model.name,
            "seed": run.spec.seed,
            "depends_on": [dependency.id for dependency in run.spec.dependencies],
        }
        for run in plan.runs.values()
    ]
    cells = [
        {name: getattr(cell, name) for name in CELL}
        | {
            "supervisor": cell.runs.supervisor.id,
            "student": cell.runs.student.id,
            "ceiling": cell.runs.ceiling.id,
        }
        | {"chain": SEPARATOR.join(_chain(cell.runs.student))}
        for cell in plan.cells
    ]
    return {"cells": cells, "runs": runs}


def _chain(run: RunSpec) -> list[str]:
    """Ids of a run and of those that taught it, the first teacher first."""
    taught = _chain(run.labels.supervisor) if isinstance(run.labels, WeakLabels) else []
    return [*taught, run.id]


class CellCurves:
    """The curves of a plan's finished cells; each ceiling is measured once for each supervisor, however many
    cells share them."""

    def __init__(self, results: Results, store: Store) -> None:
        self._results = results
        self._store = store
        self._of_ceilings: dict[tuple[str, str], pd.DataFrame] = {}

    def of(self, cell: PlannedCell) -> dict[str, list[tuple[int, float]]]:
        """The curves of a finished cell by name, see `SweepData.curves`, as (step, value); undefined points
        are left out."""
        student = self._results.student_curve(cell)
        ceiling = self._of_ceiling(cell)
        agreement = [str(name) for name in ceiling if str(name).startswith("test_agreement")]
        columns = {str(name): (student["step"], student[name]) for name in student if name != "step"}
        columns |= {f"ceiling_{name}": (ceiling["step"], ceiling[name]) for name in agreement}
        return {
            name: [
                (int(step), float(value))
                for step, value in zip(steps, values, strict=True)
                if np.isfinite(value)
            ]
            for name, (steps, values) in columns.items()
        }

    def _of_ceiling(self, cell: PlannedCell) -> pd.DataFrame:
        key = (cell.runs.ceiling.id, cell.runs.supervisor.id)
        if key not in self._of_ceilings:
            self._of_ceilings[key] = measure_curve(
                RunInputs(cell.runs.ceiling, self._store), cell.runs.supervisor
            )
        return self._of_ceilings[key]


def _facts(run: PlannedRun, store: Store) -> RunFacts:
    status = run.status(store)
    paths = store.run(run.id)
    if status is RunStatus.FAILED:
        return RunFacts(status=status, reason=paths.failure())
    if status is RunStatus.MISSING:
        return RunFacts(status=status)
    if status is RunStatus.STOPPED:
        stopped = read_json(paths.stopped)
        return RunFacts(status=status, reason=stopped["reason"], numbers=_numbers(stopped["info"]))
    info = paths.read_result()["info"]
    commit = read_json(paths.verified(paths.environment)).get("code", {}).get("commit")
    return RunFacts(status=status, numbers=_numbers(info), commit=commit or "")


def _numbers(info: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: float(info[name]) for name in (*COUNTS, *SECONDS) if name in info}
    return numbers | {"num_devices": num_devices(info["resources"])}
