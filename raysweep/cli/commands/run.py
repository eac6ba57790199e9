"""The command `raysweep run`."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path

from rich.console import Console

from raysweep.cli.commands.results import print_search
from raysweep.cli.console import to_rich
from raysweep.cli.exit_codes import SUCCESS, UNFINISHED
from raysweep.cli.plans import plan_summary
from raysweep.cli.progress import Progress, ShowsProgress
from raysweep.cli.sweep_end import tell_end
from raysweep.cli.terminal import tell
from raysweep.planning.plan import make_plan
from raysweep.planning.sweep import Sweep, load_sweep
from raysweep.report.write import try_to_publish
from raysweep.results.answer import answer
from raysweep.results.from_store import read_store
from raysweep.results.tables import results_table
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import ENDED, QueuedRun
from raysweep.scheduling.run import run_plan
from raysweep.scheduling.runners import make_runner
from raysweep.store import RunStatus, Store
from raysweep.store.code_state import code_state
from raysweep.tracking import BackgroundSync, locate, log_report

_TRACKING_PATIENCE_SECONDS = 60


def run_sweep(console: Console, *, file: str, folder: str, tracking_uri: str, runner: str) -> int:
    """Train every run that isn't done."""
    return execute(console, file, folder, tracking_uri, runner, Progress(console))


def execute(
    console: Console,
    experiment: str | Sweep,
    folder: str,
    tracking_uri: str,
    runner: str,
    progress: ShowsProgress,
) -> int:
    """Train every run of an experiment, or of a sweep that has no file, that isn't done; returns the exit
    code."""
    store = Store(folder)
    store.require_writable()
    file = "" if isinstance(experiment, Sweep) else experiment
    sweep = experiment if isinstance(experiment, Sweep) else load_sweep(experiment)
    executing = make_runner(runner)
    executing.check()
    plan = make_plan(sweep, store, retries=True, when_open=executing.prepare)
    tracking = BackgroundSync(tracking_uri, plan, store)

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
            code = code_state(Path.cwd()) | {"command": f"raysweep run {file}" if file else "raysweep.run"}
            queue = run_plan(plan, store, executing, changed, code=code)
        plan = queue.plan
        # Shown before tracking is complete, and before the report is made.
        data = read_store(plan, store)
        console.print(" ".join(answer(data.rows, data.comparisons, data.leads)), "", markup=False, sep="\n")
        console.print(to_rich(results_table(data.rows)))
        print_search(plan, data, console)
    finally:
        unsaved = tracking.close(_TRACKING_PATIENCE_SECONDS)
    if tracking.replaced:
        tell(tracking.replaced)
    if not unsaved and not tracking.has_report:  # as after a kill while it was made
        unsaved = try_to_publish(data, file, partial(log_report, tracking_uri, plan, store))
    location = locate(tracking_uri)
    console.print(f"\n{location.system}: {location.shown}\nOpen its UI: {location.ui_command}", markup=False)
    if unsaved:
        tell(unsaved)
    return tell_end(queue, data) or (UNFINISHED if unsaved else SUCCESS)
