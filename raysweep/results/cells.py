"""Results of a sweep, read from the store: a row a cell, a row a (task, pair, method) over its seeds, and
what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from raysweep.data.inputs import RunInputs
from raysweep.metrics import Measurement, correct, measured, performance_gap_recovered, stop_readings
from raysweep.metrics.gap import STOPS
from raysweep.planning.plan import Plan, PlannedCell
from raysweep.predictions import Predictions
from raysweep.results.measure import curve_points, measure_curve
from raysweep.results.statistics import Correct, GapRecovered, gap_recovered
from raysweep.spec import RunSpec
from raysweep.store import Store
from raysweep.store.run_folder import RunStatus

_COMPARISONS = frozenset(
    {"agreement", "agreement_supervisor_right", "agreement_supervisor_wrong"}
    | {
        f"{what}_{form}"
        for what in ("misfit", "gain")
        for form in ("squared_error", "error_rate", "cross_entropy")
    }
)
"""Numbers that compare with a supervisor: a run has them of its own one, a cell of its supervisor."""


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What people compare of one finished cell, on the test split. A number that is undefined is absent."""

    cell: PlannedCell
    metrics: Mapping[str, float]
    """`weak_`, `student_` and `ceiling_` with each number of the run's own on test: accuracy,
    expected_calibration_error, auroc…; pgr; agreement, misfit and gain of the student with the supervisor as
    its supervisor; ceiling_agreement… of the ceiling with the supervisor; and the three readings of the
    student, see `raysweep.metrics.gap.stop_readings`."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A (task, weak, strong, method) over its finished seeds: the table at the end of a sweep."""

    task: str
    weak: str
    strong: str
    method: str
    seeds: tuple[int, ...]
    missing_seeds: tuple[int, ...]
    gap: GapRecovered | None
    """None if no seed is finished."""
    agreement: float | None
    agreement_supervisor_right: float | None
    agreement_supervisor_wrong: float | None
    """Agreement of student and supervisor on test: over all examples, and where the supervisor is right or
    wrong."""

    def to_json(self) -> dict[str, Any]:
        """A flat dict for `raysweep results --json`."""
        gap = asdict(self.gap) if self.gap else dict.fromkeys(GapRecovered.__dataclass_fields__)
        names = ("task", "weak", "strong", "method", "seeds", "missing_seeds")
        agreements = {name: value for name, value in asdict(self).items() if name.startswith("agreement")}
        return {name: getattr(self, name) for name in names} | gap | agreements


class Results:
    """The finished cells of a plan. Every file is read once and checked against its checksum."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan = plan
        self._store = store
        self._done = {run.id for run in plan.runs.values() if run.status(store) is RunStatus.DONE}
        self._groups: dict[tuple[str, str, str, str], list[PlannedCell]] = {}
        for cell in plan.cells:
            self._groups.setdefault((cell.task, cell.weak, cell.strong, cell.method), []).append(cell)
        self._right: dict[str, Correct] = {}
        self._predictions: dict[str, Predictions] = {}
        self._truth: dict[str | None, Predictions] = {}
        self._curves: dict[tuple[str, str], pd.DataFrame] = {}

    def is_finished(self, cell: PlannedCell) -> bool:
        """Whether supervisor, student and ceiling are done."""
        return {cell.runs.supervisor.id, cell.runs.student.id, cell.runs.ceiling.id} <= self._done

    def cell(self, cell: PlannedCell) -> CellResult:
        """The numbers of a finished cell."""
        runs = cell.runs
        ends = {"weak": runs.supervisor, "student": runs.student, "ceiling": runs.ceiling}
        accuracies = {f"{end}_accuracy": float(self._right_of(run).mean()) for end, run in ends.items()}
        values = {
            f"{end}_{name}": value
            for end, run in ends.items()
            for name, value in self._own_numbers(run).items()
        }
        values |= accuracies
        pgr = performance_gap_recovered(*accuracies.values())
        values |= {} if pgr is None else {"pgr": pgr}
        values |= self._compared(runs.student, runs.supervisor, "agreement", "misfit")
        ceiling = self._compared(runs.ceiling, runs.supervisor, "agreement")
        values |= {f"ceiling_{name}": value for name, value in ceiling.items()}
        return CellResult(cell=cell, metrics=values | self._stops(cell))

    def student_curve(self, cell: PlannedCell) -> pd.DataFrame:
        """The student's curve, with the supervisor as its supervisor: see
        `raysweep.results.measure.measure_curve`."""
        key = (cell.runs.student.id, cell.runs.supervisor.id)
        if key not in self._curves:
            self._curves[key] = measure_curve(self._inputs(cell.runs.student), cell.runs.supervisor)
        return self._curves[key]

    def means(self, row: Row) -> dict[str, float]:
        """Means of all metrics of a row's cells over its finished seeds, by name; PGRs are those of the mean
        accuracies.

        No PGR is given where the row's gap is inside the noise.
        """
        cells = [
            cell
            for cell in self._groups[(row.task, row.weak, row.strong, row.method)]
            if cell.seed in row.seeds
        ]
        found = pd.DataFrame([self.cell(cell).metrics for cell in cells])
        means = {str(name): float(found[name].mean()) for name in found if not str(name).startswith("pgr")}
        if row.gap is None or row.gap.pgr is None:
            return means
        pgrs = {"pgr": row.gap.pgr}
        for stop in STOPS:
            names = ["weak_accuracy_at_last", f"student_accuracy_at_{stop}", "ceiling_accuracy_at_last"]
            if names[1] in found:  # of the seeds that have this stop
                pgr = performance_gap_recovered(*found.dropna(subset=names)[names].mean().to_list())
                pgrs |= {} if pgr is None else {f"pgr_at_{stop}": pgr}
        return means | pgrs

    def rows(self) -> list[Row]:
        """All (task, weak, strong, method) of the plan, in its order, over the seeds that are finished."""
        return [self._row(names, cells) for names, cells in self._groups.items()]

    def finished_cells(self) -> pd.DataFrame:
        """A row a finished cell, as `raysweep.results.comparisons.compare_methods` takes them."""
        columns = ["task", "weak", "strong", "method", "seed", "supervisor", "student", "ceiling"]
        finished = [cell for cell in self.plan.cells if self.is_finished(cell)]
        ends = [(cell.runs.supervisor.id, cell.runs.student.id, cell.runs.ceiling.id) for cell in finished]
        named = [(cell.task, cell.weak, cell.strong, cell.method, cell.seed) for cell in finished]
        return pd.DataFrame(
            [(*names, *runs) for names, runs in zip(named, ends, strict=True)], columns=columns
        )

    def right(self, run_id: str) -> Correct:
        """(examples,) whether a finished run was right, test example by test example."""
        return self._right_of(self.plan.runs[run_id].spec)

    def _row(self, names: tuple[str, str, str, str], cells: list[PlannedCell]) -> Row:
        finished = [cell for cell in cells if self.is_finished(cell)]
        gap = None
        agreements = dict[str, float | None]()
        if finished:
            ends = [(cell.runs.supervisor, cell.runs.student, cell.runs.ceiling) for cell in finished]
            gap = gap_recovered(
                *(np.stack([self._right_of(run) for run in role]) for role in zip(*ends, strict=True))
            )
            found = pd.DataFrame(
                [self._compared(cell.runs.student, cell.runs.supervisor, "agreement") for cell in finished]
            )
            agreements = {str(name): float(found[name].mean()) for name in found}
        return Row(
            task=names[0],
            weak=names[1],
            strong=names[2],
            method=names[3],
            seeds=tuple(cell.seed for cell in finished),
            missing_seeds=tuple(cell.seed for cell in cells if not self.is_finished(cell)),
            gap=gap,
            agreement=agreements.get("agreement"),
            agreement_supervisor_right=agreements.get("agreement_supervisor_right"),
            agreement_supervisor_wrong=agreements.get("agreement_supervisor_wrong"),
        )

    def _own_numbers(self, run: RunSpec) -> dict[str, float]:
        """What result.json says of a run on test, but for comparisons."""
        named = {
            name.removeprefix("test_"): value
            for name, value in self._store.run(run.id).read_result()["metrics"].items()
            if name.startswith("test_")
        }
        return {name: value for name, value in named.items() if name not in _COMPARISONS}

    def _compared(self, run: RunSpec, supervisor: RunSpec, *metrics: str) -> dict[str, float]:
        measurement = Measurement(
            predicted=self._predictions_of(run),
            truth=self._truth_of(run),
            supervisor=self._predictions_of(supervisor),
        )
        return measured(measurement, metrics)

    def _stops(self, cell: PlannedCell) -> dict[str, float]:
        """The readings of the student, beside supervisor and ceiling on the examples of its curve; without
        one, on all."""
        student = cell.runs.student
        curve = self.student_curve(cell)
        points = curve_points(self._inputs(student), "test")
        ids = points[-1][1].ids if points else self._truth_of(student).ids
        if not points:
            num_steps = self._store.run(student.id).read_result()["info"]["num_steps"]
            curve = pd.DataFrame({"step": [num_steps], "test_accuracy": [self._right_of(student).mean()]})
        truth = self._truth_of(student).align(ids)
        weak, ceiling = (
            float(correct(self._predictions_of(run).align(ids), truth).mean())
            for run in (cell.runs.supervisor, cell.runs.ceiling)
        )
        return stop_readings(curve, weak, ceiling)

    def _right_of(self, run: RunSpec) -> Correct:
        if run.id not in self._right:
            self._right[run.id] = correct(self._predictions_of(run), self._truth_of(run))
        return self._right[run.id]

    def _predictions_of(self, run: RunSpec) -> Predictions:
        if run.id not in self._predictions:
            self._predictions[run.id] = self._store.run(run.id).read_predictions("test")
        return self._predictions[run.id]

    def _truth_of(self, run: RunSpec) -> Predictions:
        if run.task.content not in self._truth:
            self._truth[run.task.content] = self._inputs(run).ground_truth("test")
        return self._truth[run.task.content]

    def _inputs(self, run: RunSpec) -> RunInputs:
        return RunInputs(run, self._store)
