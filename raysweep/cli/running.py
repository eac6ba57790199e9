"""The runs that are being trained, on whatever machine: `raysweep status`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from raysweep.cli.console import FittedTable
from raysweep.cli.run_rows import (
    COLUMNS,
    DROPPED_FIRST,
    DROPPED_NAMES,
    NUM_NAMES,
    duration,
    methods_of,
    names_of,
    progress_cells,
)
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan
from raysweep.store import RunStatus, Store
from raysweep.store.progress import SILENT_SECONDS, latest

_WATCH_SECONDS = 2.0
_STORED = (RunStatus.MISSING, RunStatus.FAILED, RunStatus.STOPPED, RunStatus.DONE)
"""Statuses that the files of a run tell."""


@dataclass(frozen=True)
class BegunRun:
    """A run that was begun and hasn't ended."""

    run: PlannedRun
    told: Mapping[str, Any]
    """The last that it told of itself."""
    age: float
    """Seconds since then."""

    @property
    def is_running(self) -> bool:
        """Whether it is thought to be trained: it has told something not long ago."""
        return self.age <= SILENT_SECONDS

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        numbers = {name: value for name, value in self.told.items() if name not in ("at", "sign")}
        return {
            "run": self.run.id,
            "role": self.run.role,
            **numbers,
            "seconds_since_sign": round(self.age, 1),
        }


@dataclass
class SweepStatus:
    """The statuses of a sweep's runs. One that is done isn't looked at again: its files are checked once."""

    plan: Plan
    store: Store
    statuses: dict[str, RunStatus] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Read what the store has now."""
        for run in self.plan.runs.values():
            if self.statuses.get(run.id) is not RunStatus.DONE:
                self.statuses[run.id] = run.status(self.store)

    @property
    def begun(self) -> list[BegunRun]:
        """The runs that were begun and haven't ended, in the plan's order."""
        found = []
        for run in self.plan.runs.values():
            told = latest(self.store.run(run.id).progress) if self._is(run, RunStatus.MISSING) else {}
            if told:
                found.append(BegunRun(run, told, max(0.0, time.time() - told.get("at", 0.0))))
        return found

    @property
    def counts(self) -> dict[str, int]:
        """The number of runs by status; what runs isn't missing."""
        counts = {str(status): list(self.statuses.values()).count(status) for status in _STORED}
        running = sum(run.is_running for run in self.begun)
        counts[RunStatus.MISSING] -= running
        return {"running": running} | counts

    @property
    def failures(self) -> dict[str, str]:
        """By id, why runs failed."""
        failed = (run for run in self.plan.runs.values() if self._is(run, RunStatus.FAILED))
        return {run.id: self.store.run(run.id).failure() for run in failed}

    @property
    def is_complete(self) -> bool:
        """Whether every run has ended, and none is yet to be chosen."""
        ended = (RunStatus.DONE, RunStatus.STOPPED)
        return (
            all(self.statuses[run_id] in ended for run_id in self.plan.runs) and not self.plan.num_open_cells
        )

    def _is(self, run: PlannedRun, status: RunStatus) -> bool:
        return self.statuses[run.id] is status

    def line(self) -> str:
        """The counts, in one line."""
        always = (RunStatus.MISSING, RunStatus.FAILED, RunStatus.DONE)
        listed = ", ".join(
            f"{count} {name}" for name, count in self.counts.items() if count or name in always
        )
        return f"{self.plan.sweep.name}: {len(self.statuses)} runs: {listed}"

    def table(self) -> FittedTable | None:
        """The runs that were begun and haven't ended; None if there are none."""
        methods = methods_of(self.plan)
        begun = self.begun
        rows = [
            (
                *names_of(item.run, methods),
                "running" if item.is_running else "silent",
                *progress_cells(item.told),
                f"{duration(item.age)} ago",
                item.run.id[:8],
            )
            for item in begun
        ]
        return (
            FittedTable(
                columns=(*COLUMNS, "last sign", "run"),
                rows=rows,
                num_names=NUM_NAMES,
                note="silent: interrupted, unless a step takes that long; raysweep run goes on"
                if any(not item.is_running for item in begun)
                else "",
                droppable={column: DROPPED_NAMES[column] for column in DROPPED_FIRST},
            )
            if rows
            else None
        )


def watch(status: SweepStatus, console: Console, pause: Callable[[float], None] = time.sleep) -> None:
    """Show the status anew every few seconds until all has ended, or Ctrl-C: in place in a terminal; else a
    line whenever the counts change."""
    if not console.is_terminal:
        told = ""
        while not status.is_complete:
            if (line := status.line()) != told:
                console.print(line, markup=False)
                told = line
            pause(_WATCH_SECONDS)
            status.look()
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not status.is_complete:
            counts = Text(status.line(), style="bold")
            table = status.table()
            live.update(Group(counts, table) if table else counts, refresh=True)
            pause(_WATCH_SECONDS)
            status.look()
