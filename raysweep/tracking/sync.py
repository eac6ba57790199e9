"""What MLflow shows of a plan: each record is built from the store and written unless MLflow has it
already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from raysweep.errors import InvalidInput, RaysweepError
from raysweep.planning.plan import Plan, PlannedCell
from raysweep.results.from_store import CellReader
from raysweep.store import Store
from raysweep.store.run_folder import RunStatus
from raysweep.tracking.build import (
    cell_name,
    cell_record,
    linked_runs,
    run_record,
    span,
    sweep_identity,
    sweep_record,
)
from raysweep.tracking.entry import SWEEP_TAG, Entry
from raysweep.tracking.mlflow.client import Writer, brief, configure_mlflow, mlflow_errors
from raysweep.tracking.mlflow.location import Location
from raysweep.tracking.mlflow.views import description, links_to_views, view_tags

_REPORT_FILE = "report.html"
_REPORT_TAG = "raysweep.report"


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
    return [Item("run", run_id) for run_id in plan.runs] + [
        Item("cell", cell_name(cell)) for cell in plan.cells
    ]


class Recorder:
    """Writes the records of one plan; made anew after an error, since it keeps in mind what MLflow has.

    Methods that write return whether anything was written, and None if there is nothing to write yet.
    """

    def __init__(self, location: Location, plan: Plan, store: Store) -> None:
        self._store = store
        self._writer = Writer(location, plan.sweep.name)
        self._done: set[str] = set()
        self._links: dict[str, str] = {}
        self._set(plan)

    def follow(self, plan: Plan) -> None:
        """From now on, write the records of this plan: the one before, with more runs and cells, as a search
        has it."""
        if plan is not self._plan:
            self._set(plan)

    def _set(self, plan: Plan) -> None:
        self._plan = plan
        self._reader = CellReader(self._store)
        self._cells = {cell_name(cell): cell for cell in plan.cells}
        self._methods: dict[str, dict[str, None]] = {}
        for cell in plan.cells:
            self._methods.setdefault(cell.runs.student.id, {})[cell.method] = None

    def write_sweep(self, *, is_active: bool) -> bool:
        """Write the sweep's own record.

        Args:
            is_active: whether its runs are still being trained, so that one that failed may yet be done.
        """
        is_written = self._writer.write(self._sweep_record(is_active=is_active))[1]
        self._writer.set_experiment_tags(view_tags(self._plan, self._writer.created))
        report = self._writer.experiment_tags.get(_REPORT_TAG, "")
        self._writer.describe(description(self._plan, self._writer.experiment, report))
        return is_written

    def write_report(self, folder: Path) -> None:
        """Put a folder's files into the sweep's own record."""
        parent = self._parent()
        self._writer.replace_files(parent, folder)
        if (folder / _REPORT_FILE).exists():
            self._writer.set_experiment_tags(
                {_REPORT_TAG: self._writer.link(parent, f"/artifacts/{_REPORT_FILE}")}
            )

    def write(self, item: Item) -> bool | None:
        """Write a run that is done or failed, or a cell whose supervisor, student and ceiling are done."""
        return self._write_run(item.key) if item.kind == "run" else self._write_cell(self._cells[item.key])

    def _write_run(self, run_id: str) -> bool | None:
        record = run_record(
            self._plan.runs[run_id], "/".join(self._methods.get(run_id, ())), self._store, self._parent()
        )
        if record is None:
            return None
        mlflow_id, is_written = self._writer.write(record)
        if record.status == "FINISHED":
            self._links[run_id] = self._writer.link(mlflow_id)
        return is_written

    def _write_cell(self, cell: PlannedCell) -> bool | None:
        ends = (cell.runs.supervisor, cell.runs.student, cell.runs.ceiling)
        if not all(self._is_done(run.id) for run in ends):
            return None
        linked = [run.id for run in linked_runs(cell).values()]
        for run_id in linked:
            if run_id not in self._links:
                self._write_run(run_id)
        links = {run_id: self._links[run_id] for run_id in linked if run_id in self._links}
        return self._writer.write(cell_record(cell, self._reader, self._store, links))[1]

    def _parent(self) -> str:
        found = self._writer.find(SWEEP_TAG, sweep_identity(self._plan.sweep.name))
        return found or self._writer.write(self._sweep_record(is_active=True))[0]

    def _sweep_record(self, *, is_active: bool) -> Entry:
        done = [self._store.run(run_id) for run_id in self._plan.runs if self._is_done(run_id)]
        standing: Literal["RUNNING", "FINISHED", "FAILED"] = "RUNNING"
        if len(done) == len(self._plan.runs):
            standing = "FINISHED"
        elif not is_active and any(
            run.status(self._store) is RunStatus.FAILED for run in self._plan.runs.values()
        ):
            standing = "FAILED"
        note = links_to_views(self._plan, self._writer.experiment)
        return sweep_record(self._plan, self._store, standing, *span(done), note)

    def _is_done(self, run_id: str) -> bool:
        if run_id not in self._done and self._plan.runs[run_id].status(self._store) is RunStatus.DONE:
            self._done.add(run_id)
        return run_id in self._done


def sync(
    uri: str, plan: Plan, store: Store, report: Callable[[str], None] = lambda line: None
) -> SyncSummary:
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
    num_written = {"run": 0, "cell": 0}
    num_unchanged = 0
    with _recorder(uri, plan, store) as recorder:
        for item in items_of(plan):
            is_written = recorder.write(item)
            num_unchanged += is_written is False
            if is_written:
                num_written[item.kind] += 1
                report(str(item))
        recorder.write_sweep(is_active=False)
    return SyncSummary(num_written["run"], num_written["cell"], num_unchanged)


def log_report(uri: str, plan: Plan, store: Store, folder: Path) -> None:
    """Put the files of a folder (`report.html`, `figures/`) into the sweep's own MLflow run, where MLflow's
    UI previews them.

    Files of the same name, and those in folders of the same name, are replaced.

    Args:
        uri: MLflow's tracking URI.
        plan: the sweep.
        store: where its runs are.
        folder: what is put there, with everything below it.

    Raises:
        InvalidInput: the URI can't be used, or there is no such folder.
        TrackingFailed: MLflow can't be reached, or refuses.
    """
    if not folder.is_dir():
        raise InvalidInput(f"there is no folder {folder} whose files could be put into MLflow")
    with _recorder(uri, plan, store) as recorder:
        recorder.write_report(folder)
        recorder.write_sweep(is_active=False)


@contextmanager
def _recorder(uri: str, plan: Plan, store: Store) -> Iterator[Recorder]:
    location = Location.of(uri)
    configure_mlflow()
    try:
        yield Recorder(location, plan, store)
    except mlflow_errors() as error:
        raise TrackingFailed(
            f"MLflow at {location.shown} couldn't be written: {brief(error)}. Nothing is lost, the store "
            f"{store.folder} holds everything; start or mend the tracking server, or name another with "
            "--tracking-uri, and run the same command again"
        ) from error
