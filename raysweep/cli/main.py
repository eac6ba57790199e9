"""The command line: raysweep plan | run | status | results | report | measure | sync | list.

It has no science flags: an experiment is a Python file (see experiments/). Exit codes: 0 success; 1 a run
failed, or a file can't be read or written; 2 bad input or usage, nothing was trained; 3 something isn't
finished yet (of run and sync: in MLflow); 70 an error of raysweep or the machine, with its traceback; 130
interrupted, 143 by SIGTERM; 141 the reader of the output has gone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from raysweep.cli import commands
from raysweep.cli.outcome import exit_code
from raysweep.cli.terminal import OutputConsole, end_process, path
from raysweep.gc_control import raise_gc_thresholds


def command() -> NoReturn:
    """The command `raysweep`, in a process of its own."""
    end_process(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    raise_gc_thresholds()
    return exit_code(_parser(), arguments, lambda options: int(options.command(options, OutputConsole())))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="raysweep",
        description="Weak-to-strong sweeps on Ray, DeepSpeed and MLflow. FILE is an experiment: a Python "
        "file with a function sweep() that returns a raysweep.Sweep, or FILE:function.",
        epilog="Running the same command again resumes a sweep: finished runs aren't trained again, and a "
        "run that was killed goes on from its last checkpoint. Exit codes: 0 success, 1 a run failed, 2 bad "
        "input (nothing was trained), 3 not finished yet (status, results, report, measure), 70 an internal "
        "error, 130 interrupted, 143 ended by SIGTERM. Example: raysweep run experiments/quickstart.py",
    )
    add = partial(_add, parser.add_subparsers(required=True, metavar="COMMAND"))
    plan = add(
        "plan",
        commands.show_plan,
        "show the graph of runs, what sharing saves and what is done, and train nothing",
        as_json=True,
    )
    plan.add_argument(
        "--gpus",
        type=_positive,
        metavar="N",
        help="also estimate the time that the open runs take on a cluster of N GPUs (N CPU cores, if no run "
        "takes a GPU), their GPU hours, and the share of the time in which GPUs are idle",
    )
    _add_run(add)
    add(
        "status",
        commands.show_status,
        "count the runs that are done, failed and missing, with the causes of failures",
        as_json=True,
    )
    add("results", commands.show_results, "print the results of the cells that are finished", as_json=True)
    _add_report(add)
    measure = add(
        "measure",
        commands.measure_again,
        "compute all metrics anew from saved predictions, and print them",
        as_json=True,
    )
    measure.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME|module:object",
        help="a metric of your own beside those that raysweep list names; may be given again",
    )
    add("sync", commands.sync_tracking, "rebuild everything in MLflow from the store")
    add(
        "list",
        commands.list_registered,
        "list the tasks, models, methods, objectives, transforms, metrics and runners by name",
        file=False,
        as_json=True,
    )
    return parser


def _add_report(add: Callable[..., argparse.ArgumentParser]) -> None:
    report = add(
        "report",
        commands.make_report,
        "write a page with the answer, figures, what is missing and cost, and log it into MLflow",
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


def _add_run(add: Callable[..., argparse.ArgumentParser]) -> None:
    run = add(
        "run", commands.run_sweep, "train every run that isn't done, show progress, and print the results"
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


def _add(
    subparsers: Any, name: str, function: Any, help: str, *, file: bool = True, as_json: bool = False
) -> argparse.ArgumentParser:
    """A command with the options that most commands have."""
    command: argparse.ArgumentParser = subparsers.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + "."
    )
    command.set_defaults(command=function)
    if file:
        command.add_argument(
            "file", type=path, metavar="FILE", help="the experiment: a Python file, or FILE:function"
        )
        command.add_argument(
            "--store",
            type=path,
            default=os.environ.get("RAYSWEEP_STORE") or "raysweep-store",
            help="folder of all runs, the record (default: $RAYSWEEP_STORE, or ./raysweep-store)",
        )
        command.add_argument(
            "--tracking-uri",
            type=path,
            default=os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}",
            help=(
                "where MLflow keeps its runs (default: $MLFLOW_TRACKING_URI, or sqlite:///…/mlflow.db in "
                "this folder)"
            ),
        )
    if as_json:
        command.add_argument("--json", action="store_true", help="print JSON for scripts")
    return command


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number of at least 1")
    return int(text)
