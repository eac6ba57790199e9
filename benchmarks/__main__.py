"""Run the benchmarks one after another, each in a process of its own, and print one table (`make benchmark`).

    .venv/bin/python benchmarks [item …]      default: all

The table shows which goals are missed. A missed goal doesn't make the command fail, but a benchmark that
breaks does. Nothing else should use the machine meanwhile; its load is printed above the table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import Row, machine, verdict
from rich import box
from rich.console import Console
from rich.table import Table

SCRIPTS = {
    "Training": ("training.py", "3"),
    "Against the field": ("field.py",),
    "Start-up per run": ("startup.py",),
    "Packing": ("packing.py",),
    "The planner": ("planner.py",),
    "The driver": ("driver.py",),
    "A large store": ("store_at_scale.py", "4000"),
    "Critical path": ("critical_path.py",),
    "Data": ("data.py",),
}
"""The script of each item, and its arguments for a short run."""


def run(item: str) -> tuple[list[Row], int]:
    """(rows, exit status) of a benchmark. Its own output is passed through."""
    script, *arguments = SCRIPTS[item]
    command = [sys.executable, str(Path(__file__).parent / script), *arguments]
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        environment = os.environ | {"BENCHMARK_ROWS": str(rows)}
        status = subprocess.run(command, check=False, env=environment).returncode
        lines = rows.read_text().splitlines() if rows.exists() else []
    return [Row(**json.loads(line)) for line in lines], status


def table(rows: list[Row]) -> Table:
    """The table that is printed at the end."""
    shown = Table("item", "what", "goal", "measured", "", box=box.SIMPLE_HEAD)
    item = ""
    for row in rows:
        shown.add_row("" if row.item == item else row.item, row.what, row.goal, row.measured, verdict(row))
        item = row.item
    return shown


def main() -> int:
    """Run the benchmarks that the command line names. The exit status is 1 if one broke."""
    items = sys.argv[1:] or list(SCRIPTS)
    unknown = [item for item in items if item not in SCRIPTS]
    if unknown:
        print(f"unknown benchmark {', '.join(unknown)}; there are: {', '.join(SCRIPTS)}", file=sys.stderr)
        return 2
    start = time.monotonic()
    before = machine()
    rows: list[Row] = []
    broken = []
    for number, item in enumerate(items, 1):
        print(f"\n[{number}/{len(items)}, {(time.monotonic() - start) / 60:.0f} min] {item}", flush=True)
        found, status = run(item)
        rows += found
        if status:
            broken.append(item)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(f"\n{before}; {(time.monotonic() - start) / 60:.0f} minutes", highlight=False)
    console.print(table(rows))
    missed = sum(row.is_met is False for row in rows)
    console.print(f"{missed} of {sum(row.is_met is not None for row in rows)} goals missed", highlight=False)
    for item in broken:
        console.print(f"{item}: broken; its error is above and its numbers are incomplete", highlight=False)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
