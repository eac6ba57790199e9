"""What MLflow shows of a plan: each record is built from the store and written unless MLflow has it already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from raysweep.errors import RaysweepError
from raysweep.plan import Plan, PlannedCell
from raysweep.results import Results
from raysweep.store import RunState, Store
from raysweep.tracking.location import Location
from raysweep.tracking.records import SWEEP_TAG, Record, cell_name, cell_record, run_record, span, sweep_identity, sweep_record
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


class Item(NamedTuple):
    """A part of a plan that is written in one go."""

    kind: Literal["run", "cell", "sweep"]
    key: str
    """The run's id; the cell's name; nothing for the sweep's own record."""

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


def items_of(plan: Plan) -> list[Item]:
    """All runs and cells of a plan, runs first, since cells link to them."""
    return [Item("run", run_id) for run_id in plan.runs] + [Item("cell", cell_name(cell)) for cell in plan.cells]


class Recorder:
    """Writes the records of one plan; made anew after an error, since it keeps in mind what MLflow has.

    Methods that write return whether anything was written, and None if there is nothing to write yet.
    """

    def __init__(self, location: Location, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._store = store
        self._writer = Writer(location, plan.sweep.name)
        self._results = Results(plan, store)
        self._cells = {cell_name(cell): cell for cell in plan.cells}
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

    def write(self, item: Item) -> bool | None:
        """Write a run that is done or failed, or a cell whose floor, student and ceiling are done."""
        return self._write_run(item.key) if item.kind == "run" else self._write_cell(self._cells[item.key])

    def _write_run(self, run_id: str) -> bool | None:
        record = run_record(self._plan.runs[run_id], "/".join(self._methods.get(run_id, ())), self._store, self._parent())
        if record is None:
            return None
        mlflow_id, is_written = self._writer.write(record)
        if record.status == "FINISHED":
            self._links[run_id] = self._writer.link(mlflow_id)
        return is_written

    def _write_cell(self, cell: PlannedCell) -> bool | None:
        runs = {"floor": cell.runs.floor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}
        if not all(self._is_done(run.id) for run in runs.values()):
            return None
        for run in runs.values():
            if run.id not in self._links:  # the cell links to it
                self._write_run(run.id)
        links = {end: self._links[run.id] for end, run in runs.items()}
        return self._writer.write(cell_record(cell, self._results, self._store, self._parent(), links))[1]

    def _parent(self) -> str:
        found = self._writer.find(SWEEP_TAG, sweep_identity(self._plan))
        return found or self._writer.write(self._sweep_record(is_active=True))[0]

    def _sweep_record(self, *, is_active: bool) -> Record:
        done = [self._store.run(run_id) for run_id in self._plan.runs if self._is_done(run_id)]
        standing: Literal["RUNNING", "FINISHED", "FAILED"] = "RUNNING"
        if len(done) == len(self._plan.runs):
            standing = "FINISHED"
        elif not is_active and any(self._store.state(run.spec) is RunState.FAILED for run in self._plan.runs.values()):
            standing = "FAILED"
        return sweep_record(self._plan, standing, *span(done))

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
        for item in items_of(plan):
            is_written = recorder.write(item)
            num_unchanged += is_written is False
            if is_written:
                num_written[item.kind] += 1
                report(str(item))
        recorder.write_sweep(is_active=False)
    except mlflow_errors() as error:
        raise TrackingFailed(
            f"MLflow at {location.shown} couldn't be written: {brief(error)}. Nothing is lost, the store {store.folder} holds "
            "everything; start or mend the tracking server, or name another with --tracking-uri, and run the same command again"
        ) from error
    return SyncSummary(num_written["run"], num_written["cell"], num_unchanged)
