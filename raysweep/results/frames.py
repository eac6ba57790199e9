"""What tables, figures and pages of a sweep are made of, wherever it was read: in the store, or in MLflow.

Both readers give the same frames, made by the functions below from the same plain values, and both keep what
is missing: a planned cell or run without a result is a row that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from raysweep.errors import InvalidInput
from raysweep.files import written_atomically
from raysweep.store import RunStatus

CELL = ("task", "weak", "strong", "method", "seed")
"""What tells a cell from the others of its sweep."""
ENDS = ("supervisor", "student", "ceiling")
SEPARATOR = " > "
"""Between the run ids of a chain."""
EXAMPLE_COLUMNS = ("id", "is_right", "confidence", "difficulty")
COUNTS = ("num_parameters", "num_trainable_parameters", "num_tokens", "num_devices")
"""Whole numbers of a run, <NA> unless it is done (and, of parameters, was recorded by a raysweep that counts
them)."""
SECONDS = ("seconds_total", "seconds_training", "seconds_evaluation")

_NAMES = ("task", "weak", "strong", "method")
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
    """A sweep as frames; whoever reads it needs neither the store nor MLflow."""

    name: str
    cells: pd.DataFrame
    """A row a planned cell, in the plan's order: task, weak, strong, method, seed; supervisor, student,
    ceiling (run ids); chain (the ids from the first teacher to the student, " > " between them); is_finished;
    then, by name, every number of `raysweep.results.CellResult.metrics`, NaN where it is undefined or
    missing."""
    runs: pd.DataFrame
    """A row a planned run, dependencies first: run_id, role, task, model, seed, status ("done", "stopped",
    "failed", "missing"), reason ("" if there is none), num_parameters, num_trainable_parameters, num_tokens,
    num_devices (GPUs; 0 on CPU) as Int64, seconds_total, seconds_training, seconds_evaluation, commit."""
    curves: pd.DataFrame
    """A row a point of a finished cell: task, weak, strong, method, seed, name, step, value. Names are the
    columns of `raysweep.results.measure.measure_curve` of the student, and `ceiling_test_agreement…` of the
    ceiling with the supervisor."""
    provenance: Mapping[str, Any]
    """How the numbers came about, see `raysweep.results.from_store.provenance`."""
    read_examples: Callable[[str], pd.DataFrame] = field(repr=False)
    """Reads a finished run's examples; `examples` calls it once for each."""
    _examples: dict[str, pd.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)

    def examples(self, run_id: str) -> pd.DataFrame:
        """A finished run's test examples, in the order of its predictions.

        Columns: id; is_right (bool); confidence (probability of the chosen class, NaN where answers are
        given); difficulty (NaN where unknown). The frame is shared: copy it before changing it.

        Raises:
            InvalidInput: the plan has no such run, it isn't done, or it has no test split (some
            pretrainings).
        """
        if run_id not in self._examples:
            if run_id not in self._statuses:
                raise InvalidInput(f"sweep {self.name!r} has no run {run_id!r}")
            status, reason = self._statuses[run_id]
            if status != RunStatus.DONE:
                what = f"it is {status} ({reason or 'never tried'})"
                raise InvalidInput(f"run {run_id} of sweep {self.name!r} has no examples: {what}")
            self._examples[run_id] = self.read_examples(run_id)
        return self._examples[run_id]

    @cached_property
    def _statuses(self) -> dict[str, tuple[str, str]]:
        """State and reason of every run, by id."""
        return {
            run_id: (status, reason)
            for run_id, status, reason in self.runs[["run_id", "status", "reason"]].to_numpy()
        }

    @property
    def cell_statuses(self) -> pd.Series:
        """(number of cells,) "done", "failed" (a run that it needs failed) or "missing", in the order of
        `cells`."""
        failed = set(self.runs.loc[self.runs["reason"] != "", "run_id"])

        def status(cell: Mapping[Any, Any]) -> str:
            if cell["is_finished"]:
                return RunStatus.DONE
            return RunStatus.FAILED if failed & {cell[end] for end in ENDS} else RunStatus.MISSING

        statuses = [str(status(cell)) for cell in self.cells.to_dict("records")]
        return pd.Series(statuses, index=self.cells.index, dtype="str", name="status")


def cells_frame(
    planned: Sequence[Mapping[str, Any]], metrics: Iterable[Mapping[str, float] | None]
) -> pd.DataFrame:
    """`SweepData.cells` from planned cells (names and run ids) and the numbers of each; None for one that
    isn't finished."""
    found = list(metrics)
    names = pd.DataFrame(planned, columns=[*CELL, *ENDS, "chain"])
    names = names.astype(dict.fromkeys((*_NAMES, *ENDS, "chain"), "str") | {"seed": "int64"})
    is_finished = pd.Series([numbers is not None for numbers in found], dtype="bool", name="is_finished")
    columns = sorted({name for numbers in found for name in numbers or ()})
    values = {name: [float((numbers or {}).get(name, "nan")) for numbers in found] for name in columns}
    return pd.concat([names, is_finished, pd.DataFrame(values, index=names.index, dtype="float64")], axis=1)


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
    types = dict.fromkeys((*_NAMES, "name"), "str") | {"seed": "int64", "step": "int64", "value": "float64"}
    return pd.DataFrame(rows, columns=[*CELL, "name", "step", "value"]).astype(types)


def write_tables(data: SweepData, folder: Path) -> list[Path]:
    """Write cells.csv (with the status of each cell), runs.csv and curves.csv into a folder; returns their
    paths.

    One row an observation, as in the frames; what is unknown is an empty field, numbers have all their
    digits.
    """
    names = [*CELL, *ENDS, "status"]
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
