"""Results of a sweep, read from the store: a row a cell, a row a (task, pair, method) over its seeds, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raysweep.metrics import agreement, correct, performance_gap_recovered
from raysweep.plan import Plan, PlannedCell
from raysweep.predictions import Predictions
from raysweep.spec import RunSpec
from raysweep.statistics import Correct, GapRecovered, gap_recovered
from raysweep.store import RunState, Store
from raysweep.training.data import ground_truth


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What people compare of one finished cell, on the test split."""

    cell: PlannedCell
    metrics: Mapping[str, float]
    """weak_accuracy, student_accuracy, ceiling_accuracy, pgr (absent without a gap), agreement,
    agreement_supervisor_right, agreement_supervisor_wrong (absent where there is no such example)."""


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
    """Agreement of student and supervisor on test: over all examples, and where the supervisor is right or wrong."""

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
        self._done = {run.id for run in plan.runs.values() if store.state(run.spec) is RunState.DONE}
        self._right: dict[str, Correct] = {}
        self._predictions: dict[str, Predictions] = {}
        self._truth: dict[str | None, Predictions] = {}

    def is_finished(self, cell: PlannedCell) -> bool:
        """Whether floor, student and ceiling are done."""
        return {cell.runs.floor.id, cell.runs.student.id, cell.runs.ceiling.id} <= self._done

    def cell(self, cell: PlannedCell) -> CellResult:
        """The numbers of a finished cell."""
        floor, student, ceiling = (self._right_of(run) for run in (cell.runs.floor, cell.runs.student, cell.runs.ceiling))
        accuracies = {
            "weak_accuracy": float(floor.mean()),
            "student_accuracy": float(student.mean()),
            "ceiling_accuracy": float(ceiling.mean()),
        }
        values: dict[str, float | None] = {
            **accuracies,
            "pgr": performance_gap_recovered(*accuracies.values()),
            **self._agreement(cell),
        }
        return CellResult(cell=cell, metrics={name: value for name, value in values.items() if value is not None})

    def rows(self) -> list[Row]:
        """All (task, weak, strong, method) of the plan, in its order, over the seeds that are finished."""
        groups: dict[tuple[str, str, str, str], list[PlannedCell]] = {}
        for cell in self.plan.cells:
            groups.setdefault((cell.task, cell.weak, cell.strong, cell.method), []).append(cell)
        return [self._row(names, cells) for names, cells in groups.items()]

    def _row(self, names: tuple[str, str, str, str], cells: list[PlannedCell]) -> Row:
        finished = [cell for cell in cells if self.is_finished(cell)]
        gap, agreements = None, {}
        if finished:
            ends = [(cell.runs.floor, cell.runs.student, cell.runs.ceiling) for cell in finished]
            gap = gap_recovered(*(np.stack([self._right_of(run) for run in role]) for role in zip(*ends, strict=True)))
            measured = [self._agreement(cell) for cell in finished]
            agreements = {name: _mean([values[name] for values in measured]) for name in measured[0]}
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

    def _agreement(self, cell: PlannedCell) -> dict[str, float | None]:
        student, floor = cell.runs.student, cell.runs.floor
        return agreement(self._predictions_of(student), self._predictions_of(floor), self._truth_of(student))

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
            self._truth[run.task.content] = ground_truth(run, "test", self._store)
        return self._truth[run.task.content]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
