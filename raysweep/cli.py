"""The command line: raysweep plan | run | status | results | measure | sync | list.

It has no science flags: an experiment is a Python file (see experiments/). Exit codes: 0 success; 1 a run failed; 2 bad input
or usage, nothing was trained; 3 (status, results, measure) something isn't finished yet; 70 an error of raysweep or the
machine, with its traceback; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from raysweep.errors import RaysweepError
from raysweep.measure import remeasure
from raysweep.plan import Plan, make_plan
from raysweep.progress import Progress
from raysweep.provenance import code_state
from raysweep.results import Results
from raysweep.scheduling.board import Board, Entry, Standing
from raysweep.store import RunState, Store
from raysweep.sweep import load_sweep
from raysweep.tables import added_table, plan_summary, plan_table, quality_table, results_table, stops_table

SUCCESS, FAILED, BAD_INPUT, UNFINISHED, INTERNAL_ERROR, INTERRUPTED = 0, 1, 2, 3, 70, 130
_TRACKING_PATIENCE_SECONDS = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Into a file or a pipe, whole tables: a terminal's width cuts numbers there.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1_000)
    try:
        return int(options.command(options, console))
    except RaysweepError as error:
        print(f"raysweep: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("raysweep: interrupted; run the same command again to go on", file=sys.stderr)
        return INTERRUPTED
    except Exception:  # not left to Python, whose exit code 1 would say that a run failed
        traceback.print_exc()
        return INTERNAL_ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="raysweep",
        description="Weak-to-strong sweeps on Ray, DeepSpeed and MLflow. FILE is an experiment: a Python file with a function "
        "sweep() that returns a raysweep.Sweep, or FILE:function.",
        epilog="Running the same command again is the resume: what is done isn't trained again, what was killed goes on from "
        "its last checkpoint. Exit codes: 0 success, 1 a run failed, 2 bad input (nothing was trained), 3 not finished yet "
        "(status, results, measure), 70 an internal error, 130 interrupted. Example: raysweep run experiments/quickstart.py",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function: Any, help: str, *, file: bool = True, as_json: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        command.set_defaults(command=function)
        if file:
            command.add_argument("file", metavar="FILE", help="the experiment: a Python file, or FILE:function")
            command.add_argument(
                "--store",
                default=os.environ.get("RAYSWEEP_STORE", "raysweep-store"),
                help="folder of all runs, the record (default: $RAYSWEEP_STORE, or ./raysweep-store)",
            )
            command.add_argument(
                "--tracking-uri",
                default=os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{Path('mlflow.db').absolute()}"),
                help="where MLflow keeps its runs (default: $MLFLOW_TRACKING_URI, or sqlite:///…/mlflow.db in this folder)",
            )
        if as_json:
            command.add_argument("--json", action="store_true", help="print JSON for scripts")
        return command

    add("plan", _plan, "show the graph of runs, what sharing saves and what is done, and train nothing", as_json=True)
    run = add("run", _run, "train every run that isn't done, show progress, and print the results")
    run.add_argument("--local", action="store_true", help="in this process, one run after another, without Ray (for debugging)")
    add("status", _status, "count the runs that are done, failed and missing, with the causes of failures", as_json=True)
    add("results", _results, "print the results of the cells that are finished", as_json=True)
    measure = add("measure", _measure, "compute all metrics anew from saved predictions, and print them", as_json=True)
    measure.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME|module:object",
        help="a metric of your own beside those that raysweep list names; may be given again",
    )
    add("sync", _sync, "rebuild everything in MLflow from the store")
    add("list", _list, "list the tasks, models, methods, objectives, transforms and metrics by name", file=False, as_json=True)
    return parser


def _load(options: argparse.Namespace) -> tuple[Plan, Store]:
    store = Store(options.store)
    return make_plan(load_sweep(options.file), store), store


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, allow_nan=False))


def _plan(options: argparse.Namespace, console: Console) -> int:
    plan, store = _load(options)
    if options.json:
        _print_json(plan.to_json(store))
        return SUCCESS
    console.print(plan_table(plan, store))
    num_done = sum(plan.state(run, store) is RunState.DONE for run in plan.runs.values())
    console.print(plan_summary(plan, num_done), markup=False)
    return SUCCESS


def _run(options: argparse.Namespace, console: Console) -> int:
    from raysweep.tracking import Tracker, shown_uri, ui_command

    plan, store = _load(options)
    progress = Progress(console)

    def changed(entry: Entry) -> None:
        progress.changed(entry)
        if entry.standing in (Standing.DONE, Standing.FAILED):
            tracker.run_ended(entry.run.id)

    board = Board(plan, store, changed)
    tracker = Tracker(options.tracking_uri, plan, store)
    console.print(plan_summary(plan, board.count(Standing.CACHED)), markup=False)
    try:
        if not board.is_complete:
            with progress.show(board):
                _execute(board, local=options.local)
    finally:
        unsaved = tracker.close(_TRACKING_PATIENCE_SECONDS)
    console.print(results_table(Results(plan, store).rows()))
    console.print(f"\nMLflow: {shown_uri(options.tracking_uri)}\nOpen its UI: {ui_command(options.tracking_uri)}", markup=False)
    if unsaved:
        print(f"raysweep: {unsaved}", file=sys.stderr)
    return _tell_failures(board)


def _execute(board: Board, *, local: bool) -> None:
    code = code_state(Path.cwd())
    if local:
        from raysweep.scheduling.local import run_locally

        run_locally(board, code)
    else:
        from raysweep.scheduling.tune import run_with_tune

        run_with_tune(board, code)


def _tell_failures(board: Board) -> int:
    if not board.failures:
        return SUCCESS
    print(f"\nraysweep: {len(board.failures)} of {len(board.entries)} runs failed:", file=sys.stderr)
    for entry in board.failures:
        spec = entry.run.spec
        where = f"{spec.id} ({entry.run.kind}, {spec.model.name} on {spec.task.label}, seed {spec.seed})"
        print(f"  {where}: {entry.reason}", file=sys.stderr)
    folder = board.store.folder / "runs"
    print(f"Tracebacks are in {folder}/<run>/error.txt; run the same command again to retry them.", file=sys.stderr)
    return FAILED


def _status(options: argparse.Namespace, console: Console) -> int:
    plan, store = _load(options)
    states = {run.id: plan.state(run, store) for run in plan.runs.values()}
    failures = {run_id: store.run(run_id).failure() for run_id, state in states.items() if state is RunState.FAILED}
    counts = {str(state): list(states.values()).count(state) for state in RunState}
    if options.json:
        _print_json({"sweep": plan.sweep.name, "num_runs": len(states), **counts, "failures": failures})
    else:
        listed = ", ".join(f"{count} {state}" for state, count in counts.items())
        console.print(f"{plan.sweep.name}: {len(states)} runs: {listed}", markup=False)
        for run_id, reason in failures.items():
            console.print(f"  {run_id}: {reason}", markup=False)
    if failures:
        return FAILED
    return SUCCESS if counts[RunState.DONE] == len(states) else UNFINISHED


def _results(options: argparse.Namespace, console: Console) -> int:
    plan, store = _load(options)
    results = Results(plan, store)
    rows = results.rows()
    if options.json:
        _print_json({"sweep": plan.sweep.name, "rows": [row.to_json() for row in rows], "cells": _cells_json(results)})
    else:
        console.print(results_table(rows))
    missing = sum(len(row.missing_seeds) for row in rows)
    if missing:
        print(f"raysweep: {missing} of {len(plan.cells)} cells aren't finished; see raysweep status", file=sys.stderr)
    return UNFINISHED if missing else SUCCESS


def _cells_json(results: Results) -> list[dict[str, Any]]:
    cells = [results.cell(cell) for cell in results.plan.cells if results.is_finished(cell)]
    names = ("task", "weak", "strong", "method", "seed")
    return [{name: getattr(found.cell, name) for name in names} | dict(found.metrics) for found in cells]


def _measure(options: argparse.Namespace, console: Console) -> int:
    plan, store = _load(options)
    found = remeasure(plan, store, options.metric)
    results = Results(plan, store)
    rows = [(row, results.means(row)) for row in results.rows()]
    if options.json:
        told = {"sweep": plan.sweep.name, "num_measured": len(found.measured), "num_changed": len(found.changed)}
        listed = [row.to_json() | {"means": dict(means)} for row, means in rows]
        _print_json(told | {"rows": listed, "cells": _cells_json(results)})
    else:
        tables = [results_table([row for row, _ in rows]), stops_table(rows), quality_table(rows)]
        for table in [*tables, added_table(rows, found.names)] if found.names else tables:
            console.print(table, "")
        console.print(
            f"{plan.sweep.name}: measured {len(found.measured)} of {len(plan.runs)} runs, {len(found.changed)} of them have "
            f"other numbers now{'; raysweep sync shows them in MLflow' if found.changed else ''}",
            markup=False,
        )
    for run_id, problem in found.damaged.items():
        print(f"raysweep: run {run_id} can't be measured: {problem}", file=sys.stderr)
    unmeasured = len(plan.runs) - len(found.measured)
    if unmeasured:
        print(f"raysweep: {unmeasured} of {len(plan.runs)} runs aren't finished; raysweep run computes them", file=sys.stderr)
    return UNFINISHED if unmeasured else SUCCESS


def _sync(options: argparse.Namespace, console: Console) -> int:
    from raysweep.tracking import shown_uri, sync, ui_command

    plan, store = _load(options)
    summary = sync(options.tracking_uri, plan, store)
    console.print(
        f"{shown_uri(options.tracking_uri)}: wrote {summary.num_runs} runs and {summary.num_cells} cells; "
        f"{summary.num_unchanged} were there already\nOpen the UI: {ui_command(options.tracking_uri)}",
        markup=False,
    )
    return SUCCESS


def _list(options: argparse.Namespace, console: Console) -> int:
    from raysweep.catalogue import catalogue

    entries = catalogue()
    if options.json:
        _print_json(entries)
        return SUCCESS
    for kind, named in entries.items():
        width = max(map(len, named))
        console.print(f"\n{kind}", style="bold")
        for name, line in named.items():
            console.print(f"  {name:<{width}}  {line}", markup=False)
    return SUCCESS


if __name__ == "__main__":
    sys.exit(main())
