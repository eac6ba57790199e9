"""Write a sweep's cells, runs and curves as CSV files, from MLflow alone.

    python analysis/tables.py --tracking-uri http://HOST:5000 --sweep NAME --out FOLDER

Planned cells and runs that have no result are rows that say so. Exit codes: 0 written,
1 a file can't be read or written, 2 the sweep can't be read.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from raysweep.errors import RaysweepError
from raysweep.results.frames import write_tables
from raysweep.tracking.mlflow.reader import read_mlflow


def main() -> int:
    """Read the sweep, write the tables, say what is in them; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{Path('mlflow.db').absolute()}")
    parser.add_argument(
        "--tracking-uri", default=uri, help="where MLflow keeps its runs (default: %(default)s)"
    )
    parser.add_argument(
        "--sweep", required=True, metavar="NAME", help="the sweep's name: MLflow's experiment"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="folder of the tables; made if need be"
    )
    options = parser.parse_args()
    try:
        data = read_mlflow(options.tracking_uri, options.sweep)
    except RaysweepError as error:
        print(f"tables.py: {error}", file=sys.stderr)
        return 2
    for path in write_tables(data, options.out):
        print(path)
    statuses = data.cell_statuses.value_counts()
    counts = ", ".join(f"{statuses.get(status, 0)} {status}" for status in ("done", "missing", "failed"))
    print(f"{data.name}: {len(data.cells)} cells: {counts}")
    for run in data.runs[data.runs["status"] == "failed"].to_dict("records"):
        print(
            f"  {run['run_id']} ({run['role']}, {run['model']} on {run['task']}, seed {run['seed']}): "
            f"{run['reason']}"
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:  # a file that isn't there, a folder that can't be written
        sys.exit(f"tables.py: {error}")
