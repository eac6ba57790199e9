"""The command `raysweep results`."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console

from raysweep.cli.commands.loading import load
from raysweep.cli.console import print_json, to_rich
from raysweep.cli.exit_codes import SUCCESS, UNFINISHED
from raysweep.cli.terminal import tell
from raysweep.planning.plan import Plan
from raysweep.results.cells import cells_to_json
from raysweep.results.choices import choices
from raysweep.results.comparison_tables import comparisons_table, leads_table
from raysweep.results.frames import SweepData
from raysweep.results.from_store import read_store
from raysweep.results.tables import over_tasks_table, results_table, search_table


def show_results(console: Console, *, file: str, folder: str, as_json: bool) -> int:
    """The results of the finished cells."""
    plan, store = load(file, folder)
    data = read_store(plan, store)
    if as_json:
        print_json(
            {
                "sweep": data.name,
                "rows": [row.to_json() for row in data.rows],
                "cells": cells_to_json(data.cells),
                "comparisons": [comparison.to_json() for comparison in data.comparisons],
                "leads": [lead.to_json() for lead in data.leads],
                "over_tasks": [asdict(summary) for summary in data.over_tasks],
                "search": [asdict(choice) for choice in choices(plan, data)],
            },
            console,
        )
    else:
        console.print(to_rich(results_table(data.rows)))
        if data.leads:
            console.print("", to_rich(leads_table(data.leads)))
        if data.comparisons:
            console.print("", to_rich(comparisons_table(data.comparisons)))
        if data.over_tasks:
            console.print("", to_rich(over_tasks_table(data.over_tasks)))
        print_search(plan, data, console)
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
