"""All studies of a sweep: which trials there are now, and which cells are settled by what was chosen.

They are a function of the sweep and of the store: every command gets the same studies from the same store,
whether it reads or trains, and a search goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from raysweep.files import read_json
from raysweep.planning.graph import CellGroup, PlannedCell, SearchedRun
from raysweep.planning.search.config import METRICS, Search, SearchedRole, Signal
from raysweep.planning.search.overrides import with_overrides
from raysweep.planning.search.study import RunOutcome, Study, StudyScope, searched_space
from raysweep.spec import Combination, GroundTruth, RunSpec, Unlabelled, WeakLabels
from raysweep.store import RunStatus, Store

_Labels = TypeVar("_Labels", GroundTruth | WeakLabels, GroundTruth | WeakLabels | Unlabelled)
CHOICES: Mapping[Signal, str] = {
    "weak_validation": "weak_validation",
    "ground_truth_validation": "ground_truth_validation, an oracle",
}
"""The name of the method of students that a signal has chosen is the method's name with this in brackets."""


class Studies:
    """The studies of a sweep.

    Args:
        search: what is searched.
        cells: the grid before anything was chosen.
        store: the folder of what was trained.
        retries: whether a failed run is about to be tried again, so that its study waits for it.
    """

    def __init__(
        self, search: Search, cells: Sequence[PlannedCell], store: Store, *, retries: bool = False
    ) -> None:
        self.search = search
        self.by_key: dict[str, Study] = {}
        """By key, in the order of the grid."""
        self.cells: list[PlannedCell] = []
        """Those that are settled, in the order of the grid; a student that was chosen in two ways has two."""
        self.num_open_cells = len(cells)
        """Cells of the grid that wait for what is chosen."""
        self.store = store
        self._retries = retries
        self._outcomes: dict[str, RunOutcome] = {}
        groups: dict[CellGroup, list[PlannedCell]] = {}
        for cell in cells:
            groups.setdefault(cell.group, []).append(cell)
        self._groups = list(groups.values())
        self._settled: dict[int, list[PlannedCell]] = {}
        self._known: dict[tuple[str, str], SearchedRun] = {}
        self.advance()

    def advance(self) -> None:
        """Look at what has ended since, suggest what comes next, and settle the cells that can be."""
        for number, group in enumerate(self._groups):
            if number not in self._settled and (cells := self._settle(group)) is not None:
                self._settled[number] = cells
        self.cells = [cell for number in sorted(self._settled) for cell in self._settled[number]]
        self.num_open_cells = sum(
            len(group) for number, group in enumerate(self._groups) if number not in self._settled
        )

    def ended(self, run_id: str, *, has_failed: bool) -> bool:
        """Tell that a run has ended in this process; returns whether there are more runs or cells now. The
        study of a failed run goes on without it."""
        if has_failed:
            self._outcomes[run_id] = RunOutcome(RunStatus.FAILED)
        is_any = False
        for study in self.by_key.values():
            if not study.is_complete and run_id in study.run_ids:
                before = len(study.trials)
                study.advance(self._outcome)
                is_any |= study.is_complete or len(study.trials) > before
        if is_any:
            self.advance()
        return is_any

    def searched_runs(self) -> Iterator[SearchedRun]:
        """The supervisors and ceilings of all seeds that are settled though their cells aren't, then all
        trials."""
        yield from self._known.values()
        for study in self.by_key.values():
            scope = study.scope
            for spec in study.runs():
                yield SearchedRun(spec=spec, role=scope.role, pair=(scope.weak, scope.strong), study=study)

    @property
    def without_choice(self) -> list[Study]:
        """Studies that are complete without a finished trial."""
        return [
            study
            for study in self.by_key.values()
            if study.is_complete and study.chosen(self.search.select_by) is None
        ]

    def _settle(self, group: list[PlannedCell]) -> list[PlannedCell] | None:
        """The cells of a group with what was chosen; None while something isn't."""
        first = group[0]
        names = {"task": first.task, "weak": first.weak, "strong": first.strong}
        supervisors = self._chosen(
            StudyScope(role="supervisor", model=first.runs.supervisor.model.name, **names),
            [cell.runs.supervisor for cell in group],
        )
        own_ceilings = [cell.runs.ceiling for cell in group]
        if first.runs.ceiling.id == first.runs.supervisor.id:
            ceilings = supervisors
        else:
            ceilings = self._chosen(
                StudyScope(role="ceiling", model=first.runs.ceiling.model.name, **names), own_ceilings
            )
        self._know("supervisor", first, supervisors)
        self._know("ceiling", first, ceilings)
        if supervisors is None:
            return None
        students: dict[Signal | Literal[""], list[RunSpec] | None]
        if first.runs.student.id == first.runs.ceiling.id != first.runs.supervisor.id:
            students = {"": ceilings}
        else:
            teachers = [
                {cell.runs.supervisor.id: supervisor}
                for cell, supervisor in zip(group, supervisors, strict=True)
            ]
            taught = [
                _taught(cell.runs.student, changed) for cell, changed in zip(group, teachers, strict=True)
            ]
            scope = StudyScope(
                role="student", model=first.runs.student.model.name, method=first.method, **names
            )
            is_supervisor = first.runs.student.id == first.runs.supervisor.id
            students = {"": taught} if is_supervisor else self._both_choices(scope, taught)
        if ceilings is None or None in students.values():
            return None
        return [
            replace(
                cell,
                method=f"{cell.method} ({CHOICES[signal]})" if signal else cell.method,
                runs=replace(cell.runs, supervisor=supervisor, student=student, ceiling=ceiling),
            )
            for signal, specs in students.items()
            for cell, supervisor, student, ceiling in zip(
                group, supervisors, specs or [], ceilings, strict=True
            )
        ]

    def _know(self, role: SearchedRole, cell: PlannedCell, specs: list[RunSpec] | None) -> None:
        for spec in specs or []:
            self._known.setdefault(
                (role, spec.id), SearchedRun(spec=spec, role=role, pair=(cell.weak, cell.strong), study=None)
            )

    def _chosen(self, scope: StudyScope, specs: list[RunSpec]) -> list[RunSpec] | None:
        study = self._study(scope, specs)
        return specs if study is None else _with_choice(study, self.search.select_by, specs)

    def _both_choices(
        self, scope: StudyScope, specs: list[RunSpec]
    ) -> dict[Signal | Literal[""], list[RunSpec] | None]:
        study = self._study(scope, specs)
        if study is None:
            return {"": specs}
        return {signal: _with_choice(study, signal, specs) for signal in CHOICES}

    def _study(self, scope: StudyScope, specs: list[RunSpec]) -> Study | None:
        """The study of a role, as far as it has come; None if it has nothing to search."""
        bases = specs[: self.search.num_seeds]
        if not searched_space(self.search, scope.role, bases[0]):
            return None
        study = Study(scope, bases, self.search)
        study = self.by_key.setdefault(study.key, study)
        study.advance(self._outcome)
        return study

    def _outcome(self, spec: RunSpec) -> RunOutcome | None:
        if spec.id not in self._outcomes:
            found = stored_outcome(spec, self.store)
            if found is None or (self._retries and found.status is RunStatus.FAILED):
                return None
            self._outcomes[spec.id] = found
        return self._outcomes[spec.id]


def stored_outcome(spec: RunSpec, store: Store) -> RunOutcome | None:
    """How a run has ended, according to its files; None if it hasn't."""
    state = store.status(spec)
    paths = store.run(spec.id)
    if state is RunStatus.DONE:
        metrics = paths.read_result()["metrics"]
        return RunOutcome(
            RunStatus.DONE, {signal: metrics[name] for signal, name in METRICS.items() if name in metrics}
        )
    if state is RunStatus.STOPPED:
        metrics = read_json(paths.stopped)["metrics"]
        return RunOutcome(
            RunStatus.STOPPED, {signal: metrics[name] for signal, name in METRICS.items() if name in metrics}
        )
    return RunOutcome(RunStatus.FAILED) if state is RunStatus.FAILED else None


def _with_choice(study: Study, signal: Signal, specs: list[RunSpec]) -> list[RunSpec] | None:
    chosen = study.chosen(signal) if study.is_complete else None
    return None if chosen is None else [with_overrides(spec, chosen.trial.values) for spec in specs]


def _taught(spec: RunSpec, changed: Mapping[str, RunSpec]) -> RunSpec:
    """A run in which supervisors and the runs that models start from are replaced by those in `changed`, by
    id."""
    if spec.id in changed:
        return changed[spec.id]
    base = spec.model.base
    if isinstance(base, RunSpec):
        base = _taught(base, changed)
    elif isinstance(base, Combination):
        base = replace(base, sources=tuple(_from(source, changed) for source in base.sources))
    return replace(spec, model=replace(spec.model, base=base), labels=_from(spec.labels, changed))


def _from(labels: _Labels, changed: Mapping[str, RunSpec]) -> _Labels:
    if not isinstance(labels, WeakLabels):
        return labels
    return replace(labels, supervisor=_taught(labels.supervisor, changed))
