"""The command `raysweep plan`."""

from __future__ import annotations

from rich.console import Console

from raysweep.cli.console import print_json, to_rich
from raysweep.cli.exit_codes import SUCCESS
from raysweep.cli.plans import plan_overview, plan_remarks, plan_summary, plan_table, resource_warnings
from raysweep.estimates.forecast import forecast
from raysweep.planning.plan import make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.store import RunStatus, Store


def show_plan(
    console: Console, *, file: str, folder: str, gpus: int | None, every_run: bool, as_json: bool
) -> int:
    """What is to be trained, each run if asked, and how long it takes on some GPUs."""
    store = Store(folder)  # what is prepared here is kept for raysweep run
    plan = make_plan(load_sweep(file), store)
    predicted = forecast(plan, store, gpus) if gpus else None
    if as_json:
        print_json(plan.to_json(store) | ({"forecast": predicted.to_json()} if predicted else {}), console)
        return SUCCESS
    statuses = [run.status(store) for run in plan.runs.values()]
    console.print(to_rich((plan_table if every_run else plan_overview)(plan, statuses)))
    lines = [plan_summary(plan, statuses.count(RunStatus.DONE))]
    lines += (
        plan_remarks(plan, None) if every_run else [*plan_remarks(plan), "Each run: raysweep plan --runs"]
    )
    console.print("\n".join([*lines, *resource_warnings(plan, store)]), markup=False)
    if predicted:
        console.print(predicted.lines(), markup=False)
        if plan.num_open_cells:
            console.print("The search will add runs: this is of those that are known so far.")
    return SUCCESS
