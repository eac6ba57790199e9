"""The page's tables: those of the command line, cells seed by seed, what is missing, and figures' numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from raysweep.results.cells import CELL_RUNS, Row, groups_of
from raysweep.results.choices import Choice
from raysweep.results.comparison_tables import comparisons_table, leads_table
from raysweep.results.comparisons import Comparison
from raysweep.results.frames import SweepData
from raysweep.results.leads import Lead
from raysweep.results.notes import ODD
from raysweep.results.over_tasks import OverTasks
from raysweep.results.tables import (
    PAIR,
    Table,
    TableRow,
    over_tasks_table,
    results_table,
    search_table,
)

CHOICES = ("task", "pair", "method", "seed")
"""By what a reader of the page can filter rows of tables and numbers of figures."""
_MAX_COMPARISONS = 200
_MAX_CELLS = 300
_MAX_MISSING = 200


def answer_table(rows: Sequence[Row]) -> Table:
    """The results table: PGR with its interval, which a telephone shows without scrolling, then accuracies,
    seeds, and agreement with the weak model."""
    caption = "PGR, and test accuracy of weak model, student and ceiling"
    found = results_table(rows)
    place = next(index for index, column in enumerate(found.columns) if column.startswith("PGR"))
    order = [*range(found.num_names), place]
    order += [index for index in range(len(found.columns)) if index not in order]

    def ordered(cells: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cells[index] for index in order)

    lines = tuple(replace(row, cells=ordered(row.cells)) for row in found.rows)
    return without_constants(replace(found, caption=caption, columns=ordered(found.columns), rows=lines))


def pooled_table(found: Sequence[Lead]) -> Table | None:
    """Methods against the baseline over all tasks and pairs; None without a second method."""
    return without_constants(leads_table(found)) if found else None


def methods_table(comparisons: Sequence[Comparison]) -> Table | None:
    """Methods against their baseline; of very many, those with the smallest p-values. None without a second
    method."""
    if not comparisons:
        return None
    found = without_constants(comparisons_table(comparisons))
    if len(comparisons) <= _MAX_COMPARISONS:
        return found
    p_values = [1.0 if item.p_value is None else item.p_value for item in comparisons]
    kept = sorted(np.argsort(p_values, kind="stable")[:_MAX_COMPARISONS])
    cut = (
        f"These are the {_MAX_COMPARISONS} of {len(comparisons)} with the smallest p-values; raysweep "
        "results --format json has all."
    )
    note = " ".join(filter(None, [cut, found.note]))
    return replace(found, rows=tuple(found.rows[index] for index in kept), note=note)


def tasks_table(summaries: Sequence[OverTasks]) -> Table | None:
    """Methods over tasks; None if there is one task."""
    return without_constants(over_tasks_table(summaries)) if summaries else None


def cells_table(rows: Sequence[Row]) -> Table | None:
    """Every finished cell, seed by seed, those marked whose runs ended near chance or far from the others; of
    very many, the marked ones alone. None if there are none."""
    lines = [_cell(row, index) for row in rows for index in range(len(row.seeds))]
    caption = "Test accuracy of every finished cell"
    if len(lines) > _MAX_CELLS:
        lines = [line for line in lines if any(cell.endswith(ODD) for cell in line.cells[4:])]
        caption = f"Test accuracy of the cells marked {ODD}"
        lines = lines[:_MAX_CELLS]
    if not lines:
        return None
    table = Table(
        caption=caption,
        columns=("task", PAIR, "method", "seed", "weak", "student", "ceiling"),
        rows=tuple(lines),
        num_names=4,
        note="No PGR is given here: of one seed it is mostly noise."
        + f" {ODD} near chance, or far from the other seeds." * any(row.odd_seeds for row in rows),
    )
    return without_constants(table)


def _cell(row: Row, index: int) -> TableRow:
    """A cell of a row, by the position of its seed."""
    group = row.group
    seed = row.seeds[index]
    odd = {item.run for item in row.odd_seeds if item.seed == seed}
    return TableRow(
        cells=(
            *(group.task, group.pair, group.method, str(seed)),
            *(f"{row.accuracies[run][index]:.3f}" + ODD * (run in odd) for run in CELL_RUNS),
        ),
        of={"task": group.task, "pair": group.pair, "method": group.method, "seed": str(seed)},
    )


def failed_table(data: SweepData) -> Table | None:
    """Runs that failed, with their reasons; None if none did."""
    failed = data.runs[data.runs["status"] == "failed"]
    names = ("role", "task", "model", "seed", "run_id", "reason")
    rows = [TableRow(cells=tuple(str(run[name]) for name in names)) for run in failed.to_dict("records")]
    columns = ("role", "task", "model", "seed", "run", "reason")
    return (
        _cut(Table(caption="Runs that failed", columns=columns, rows=tuple(rows), num_names=5))
        if rows
        else None
    )


def missing_table(data: SweepData) -> Table | None:
    """Cells without a result, one row per cell group, with the first reason; None if there are none."""
    statuses = data.planned.assign(status=data.cell_statuses)
    reasons = {run["run_id"]: run["reason"] for run in data.runs.to_dict("records")}
    rows = []
    for group, cells in groups_of(statuses):
        lacking = cells[cells["status"] != "done"]
        if lacking.empty:
            continue
        runs = lacking[list(CELL_RUNS)].to_numpy().ravel()
        why = next((reasons[run] for run in runs if reasons.get(run)), "not run yet")
        of_status = (lacking.loc[lacking["status"] == status, "seed"] for status in ("failed", "missing"))
        seeds = [", ".join(map(str, found)) or "none" for found in of_status]
        names = (group.task, group.pair, group.method)
        of = {"task": group.task, "pair": group.pair, "method": group.method}
        rows.append(TableRow(cells=(*names, *seeds, str(len(cells) - len(lacking)), why), of=of))
    columns = ("task", PAIR, "method", "seeds failed", "seeds not run yet", "seeds finished", "why")
    return (
        _cut(Table(caption="Cells without a result", columns=columns, rows=tuple(rows), num_names=3))
        if rows
        else None
    )


def choices_table(data: SweepData) -> Table | None:
    """What the search chose, one row per study and signal; None for a sweep that doesn't search."""
    found = [Choice(**choice) for choice in data.provenance.get("search", ())]
    return without_constants(search_table(found)) if found else None


def numbers_table(caption: str, data: pd.DataFrame) -> Table:
    """The numbers of a figure."""
    columns = tuple(map(str, data.columns))
    rows = tuple(
        TableRow(
            cells=tuple(map(_number, row.values())),
            of={name: str(row[name]) for name in CHOICES if row.get(name) is not None},
        )
        for row in data.to_dict("records")
    )
    is_text = [
        not all(isinstance(value, int | float) or value is None for value in data[name]) for name in data
    ]
    num_names = is_text.index(False) if False in is_text else len(is_text)
    return Table(caption=caption, columns=columns, rows=rows, num_names=num_names)


def _number(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cut(table: Table) -> Table:
    if len(table.rows) <= _MAX_MISSING:
        return table
    note = f"These are the first {_MAX_MISSING} of {len(table.rows)}."
    return replace(table, rows=table.rows[:_MAX_MISSING], note=note)


def without_constants(table: Table) -> Table:
    """Names that are the same in all rows stand in the caption instead: a telephone has no room for them."""
    same = [
        index
        for index in range(table.num_names)
        if len({row.cells[index] for row in table.rows}) == 1 and len(table.rows) > 1
    ]
    if not same:
        return table
    names = [(table.columns[index], table.rows[0].cells[index]) for index in same]
    told = ", ".join(value if column in ("task", PAIR) else f"{column} {value}" for column, value in names)

    def kept(cells: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cell for index, cell in enumerate(cells) if index not in same)

    return replace(
        table,
        caption=f"{table.caption} ({told})",
        columns=kept(table.columns),
        rows=tuple(replace(row, cells=kept(row.cells)) for row in table.rows),
        num_names=table.num_names - len(same),
    )


def choices(data: SweepData) -> dict[str, list[str]]:
    """Tasks, pairs, methods and seeds of the finished cells, each where there is more than one to choose
    from."""
    done = data.cells[data.cells["is_finished"]]
    done = done.assign(pair=done["weak"] + " → " + done["strong"])
    found = {name: list(dict.fromkeys(map(str, done[name]))) for name in CHOICES}
    return {name: values for name, values in found.items() if len(values) > 1}
