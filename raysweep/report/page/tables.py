"""The page's tables: those of the command line, row for row, and those of what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import rich.table

from raysweep.results.cells import Row
from raysweep.results.choices import Choice
from raysweep.results.comparisons import Comparison, OverTasks
from raysweep.results.frames import CELL, ENDS, SweepData
from raysweep.results.statistics import Correct, gap_recovered
from raysweep.results.tables import comparisons_table, over_tasks_table, results_table, search_table

CHOICES = ("task", "method", "seed")
"""What a reader of the page chooses: a row, or a number of a figure, that is of one of them is shown with
it."""
_PAIR = "weak → strong"
_GROUP = ["task", "weak", "strong", "method"]
_MAX_COMPARISONS = 200
_MAX_CELLS = 300
_MAX_MISSING = 200
_AGREEMENTS = ("agreement", "agreement_supervisor_right", "agreement_supervisor_wrong")


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A row of a table, as texts."""

    cells: tuple[str, ...]
    of: Mapping[str, str] = field(default_factory=dict)
    """Those of `CHOICES` that it is of."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with a caption; the first `num_names` cells of a row say what it is of."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    num_names: int
    note: str = ""


def rows_of(data: SweepData) -> list[Row]:
    """A row a (task, pair, method) over its finished seeds, as `raysweep.results.Results.rows` has them."""
    rows = []
    for (task, weak, strong, method), cells in data.cells.groupby(_GROUP, sort=False):
        done = cells[cells["is_finished"]]
        gap = (
            gap_recovered(*(np.stack([right(data, run) for run in done[end]]) for end in ENDS))
            if len(done)
            else None
        )
        means = {name: float(done[name].mean()) if name in done else float("nan") for name in _AGREEMENTS}
        rows.append(
            Row(
                task=str(task),
                weak=str(weak),
                strong=str(strong),
                method=str(method),
                seeds=tuple(map(int, done["seed"])),
                missing_seeds=tuple(map(int, cells.loc[~cells["is_finished"], "seed"])),
                gap=gap,
                **{name: None if np.isnan(value) else value for name, value in means.items()},
            )
        )
    return rows


def right(data: SweepData, run_id: str) -> Correct:
    """(examples,) whether a finished run was right on each test example."""
    return data.examples(run_id)["is_right"].to_numpy(dtype=bool)


def answer_table(rows: Sequence[Row]) -> Table:
    """Accuracies beside every PGR, with its interval, seeds and agreement with the supervisor."""
    caption = (
        "Test accuracy of supervisor, student and ceiling, and the share of the gap that the student recovers"
    )
    return _from_rich(results_table(list(rows)), rows, caption, num_names=3)


def methods_table(comparisons: Sequence[Comparison]) -> Table | None:
    """Methods against their baseline; of very many, those with the smallest p-values. None without a second
    method."""
    if not comparisons:
        return None
    caption = "Methods compared with the baseline on the same seeds and test examples"
    found = _from_rich(comparisons_table(comparisons), comparisons, caption, num_names=4)
    if len(comparisons) <= _MAX_COMPARISONS:
        return found
    p_values = [1.0 if item.p_value is None else item.p_value for item in comparisons]
    kept = sorted(np.argsort(p_values, kind="stable")[:_MAX_COMPARISONS])
    cut = (
        f"These are the {_MAX_COMPARISONS} of {len(comparisons)} with the smallest p-values; raysweep "
        "results --json has all."
    )
    note = " ".join(filter(None, [cut, found.note]))
    return replace(found, rows=tuple(found.rows[index] for index in kept), note=note)


def tasks_table(summaries: Sequence[OverTasks]) -> Table | None:
    """Methods over tasks; None if there is one task."""
    if not summaries:
        return None
    caption = "Over tasks: means, and PGR of those where it is defined"
    return _from_rich(over_tasks_table(summaries), summaries, caption, num_names=2)


def cells_table(data: SweepData) -> Table | None:
    """Every finished cell, seed by seed; None if there are none, or too many to read."""
    done = data.cells[data.cells["is_finished"]]
    if not 0 < len(done) <= _MAX_CELLS:
        return None
    rows = [
        TableRow(
            cells=(
                *(cell["task"], f"{cell['weak']} → {cell['strong']}", cell["method"], str(cell["seed"])),
                *(f"{cell[f'{end}_accuracy']:.3f}" for end in ("weak", "student", "ceiling")),
            ),
            of={name: str(cell[name]) for name in CHOICES},
        )
        for cell in done.to_dict("records")
    ]
    table = Table(
        caption="Test accuracy of every finished cell",
        columns=("task", _PAIR, "method", "seed", "weak", "student", "ceiling"),
        rows=tuple(rows),
        num_names=4,
        note="No PGR is given here: of one seed it is mostly noise.",
    )
    return _without_constants(table)


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
    """Cells without a result, a row a (task, pair, method), with the first reason; None if there are none."""
    statuses = data.cells.assign(status=data.cell_statuses)
    reasons = {run["run_id"]: run["reason"] for run in data.runs.to_dict("records")}
    rows = []
    for (task, weak, strong, method), cells in statuses.groupby(_GROUP, sort=False):
        lacking = cells[cells["status"] != "done"]
        if lacking.empty:
            continue
        why = next(
            (reasons.get(run, "") for run in lacking[list(ENDS)].to_numpy().ravel() if reasons.get(run)), ""
        )
        of_status = (lacking.loc[lacking["status"] == status, "seed"] for status in ("failed", "missing"))
        seeds = [", ".join(map(str, found)) or "none" for found in of_status]
        names = (str(task), f"{weak} → {strong}", str(method))
        rows.append(TableRow(cells=(*names, *seeds, str(len(cells) - len(lacking)), why or "not run yet")))
    columns = ("task", _PAIR, "method", "seeds failed", "seeds not run yet", "seeds finished", "why")
    return (
        _cut(Table(caption="Cells without a result", columns=columns, rows=tuple(rows), num_names=3))
        if rows
        else None
    )


def search_table_of(data: SweepData) -> Table | None:
    """What the search chose, a row a study and signal; None for a sweep that doesn't search."""
    found = [Choice(**choice) for choice in data.provenance.get("search", ())]
    return (
        _from_rich(search_table(found), found, "The choice of each study, with its accuracies", 1)
        if found
        else None
    )


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


def _from_rich(table: rich.table.Table, items: Sequence[Any], caption: str, num_names: int) -> Table:
    """A table of the command line, with what each row is of."""
    columns = tuple(str(column.header) for column in table.columns)
    texts = zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True)
    of = [{name: str(getattr(item, name)) for name in CHOICES if hasattr(item, name)} for item in items]
    rows = tuple(TableRow(cells=cells, of=chosen) for cells, chosen in zip(texts, of, strict=True))
    found = Table(
        caption=caption, columns=columns, rows=rows, num_names=num_names, note=str(table.caption or "")
    )
    return _without_constants(found)


def _without_constants(table: Table) -> Table:
    """What is the same in all rows is told in the caption instead: a telephone has no room for it."""
    same = [
        index
        for index in range(table.num_names)
        if len({row.cells[index] for row in table.rows}) == 1 and len(table.rows) > 1
    ]
    if not same:
        return table
    names = [(table.columns[index], table.rows[0].cells[index]) for index in same]
    told = ", ".join(value if column in ("task", _PAIR) else f"{column} {value}" for column, value in names)

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
    """What there is to choose from: tasks, methods, seeds of finished cells, where there is more than one."""
    done = data.cells[data.cells["is_finished"]]
    found = {name: list(dict.fromkeys(map(str, done[name]))) for name in CHOICES if name in CELL}
    return {name: values for name, values in found.items() if len(values) > 1}
