"""Tracking in the background: a tracking backend follows a running sweep from one thread of the driver.

The scheduler reports that a run has ended and goes on at once. The thread writes the run's entry and those of
the cells that it completes. A single thread writes everything, so concurrent trials never meet a locked
database, and workers need no connection to the tracking server.

An entry that can't be written moves to the end of the queue, and the pause before the next attempt doubles
until an attempt succeeds. This one rule covers a server that is down, a database that another process has
locked, and a single entry that the backend refuses. At the start every entry of the plan is queued, so what
an earlier sweep that was killed left unwritten is written too.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from raysweep.planning.plan import Plan
from raysweep.store import RunStatus, Store
from raysweep.tracking.backend import locate, one_line
from raysweep.tracking.build import cell_key, names_of, run_key, sweep_key
from raysweep.tracking.entry import EntryKey
from raysweep.tracking.sync import PlanSync, keys_of

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_AT_CLOSE_SECONDS = 1.0
_LOOK_SECONDS = 0.1
_SLOWER = 10
"""How much longer `BackgroundSync.close` waits while nothing fails."""


class BackgroundSync:
    """Keeps a tracking backend up to date with a sweep that runs. Once constructed it raises nothing and
    never delays the sweep.

    Raises:
        InvalidInput: the tracking URI can't be used, or nothing can be written there now.
    """

    def __init__(self, uri: str, plan: Plan, store: Store) -> None:
        self._uri = uri
        self._location = locate(uri)
        self._location.check()
        self.replaced = ""
        """After `close`, what `PlanSync.replaced` says."""
        self.has_report = False
        """After `close`, whether the report that is attached is of what the store holds."""
        self._plan = plan
        self._store = store
        self._sweep = sweep_key(plan.sweep.name)
        self._cells = _cells_by_run(plan)
        # An OrderedDict: finding the first key of a plain dict takes time for every key removed before it.
        self._waiting = OrderedDict.fromkeys([self._sweep, *keys_of(plan)], "")
        """The queue: why the last attempt to write each entry failed; "" if there was none."""
        self._in_progress: EntryKey | None = None
        self._changed = threading.Condition()
        self._last_success = time.monotonic()
        self._is_failing = False
        """Whether the last attempt failed."""
        self._is_closing = False
        self._is_abandoned = False
        self._thread = threading.Thread(target=self._work, name="raysweep-tracking", daemon=True)
        self._thread.start()

    def run_ended(self, run_id: str) -> None:
        """Queue the entries of a run that is done or has failed, and of its cells. Returns at once."""
        with self._changed:
            self._waiting |= dict.fromkeys([run_key(run_id), *self._cells.get(run_id, [])], "")
            self._changed.notify()

    def extend(self, plan: Plan) -> None:
        """Follow a plan to which runs or cells may have been added. Returns at once."""
        if plan is self._plan:
            return
        with self._changed:
            known = set(keys_of(self._plan))
            added = [key for key in keys_of(plan) if key not in known]
            self._plan = plan
            self._cells = _cells_by_run(plan)
            self._waiting |= dict.fromkeys([self._sweep, *added], "")
            self._changed.notify()

    def close(self, timeout_seconds: float = 30.0) -> str | None:
        """Wait until everything is written, but no longer than so many seconds after the last success, or ten
        times as many while nothing fails and it only takes long, as on a busy machine.

        Returns:
            None, or a message about what isn't written.
        """
        with self._changed:
            if not self._is_closing:
                self._waiting[self._sweep] = ""
            self._is_closing = True
            self._changed.notify()
        self._last_success = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._last_success < timeout_seconds * (
            1 if self._is_failing else _SLOWER
        ):
            self._thread.join(_LOOK_SECONDS)
        with self._changed:
            self._is_abandoned = True
            self._changed.notify()
            left = self._waiting | ({self._in_progress: ""} if self._in_progress else {})
        if not left:
            return None
        counts = {
            kind: sum(key.kind == kind and self._is_in_store(key) for key in left) for kind in ("run", "cell")
        }
        listed = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count]
        what = " and ".join(listed) or "the entry of the sweep itself"
        causes = [cause for cause in reversed(left.values()) if cause]
        why = causes[0] if causes else f"not done after {_SLOWER * timeout_seconds:g} s"
        system = self._location.system
        return (
            f"not written to {system} at {self._location.shown}: {what} ({why}). Nothing is lost, the store "
            f"{self._store.folder} holds everything. When {system} is back: raysweep sync FILE"
        )

    def _is_in_store(self, key: EntryKey) -> bool:
        """Whether the store has what an entry shows; a run or cell may be queued before it has ended."""
        if key.kind == "run":
            return self._status(key.identity) in (RunStatus.DONE, RunStatus.STOPPED, RunStatus.FAILED)
        needed = [run_id for run_id, cells in self._cells.items() if key in cells]
        return all(self._status(run_id) is RunStatus.DONE for run_id in needed)

    def _status(self, run_id: str) -> RunStatus:
        return self._plan.runs[run_id].status(self._store)

    def _work(self) -> None:
        plan_sync: PlanSync | None = None
        pause = 0.0
        while key := self._take(pause):
            try:
                if plan_sync is None:
                    plan_sync = PlanSync(self._location.open(self._plan.sweep.name), self._plan, self._store)
                plan_sync.extend(self._plan)
                if key == self._sweep:
                    if self._is_closing:
                        plan_sync.write_findings()
                        self.has_report = plan_sync.has_report()
                    else:
                        plan_sync.write_sweep()
                else:
                    plan_sync.write(key)
                pause = 0.0
                self._last_success = time.monotonic()
                self.replaced = plan_sync.replaced or self.replaced
                self._put_back(None)
            except Exception as error:  # of whatever kind: the sweep goes on, and the store has the run
                plan_sync = None  # what it remembers of the backend may be wrong
                pause = min(max(2 * pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
                self._put_back(one_line(error, self._uri))

    def _put_back(self, cause: str | None) -> None:
        """End the work on an entry. If there is a cause of failure, the entry moves to the end of the
        queue."""
        with self._changed:
            self._is_failing = cause is not None
            if self._in_progress and cause:
                self._waiting.setdefault(self._in_progress, cause)
            self._in_progress = None

    def _take(self, pause: float) -> EntryKey | None:
        """The next entry of the queue, after a pause; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing, pause)
            if self._is_closing:  # a server may come back while `close` waits, so try often
                self._changed.wait_for(
                    lambda: self._is_abandoned, min(pause, _LONGEST_PAUSE_AT_CLOSE_SECONDS)
                )
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            if self._is_abandoned or not self._waiting:
                return None
            self._in_progress, _ = self._waiting.popitem(last=False)
            return self._in_progress


def _cells_by_run(plan: Plan) -> dict[str, list[EntryKey]]:
    """By run id, the keys of the cells that need the run."""
    cells: dict[str, list[EntryKey]] = {}
    for cell in plan.cells:
        key = cell_key(names_of(cell))
        for run in (cell.runs.supervisor, cell.runs.student, cell.runs.ceiling):
            cells.setdefault(run.id, []).append(key)
    return cells
