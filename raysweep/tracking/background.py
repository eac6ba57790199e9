"""The tracker: MLflow follows a running sweep, from one background thread of the driver.

The scheduler says that a run has ended and goes on at once; the thread writes the run and the cells that it
completes. One thread writes everything, so concurrent trials never meet a locked database, and workers need
no way to MLflow.

What can't be written goes to the end of the line, and the pause before the next attempt grows until one
succeeds: one rule for a server that is down, a database that another process has locked, and a single record
that MLflow refuses. At the start all of the plan is in line, so that what an earlier, killed sweep left
unwritten is made up for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from raysweep.planning.plan import Plan
from raysweep.store import Store
from raysweep.store.run_folder import RunStatus
from raysweep.tracking.build import cell_name
from raysweep.tracking.mlflow.client import brief, configure_mlflow
from raysweep.tracking.mlflow.location import Location
from raysweep.tracking.sync import Item, Recorder, items_of

_SWEEP = Item("sweep", "")
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_AT_CLOSE_SECONDS = 1.0


class Tracker:
    """Keeps MLflow up to date with a sweep that runs. It never raises after its construction and never holds
    the sweep up.

    Raises:
        InvalidInput: MLflow can't be at this URI.
    """

    def __init__(self, uri: str, plan: Plan, store: Store) -> None:
        self._location = Location.of(uri)
        self._plan = plan
        self._store = store
        self._cells = _cells_by_run(plan)
        # Ordered: a plain dict looks at all that it has ever given away to find its first entry.
        self._waiting = OrderedDict.fromkeys([_SWEEP, *items_of(plan)], "")
        """In line, with the cause where writing failed."""
        self._in_progress: Item | None = None
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_abandoned = False
        configure_mlflow()
        self._thread = threading.Thread(target=self._work, name="raysweep-tracker", daemon=True)
        self._thread.start()

    def run_ended(self, run_id: str) -> None:
        """A run is done or has failed: it and its cells are written soon. Returns at once."""
        with self._changed:
            self._waiting |= dict.fromkeys([Item("run", run_id), *self._cells.get(run_id, [])], "")
            self._changed.notify()

    def extend(self, plan: Plan) -> None:
        """The plan may have more runs or cells now. Returns at once."""
        if plan is self._plan:
            return
        with self._changed:
            known = set(items_of(self._plan))
            added = [item for item in items_of(plan) if item not in known]
            self._plan = plan
            self._cells = _cells_by_run(plan)
            self._waiting |= dict.fromkeys([_SWEEP, *added], "")
            self._changed.notify()

    def close(self, timeout_seconds: float = 30.0) -> str | None:
        """Wait until everything is written; after that long, a message that says what isn't, or None."""
        with self._changed:
            if not self._is_closing:
                self._waiting[_SWEEP] = ""
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout_seconds)
        with self._changed:
            self._is_abandoned = True
            self._changed.notify()
            left = self._waiting | ({self._in_progress: ""} if self._in_progress else {})
        if not left:
            return None
        counts = [
            (sum(item.kind == kind and self._is_there(item) for item in left), kind)
            for kind in ("run", "cell")
        ]
        what = [f"{count} {kind}{'s' if count > 1 else ''}" for count, kind in counts if count] or [
            "the sweep's own record"
        ]
        cause = next(
            (cause for cause in reversed(left.values()) if cause), f"not done after {timeout_seconds:g} s"
        )
        return (
            f"not written to MLflow at {self._location.shown}: {' and '.join(what)} ({cause}). Nothing is "
            f"lost, the store {self._store.folder} holds everything. When MLflow is back: raysweep sync FILE"
        )

    def _is_there(self, item: Item) -> bool:
        """Whether the store has what is to be written; a run or cell may be in line before it is done."""
        runs = (
            [run_id for run_id, cells in self._cells.items() if item in cells]
            if item.kind == "cell"
            else [item.key]
        )
        statuses = {self._plan.runs[run_id].status(self._store) for run_id in runs}
        return statuses == {RunStatus.DONE} or (
            item.kind == "run" and statuses <= {RunStatus.FAILED, RunStatus.STOPPED}
        )

    def _work(self) -> None:
        recorder: Recorder | None = None
        pause = 0.0
        while item := self._take(pause):
            try:
                recorder = recorder or Recorder(self._location, self._plan, self._store)
                recorder.follow(self._plan)
                if item == _SWEEP:
                    recorder.write_sweep(is_active=not self._is_closing)
                else:
                    recorder.write(item)
                pause = 0.0
                self._put_back(None)
            except Exception as error:  # whatever it is, the sweep goes on and the store has the run
                recorder = None  # what it knows of MLflow may be wrong
                pause = min(max(2 * pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
                self._put_back(brief(error))

    def _put_back(self, cause: str | None) -> None:
        """End the work on an item; with a cause, it goes to the end of the line."""
        with self._changed:
            if self._in_progress and cause:
                self._waiting.setdefault(self._in_progress, cause)
            self._in_progress = None

    def _take(self, pause: float) -> Item | None:
        """The next item in line, after a pause; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing, pause)
            if self._is_closing:  # what is down may come back while we wait, so look often
                self._changed.wait_for(
                    lambda: self._is_abandoned, min(pause, _LONGEST_PAUSE_AT_CLOSE_SECONDS)
                )
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            if self._is_abandoned or not self._waiting:
                return None
            self._in_progress, _ = self._waiting.popitem(last=False)
            return self._in_progress


def _cells_by_run(plan: Plan) -> dict[str, list[Item]]:
    """The cells that each run completes, by its id."""
    cells: dict[str, list[Item]] = {}
    for cell in plan.cells:
        for run in (cell.runs.supervisor, cell.runs.student, cell.runs.ceiling):
            cells.setdefault(run.id, []).append(Item("cell", cell_name(cell)))
    return cells
