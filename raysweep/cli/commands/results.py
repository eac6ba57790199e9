"""The command `raysweep results`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from raysweep.cli.commands.loading import load
from raysweep.cli.console import print_json, to_rich
from raysweep.cli.exit_codes import SUCCESS, UNFINISHED
from raysweep.cli.terminal import tell
from raysweep.planning.plan import Plan
from raysweep.results.answer import answer
from raysweep.results.cells import cells_to_json
from raysweep.results.choices import Choice, choices
from raysweep.results.comparison_tables import comparisons_table, leads_table
from raysweep.results.frames import SweepData
from raysweep.results.from_store import read_store
from raysweep.results.markup import to_latex, to_markdown
from raysweep.results.records import answer_frame
from raysweep.results.tables import Table, over_tasks_table, results_table, search_table


def show_results(console: Console, *, file: str, folder: str, form: str) -> int:
    """The answer and the results of the finished cells, in one of `raysweep.cli.options.FORMATS`."""
    plan, store = load(file, folder)
    data = read_store(plan, store)
    found = choices(plan, data)
    match form:
        case "json":
            print_json(_to_json(data, found), console)
        case "csv":
            console.out(answer_frame(data.rows, data.comparisons).to_csv(index=False), end="")
        case "markdown":
            console.out(to_markdown(_tables(data, found)), end="")
        case "latex":
            console.out(to_latex(_tables(data, found)), end="")
        case _:
            console.print(" ".join(answer(data.rows, data.comparisons, data.leads)), markup=False)
            for table in _tables(data, found):
                console.print("", to_rich(table))
    if plan.num_open_cells:
        tell(f"{plan.num_open_cells} cells wait for what the search chooses; see raysweep status")
    missing = sum(len(row.missing_seeds) for row in data.rows)
    if missing:
        tell(f"{missing} of {len(plan.cells)} cells aren't finished; see raysweep status")
    return UNFINISHED if missing or plan.num_open_cells else SUCCESS


def print_search(plan: Plan, data: SweepData, console: Console) -> None:
    """What a search has chosen, if there is one."""
    found = choices(plan, data)
    if found:
        console.print("", to_rich(search_table(found)))


def _tables(data: SweepData, search: Sequence[Choice]) -> list[Table]:
    """The tables of a sweep that have a row."""
    return [
        results_table(data.rows),
        *([leads_table(data.leads)] if data.leads else []),
        *([comparisons_table(data.comparisons)] if data.comparisons else []),
        *([over_tasks_table(data.over_tasks)] if data.over_tasks else []),
        *([search_table(search)] if search else []),
    ]


def _to_json(data: SweepData, search: Sequence[Choice]) -> dict[str, Any]:
    """Everything, as values that JSON holds."""
    return {
        "sweep": data.name,
        "answer": answer(data.rows, data.comparisons, data.leads),
        "rows": [row.to_json() for row in data.rows],
        "cells": cells_to_json(data.cells),
        "comparisons": [comparison.to_json() for comparison in data.comparisons],
        "leads": [lead.to_json() for lead in data.leads],
        "over_tasks": [asdict(summary) for summary in data.over_tasks],
        "search": [asdict(choice) for choice in search],
    }
