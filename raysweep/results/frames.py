"""The read model of a sweep: everything that tables, pages, figures and exports show, as frames and rows.

`raysweep.results.from_store.read_store` makes it from the store and `raysweep.tracking.mlflow.reader` from
MLflow. Both build their frames with the functions below from the same plain values, and both keep what is
missing: a planned cell or run without a result is a row that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from raysweep.errors import InvalidInput
from raysweep.files import written_atomically
from raysweep.results.cells import CELL, CELL_RUNS, GROUP, Row, RowMeans, result_rows, row_means
from raysweep.results.comparisons import Comparison, compare_methods
from raysweep.results.disagreements import no_texts
from raysweep.results.elicited import with_elicited_share
from raysweep.results.leads import Lead, leads
from raysweep.results.noise import Groups
from raysweep.results.over_tasks import OverTasks, over_tasks
from raysweep.results.statistics import Correct, Outcomes
from raysweep.store import RunStatus

SEPARATOR = " > "
"""Between the run ids of a chain."""
COUNTS = ("num_parameters", "num_trainable_parameters", "num_tokens", "num_devices")
"""Whole numbers of a run, <NA> unless it is done (and, of parameters, unless the raysweep that trained it
counted them)."""
SECONDS = ("seconds_total", "seconds_training", "seconds_evaluation")

_PLANNED = [*CELL, *CELL_RUNS, "chain", "is_finished"]
_RUN_TEXTS = ("run_id", "role", "task", "model", "status", "reason", "commit")


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What is known of one run."""

    status: RunStatus
    """DONE, STOPPED, FAILED or MISSING."""
    reason: str = ""
    """Why it failed or was stopped, in one line."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Those of `COUNTS` and `SECONDS` that a finished run has."""
    commit: str = ""
    """Git commit of the user's code; "" if unknown."""


@dataclass(frozen=True, kw_only=True)
class SweepData:
    """A sweep as frames and rows, each computed when it is first asked for.

    Frames are shared: copy one before changing it.
    """

    name: str
    planned: pd.DataFrame
    """One row per planned cell, in the plan's order: task, weak, strong, method, seed; supervisor, student,
    ceiling (run ids); chain (the ids from the first teacher to the student, " > " between them);
    is_finished."""
    read_final_cells: Callable[[], pd.DataFrame] = field(repr=False)
    read_cells: Callable[[], pd.DataFrame] = field(repr=False)
    read_runs: Callable[[], pd.DataFrame] = field(repr=False)
    read_curves: Callable[[], pd.DataFrame] = field(repr=False)
    read_provenance: Callable[[], Mapping[str, Any]] = field(repr=False)
    read_outcomes: Callable[[str], Outcomes] = field(repr=False)
    read_examples: Callable[[str], pd.DataFrame] = field(repr=False)
    read_disagreements: Callable[[str, str], pd.DataFrame] = field(default=no_texts, repr=False)
    _outcomes: dict[str, Outcomes] = field(default_factory=dict, init=False, repr=False, compare=False)
    _examples: dict[str, pd.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of_frames(
        cls,
        *,
        name: str,
        cells: pd.DataFrame,
        runs: pd.DataFrame,
        curves: pd.DataFrame,
        provenance: Mapping[str, Any],
        read_examples: Callable[[str], pd.DataFrame],
    ) -> SweepData:
        """A sweep whose frames are there already."""
        return cls(
            name=name,
            planned=cells[_PLANNED],
            read_final_cells=lambda: cells,
            read_cells=lambda: cells,
            read_runs=lambda: runs,
            read_curves=lambda: curves,
            read_provenance=lambda: provenance,
            read_outcomes=lambda run_id: _outcomes_in(read_examples(run_id)),
            read_examples=read_examples,
        )

    @cached_property
    def cells(self) -> pd.DataFrame:
        """`planned`, then by name every number of `raysweep.results.from_store.CellReader.numbers`, NaN where
        it is undefined or missing, and those of `raysweep.results.elicited`."""
        return with_elicited_share(self.read_cells())

    @cached_property
    def final_cells(self) -> pd.DataFrame:
        """`cells` with at least the numbers of the final predictions. From the store it is much faster to
        read than `cells`: readings at early stops need the predictions along the students' curves."""
        return self.read_final_cells()

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per planned run, dependencies first: run_id, role, task, model, seed, status ("done",
        "stopped", "failed", "missing"), reason ("" if there is none), num_parameters,
        num_trainable_parameters, num_tokens, num_devices (GPUs; 0 on CPU) as Int64, seconds_total,
        seconds_training, seconds_evaluation, commit."""
        return self.read_runs()

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per point of a finished cell: task, weak, strong, method, seed, name, step, value. Names
        are the columns of `raysweep.results.measure.measure_curve` of the student, and, as
        `ceiling_test_…`, of the ceiling's comparison with the supervisor."""
        return self.read_curves()

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """How the numbers came about, see `raysweep.results.provenance.provenance`."""
        return self.read_provenance()

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of the results table."""
        return result_rows(self.final_cells, self.outcomes)

    @cached_property
    def row_means(self) -> list[RowMeans]:
        """The rows with the means of all numbers of their cells."""
        return row_means(self.rows, self.cells)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every method against its baseline."""
        return compare_methods(self.planned[self.planned["is_finished"]], self.outcomes)

    @cached_property
    def leads(self) -> list[Lead]:
        """Every method against the baseline over all tasks and pairs together."""
        finished = self.planned[self.planned["is_finished"]]
        return leads(finished, self.outcomes, self.provenance.get("yardsticks", ()))

    @cached_property
    def over_tasks(self) -> list[OverTasks]:
        """Every method over the tasks; empty if there is one task."""
        return over_tasks(self.rows) if self.planned["task"].nunique() > 1 else []

    def right(self, run_id: str) -> Correct:
        """(examples,) whether a finished run was right on each test example, in the order of its
        predictions."""
        return self.outcomes(run_id).right

    def outcomes(self, run_id: str) -> Outcomes:
        """`right`, with the groups of the examples."""
        if run_id not in self._outcomes:
            self._outcomes[run_id] = self.read_outcomes(run_id)
        return self._outcomes[run_id]

    def examples(self, run_id: str) -> pd.DataFrame:
        """A finished run's test examples, in the order of its predictions.

        Columns: id; group (the same for examples that share a passage, a question or a prompt; absent where
        an earlier raysweep wrote MLflow's copy); is_right (bool); confidence (probability of the chosen
        class, NaN where answers are given); difficulty (NaN where unknown).

        Raises:
            InvalidInput: the plan has no such run, it isn't done, or it has no test split (some
                pretrainings).
        """
        if run_id not in self._examples:
            self._require_done(run_id)
            self._examples[run_id] = self.read_examples(run_id)
        return self._examples[run_id]

    def disagreements(self, student: str) -> pd.DataFrame:
        """The test examples on which a finished student and its cell's supervisor differ, see
        `raysweep.results.disagreements.disagreements`; raises as `examples`, and where texts aren't kept."""
        self._require_done(student)
        supervisors = self.planned.loc[self.planned["student"] == student, "supervisor"]
        if supervisors.empty:
            raise InvalidInput(f"run {student} of sweep {self.name!r} is no student, so it has no supervisor")
        return self.read_disagreements(supervisors.iloc[0], student)

    def _require_done(self, run_id: str) -> None:
        if run_id not in self._statuses:
            raise InvalidInput(f"sweep {self.name!r} has no run {run_id!r}")
        status, reason = self._statuses[run_id]
        if status != RunStatus.DONE:
            what = f"it is {status} ({reason or 'never tried'})"
            raise InvalidInput(f"run {run_id} of sweep {self.name!r} has no examples: {what}")

    @cached_property
    def _statuses(self) -> dict[str, tuple[str, str]]:
        """Status and reason of every run, by id."""
        return {
            run_id: (status, reason)
            for run_id, status, reason in self.runs[["run_id", "status", "reason"]].to_numpy()
        }

    @property
    def cell_statuses(self) -> pd.Series:
        """(number of cells,) "done", "failed" (a run that it needs failed) or "missing", in the order of
        `planned`."""
        failed = set(self.runs.loc[self.runs["reason"] != "", "run_id"])

        def status(cell: Mapping[Any, Any]) -> str:
            if cell["is_finished"]:
                return RunStatus.DONE
            return RunStatus.FAILED if failed & {cell[role] for role in CELL_RUNS} else RunStatus.MISSING

        statuses = [str(status(cell)) for cell in self.planned.to_dict("records")]
        return pd.Series(statuses, index=self.planned.index, dtype="str", name="status")


def numbered(groups: pd.Series) -> Groups:
    """(examples,) a number for each example's group, from the groups' names."""
    return pd.factorize(groups)[0].astype(np.int64)


def _outcomes_in(examples: pd.DataFrame) -> Outcomes:
    groups = numbered(examples["group"]) if "group" in examples else None
    return Outcomes(examples["is_right"].to_numpy(dtype=bool), groups)


def planned_frame(cells: Sequence[Mapping[str, Any]], is_finished: Sequence[bool]) -> pd.DataFrame:
    """`SweepData.planned` from the cells' names and run ids."""
    names = pd.DataFrame(cells, columns=[*CELL, *CELL_RUNS, "chain"])
    names = names.astype(dict.fromkeys((*GROUP, *CELL_RUNS, "chain"), "str") | {"seed": "int64"})
    return names.assign(is_finished=np.array(is_finished, dtype=bool))


def cells_frame(
    planned: Sequence[Mapping[str, Any]], numbers: Sequence[Mapping[str, float] | None]
) -> pd.DataFrame:
    """`SweepData.cells` from planned cells (names and run ids) and the numbers of each; None for one that
    isn't finished."""
    frame = planned_frame(planned, [own is not None for own in numbers])
    names = sorted({name for own in numbers for name in own or ()})
    values = {name: [float((own or {}).get(name, "nan")) for own in numbers] for name in names}
    return pd.concat([frame, pd.DataFrame(values, index=frame.index, dtype="float64")], axis=1)


def runs_frame(planned: Sequence[Mapping[str, Any]], facts_by_run: Mapping[str, RunFacts]) -> pd.DataFrame:
    """`SweepData.runs` from planned runs (run_id, role, task, model, seed, depends_on), dependencies first.

    A missing run that waits for one that failed says so as its reason.
    """
    rows: dict[str, dict[str, Any]] = {}
    for run in planned:
        facts = facts_by_run[run["run_id"]]
        culprit = next((item for item in run["depends_on"] if item in rows and rows[item]["reason"]), None)
        reason = facts.reason
        if facts.status is RunStatus.MISSING and culprit:
            failed = rows[culprit]["failed"]
            reason = f"needs run {failed}, which failed: {facts_by_run[failed].reason}"
        rows[run["run_id"]] = {
            **{name: run[name] for name in ("run_id", "role", "task", "model", "seed")},
            "status": str(facts.status),
            "reason": reason,
            **{name: facts.numbers.get(name) for name in (*COUNTS, *SECONDS)},
            "commit": facts.commit,
            "failed": rows[culprit]["failed"]
            if culprit and facts.status is RunStatus.MISSING
            else run["run_id"],
        }
    columns = ("run_id", "role", "task", "model", "seed", "status", "reason", *COUNTS, *SECONDS, "commit")
    types = (
        dict.fromkeys(_RUN_TEXTS, "str") | dict.fromkeys(COUNTS, "Int64") | dict.fromkeys(SECONDS, "float64")
    )
    return pd.DataFrame(list(rows.values()), columns=columns).astype(types | {"seed": "int64"})


def curves_frame(
    cells: Iterable[tuple[Mapping[str, Any], Mapping[str, Sequence[tuple[int, float]]]]],
) -> pd.DataFrame:
    """`SweepData.curves` from finished cells, each with its curves by name as (step, value); names and steps
    are sorted."""
    rows = [
        {**{column: cell[column] for column in CELL}, "name": name, "step": step, "value": value}
        for cell, curves in cells
        for name, points in sorted(curves.items())
        for step, value in sorted(points)
    ]
    types = dict.fromkeys((*GROUP, "name"), "str") | {"seed": "int64", "step": "int64", "value": "float64"}
    return pd.DataFrame(rows, columns=[*CELL, "name", "step", "value"]).astype(types)


def write_tables(data: SweepData, folder: Path) -> list[Path]:
    """Write cells.csv (with the status of each cell), runs.csv and curves.csv into a folder; returns their
    paths.

    Files have the rows of the frames; unknown values are empty fields, and numbers have all their digits.
    """
    names = [*CELL, *CELL_RUNS, "status"]
    cells = data.cells.assign(status=data.cell_statuses)
    tables = {
        "cells": cells[[*names, *cells.columns.difference(names, sort=False)]],
        "runs": data.runs,
        "curves": data.curves,
    }
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        with written_atomically(paths[-1]) as temporary:
            table.to_csv(temporary, index=False)
    return paths
