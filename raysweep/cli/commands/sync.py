"""The command `raysweep sync`."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from raysweep.cli.commands.loading import load
from raysweep.cli.exit_codes import SUCCESS, UNFINISHED
from raysweep.cli.terminal import tell
from raysweep.report.write import try_to_publish
from raysweep.results.from_store import read_store
from raysweep.store import RunStatus
from raysweep.tracking import locate, log_report, sync


def sync_tracking(console: Console, *, file: str, folder: str, tracking_uri: str) -> int:
    """Rebuild MLflow from the store, with the report of a sweep that is finished."""
    plan, store = load(file, folder)
    summary = sync(tracking_uri, plan, store)
    location = locate(tracking_uri)
    console.print(
        f"{location.shown}: wrote {summary.num_runs} runs, {summary.num_cells} cells and "
        f"{summary.num_groups} rows of results; "
        f"{summary.num_unchanged} were there already\nOpen the UI: {location.ui_command}",
        markup=False,
    )
    if summary.replaced:
        tell(summary.replaced)
    is_complete = all(run.status(store) in (RunStatus.DONE, RunStatus.STOPPED) for run in plan.runs.values())
    if not is_complete or plan.num_open_cells or summary.has_report:
        return SUCCESS
    log = partial(log_report, tracking_uri, plan, store)
    unsaved = try_to_publish(read_store(plan, store), file, log)
    if unsaved:
        tell(unsaved)
    return UNFINISHED if unsaved else SUCCESS
