"""The graph of a plan: distinct runs, each trained once however many cells share it, and the cells they
answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from raysweep.planning.half_a import half_a_readers
from raysweep.planning.search.study import Study
from raysweep.planning.sweep import Sweep
from raysweep.recipes import CellRuns
from raysweep.spec import Features, RunSpec, Scratch, Unlabelled
from raysweep.spec.resources import Resources
from raysweep.spec.tuning import Feature
from raysweep.store import RunStatus, Store

Role = Literal["pretrain", "features", "combination", "supervisor", "intermediate", "student", "ceiling"]
"""What a run is for. Supervisor, student and ceiling are the three runs of a cell. Of the runs that these
depend on, a new model's first training and training on texts alone are pretrainings; what computes features
of a frozen model is a features run, what combines predictions a combination; all others are intermediate."""


class CellGroup(NamedTuple):
    """A cell without its seed: what a row of a results table is about."""

    task: str
    weak: str
    strong: str
    method: str

    @property
    def pair(self) -> str:
        """Its two models as tables and figures show them."""
        return f"{self.weak} → {self.strong}"


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run of the plan."""

    spec: RunSpec
    roles: tuple[Role, ...]
    """Usually one; a run that two cells use differently has several, in the order of `Role`."""
    pairs: tuple[tuple[str, str], ...]
    """(weak, strong) names of the cells that use it."""
    num_cells: int
    """How many cells use it: 0 for a trial of a search that no cell needs; at least 1 for a run that cells
    will need whatever the search chooses."""
    resources: Resources
    needs_model: bool
    """Whether another run of the plan starts from its weights."""
    study: Study | None = None
    """The study that it is a trial of, if any."""
    features: frozenset[Feature] = frozenset()
    """What the runs of the plan read of it, if it is a features run."""
    also_predicts: frozenset[str] = frozenset()
    """Splits that it predicts beside its own, since others of the plan read them."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.spec.id

    @property
    def role(self) -> str:
        """Its roles as one word: "supervisor", "supervisor+ceiling"."""
        return "+".join(self.roles)

    @property
    def is_finetuning(self) -> bool:
        """Whether it finetunes a model: no pretraining, and nothing that only computes features or combines
        predictions."""
        return self.roles not in (("pretrain",), ("features",)) and self.spec.combination is None

    @property
    def may_be_stopped(self) -> bool:
        """Whether a search may end it early: it is a trial, and no cell needs it."""
        return self.study is not None and self.num_cells == 0

    @property
    def save_weights(self) -> bool:
        """Whether its weights are kept. Trials of a search keep them only if another run starts from them; a
        head or probe on features is fitted again sooner than it is found."""
        if not self.spec.loads_model or self.roles == ("features",):
            return False
        is_kept = self.roles != ("student",) and self.study is None
        return self.needs_model or is_kept or self.resources.save_student_models

    def status(self, store: Store) -> RunStatus:
        """The run's status in a store, as far as this plan is concerned: MISSING, DONE, STOPPED or FAILED.

        A run counts as missing if its weights, features or predictions are needed but weren't kept, or if a
        search stopped it early and a cell needs it now. Raises as `Store.status`.
        """
        status = store.status(self.spec)
        if status is RunStatus.STOPPED and not self.may_be_stopped:
            return RunStatus.MISSING
        if status is RunStatus.DONE and self.needs_model and not store.run(self.id).has_model:
            return RunStatus.MISSING
        if status is RunStatus.DONE and self.features and not store.run(self.id).has_features(self.features):
            return RunStatus.MISSING
        wanted = {f"predictions/{split}.parquet" for split in self.also_predicts}
        if status is RunStatus.DONE and wanted and not wanted <= {*store.run(self.id).read_result()["files"]}:
            return RunStatus.MISSING
        return status


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """A cell of the grid, by names, with its runs."""

    task: str
    weak: str
    strong: str
    method: str
    seed: int
    runs: CellRuns

    @property
    def group(self) -> CellGroup:
        """The cell without its seed."""
        return CellGroup(self.task, self.weak, self.strong, self.method)


@dataclass(frozen=True, kw_only=True)
class SearchedRun:
    """A run that a search adds to the plan: a trial, or a run that cells will need whatever the search
    chooses."""

    spec: RunSpec
    role: Role
    pair: tuple[str, str]
    study: Study | None
    """The study that it is a trial of; None for a run that cells will need."""


def distinct_runs(
    sweep: Sweep, cells: Iterable[PlannedCell], searched: Iterable[SearchedRun] = ()
) -> dict[str, PlannedRun]:
    """The runs of cells and of a search, each once, by id, in an order in which dependencies come first."""
    graph = _Graph()
    for cell in cells:
        runs: dict[Role, RunSpec] = {
            "supervisor": cell.runs.supervisor,
            "ceiling": cell.runs.ceiling,
            "student": cell.runs.student,
        }
        for run_id in graph.add(runs.values(), (cell.weak, cell.strong)):
            graph.num_cells[run_id] = graph.num_cells.get(run_id, 0) + 1
        for role, run in runs.items():
            graph.roles[run.id].add(role)
    for item in searched:
        for run_id in graph.add([item.spec], item.pair):
            if item.study is None:
                graph.num_cells.setdefault(run_id, 1)
        graph.roles[item.spec.id].add(item.role)
        if item.study is not None:
            graph.studies.setdefault(item.spec.id, item.study)
    also_predicts = half_a_readers(graph.specs)
    return {
        run_id: PlannedRun(
            spec=spec,
            roles=graph.roles_of(run_id),
            pairs=tuple(graph.pairs[run_id]),
            num_cells=graph.num_cells.get(run_id, 0),
            resources=_resources(spec, sweep),
            needs_model=run_id in graph.bases,
            study=graph.studies.get(run_id),
            also_predicts=also_predicts.get(run_id, frozenset()),
        )
        for run_id, spec in graph.specs.items()
    }


def _resources(spec: RunSpec, sweep: Sweep) -> Resources:
    """Those of the sweep; but a run on features, which trains a linear layer or less, and a combination take
    one process on a CPU."""
    chosen = sweep.resources_of(spec)
    if spec.loads_model:
        return chosen
    return Resources(
        cpus_per_worker=chosen.cpus_per_worker,
        checkpoint_every=chosen.checkpoint_every,
        timeout_seconds=chosen.timeout_seconds,
    )


class _Graph:
    """Runs by id, in the order in which they were added, and what is known of each."""

    def __init__(self) -> None:
        self.specs: dict[str, RunSpec] = {}
        self.roles: dict[str, set[Role]] = {}
        """Those that cells and searches name; the others follow from the spec."""
        self.pairs: dict[str, dict[tuple[str, str], None]] = {}
        self.num_cells: dict[str, int] = {}
        self.studies: dict[str, Study] = {}
        self.bases: set[str] = set()
        """Runs whose weights another run starts from."""

    def add(self, runs: Iterable[RunSpec], pair: tuple[str, str]) -> list[str]:
        """Add runs and all they depend on, dependencies first; returns their ids."""
        closure: dict[str, RunSpec] = {}
        for run in runs:
            _add_closure(run, closure)
        for run_id, spec in closure.items():
            if run_id not in self.specs:
                self.specs[run_id] = spec
                self.roles[run_id] = set()
                self.pairs[run_id] = {}
                if isinstance(spec.model.base, RunSpec):
                    self.bases.add(spec.model.base.id)
            self.pairs[run_id][pair] = None
        return list(closure)

    def roles_of(self, run_id: str) -> tuple[Role, ...]:
        """The roles of a run that was added, in the order of `Role`."""
        if self.roles[run_id]:
            return tuple(role for role in get_args(Role) if role in self.roles[run_id])
        spec = self.specs[run_id]
        if isinstance(spec.model.tuning, Features):
            return ("features",)
        if spec.combination is not None:
            return ("combination",)
        is_pretraining = isinstance(spec.model.base, Scratch) or isinstance(spec.labels, Unlabelled)
        return ("pretrain",) if is_pretraining else ("intermediate",)


def _add_closure(run: RunSpec, found: dict[str, RunSpec]) -> None:
    """Add a run and all it depends on by id, dependencies first."""
    if run.id not in found:
        for dependency in run.dependencies:
            _add_closure(dependency, found)
        found[run.id] = run
