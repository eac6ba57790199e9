"""The command `raysweep status`."""

from __future__ import annotations

from rich.console import Console

from raysweep.cli.commands.loading import load
from raysweep.cli.console import print_json
from raysweep.cli.exit_codes import FAILED, SUCCESS, UNFINISHED
from raysweep.cli.running import SweepStatus, watch
from raysweep.store import RunStatus


def show_status(console: Console, *, file: str, folder: str, as_json: bool, watches: bool) -> int:
    """How many runs are done, running, failed and missing, and how far those are that run."""
    plan, store = load(file, folder)
    status = SweepStatus(plan, store)
    if watches:
        watch(status, console)
    failures = status.failures
    if as_json:
        told = {"sweep": plan.sweep.name, "num_runs": len(plan.runs), **status.counts}
        begun = [run.to_json() for run in status.begun]
        print_json({**told, "failures": failures, "begun": begun}, console)
    else:
        console.print(status.line(), markup=False)
        if table := status.table():
            console.print(table)
        if plan.num_open_cells:
            console.print(f"  {plan.num_open_cells} cells wait for what the search chooses", markup=False)
        for run_id, reason in failures.items():
            console.print(f"  {run_id}: {reason}", markup=False)
        for run_id, known in status.statuses.items():
            if known is RunStatus.MISSING and store.run(run_id).is_damaged:
                console.print(
                    f"  {run_id}: was done, and its files were damaged since; raysweep run computes it anew"
                )
    if failures:
        return FAILED
    return SUCCESS if status.is_complete else UNFINISHED
