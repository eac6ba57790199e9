"""What the commands of the command line do: each gets the parsed options and a console, and returns the exit
code."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from raysweep.cli.console import to_rich
from raysweep.cli.exit_codes import FAILED, SUCCESS, UNFINISHED
from raysweep.cli.plans import plan_remarks, plan_summary, plan_table
from raysweep.cli.progress import Progress
from raysweep.cli.sweep_end import tell_end
from raysweep.cli.terminal import tell
from raysweep.estimates.forecast import forecast
from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.results.cells import cells_to_json
from raysweep.results.choices import choices
from raysweep.results.comparison_tables import comparisons_table, leads_table
from raysweep.results.frames import SweepData
from raysweep.results.from_store import read_store
from raysweep.results.measure import remeasure
from raysweep.results.tables import (
    metrics_table,
    over_tasks_table,
    results_table,
    search_table,
    stops_table,
)
from raysweep.scheduling.queue import ENDED, QueuedRun, RunQueue
from raysweep.scheduling.run import make_runner, run_plan
from raysweep.store import Store
from raysweep.store.code_state import code_state
from raysweep.store.run_folder import RunStatus

_TRACKING_PATIENCE_SECONDS = 60
_STORED = (RunStatus.MISSING, RunStatus.FAILED, RunStatus.STOPPED, RunStatus.DONE)
"""Statuses that the files of a run tell."""


def _load(options: argparse.Namespace) -> tuple[Plan, Store]:
    store = Store(options.store)
    return make_plan(load_sweep(options.file), store), store


def _print_json(value: Any, console: Console) -> None:
    console.out(json.dumps(value, indent=1, allow_nan=False), highlight=False)


def show_plan(options: argparse.Namespace, console: Console) -> int:
    """The graph of runs, and with --gpus how long they take."""
    plan, store = _load(options)
    predicted = forecast(plan, store, options.gpus) if options.gpus else None
    if options.json:
        _print_json(plan.to_json(store) | ({"forecast": predicted.to_json()} if predicted else {}), console)
        return SUCCESS
    console.print(to_rich(plan_table(plan, store)))
    num_done = sum(run.status(store) is RunStatus.DONE for run in plan.runs.values())
    console.print("\n".join([plan_summary(plan, num_done), *plan_remarks(plan)]), markup=False)
    if predicted:
        console.print(predicted.lines(), markup=False)
        if plan.num_open_cells:
            console.print("The search will add runs: this is of those that are known so far.")
    return SUCCESS


def run_sweep(options: argparse.Namespace, console: Console) -> int:
    """Train every run that isn't done."""
    from raysweep.report.write import try_to_publish
    from raysweep.tracking import BackgroundSync, locate, log_report

    store = Store(options.store)
    store.require_writable()
    sweep = load_sweep(options.file)
    runner = make_runner(options.runner)
    runner.check()
    plan = make_plan(sweep, store, retries=True, when_open=runner.prepare)
    progress = Progress(console)
    tracking = BackgroundSync(options.tracking_uri, plan, store)

    def changed(queue: RunQueue, queued: QueuedRun) -> None:
        progress.changed(queue, queued)
        if queued.status in ENDED:
            tracking.extend(queue.plan)
            tracking.run_ended(queued.run.id)

    statuses = [run.status(store) for run in plan.runs.values()]
    num_cached = statuses.count(RunStatus.DONE)
    console.print(plan_summary(plan, num_cached), markup=False)
    was_complete = all(status in (RunStatus.DONE, RunStatus.STOPPED) for status in statuses)
    try:
        with nullcontext() if was_complete else progress:
            code = code_state(Path.cwd()) | {"command": f"raysweep run {options.file}"}
            queue = run_plan(plan, store, runner, changed, code=code)
        plan = queue.plan
        # Shown before tracking is complete, and before the report is made.
        data = read_store(plan, store)
        console.print(to_rich(results_table(data.rows)))
        _print_search(plan, data, console)
    finally:
        unsaved = tracking.close(_TRACKING_PATIENCE_SECONDS)
    if tracking.replaced:
        tell(tracking.replaced)
    if not unsaved and not tracking.has_report:  # as after a kill while it was made
        log = partial(log_report, options.tracking_uri, plan, store)
        unsaved = try_to_publish(data, options.file, log)
    location = locate(options.tracking_uri)
    console.print(f"\n{location.system}: {location.shown}\nOpen its UI: {location.ui_command}", markup=False)
    if unsaved:
        tell(unsaved)
    return tell_end(queue, data) or (UNFINISHED if unsaved else SUCCESS)


def _print_search(plan: Plan, data: SweepData, console: Console) -> None:
    found = choices(plan, data)
    if found:
        console.print("", to_rich(search_table(found)))


def show_status(options: argparse.Namespace, console: Console) -> int:
    """How many runs are done, failed and missing."""
    plan, store = _load(options)
    statuses = {run.id: run.status(store) for run in plan.runs.values()}
    failures = {
        run_id: store.run(run_id).failure()
        for run_id, status in statuses.items()
        if status is RunStatus.FAILED
    }
    counts = {str(status): list(statuses.values()).count(status) for status in _STORED}
    if options.json:
        _print_json(
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


def show_results(options: argparse.Namespace, console: Console) -> int:
    """The results of the finished cells."""
    plan, store = _load(options)
    data = read_store(plan, store)
    if options.json:
        _print_json(
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
        _print_search(plan, data, console)
    if plan.num_open_cells:
        tell(f"{plan.num_open_cells} cells wait for what the search chooses; see raysweep status")
    missing = sum(len(row.missing_seeds) for row in data.rows)
    if missing:
        tell(f"{missing} of {len(plan.cells)} cells aren't finished; see raysweep status")
    return UNFINISHED if missing or plan.num_open_cells else SUCCESS


def make_report(options: argparse.Namespace, console: Console) -> int:
    """The page, its figures, and both in MLflow."""
    from raysweep.report.write import publish
    from raysweep.tracking import locate, log_report, sync

    plan, store = _load(options)
    out = Path(options.out)
    figures = Path(options.figures) if options.figures else None

    def log(folder: Path) -> None:
        console.print(f"{out}: the report" + (f"\n{figures}: its figures" if figures else ""), markup=False)
        sync(options.tracking_uri, plan, store)  # so that MLflow has the runs that the report is about
        log_report(options.tracking_uri, plan, store, folder)

    data = read_store(plan, store)
    publish(data, options.file, log, out, figures)
    console.print(
        f"{locate(options.tracking_uri).shown}: all runs and cells; report and figures on the sweep's own "
        "run",
        markup=False,
    )
    missing = int((~data.planned["is_finished"]).sum())
    if missing:
        tell(f"{missing} of {len(plan.cells)} cells aren't finished; the report says which")
    return UNFINISHED if missing else SUCCESS


def measure_again(options: argparse.Namespace, console: Console) -> int:
    """All metrics anew from saved predictions."""
    plan, store = _load(options)
    found = remeasure([run.spec for run in plan.runs.values()], store, options.metric)
    data = read_store(plan, store, options.metric)
    if options.json:
        _print_json(
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
            metrics_table(data.row_means, options.metric),
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


def sync_tracking(options: argparse.Namespace, console: Console) -> int:
    """Rebuild MLflow from the store, with the report of a sweep that is finished."""
    from raysweep.report.write import try_to_publish
    from raysweep.tracking import locate, log_report, sync

    plan, store = _load(options)
    summary = sync(options.tracking_uri, plan, store)
    location = locate(options.tracking_uri)
    console.print(
        f"{location.shown}: wrote {summary.num_runs} runs and {summary.num_cells} cells; "
        f"{summary.num_unchanged} were there already\nOpen the UI: {location.ui_command}",
        markup=False,
    )
    if summary.replaced:
        tell(summary.replaced)
    is_complete = all(run.status(store) in (RunStatus.DONE, RunStatus.STOPPED) for run in plan.runs.values())
    if not is_complete or plan.num_open_cells or summary.has_report:
        return SUCCESS
    log = partial(log_report, options.tracking_uri, plan, store)
    unsaved = try_to_publish(read_store(plan, store), options.file, log)
    if unsaved:
        tell(unsaved)
    return UNFINISHED if unsaved else SUCCESS


def list_registered(options: argparse.Namespace, console: Console) -> int:
    """Everything that has a name."""
    from raysweep.cli.listing import catalogue

    entries = catalogue()
    if options.json:
        _print_json(entries, console)
        return SUCCESS
    for kind, named in entries.items():
        width = max(map(len, named))
        console.print(f"\n{kind}", style="bold")
        for name, line in named.items():
            console.print(f"  {name:<{width}}  {line}", markup=False)
    return SUCCESS
