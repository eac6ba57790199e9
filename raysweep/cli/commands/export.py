"""The command `raysweep export`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from raysweep.cli.commands.loading import read_sweep
from raysweep.cli.exit_codes import SUCCESS
from raysweep.results.frames import write_tables


def export_tables(console: Console, *, file: str, folder: str, tracking_uri: str, out: str) -> int:
    """Cells, runs and curves as CSV files, with what is in them."""
    data = read_sweep(file, folder, tracking_uri)
    for written in write_tables(data, Path(out)):
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
