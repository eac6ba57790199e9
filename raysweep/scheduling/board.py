"""The board: which runs of a plan wait, are ready, run, are done, or have failed. Both runners play on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from raysweep.plan import Plan, PlannedRun
from raysweep.store import RunState, Store


class Standing(StrEnum):
    """Where a run stands in this sweep."""

    WAITING = "waiting"
    RUNNING = "running"
    CACHED = "cached"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Entry:
    """A run on the board."""

    run: PlannedRun
    standing: Standing
    reason: str = ""
    """Why it failed."""
    started: float | None = None
    seconds: float | None = None
    """How long it took here."""
    waits_for: set[str] = field(default_factory=set)


Observer = Callable[[Entry], None]


class Board:
    """The runs of a plan in their order; safe to read from a second thread.

    `on_change` is called after each change with the entry that changed.
    """

    def __init__(self, plan: Plan, store: Store, on_change: Observer = lambda entry: None) -> None:
        self.plan = plan
        self.store = store
        self._on_change = on_change
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._dependents: dict[str, list[str]] = {}
        for run in plan.runs.values():
            cached = plan.state(run, store) is RunState.DONE
            entry = Entry(run, Standing.CACHED if cached else Standing.WAITING)
            if not cached:
                needed = {item.id for item in run.spec.dependencies}
                entry.waits_for = {item for item in needed if self._entries[item].standing is not Standing.CACHED}
            for dependency in entry.waits_for:
                self._dependents.setdefault(dependency, []).append(run.id)
            self._entries[run.id] = entry

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All runs by id."""
        return self._entries

    def ready(self) -> list[PlannedRun]:
        """The runs that could start now, in the plan's order."""
        with self._lock:
            waiting = (entry for entry in self._entries.values() if entry.standing is Standing.WAITING)
            return [entry.run for entry in waiting if not entry.waits_for]

    @property
    def is_complete(self) -> bool:
        """Whether nothing waits or runs any more."""
        open_standings = (Standing.WAITING, Standing.RUNNING)
        return not any(entry.standing in open_standings for entry in self._entries.values())

    def count(self, standing: Standing) -> int:
        """How many runs stand there."""
        return sum(entry.standing is standing for entry in self._entries.values())

    @property
    def failures(self) -> list[Entry]:
        """The runs that failed, those that failed with what they depend on included."""
        return [entry for entry in self._entries.values() if entry.standing is Standing.FAILED]

    def start(self, run: PlannedRun) -> None:
        """A run begins; what an earlier try left as its error is removed."""
        with self._lock:
            entry = self._entries[run.id]
            entry.standing, entry.started = Standing.RUNNING, time.monotonic()
        self.store.run(run.id).error.unlink(missing_ok=True)
        self.store.run(run.id).progress.unlink(missing_ok=True)
        self._on_change(entry)

    def end(self, run: PlannedRun, reason: str = "") -> None:
        """A run has ended; whether it is done is what its files say. If it isn't, its dependents fail with it.

        Args:
            run: the run.
            reason: what is known of a failure beyond the run's own error.txt.
        """
        entry = self._entries[run.id]
        entry.seconds = time.monotonic() - (entry.started or time.monotonic())
        if self.plan.state(run, self.store) is RunState.DONE:
            with self._lock:
                entry.standing = Standing.DONE
                for dependent in self._dependents.get(run.id, []):
                    self._entries[dependent].waits_for.discard(run.id)
            self._on_change(entry)
            return
        paths = self.store.run(run.id)
        if not paths.error.exists():
            paths.folder.mkdir(parents=True, exist_ok=True)
            paths.error.write_text((reason or "the process that trained it died; it may have run out of memory") + "\n")
        cause = paths.failure()
        self._fail(entry, cause)
        self._fail_dependents(entry, f"run {run.id} ({run.kind}, {run.spec.model.name}), which it depends on, failed: {cause}")

    def _fail(self, entry: Entry, reason: str) -> None:
        with self._lock:
            entry.standing, entry.reason = Standing.FAILED, reason
        self._on_change(entry)

    def _fail_dependents(self, entry: Entry, reason: str) -> None:
        """Fail all that waits for a failed run, directly or not, with the cause at the root."""
        for dependent in self._dependents.get(entry.run.id, []):
            waiting = self._entries[dependent]
            if waiting.standing is Standing.WAITING:
                self._fail(waiting, reason)
                self._fail_dependents(waiting, reason)
