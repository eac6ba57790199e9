"""What MLflow shows of a plan: each record is built from the store and written unless MLflow has it already."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from raysweep.errors import RaysweepError
from raysweep.plan import Plan, PlannedCell
from raysweep.results import Results
from raysweep.store import RunState, Store
from raysweep.tracking.location import Location
from raysweep.tracking.records import RUN_TAG, SWEEP_TAG, Record, cell_record, run_record, sweep_identity, sweep_record
from raysweep.tracking.writer import Writer, brief, configure_mlflow, mlflow_errors


class TrackingFailed(RaysweepError):
    """MLflow couldn't be written. The store holds everything; syncing again completes it."""


@dataclass(frozen=True)
class SyncSummary:
    """What `sync` did."""

    num_runs: int
    """Raysweep runs that were written, failed ones included."""
    num_cells: int
    """Cells that were written."""
    num_unchanged: int
    """Runs and cells that MLflow had already."""


class Recorder:
    """Writes the records of one plan; made anew after an error, since it keeps in mind what MLflow has.

    Each method that writes returns whether anything was written, and None if there is nothing to write yet.
    """

    def __init__(self, location: Location, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._store = store
        self._writer = Writer(location, plan.sweep.name)
        self._results = Results(plan, store)
        self._done: set[str] = set()
        self._links: dict[str, str] = {}
        self._methods: dict[str, dict[str, None]] = {}
        for cell in plan.cells:
            self._methods.setdefault(cell.runs.student.id, {})[cell.method] = None

    def write_sweep(self, *, is_active: bool) -> bool:
        """Write the sweep's own record.

        Args:
            is_active: whether its runs are still being trained, so that one that failed may yet be done.
        """
        return self._writer.write(self._sweep_record(is_active=is_active))[1]

    def write_run(self, run_id: str) -> bool | None:
        """Write a run that is done or failed."""
        record = run_record(self._plan.runs[run_id], "/".join(self._methods.get(run_id, ())), self._store, self._parent())
        if record is None:
            return None
        mlflow_id, is_written = self._writer.write(record)
        if record.status == "FINISHED":
            self._links[run_id] = self._writer.link(mlflow_id)
        return is_written

    def write_cell(self, cell: PlannedCell) -> bool | None:
        """Write a cell whose floor, student and ceiling are done; these three first, as the cell links to them."""
        runs = {"floor": cell.runs.floor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}
        if not all(self._is_done(run.id) for run in runs.values()):
            return None
        for run in runs.values():
            if run.id not in self._links:
                self.write_run(run.id)
        links = {end: self._links[run.id] for end, run in runs.items()}
        return self._writer.write(cell_record(cell, self._results, self._store, self._parent(), links))[1]

    def _parent(self) -> str:
        found = self._writer.find(SWEEP_TAG, sweep_identity(self._plan))
        return found or self._writer.write(self._sweep_record(is_active=True))[0]

    def _sweep_record(self, *, is_active: bool) -> Record:
        done = [self._store.run(run_id).read_result()["info"] for run_id in self._plan.runs if self._is_done(run_id)]
        standing: Literal["RUNNING", "FINISHED", "FAILED"] = "RUNNING"
        if len(done) == len(self._plan.runs):
            standing = "FINISHED"
        elif not is_active and any(self._store.state(run.spec) is RunState.FAILED for run in self._plan.runs.values()):
            standing = "FAILED"
        start = min((info["finished_at"] - info["seconds_total"] for info in done), default=time.time())
        end = max((info["finished_at"] for info in done), default=time.time())
        return sweep_record(self._plan, standing, start, end)

    def _is_done(self, run_id: str) -> bool:
        if run_id not in self._done and self._store.state(self._plan.runs[run_id].spec) is RunState.DONE:
            self._done.add(run_id)
        return run_id in self._done


def sync(uri: str, plan: Plan, store: Store, report: Callable[[str], None] = lambda line: None) -> SyncSummary:
    """Rebuild in MLflow all that the store holds of a plan. What MLflow has already stays as it is.

    Args:
        uri: MLflow's tracking URI.
        plan: which runs and cells.
        store: where they are.
        report: called with a line for each run and cell that was written.

    Raises:
        InvalidInput: the URI can't be used.
        TrackingFailed: MLflow can't be reached, or refuses.
    """
    location = Location.of(uri)
    configure_mlflow()
    num_written, num_unchanged = {"run": 0, "cell": 0}, 0
    try:
        recorder = Recorder(location, plan, store)
        for item in all_items(plan):
            is_written = recorder.write(item)
            num_unchanged += is_written is False
            if is_written:
                num_written[item.kind] += 1
                report(str(item))
        recorder.write_sweep(is_active=False)
    except mlflow_errors() as error:
        raise TrackingFailed(
            f"MLflow at {location.uri} couldn't be written: {brief(error)}. Nothing is lost, the store {store.folder} holds "
            "everything; start or mend the tracking server, or name another with --tracking-uri, and run the same command again"
        ) from error
    return SyncSummary(num_written["run"], num_written["cell"], num_unchanged)
