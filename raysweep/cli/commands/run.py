"""The command `raysweep run`."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path

from rich.console import Console

from raysweep.cli.commands.results import print_search
from raysweep.cli.console import to_rich
from raysweep.cli.exit_codes import SUCCESS, UNFINISHED
from raysweep.cli.plans import plan_summary, resource_warnings
from raysweep.cli.progress import Progress, ShowsProgress
from raysweep.cli.sweep_end import tell_end
from raysweep.cli.terminal import tell
from raysweep.cli.ui import ui_command
from raysweep.planning.plan import make_plan
from raysweep.planning.sweep import Sweep, load_sweep
from raysweep.report.write import page_beside, try_to_publish
from raysweep.results.answer import answer
from raysweep.results.from_store import read_store
from raysweep.results.tables import results_table
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import ENDED, QueuedRun
from raysweep.scheduling.run import run_plan
from raysweep.scheduling.runner import Runner
from raysweep.scheduling.runners import make_runner
from raysweep.store import RunStatus, Store
from raysweep.store.code_state import code_state
from raysweep.tracking import BackgroundSync, locate, log_report

_TRACKING_PATIENCE_SECONDS = 60


def run_sweep(
    console: Console,
    *,
    file: str,
    folder: str,
    tracking_uri: str,
    runner: str,
    is_quiet: bool,
    is_verbose: bool,
) -> int:
    """Train every run that isn't done."""
    follows = is_verbose and runner != "local"  # where what runs print is seen in any case
    progress = Progress(console, is_quiet=is_quiet, follows_output=follows)
    return execute(console, file, folder, tracking_uri, runner, progress, is_quiet=is_quiet)


def execute(
    console: Console,
    experiment: str | Sweep,
    folder: str,
    tracking_uri: str,
    runner: str,
    progress: ShowsProgress,
    *,
    is_quiet: bool = False,
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

    def began(queue: RunQueue) -> None:
        progress.began(queue, executing.why_idle)

    def changed(queue: RunQueue, queued: QueuedRun) -> None:
        progress.changed(queue, queued)
        if queued.status is RunStatus.RUNNING:
            tracking.run_started(queued.run.id)
        if queued.status in ENDED:
            tracking.extend(queue.plan)
            tracking.run_ended(queued.run.id)

    statuses = [run.status(store) for run in plan.runs.values()]
    num_cached = statuses.count(RunStatus.DONE)
    was_complete = all(status in (RunStatus.DONE, RunStatus.STOPPED) for status in statuses)
    try:
        if not was_complete:
            _tell_place(executing, console, is_quiet=is_quiet)
        if not is_quiet:
            warnings = [] if was_complete else resource_warnings(plan, store)
            lines = [plan_summary(plan, num_cached), *warnings]
            console.print("\n".join(lines), markup=False)
        with nullcontext() if was_complete else progress:
            code = code_state(Path.cwd()) | {"command": f"raysweep run {file}" if file else "raysweep.run"}
            queue = run_plan(plan, store, executing, changed, on_begin=began, code=code)
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
    page = page_beside(store.folder, sweep.name)
    if not tracking.has_report or not page.exists():  # as after a kill while it was made
        log = partial(log_report, tracking_uri, plan, store)
        unwritten = try_to_publish(data, file, (lambda folder: None) if unsaved else log, page)
        unsaved = unsaved or unwritten
    location = locate(tracking_uri)
    lines = [f"Report: {page}"] if page.exists() else []
    lines.append(f"{location.system}: {location.shown}")
    if file:
        lines.append(f"Open its UI: {ui_command(file, tracking_uri)}")
    console.print("", *lines, sep="\n", markup=False)
    if unsaved:
        tell(unsaved)
    return tell_end(queue, data) or (UNFINISHED if unsaved else SUCCESS)


def _tell_place(runner: Runner, console: Console, *, is_quiet: bool) -> None:
    """Say where runs are executed, after waiting for it to be there."""
    is_shown = console.is_terminal and not is_quiet
    with console.status("starting Ray") if is_shown else nullcontext():
        place = runner.place()
    if place and not is_quiet:
        console.print(place, markup=False)
