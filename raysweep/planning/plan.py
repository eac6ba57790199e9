"""The plan: a sweep's grid as a graph of distinct runs, each trained once however many cells share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from raysweep.data.pinning import Pinner
from raysweep.data.task_facts import TaskFacts
from raysweep.errors import InvalidInput
from raysweep.gc_control import gc_paused
from raysweep.models.families import Model
from raysweep.planning.features import features_read, with_features
from raysweep.planning.graph import PlannedCell, PlannedRun, distinct_runs
from raysweep.planning.methods import checked_method, pinned_model
from raysweep.planning.search.space_checks import check_search_space
from raysweep.planning.search.studies import Studies
from raysweep.planning.sweep import Method, Sweep
from raysweep.planning.validate import RunValidator
from raysweep.recipes import Cell, CellRuns, recipes
from raysweep.spec import Prompting, RunSpec, TaskSpec
from raysweep.spec.chains import check_chain
from raysweep.store import Store

TaskBySeed = Mapping[int, TaskSpec]
"""A pinned task for each seed of a sweep; usually the same one."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Distinct runs, in an order in which dependencies come first, and the cells that they answer."""

    sweep: Sweep
    runs: Mapping[str, PlannedRun]
    cells: tuple[PlannedCell, ...]
    tasks: Mapping[str, TaskFacts]
    """What became of the rows of each task, by its label; with the first seed, if seeds draw the halves."""
    driver: SearchDriver | None = None
    """Extends the plan when its runs end, if the sweep searches hyperparameters."""

    @property
    def num_pretrainings(self) -> int:
        """The number of runs that make a model for other runs to start from."""
        return sum(run.roles == ("pretrain",) for run in self.runs.values())

    @property
    def num_trainings(self) -> int:
        """The number of distinct finetunings."""
        return sum(run.is_finetuning for run in self.runs.values())

    @property
    def num_feature_runs(self) -> int:
        """The number of runs that compute features of a frozen model for others."""
        return sum(run.roles == ("features",) for run in self.runs.values())

    @property
    def num_combinations(self) -> int:
        """The number of runs that combine predictions of others."""
        return sum(run.spec.combination is not None for run in self.runs.values())

    @property
    def num_trainings_without_sharing(self) -> int:
        """The number of finetunings if every cell trained its own supervisor, student, ceiling and
        intermediate models."""
        return sum(max(1, run.num_cells) for run in self.runs.values() if run.is_finetuning)

    @property
    def num_open_cells(self) -> int:
        """The number of cells that aren't in the plan yet, since a search hasn't chosen their
        hyperparameters."""
        return self.driver.studies.num_open_cells if self.driver else 0

    def to_json(self, store: Store) -> dict[str, Any]:
        """The content of `raysweep plan --json`."""
        runs = [
            {
                "id": run.id,
                "role": run.role,
                "task": run.spec.task.label,
                "model": run.spec.model.name,
                "seed": run.spec.seed,
                "depends_on": [dependency.id for dependency in run.spec.dependencies],
                "status": str(run.status(store)),
            }
            for run in self.runs.values()
        ]
        cells = [
            {
                "task": cell.task,
                "weak": cell.weak,
                "strong": cell.strong,
                "method": cell.method,
                "seed": cell.seed,
                "supervisor": cell.runs.supervisor.id,
                "student": cell.runs.student.id,
                "ceiling": cell.runs.ceiling.id,
            }
            for cell in self.cells
        ]
        return {
            "sweep": self.sweep.name,
            "tasks": {label: facts.to_json() for label, facts in self.tasks.items()},
            "runs": runs,
            "cells": cells,
            "num_trainings": self.num_trainings,
            "num_pretrainings": self.num_pretrainings,
            "num_feature_runs": self.num_feature_runs,
            "num_combinations": self.num_combinations,
            "num_trainings_without_sharing": self.num_trainings_without_sharing,
        }


def make_plan(
    sweep: Sweep, store: Store, *, retries: bool = False, when_open: Callable[[], None] = lambda: None
) -> Plan:
    """Check a sweep, pin all that it reads, and lay out its runs. Nothing is trained.

    Args:
        sweep: the sweep.
        store: the folder that its data is written to, and in which a search finds what was trained.
        retries: whether failed runs are about to be tried again, so that a search waits for them.
        when_open: called as soon as it is known that some runs have no result, before their data is prepared;
            never called for a sweep that searches.

    Raises:
        InvalidInput: something in the sweep or its data can't be used; raised before anything trains.
    """
    pinner = Pinner(store)
    validator = RunValidator(store)
    methods = [checked_method(method, pinner) for method in sweep.methods]
    tasks = [_pinned_task(task, sweep, pinner) for task in sweep.tasks]
    pairs = [(pinned_model(weak, pinner), pinned_model(strong, pinner)) for weak, strong in sweep.pairs]
    first_seeds = [by_seed[sweep.seeds[0]] for by_seed in tasks]
    _require_distinct_names([task.label for task in first_seeds], [model for pair in pairs for model in pair])
    facts = {task.label: pinner.facts[task.content or ""] for task in first_seeds}
    with gc_paused():
        cells = _cells(sweep, tasks, pairs, methods)
        runs = distinct_runs(sweep, cells)
        for run in runs.values():
            validator.check(run)
        if sweep.search is None and any(not store.run(run.id).result.exists() for run in runs.values()):
            when_open()
        for run in runs.values():
            _make_tokens(run, pinner)
        runs = with_features(
            runs, store, all_layers=sweep.search is not None and sweep.search.varies_features
        )
        if sweep.search is None:
            return Plan(sweep=sweep, runs=runs, cells=tuple(cells), tasks=facts)
        check_search_space(sweep.search, runs.values(), lambda run: _prepare(run, validator, pinner))
        return SearchDriver(
            sweep, Studies(sweep.search, cells, store, retries=retries), facts, validator, pinner
        ).plan()


class SearchDriver:
    """Extends the plan of a sweep that searches when its runs end: by more trials, then by the cells that use
    what was chosen."""

    def __init__(
        self,
        sweep: Sweep,
        studies: Studies,
        facts: Mapping[str, TaskFacts],
        validator: RunValidator,
        pinner: Pinner,
    ) -> None:
        self.studies = studies
        self._facts = facts
        self._sweep = sweep
        self._validator = validator
        self._pinner = pinner
        self._prepared: set[str] = set()

    def plan(self) -> Plan:
        """The plan as it is now.

        Raises:
            InvalidInput: a suggestion can't be trained.
        """
        cells = self.studies.cells
        runs = distinct_runs(self._sweep, cells, self.studies.searched_runs())
        for run in runs.values():
            if run.id not in self._prepared:
                _prepare(run, self._validator, self._pinner)
                self._prepared.add(run.id)
        search = self._sweep.search
        varies = search is not None and search.varies_features
        runs = with_features(runs, self.studies.store, all_layers=varies)
        return Plan(sweep=self._sweep, runs=runs, cells=tuple(cells), tasks=self._facts, driver=self)

    def after(self, run_id: str, *, has_failed: bool) -> Plan | None:
        """The larger plan once a run has ended; None if nothing was added. Raises as `plan`."""
        return self.plan() if self.studies.ended(run_id, has_failed=has_failed) else None


def _prepare(run: PlannedRun, validator: RunValidator, pinner: Pinner) -> None:
    """Refuse a run that can't be trained, and make its tokens."""
    validator.check(run)
    _make_tokens(run, pinner)
    features_read(run, validator.store)


def _make_tokens(run: PlannedRun, pinner: Pinner) -> None:
    """Make a run's tokens, once its model can be used."""
    if run.spec.combination is not None:
        return
    pinner.check_model(run.spec)
    if run.spec.features is None and not isinstance(run.spec.model.tuning, Prompting):
        # Those of a run on features are made for the run that computes them, prompts when their run starts.
        pinner.tokens(run.spec.task, run.spec.model)


def _cells(
    sweep: Sweep, tasks: list[TaskBySeed], pairs: list[tuple[Model, Model]], methods: list[Method]
) -> list[PlannedCell]:
    cells = []
    for by_seed in tasks:
        for weak, strong in pairs:
            split = sweep.ceiling_split
            points = [
                Cell(
                    task=by_seed[seed],
                    weak=weak,
                    strong=strong,
                    seed=seed,
                    ceiling_split=split,
                    evaluation=sweep.evaluation,
                )
                for seed in sweep.seeds
            ]
            for method in methods:
                names = {"weak": weak.name, "strong": strong.name, "method": method.name}
                cells += [
                    PlannedCell(task=point.task.label, **names, seed=point.seed, runs=_runs(method, point))
                    for point in points
                ]
    return cells


def _pinned_task(task: TaskSpec | str, sweep: Sweep, pinner: Pinner) -> TaskBySeed:
    spec = TaskSpec(name=task) if isinstance(task, str) else task
    return {
        seed: pinner.task(replace(spec, training_seed=seed) if sweep.seeds_draw_halves else spec)
        for seed in sweep.seeds
    }


def _runs(method: Method, cell: Cell) -> CellRuns:
    with recipes.calling(method.recipe):
        runs = recipes.get(method.recipe)(cell, **method.params)
    if not isinstance(runs, CellRuns):
        what = type(runs).__name__
        raise InvalidInput(
            f"recipe {method.recipe!r} returned a {what}; it must return a raysweep.recipes.CellRuns"
        )
    for role in ("supervisor", "student", "ceiling"):
        run: object = getattr(runs, role)
        if not isinstance(run, RunSpec):
            raise InvalidInput(
                f"recipe {method.recipe!r}: the {role} of its CellRuns is {run!r:.80} of type "
                f"{type(run).__name__}; it must be a RunSpec, such as cell.{role}(…)"
            )
        check_chain(run, f"recipe {method.recipe!r}, {role}")
    return runs


def _require_distinct_names(labels: list[str], models: list[Model]) -> None:
    named: dict[str, Model] = {}
    for model in models:
        if named.setdefault(model.name, model) != model:
            raise InvalidInput(
                f"two different models of the sweep are called {model.name!r}; give each ModelSpec a name of "
                "its own"
            )
    if len(set(labels)) < len(labels):
        raise InvalidInput(
            f"the sweep has a task twice: {', '.join(labels)}; give each TaskSpec a label of its own"
        )
