"""Writes a sweep's cells, runs and curves as CSV files, from MLflow alone; `analysis/tables.py` runs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from raysweep.cli.exit_codes import BAD_INPUT, FAILED, SUCCESS
from raysweep.errors import RaysweepError
from raysweep.results.frames import SweepData, write_tables
from raysweep.tracking.mlflow.reader import read_mlflow


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the sweep, write its tables, print what is in them; returns the exit code."""
    parser = sweep_parser("Write a sweep's cells, runs and curves as CSV files, from MLflow alone.", "tables")
    options = parser.parse_args(arguments)
    return exit_code(parser.prog, lambda: _export(read_sweep(options), options.out))


def sweep_parser(description: str, what: str) -> argparse.ArgumentParser:
    """The options of a command that reads a sweep from MLflow and writes files."""
    parser = argparse.ArgumentParser(
        description=f"{description} Exit codes: 0 written, 1 a file can't be read or written, 2 the sweep "
        "can't be read."
    )
    uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{Path('mlflow.db').absolute()}")
    parser.add_argument(
        "--tracking-uri", default=uri, help="where MLflow keeps its runs (default: %(default)s)"
    )
    parser.add_argument(
        "--sweep", required=True, metavar="NAME", help="the sweep's name: MLflow's experiment"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help=f"folder of the {what}; made if need be"
    )
    return parser


def read_sweep(options: argparse.Namespace) -> SweepData:
    """The sweep that the options of `sweep_parser` name."""
    return read_mlflow(options.tracking_uri, options.sweep)


def exit_code(program: str, write: Callable[[], None]) -> int:
    """Run a command; returns its exit code, with what went wrong on stderr."""
    try:
        write()
    except RaysweepError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:  # a file that isn't there, a folder that can't be written
        print(f"{program}: {error}", file=sys.stderr)
        return FAILED
    return SUCCESS


def _export(data: SweepData, folder: Path) -> None:
    for path in write_tables(data, folder):
        print(path)
    statuses = data.cell_statuses.value_counts()
    counts = ", ".join(f"{statuses.get(status, 0)} {status}" for status in ("done", "missing", "failed"))
    print(f"{data.name}: {len(data.cells)} cells: {counts}")
    for run in data.runs[data.runs["status"] == "failed"].to_dict("records"):
        print(
            f"  {run['run_id']} ({run['role']}, {run['model']} on {run['task']}, seed {run['seed']}): "
            f"{run['reason']}"
        )
