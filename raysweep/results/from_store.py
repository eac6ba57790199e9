"""Reads a sweep's data from the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from raysweep.data.inputs import RunInputs
from raysweep.files import read_json
from raysweep.metrics import (
    Measurement,
    correct,
    declaration,
    measured,
    metrics,
    stop_readings,
)
from raysweep.metrics.base import Compared
from raysweep.planning.graph import PlannedCell
from raysweep.planning.plan import Plan
from raysweep.predictions import Predictions
from raysweep.results.cells import CELL, gap_numbers
from raysweep.results.choices import choices
from raysweep.results.disagreements import disagreements
from raysweep.results.elicited import layer_numbers
from raysweep.results.frames import (
    COUNTS,
    SECONDS,
    SEPARATOR,
    RunFacts,
    SweepData,
    cells_frame,
    curves_frame,
    numbered,
    planned_frame,
    runs_frame,
)
from raysweep.results.measure import curve_points, example_table, measure_curve
from raysweep.results.noise import Groups
from raysweep.results.provenance import num_devices, provenance
from raysweep.results.statistics import Outcomes, gap_recovered
from raysweep.spec import RunSpec, WeakLabels
from raysweep.store import RunFolder, RunStatus, Store


def read_store(
    plan: Plan, store: Store, added: Iterable[str] = (), reader: CellReader | None = None
) -> SweepData:
    """A sweep's data, with rows for what is missing. Statuses are read now, everything else when it is first
    asked for; every file is checked against its checksum.

    Args:
        plan: the sweep.
        store: where its runs are.
        added: metrics beside the registered ones, as `module:object`, that have been measured; what they
            declare is heeded.
        reader: of that store, which keeps what it has read; None for a new one.

    Raises:
        CorruptFile: a file of a finished run isn't what was written, here or when it is read.
        InvalidInput: an added metric is unknown.
    """
    statuses = {run_id: run.status(store) for run_id, run in plan.runs.items()}
    is_finished = [
        all(statuses[run.id] is RunStatus.DONE for run in _runs_of(cell).values()) for cell in plan.cells
    ]
    names = layout(plan)
    reader = reader or CellReader(store, added)
    finished = [cell if done else None for cell, done in zip(plan.cells, is_finished, strict=True)]
    pairs = list(zip(names["cells"], finished, strict=True))
    data = SweepData(
        name=plan.sweep.name,
        planned=planned_frame(names["cells"], is_finished),
        read_final_cells=lambda: cells_frame(
            names["cells"], [reader.final_numbers(cell) if cell else None for cell in finished]
        ),
        read_cells=lambda: cells_frame(
            names["cells"], [reader.numbers(cell) if cell else None for cell in finished]
        ),
        read_runs=lambda: runs_frame(
            names["runs"], {run_id: _facts(store.run(run_id), status) for run_id, status in statuses.items()}
        ),
        read_curves=lambda: curves_frame([(name, reader.curves(cell)) for name, cell in pairs if cell]),
        read_provenance=lambda: provenance(
            plan, store, statuses, [asdict(choice) for choice in choices(plan, data)]
        ),
        read_outcomes=lambda run_id: reader.outcomes(plan.runs[run_id].spec),
        read_examples=lambda run_id: example_table(RunInputs(plan.runs[run_id].spec, store)),
        read_disagreements=lambda supervisor, student: disagreements(
            RunInputs(plan.runs[student].spec, store), plan.runs[supervisor].spec
        ),
    )
    return data


def layout(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The plan's cells and runs as plain values, from which a reader knows what is missing."""
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
        | {role: run.id for role, run in _runs_of(cell).items()}
        | {"chain": SEPARATOR.join(_chain(cell.runs.student))}
        for cell in plan.cells
    ]
    return {"cells": cells, "runs": runs}


def _runs_of(cell: PlannedCell) -> dict[str, RunSpec]:
    return {"supervisor": cell.runs.supervisor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}


def _chain(run: RunSpec) -> list[str]:
    """Ids of a run and of those that taught it, the first teacher first."""
    taught = _chain(run.labels.supervisor) if isinstance(run.labels, WeakLabels) else []
    return [*taught, run.id]


@dataclass(frozen=True)
class _TestSplit:
    """What predictions on a task's test split are compared with."""

    truth: Predictions
    majority_share: float
    groups: Groups
    difficulty: npt.NDArray[np.float64]
    allowed: tuple[tuple[str, ...], ...] | None


class CellReader:
    """Numbers and curves of finished cells, from the store. Every file is read once, whatever number of cells
    share its run, and checked against its checksum.

    Args:
        store: where the runs are.
        added: metrics beside the registered ones, as `module:object`.
    """

    def __init__(self, store: Store, added: Iterable[str] = ()) -> None:
        self._store = store
        declared = {name: declaration(name) for name in [*(name for name, _ in metrics), *added]}
        self._comparing = {name: own for name, own in declared.items() if own.compares_with_supervisor}
        """Metrics that compare with the supervisor."""
        self._predictions: dict[str, Predictions] = {}
        self._splits: dict[str | None, _TestSplit] = {}
        self._outcomes: dict[str, Outcomes] = {}
        self._own: dict[str, dict[str, float]] = {}
        self._comparisons: dict[tuple[str, str, Compared], dict[str, float]] = {}
        self._curves: dict[tuple[str, str], pd.DataFrame] = {}

    def numbers(self, cell: PlannedCell) -> dict[str, float]:
        """All numbers of a finished cell on the test split, by name; undefined ones are left out.

        `weak_`, `student_` and `ceiling_` with each number of the supervisor, student and ceiling alone:
        accuracy, expected_calibration_error, auroc…; those of `raysweep.results.cells.gap_numbers`;
        agreement, misfit and gain, of the student against the cell's supervisor; `ceiling_agreement…`, of the
        ceiling against it; `layer`, whose features the student reads, if it reads some; of a read-out
        `read_out_validation_accuracy`; and the student's readings at early stops, see
        `raysweep.metrics.gap.stop_readings`.
        """
        return self.final_numbers(cell) | self._stops(cell)

    def final_numbers(self, cell: PlannedCell) -> dict[str, float]:
        """`numbers` without the readings at early stops."""
        runs = {"weak": cell.runs.supervisor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}
        values = {
            f"{end}_{name}": value
            for end, run in runs.items()
            for name, value in self._numbers_of(run).items()
        }
        outcomes = {role: self.outcomes(run) for role, run in _runs_of(cell).items()}
        values |= gap_numbers(outcomes, self._split_of(cell.runs.student).majority_share)
        values |= self._compare(cell.runs.student, cell.runs.supervisor, "student")
        values |= layer_numbers(RunInputs(cell.runs.student, self._store))
        ceiling = self._compare(cell.runs.ceiling, cell.runs.supervisor, "ceiling")
        return values | {f"ceiling_{name}": value for name, value in ceiling.items()}

    def curves(self, cell: PlannedCell) -> dict[str, list[tuple[int, float]]]:
        """The curves of a finished cell by name, see `SweepData.curves`, as (step, value); undefined points
        are left out."""
        student = self._curve(cell.runs.student, cell.runs.supervisor)
        ceiling = self._curve(cell.runs.ceiling, cell.runs.supervisor)
        compared = [
            f"test_{number}"
            for own in self._comparing.values()
            if "ceiling" in own.compares_with_supervisor
            for number in own.columns or ()
        ]
        columns = {str(name): (student["step"], student[name]) for name in student if name != "step"}
        columns |= {
            f"ceiling_{name}": (ceiling["step"], ceiling[name]) for name in compared if name in ceiling
        }
        return {
            name: [
                (int(step), float(value))
                for step, value in zip(steps, values, strict=True)
                if np.isfinite(value)
            ]
            for name, (steps, values) in columns.items()
        }

    def outcomes(self, run: RunSpec) -> Outcomes:
        """What a finished run made of the test examples, in the order of its predictions."""
        if run.id not in self._outcomes:
            split = self._split_of(run)
            self._outcomes[run.id] = Outcomes(correct(self._predictions_of(run), split.truth), split.groups)
        return self._outcomes[run.id]

    def _numbers_of(self, run: RunSpec) -> dict[str, float]:
        """A run's numbers on test from its result.json, without those that compare it with its own
        supervisor, which needn't be the cell's."""
        if run.id not in self._own:
            comparing = {f"test_{name}" for own in self._comparing.values() for name in own.columns or ()}
            found: Mapping[str, float] = self._store.run(run.id).read_result()["metrics"]
            self._own[run.id] = {
                name.removeprefix("test_"): value
                for name, value in found.items()
                if name.startswith("test_") and name not in comparing
            }
        return self._own[run.id]

    def _compare(self, run: RunSpec, supervisor: RunSpec, role: Compared) -> dict[str, float]:
        """The numbers of a run that compare it with the cell's supervisor."""
        key = (run.id, supervisor.id, role)
        if key not in self._comparisons:
            split = self._split_of(run)
            measurement = Measurement(
                predicted=self._predictions_of(run),
                truth=split.truth,
                supervisor=self._predictions_of(supervisor),
                difficulty=split.difficulty,
                allowed=split.allowed,
            )
            names = [name for name, own in self._comparing.items() if role in own.compares_with_supervisor]
            self._comparisons[key] = measured(measurement, names)
        return self._comparisons[key]

    def _stops(self, cell: PlannedCell) -> dict[str, float]:
        """The readings of the student, with supervisor and ceiling on the examples of its curve; on all test
        examples if it has none."""
        student = cell.runs.student
        split = self._split_of(student)
        curve = self._curve(student, cell.runs.supervisor)
        points = curve_points(RunInputs(student, self._store), "test")
        order = np.arange(len(split.truth))
        if points:
            order = pd.Index(split.truth.ids).get_indexer(pd.Index(points[-1][1].ids))
        else:
            num_steps = self._store.run(student.id).read_result()["info"]["num_steps"]
            accuracy = self.outcomes(student).right.mean()
            curve = pd.DataFrame({"step": [num_steps], "test_accuracy": [accuracy]})
        weak, ceiling = (
            self.outcomes(run).right[None, order] for run in (cell.runs.supervisor, cell.runs.ceiling)
        )
        readings = stop_readings(curve, float(weak.mean()), float(ceiling.mean()))
        is_told = gap_recovered(weak, weak, ceiling, split.groups[order]).pgr is not None
        return {name: value for name, value in readings.items() if is_told or not name.startswith("pgr")}

    def _curve(self, run: RunSpec, supervisor: RunSpec) -> pd.DataFrame:
        """A run's curve, with the cell's supervisor to compare with."""
        key = (run.id, supervisor.id)
        if key not in self._curves:
            self._curves[key] = measure_curve(RunInputs(run, self._store), supervisor)
        return self._curves[key]

    def _predictions_of(self, run: RunSpec) -> Predictions:
        if run.id not in self._predictions:
            self._predictions[run.id] = self._store.run(run.id).read_predictions("test")
        return self._predictions[run.id]

    def _split_of(self, run: RunSpec) -> _TestSplit:
        if run.task.content not in self._splits:
            inputs = RunInputs(run, self._store)
            is_generative = run.task.kind == "generative"
            truth = inputs.ground_truth("test")
            self._splits[run.task.content] = _TestSplit(
                truth=truth,
                majority_share=float(np.unique(truth.decisions, return_counts=True)[1].max() / len(truth)),
                groups=numbered(inputs.examples("test", ["group"])["group"]),
                difficulty=inputs.difficulty("test").to_numpy(np.float64),
                allowed=tuple(inputs.allowed_answers("test")) if is_generative else None,
            )
        return self._splits[run.task.content]


def _facts(paths: RunFolder, status: RunStatus) -> RunFacts:
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
