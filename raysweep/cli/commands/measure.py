"""The command `raysweep measure`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from raysweep.cli.commands.loading import load
from raysweep.cli.console import print_json, to_rich
from raysweep.cli.exit_codes import SUCCESS, UNFINISHED
from raysweep.cli.terminal import tell
from raysweep.results.cells import cells_to_json
from raysweep.results.from_store import read_store
from raysweep.results.measure import remeasure
from raysweep.results.tables import metrics_table, results_table, stops_table


def measure_again(
    console: Console, *, file: str, folder: str, own_metrics: Sequence[str], as_json: bool
) -> int:
    """All metrics anew from saved predictions."""
    plan, store = load(file, folder, is_only_read=False)
    found = remeasure([run.spec for run in plan.runs.values()], store, own_metrics)
    data = read_store(plan, store, own_metrics)
    if as_json:
        print_json(
            {
                "sweep": data.name,
                "num_measured": len(found.measured),
                "num_changed": len(found.changed),
                "rows": [item.row.to_json() | {"means": item.means} for item in data.row_means],
                "cells": cells_to_json(data.cells),
            },
            console,
        )
    else:
        tables = (
            results_table(data.rows),
            stops_table(data.row_means),
            metrics_table(data.row_means, own_metrics),
        )
        for table in tables:
            console.print(to_rich(table), "")
        console.print(
            f"{plan.sweep.name}: measured {len(found.measured)} of {len(plan.runs)} runs, "
            f"{len(found.changed)} of them have other numbers "
            f"now{'; raysweep sync shows them in MLflow' if found.changed else ''}",
            markup=False,
        )
    for run_id, problem in found.damaged.items():
        tell(f"run {run_id} can't be measured: {problem}")
    unmeasured = len(plan.runs) - len(found.measured)
    if unmeasured:
        tell(f"{unmeasured} of {len(plan.runs)} runs aren't finished; raysweep run computes them")
    return UNFINISHED if unmeasured else SUCCESS
