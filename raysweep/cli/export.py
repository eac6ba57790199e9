"""Writes a sweep's cells, runs and curves as CSV files, from MLflow alone; `analysis/tables.py` runs it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from raysweep.cli.exit_codes import SUCCESS
from raysweep.cli.outcome import exit_code
from raysweep.cli.terminal import OutputConsole, path
from raysweep.results.frames import SweepData, write_tables
from raysweep.tracking.mlflow.reader import read_mlflow


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the sweep, write its tables, print what is in them; returns the exit code."""
    parser = sweep_parser("Write a sweep's cells, runs and curves as CSV files, from MLflow alone.", "tables")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _export(read_sweep(options), Path(options.out)))


def sweep_parser(description: str, what: str) -> argparse.ArgumentParser:
    """The options of a command that reads a sweep from MLflow and writes files."""
    parser = argparse.ArgumentParser(
        description=f"{description} Exit codes: 0 written, 1 a file can't be read or written, 2 the sweep "
        "can't be read."
    )
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"
    parser.add_argument(
        "--tracking-uri", type=path, default=uri, help="where MLflow keeps its runs (default: %(default)s)"
    )
    parser.add_argument(
        "--sweep", required=True, metavar="NAME", help="the sweep's name: MLflow's experiment"
    )
    parser.add_argument(
        "--out", required=True, type=path, metavar="FOLDER", help=f"folder of the {what}; made if need be"
    )
    return parser


def read_sweep(options: argparse.Namespace) -> SweepData:
    """The sweep that the options of `sweep_parser` name."""
    return read_mlflow(options.tracking_uri, options.sweep)


def _export(data: SweepData, folder: Path) -> int:
    console = OutputConsole()
    for written in write_tables(data, folder):
        console.out(written)
    statuses = data.cell_statuses.value_counts()
    counts = ", ".join(f"{statuses.get(status, 0)} {status}" for status in ("done", "missing", "failed"))
    console.out(f"{data.name}: {len(data.cells)} cells: {counts}")
    for run in data.runs[data.runs["status"] == "failed"].to_dict("records"):
        console.out(
            f"  {run['run_id']} ({run['role']}, {run['model']} on {run['task']}, seed {run['seed']}): "
            f"{run['reason']}"
        )
    return SUCCESS
