"""What a user can type: the commands and their options.

Nothing that takes time to import is imported here: a command is named `module:function` below
`raysweep.cli.commands`, and imported when it is called, with the console and its options by name.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from raysweep import __version__
from raysweep.cli.defaults import KINDS, default_store, default_uri
from raysweep.cli.parser import Parser, ShowCompletion
from raysweep.cli.terminal import path

Add = Callable[..., argparse.ArgumentParser]
FORMATS = ("table", "markdown", "latex", "csv", "json")
SHELLS = ("bash", "zsh", "fish")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = Parser(
        prog="raysweep",
        description="Weak-to-strong sweeps on Ray, DeepSpeed and MLflow. FILE is an experiment: a Python "
        "file with a function sweep() that returns a raysweep.Sweep, or FILE:function.",
        epilog="Running the same command again resumes a sweep: finished runs aren't trained again, and a "
        "run that was killed goes on from its last checkpoint. Exit codes: 0 success, 1 a run failed, 2 bad "
        "input (nothing was trained), 3 not finished yet (status, results, report, measure), 70 an internal "
        "error, 130 interrupted, 143 ended by SIGTERM. Example: raysweep run experiments/quickstart.py",
    )
    parser.add_argument(
        "--version", action="version", version=f"raysweep {__version__}", help="show the version and exit"
    )
    parser.add_argument(
        "--completion",
        action=ShowCompletion,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        choices=SHELLS,
        metavar="SHELL",
        help='print what makes a shell complete commands and options: eval "$(raysweep --completion bash)", '
        "zsh likewise, or raysweep --completion fish | source",
    )
    add = partial(_add, parser.add_subparsers(required=True, metavar="COMMAND"))
    _add_plan(add)
    _add_run(add)
    _add_status(add)
    _add_logs(add)
    results = add(
        "results",
        "results:show_results",
        "print the answer and the results of the cells that are finished",
    )
    results.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        dest="form",
        metavar="FORMAT",
        help="table (the default), markdown or latex: the tables, for a terminal, a page or a paper; csv: "
        "the rows with their comparisons and all digits; json: everything",
    )
    _add_report(add)
    _add_files(add)
    _add_ui(add)
    _add_measure(add)
    _add_submit(add)
    add(
        "doctor",
        "doctor:examine",
        "say whether the cluster of $RAY_ADDRESS (or this machine) can run a sweep, and what to do if not",
        file=False,
        store=True,
        tracking=True,
        as_json=True,
    )
    add("sync", "sync:sync_tracking", "rebuild everything in MLflow from the store", tracking=True)
    _add_list(add)
    return parser


def _add_plan(add: Add) -> None:
    plan = add(
        "plan",
        "plan:show_plan",
        "show what is to be trained, what sharing saves and what is done, and train nothing",
        as_json=True,
    )
    plan.add_argument(
        "--runs",
        action="store_true",
        dest="every_run",
        help="show each run, with its method, its supervisor and what it depends on",
    )
    plan.add_argument(
        "--gpus",
        type=_positive,
        metavar="N",
        help="also estimate the time that the open runs take on a cluster of N GPUs (N CPU cores, if no run "
        "takes a GPU), their GPU hours, and the share of the time in which GPUs are idle",
    )


def _add_run(add: Add) -> None:
    run = add(
        "run",
        "run:run_sweep",
        "train every run that isn't done, show progress, and print the results",
        tracking=True,
    )
    run.add_argument(
        "--runner",
        default="ray",
        metavar="NAME|module:object",
        help="what executes the runs: ray (the cluster of $RAY_ADDRESS, or this machine), local, or a runner "
        "of your own (default: ray)",
    )
    run.add_argument(
        "--local",
        action="store_const",
        dest="runner",
        const="local",
        help="--runner local: in this process, one run after another, without Ray (for debugging)",
    )
    run.add_argument(
        "-v", "--verbose", action="store_true", dest="is_verbose", help="show what runs print, too"
    )
    run.add_argument(
        "-q", "--quiet", action="store_true", dest="is_quiet", help="show no progress, only what came out"
    )


def _add_status(add: Add) -> None:
    status = add(
        "status",
        "status:show_status",
        "count the runs that are done, running, failed and missing, and tell how far those are that run, "
        "wherever they do, and why others failed",
        as_json=True,
    )
    status.add_argument(
        "--watch", action="store_true", dest="watches", help="show it anew until all runs have ended"
    )


def _add_logs(add: Add) -> None:
    logs = add("logs", "logs:show_logs", "print what a run printed while it trained", file=False)
    logs.add_argument("id", metavar="ID", help="of the run, or how it begins")
    logs.add_argument("-f", "--follow", action="store_true", dest="follows", help="until the run has ended")
    _add_store(logs)


def _add_ui(add: Add) -> None:
    ui = add("ui", "ui:show_ui", "open MLflow in a browser, at the sweep's results", tracking=True)
    ui.add_argument("--no-browser", action="store_false", dest="opens_browser", help="only print the address")


def _add_report(add: Add) -> None:
    report = add(
        "report",
        "report:make_report",
        "write a page with the answer, figures, what is missing and cost, and log it into MLflow",
        tracking=True,
    )
    report.add_argument(
        "--out",
        type=path,
        required=True,
        metavar="PAGE",
        help="the HTML file to write; it needs no other and no network",
    )
    report.add_argument(
        "--figures",
        type=path,
        metavar="FOLDER",
        help="write every figure there too, as SVG, PDF, PNG and CSV",
    )


def _add_files(add: Add) -> None:
    about = "FILE or FILE:function, an experiment, read from its store; or NAME, of a sweep in MLflow"
    for name, function, help in (
        ("figures", "figures:write_figures", "write a sweep's figures as SVG, PDF, PNG and CSV"),
        ("export", "export:export_tables", "write a sweep's cells, runs and curves as CSV files"),
    ):
        command = add(name, function, help, about=about, tracking=True)
        command.add_argument(
            "--out",
            type=path,
            required=True,
            metavar="FOLDER",
            help="the folder of the files; made if need be",
        )
        if name == "figures":
            command.add_argument(
                "--published",
                type=path,
                metavar="CSV",
                help="published numbers to draw the sweep against, such as analysis/published.csv",
            )


def _add_measure(add: Add) -> None:
    measure = add(
        "measure",
        "measure:measure_again",
        "compute all metrics anew from saved predictions, and print them",
        as_json=True,
    )
    measure.add_argument(
        "--metric",
        action="append",
        default=[],
        dest="own_metrics",
        metavar="NAME|module:object",
        help="a metric of your own beside those that raysweep list names; may be given again",
    )


def _add_list(add: Add) -> None:
    listing = add(
        "list",
        "listing:list_registered",
        "list what an experiment can name: all of it, all of a kind, or one thing with its parameters",
        file=False,
        as_json=True,
    )
    listing.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    listing.add_argument(
        "name", nargs="?", metavar="NAME", help="of that kind; your own as module:object, too"
    )


def _add_submit(add: Add) -> None:
    submit = add(
        "submit",
        "submit:submit",
        "run a sweep as a job of a cluster, and follow it; the same command again finds its job",
        store=False,
    )
    submit.add_argument(
        "--address",
        default=os.environ.get("RAY_API_SERVER_ADDRESS"),
        metavar="URL",
        help="the cluster's dashboard, such as http://127.0.0.1:8265 (default: $RAY_API_SERVER_ADDRESS)",
    )
    submit.add_argument(
        "--store",
        dest="folder",
        metavar="FOLDER",
        help="the store, as the cluster's nodes see it (default: theirs)",
    )
    submit.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow, as the cluster's head sees it (default: the head's)"
    )
    ends = submit.add_mutually_exclusive_group()
    ends.add_argument("--leave", action="store_true", help="return when the job is submitted")
    ends.add_argument(
        "--cancel", action="store_true", help="end the job in order, and wait until it has ended"
    )


def _add(
    subparsers: Any,
    name: str,
    function: str,
    help: str,
    *,
    file: bool = True,
    about: str = "the experiment: a Python file, or FILE:function",
    store: bool | None = None,
    tracking: bool = False,
    as_json: bool = False,
) -> argparse.ArgumentParser:
    """A command, with those of the options that several commands have."""
    command: argparse.ArgumentParser = subparsers.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + "."
    )
    command.set_defaults(command=function)
    if file:
        command.add_argument("file", type=path, metavar="FILE", help=about)
    if file if store is None else store:
        _add_store(command)
    if tracking:
        command.add_argument(
            "--tracking-uri",
            type=path,
            default=default_uri(),
            metavar="URI",
            help=(
                "where MLflow keeps its runs (default: $MLFLOW_TRACKING_URI, or sqlite:///…/mlflow.db in "
                "this folder)"
            ),
        )
    if as_json:
        command.add_argument("--json", action="store_true", dest="as_json", help="print JSON for scripts")
    return command


def _add_store(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--store",
        type=path,
        default=default_store(),
        dest="folder",
        metavar="FOLDER",
        help="folder of all runs, the record (default: $RAYSWEEP_STORE, or ./raysweep-store)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number of at least 1")
    return int(text)
