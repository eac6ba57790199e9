"""The command `raysweep submit`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from rich.console import Console

from raysweep.cli.exit_codes import FAILED, SUCCESS
from raysweep.cli.terminal import tell
from raysweep.errors import InvalidInput, shown_address
from raysweep.planning.sweep import load_sweep
from raysweep.scheduling.cluster_size import WAIT_VARIABLE
from raysweep.scheduling.package import package
from raysweep.scheduling.submission import JobServer, Submission
from raysweep.store.code_state import code_state


def submit(
    console: Console,
    *,
    file: str,
    address: str | None,
    folder: str | None,
    tracking_uri: str | None,
    leave: bool,
    cancel: bool,
) -> int:
    """Run a sweep as a job of a cluster: start it or find it, and follow it. The exit code is the job's: 1 if
    runs failed for good, 75 if only lost ones are left, so that it may be queued again."""
    if address is None:
        raise InvalidInput(
            "no cluster is named; give --address the address of its dashboard, such as "
            "http://127.0.0.1:8265, or set RAY_API_SERVER_ADDRESS"
        )
    sweep = load_sweep(file)
    here = Path.cwd()
    submission = Submission(
        sweep=sweep.name,
        command=["raysweep", "run", _below(file, here)],
        package=package(here),
        environment={
            name: value
            for name, value in (
                ("RAYSWEEP_STORE", folder),
                ("MLFLOW_TRACKING_URI", tracking_uri),
                (WAIT_VARIABLE, os.environ.get(WAIT_VARIABLE)),
            )
            if value is not None
        },
        commit=code_state(here)["commit"],
    )
    server = JobServer(address)
    before = server.latest(submission)
    if cancel:
        return _cancel(
            server, None if before is None or before.status.is_terminal() else before.submission_id
        )
    if before is not None and before.submission_id is not None and not before.status.is_terminal():
        job = before.submission_id
        console.print(f"job {job} runs this already: following it", markup=False)
    else:
        job = server.submit(submission)
        console.print(
            f"job {job}: {len(submission.package.files)} files of {here} at {shown_address(address)}",
            markup=False,
        )
    again = _command(file, address, folder, tracking_uri)
    if leave:
        console.print(f"it goes on by itself; follow it: {again}", markup=False)
        return SUCCESS
    try:
        return server.follow(job, lambda lines: console.print(lines, end="", markup=False, highlight=False))
    except KeyboardInterrupt:
        tell(f"left job {job}, which goes on; follow it again: {again}; end it: {again} --cancel")
        raise


def _command(file: str, address: str, folder: str | None, tracking_uri: str | None) -> str:
    """The command that finds this submission again, without secrets of addresses."""
    given = (("--address", shown_address(address)), ("--store", folder))
    options = [text for name, value in given if value is not None for text in (name, value)]
    if tracking_uri is not None:
        options += ["--tracking-uri", shown_address(tracking_uri)]
    return shlex.join(["raysweep", "submit", file, *options])


def _cancel(server: JobServer, job: str | None) -> int:
    if job is None:
        tell("no job of this sweep, code and options is running")
        return FAILED
    tell(f"ending job {job}; runs keep their last checkpoint")
    server.cancel(job)
    return SUCCESS


def _below(file: str, folder: Path) -> str:
    """An experiment's path, with its function, as it is in the package.

    Raises:
        InvalidInput: it isn't in the folder that is submitted.
    """
    absolute = Path(os.path.abspath(file))
    if not absolute.is_relative_to(folder):
        raise InvalidInput(
            f"{file} isn't in {folder}, which is what is submitted; change to its project's folder"
        )
    return str(absolute.relative_to(folder))
