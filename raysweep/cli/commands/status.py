"""The command `raysweep status`."""

from __future__ import annotations

from rich.console import Console

from raysweep.cli.commands.loading import load
from raysweep.cli.console import print_json
from raysweep.cli.exit_codes import FAILED, SUCCESS, UNFINISHED
from raysweep.store import RunStatus

_STORED = (RunStatus.MISSING, RunStatus.FAILED, RunStatus.STOPPED, RunStatus.DONE)
"""Statuses that the files of a run tell."""


def show_status(console: Console, *, file: str, folder: str, as_json: bool) -> int:
    """How many runs are done, failed and missing."""
    plan, store = load(file, folder)
    statuses = {run.id: run.status(store) for run in plan.runs.values()}
    failures = {
        run_id: store.run(run_id).failure()
        for run_id, status in statuses.items()
        if status is RunStatus.FAILED
    }
    counts = {str(status): list(statuses.values()).count(status) for status in _STORED}
    if as_json:
        print_json(
            {"sweep": plan.sweep.name, "num_runs": len(statuses), **counts, "failures": failures}, console
        )
    else:
        listed = ", ".join(
            f"{count} {status}" for status, count in counts.items() if count or status != RunStatus.STOPPED
        )
        console.print(f"{plan.sweep.name}: {len(statuses)} runs: {listed}", markup=False)
        if plan.num_open_cells:
            console.print(f"  {plan.num_open_cells} cells wait for what the search chooses", markup=False)
        for run_id, reason in failures.items():
            console.print(f"  {run_id}: {reason}", markup=False)
        for run_id, status in statuses.items():
            if status is RunStatus.MISSING and store.run(run_id).is_damaged:
                console.print(
                    f"  {run_id}: was done, and its files were damaged since; raysweep run computes it anew"
                )
    if failures:
        return FAILED
    ended = counts[RunStatus.DONE] + counts[RunStatus.STOPPED]
    return SUCCESS if ended == len(statuses) and not plan.num_open_cells else UNFINISHED
