"""`raysweep.run`: train what isn't done, and return the results."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from raysweep.api.notebook import NotebookProgress, in_notebook
from raysweep.api.places import store_folder, tracking_address
from raysweep.api.results import Results, load
from raysweep.cli.commands.run import execute
from raysweep.cli.exit_codes import FAILED
from raysweep.cli.progress import Progress
from raysweep.cli.terminal import OutputConsole, listening
from raysweep.errors import RunsFailed
from raysweep.planning.sweep import Sweep


def run(
    sweep: Sweep | str | Path,
    *,
    runner: str = "ray",
    store: str | Path | None = None,
    tracking_uri: str | None = None,
) -> Results:
    """Train every run of a sweep that isn't done, as `raysweep run` does: with its progress, with MLflow kept
    up to date, and to be called again after an interrupt.

    Args:
        sweep: a sweep, or an experiment: FILE or FILE:function.
        runner: what executes the runs: "ray", "local" (this process, one run after another), or one's own
            `module:object`.
        store: the folder of all runs; None for $RAYSWEEP_STORE, or ./raysweep-store.
        tracking_uri: where MLflow keeps its runs; None for $MLFLOW_TRACKING_URI, or ./mlflow.db.

    Returns:
        The results; a warning says what MLflow lacks, if anything.

    Raises:
        InvalidInput: something in the sweep or its data can't be used; raised before anything trains.
        RunsFailed: runs failed; all others are done, and `raysweep.load(sweep)` has their results.
    """
    experiment = sweep if isinstance(sweep, Sweep) else os.path.expanduser(sweep)
    folder = store_folder(store)
    console = OutputConsole()
    progress = NotebookProgress() if in_notebook() else Progress(console)
    with listening() as told:
        code = execute(console, experiment, folder, tracking_address(tracking_uri), runner, progress)
    if code == FAILED:
        raise RunsFailed("\n".join(told))
    for message in told:
        warnings.warn(message, stacklevel=2)
    return load(experiment, store=folder)
