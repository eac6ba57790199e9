"""What a plan holds: distinct runs, each trained once however many cells share it, and the cells that they
answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raysweep.planning.search.config import Role
from raysweep.recipes import CellRuns
from raysweep.spec import RunSpec
from raysweep.spec.resources import Resources

if TYPE_CHECKING:
    from raysweep.planning.search.studies import Studies
    from raysweep.planning.search.study import Study
    from raysweep.planning.sweep import Sweep

_KINDS = ("pretrain", "weak", "middle", "student", "ceiling")
"""What a run is in the grid; one that serves two ends of it has both kinds, joined by "+"."""

_KIND_OF_ROLE: Mapping[Role, str] = {"supervisor": "weak", "ceiling": "ceiling", "student": "student"}


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run of the plan."""

    spec: RunSpec
    kinds: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    """(weak, strong) names of the cells that it serves."""
    num_cells: int
    """How many these are; 0 of a search's trial that no cell needs, at least 1 of what cells will need that
    aren't settled."""
    resources: Resources
    needs_model: bool
    """Whether another run of the plan starts from its weights."""
    study: Study | None = None
    """The study whose trial it is, if it is one."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.spec.id

    @property
    def kind(self) -> str:
        """Its kinds in one word: "weak", "weak+ceiling"."""
        return "+".join(self.kinds)

    @property
    def may_be_stopped(self) -> bool:
        """Whether a search may end it early: it is a trial, and no cell needs it."""
        return self.study is not None and self.num_cells == 0

    @property
    def save_weights(self) -> bool:
        """Whether its model is kept. Of a search's trials only those that another run starts from are."""
        is_kept = self.kinds != ("student",) and self.study is None
        return self.needs_model or is_kept or self.resources.save_student_models


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """A cell of the grid, by names, with its runs."""

    task: str
    weak: str
    strong: str
    method: str
    seed: int
    runs: CellRuns


def distinct_runs(
    sweep: Sweep, cells: Iterable[PlannedCell], searches: Studies | None = None
) -> dict[str, PlannedRun]:
    """The runs that cells, and the trials of searches, are made of: each once, by id, after all that it
    depends on."""
    found = _Found()
    for cell in cells:
        ends = {"weak": cell.runs.floor, "ceiling": cell.runs.ceiling, "student": cell.runs.student}
        for run_id in found.add(ends.values(), (cell.weak, cell.strong)):
            found.num_cells[run_id] = found.num_cells.get(run_id, 0) + 1
        for role, end in ends.items():
            found.kinds[end.id].add(role)
    for known in searches.known_runs() if searches else ():
        for run_id in found.add([known.spec], known.pair):
            found.num_cells.setdefault(run_id, 1)
        found.kinds[known.spec.id].add(_KIND_OF_ROLE[known.role])
    for trial in searches.trial_runs() if searches else ():
        place = trial.study.place
        found.add([trial.spec], (place.weak, place.strong))
        found.kinds[trial.spec.id].add(_KIND_OF_ROLE[place.role])
        found.studies.setdefault(trial.spec.id, trial.study)
    return {
        run_id: PlannedRun(
            spec=spec,
            kinds=tuple(kind for kind in _KINDS if kind in found.kinds[run_id])
            or ("pretrain" if run_id in found.bases else "middle",),
            pairs=tuple(found.pairs[run_id]),
            num_cells=found.num_cells.get(run_id, 0),
            resources=sweep.resources_of(spec),
            needs_model=run_id in found.bases,
            study=found.studies.get(run_id),
        )
        for run_id, spec in found.specs.items()
    }


class _Found:
    """Runs by id, in the order in which they were found, and what is known of each."""

    def __init__(self) -> None:
        self.specs: dict[str, RunSpec] = {}
        self.kinds: dict[str, set[str]] = {}
        self.pairs: dict[str, dict[tuple[str, str], None]] = {}
        self.num_cells: dict[str, int] = {}
        self.studies: dict[str, Study] = {}
        self.bases: set[str] = set()

    def add(self, ends: Iterable[RunSpec], pair: tuple[str, str]) -> list[str]:
        """Add runs and all they depend on, dependencies first; returns their ids."""
        closure: dict[str, RunSpec] = {}
        for end in ends:
            _add_closure(end, closure)
        for run_id, spec in closure.items():
            if run_id not in self.specs:
                self.specs[run_id] = spec
                self.kinds[run_id] = set()
                self.pairs[run_id] = {}
                if isinstance(spec.model.base, RunSpec):
                    self.bases.add(spec.model.base.id)
            self.pairs[run_id][pair] = None
        return list(closure)


def _add_closure(run: RunSpec, found: dict[str, RunSpec]) -> None:
    """Add a run and all it depends on by id, dependencies first."""
    if run.id not in found:
        for dependency in run.dependencies:
            _add_closure(dependency, found)
        found[run.id] = run
