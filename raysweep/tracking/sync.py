"""Brings a tracking backend up to date with the store: builds the entries of a plan and writes those that the
backend doesn't have yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from raysweep.errors import InvalidInput, RaysweepError
from raysweep.planning.graph import PlannedCell
from raysweep.planning.plan import Plan
from raysweep.results.frames import SweepData
from raysweep.results.from_store import CellReader, read_store
from raysweep.store import RunStatus, Store
from raysweep.tracking.backend import Backend, locate, one_line
from raysweep.tracking.build import (
    cell_entry,
    cell_key,
    linked_runs,
    names_of,
    run_entry,
    run_key,
    span,
    sweep_entry,
    sweep_key,
    varied_names,
)
from raysweep.tracking.entry import Entry, EntryKey
from raysweep.tracking.findings import group_entries


class TrackingFailed(RaysweepError):
    """The tracking backend couldn't be written. The store holds everything; another sync completes the
    backend."""


@dataclass(frozen=True)
class SyncSummary:
    """What `sync` did."""

    num_runs: int
    """Runs that were written, failed ones included."""
    num_cells: int
    """Cells that were written."""
    num_groups: int
    """Rows of the results table that were written."""
    num_unchanged: int
    """Runs, cells and rows that the backend had already."""
    replaced: str
    """What `PlanSync.replaced` says."""
    has_report: bool
    """Whether the report that is attached is of what the store holds."""


def keys_of(plan: Plan) -> list[EntryKey]:
    """The keys of all runs and cells of a plan, runs first, since cells link to them."""
    return [run_key(run_id) for run_id in plan.runs] + [cell_key(names_of(cell)) for cell in plan.cells]


class PlanSync:
    """Writes the entries of one plan into a backend.

    It remembers what it has written and which runs are done; after an error, make another one.
    """

    def __init__(self, backend: Backend, plan: Plan, store: Store) -> None:
        self._backend = backend
        self._store = store
        self._reader = CellReader(store)
        self._done: set[str] = set()
        self._replaced: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._data: SweepData | None = None
        """Of the last call of `write_findings`."""
        self._set_plan(plan)

    def extend(self, plan: Plan) -> None:
        """Write the entries of this plan from now on: the plan as it was, with more runs or cells, as a
        search adds them."""
        if plan is not self._plan:
            self._set_plan(plan)

    def _set_plan(self, plan: Plan) -> None:
        self._plan = plan
        self._cells = {cell_key(names_of(cell)): cell for cell in plan.cells}
        self._methods: dict[str, dict[str, None]] = {}
        for cell in plan.cells:
            self._methods.setdefault(cell.runs.student.id, {})[cell.method] = None

    def write(self, key: EntryKey) -> bool | None:
        """Write the entry of a run that has ended, or of a cell whose supervisor, student and ceiling are
        done. Returns whether anything was written; None if there is nothing to write yet."""
        return self._write_cell(self._cells[key]) if key.kind == "cell" else self._write_run(key.identity)

    def write_sweep(self) -> None:
        """Write the sweep's own entry while its runs are being executed, and describe the sweep."""
        self._backend.write(self._sweep_entry(is_active=True))
        self._backend.describe(varied_names(self._plan))

    def write_findings(self) -> list[bool]:
        """Write what the sweep found as far as it is finished: the entries of its cell groups, and the answer
        into its own, which then no longer counts as being executed. Returns of each group whether anything
        was written.

        Not before the end, since p-values are corrected over all methods: each run that ends changes them.
        """
        self._data = self._read()
        done = self._data.planned[self._data.planned["is_finished"]]
        spans = {student: span([self._store.run(student)]) for student in dict.fromkeys(done["student"])}
        changed = [self._backend.write(entry).has_changed for entry in group_entries(self._data, spans)]
        self._backend.write(self._sweep_entry(is_active=False))
        self._backend.describe(varied_names(self._plan))
        return changed

    def attach_report(self, folder: Path) -> None:
        """Write the sweep's own entry, attach a folder's files to it, and describe the sweep."""
        entry = self._sweep_entry(is_active=False)
        self._backend.write(entry)
        self._backend.attach(entry.key, folder, entry.content)
        self._backend.describe(varied_names(self._plan))

    def has_report(self) -> bool:
        """Whether the report that is attached to the sweep's own entry is of what the store holds."""
        entry = self._sweep_entry(is_active=False)
        return self._backend.attached(entry.key) == entry.content

    @property
    def replaced(self) -> str:
        """What the user is told of cells that the backend had under the same names but of other runs; "" if
        there were none. A cell's names are all that identifies it: task, weak, strong, method and seed."""
        if not self._replaced:
            return ""
        name, differences = next(iter(self._replaced.items()))
        return (
            f"{len(self._replaced)} of the cells of {self._plan.sweep.name!r} had other runs before, as "
            f"{name!r} ({differences}). The new ones have replaced them; the earlier ones are among the "
            "deleted runs. To keep both in view, give a changed sweep another name"
        )

    def _write_run(self, run_id: str) -> bool | None:
        methods = "/".join(self._methods.get(run_id, ()))
        entry = run_entry(self._plan.runs[run_id], methods, self._store, self._sweep_id())
        if entry is None:
            return None
        written = self._backend.write(entry)
        if entry.status is RunStatus.DONE:
            self._links[run_id] = self._backend.link(written.id)
        return written.has_changed

    def _write_cell(self, cell: PlannedCell) -> bool | None:
        needed = (cell.runs.supervisor, cell.runs.student, cell.runs.ceiling)
        if not all(self._is_done(run.id) for run in needed):
            return None
        linked = [run.id for run in linked_runs(cell).values()]
        for run_id in linked:
            if run_id not in self._links:
                self._write_run(run_id)
        links = {run_id: self._links[run_id] for run_id in linked if run_id in self._links}
        entry = cell_entry(cell, self._reader, self._store, links)
        written = self._backend.write(entry)
        if written.replaced:
            self._replaced[entry.name] = written.replaced
        return written.has_changed

    def _sweep_id(self) -> str:
        found = self._backend.find(sweep_key(self._plan.sweep.name))
        return found or self._backend.write(self._sweep_entry(is_active=True)).id

    def _sweep_entry(self, *, is_active: bool) -> Entry:
        runs = self._plan.runs.values()
        done = [self._store.run(run.id) for run in runs if self._is_done(run.id)]
        others = {run.status(self._store) for run in runs if run.id not in self._done}
        status = RunStatus.RUNNING
        if others <= {RunStatus.STOPPED} and not self._plan.num_open_cells:
            status = RunStatus.DONE
        elif not is_active and RunStatus.FAILED in others:
            status = RunStatus.FAILED
        is_open = is_active and status is not RunStatus.DONE
        data = None if is_open else self._data
        return sweep_entry(self._plan, data or self._read(), status, *span(done), is_active=is_open)

    def _read(self) -> SweepData:
        return read_store(self._plan, self._store, reader=self._reader)

    def _is_done(self, run_id: str) -> bool:
        if run_id not in self._done and self._plan.runs[run_id].status(self._store) is RunStatus.DONE:
            self._done.add(run_id)
        return run_id in self._done


def sync(uri: str, plan: Plan, store: Store) -> SyncSummary:
    """Bring a tracking backend up to date with all that the store holds of a plan. Entries that the backend
    has already are left unchanged.

    Args:
        uri: the tracking URI.
        plan: the runs and cells.
        store: where their files are.

    Raises:
        InvalidInput: the URI can't be used.
        TrackingFailed: the tracking backend can't be reached, or refuses.
    """
    num_written = {"run": 0, "cell": 0}
    num_unchanged = 0
    with _plan_sync(uri, plan, store) as plan_sync:
        for key in keys_of(plan):
            has_changed = plan_sync.write(key)
            num_written[key.kind] += has_changed is True
            num_unchanged += has_changed is False
        found = plan_sync.write_findings()
        return SyncSummary(
            num_written["run"],
            num_written["cell"],
            sum(found),
            num_unchanged + found.count(False),
            plan_sync.replaced,
            plan_sync.has_report(),
        )


def log_report(uri: str, plan: Plan, store: Store, folder: Path) -> None:
    """Attach the files of a folder (`report.html`, `figures/`) to the sweep's own entry.

    Files and folders of the same names that are attached already are replaced.

    Args:
        uri: the tracking URI.
        plan: the sweep.
        store: where the files of its runs are.
        folder: attached with everything below it.

    Raises:
        InvalidInput: the URI can't be used, or there is no such folder.
        TrackingFailed: the tracking backend can't be reached, or refuses.
    """
    if not folder.is_dir():
        raise InvalidInput(f"there is no folder {folder} whose files could be attached to the sweep")
    with _plan_sync(uri, plan, store) as plan_sync:
        plan_sync.attach_report(folder)


@contextmanager
def _plan_sync(uri: str, plan: Plan, store: Store) -> Iterator[PlanSync]:
    location = locate(uri)
    try:
        yield PlanSync(location.open(plan.sweep.name), plan, store)
    except location.errors() as error:
        raise TrackingFailed(
            f"{location.system} at {location.shown} couldn't be written: {one_line(error, uri)}. Nothing is "
            f"lost, the store {store.folder} holds everything; start or repair the tracking server, or name "
            "another with --tracking-uri, and run the same command again"
        ) from error
