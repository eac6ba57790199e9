"""The plan: a sweep's grid as a graph of distinct runs, each trained once however many cells share it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from raysweep.errors import InvalidInput
from raysweep.models.families import Model
from raysweep.objectives import objectives
from raysweep.prepare import Preparation, split_names
from raysweep.recipes import Cell, CellRuns, recipes
from raysweep.resources import Resources
from raysweep.spec import RunSpec, TaskSpec, WeakLabels
from raysweep.store import RunState, Store
from raysweep.sweep import Method, Sweep
from raysweep.transforms import transforms

_KINDS = ("pretrain", "weak", "middle", "student", "ceiling")
"""What a run is in the grid; one that serves two ends of it has both kinds, joined by "+"."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run of the plan."""

    spec: RunSpec
    kinds: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    """(weak, strong) names of the cells that it serves."""
    resources: Resources
    needs_model: bool
    """Whether another run of the plan starts from its weights."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.spec.id

    @property
    def kind(self) -> str:
        """Its kinds in one word: "weak", "weak+ceiling"."""
        return "+".join(self.kinds)

    @property
    def save_weights(self) -> bool:
        """Whether its model is kept."""
        return self.needs_model or self.kinds != ("student",) or self.resources.save_student_models


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """A cell of the grid, by names, with its runs."""

    task: str
    weak: str
    strong: str
    method: str
    seed: int
    runs: CellRuns


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Distinct runs in an order in which each comes after all that it depends on, and the cells that they answer."""

    sweep: Sweep
    runs: Mapping[str, PlannedRun]
    cells: tuple[PlannedCell, ...]

    @property
    def num_pretrainings(self) -> int:
        """Runs that make a model rather than answer a cell."""
        return sum(run.kinds == ("pretrain",) for run in self.runs.values())

    @property
    def num_trainings(self) -> int:
        """Distinct finetunings."""
        return len(self.runs) - self.num_pretrainings

    @property
    def num_trainings_without_sharing(self) -> int:
        """Finetunings if every cell trained its own floor, student, ceiling and whatever lies between."""
        return sum(len({run.id for run in _closure(cell.runs) if run.task.kind != "text"}) for cell in self.cells)

    def state(self, run: PlannedRun, store: Store) -> RunState:
        """A run's state in the store; one whose weights are needed and weren't kept is missing."""
        state = store.state(run.spec)
        if state is RunState.DONE and run.needs_model and not store.run(run.id).has_model:
            return RunState.MISSING
        return state

    def to_json(self, store: Store) -> dict[str, Any]:
        """What `raysweep plan --json` prints."""
        runs = [
            {
                "id": run.id,
                "kind": run.kind,
                "task": run.spec.task.name,
                "model": run.spec.model.name,
                "seed": run.spec.seed,
                "depends_on": [dependency.id for dependency in run.spec.dependencies],
                "state": str(self.state(run, store)),
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
                "floor": cell.runs.floor.id,
                "student": cell.runs.student.id,
                "ceiling": cell.runs.ceiling.id,
            }
            for cell in self.cells
        ]
        return {
            "sweep": self.sweep.name,
            "runs": runs,
            "cells": cells,
            "num_trainings": self.num_trainings,
            "num_pretrainings": self.num_pretrainings,
            "num_trainings_without_sharing": self.num_trainings_without_sharing,
        }


def make_plan(sweep: Sweep, store: Store) -> Plan:
    """Check a sweep, pin all that it reads, and lay out its runs. Nothing is trained.

    Raises:
        InvalidInput: something in the sweep or its data can't be used; told before anything trains.
    """
    preparation = Preparation(store)
    methods = [_checked(method) for method in sweep.methods]
    task_specs = [preparation.task(TaskSpec(name=task) if isinstance(task, str) else task) for task in sweep.tasks]
    pairs = [tuple(replace(model, spec=preparation.model(model.spec)) for model in pair) for pair in sweep.pairs]
    _require_distinct_names(task_specs, [model for pair in pairs for model in pair])
    cells = []
    for task in task_specs:
        for weak, strong in pairs:
            for method in methods:
                for seed in sweep.seeds:
                    split, looks = sweep.ceiling_split, sweep.evaluation
                    cell = Cell(task=task, weak=weak, strong=strong, seed=seed, ceiling_split=split, evaluation=looks)
                    runs = recipes.get(method.recipe)(cell, **method.params)
                    names = {"task": task.label, "weak": weak.name, "strong": strong.name, "method": method.name}
                    cells.append(PlannedCell(**names, seed=seed, runs=runs))
    plan = Plan(sweep=sweep, runs=_distinct_runs(sweep, cells), cells=tuple(cells))
    for run in plan.runs.values():
        _check_run(run, store)
        preparation.tokens(run.spec.task, run.spec.model)
    return plan


def _checked(method: Method | str) -> Method:
    method = Method(name=method, recipe=method) if isinstance(method, str) else method
    recipe = recipes.get(method.recipe)
    try:
        inspect.signature(recipe).bind(None, **method.params)
    except TypeError as error:
        allowed = ", ".join(list(inspect.signature(recipe).parameters)[1:]) or "none"
        raise InvalidInput(f"method {method.name!r}: {error}; parameters of recipe {method.recipe!r}: {allowed}") from error
    return method


def _require_distinct_names(task_specs: list[TaskSpec], models: list[Model]) -> None:
    named: dict[str, Model] = {}
    for model in models:
        if named.setdefault(model.name, model) != model:
            raise InvalidInput(
                f"two different models of the sweep are called {model.name!r}; give each ModelSpec a name of its own"
            )
    labels = [task.label for task in task_specs]
    if len(set(labels)) < len(labels):
        raise InvalidInput(f"the sweep has a task twice: {', '.join(labels)}; give each TaskSpec a label of its own")


def _distinct_runs(sweep: Sweep, cells: list[PlannedCell]) -> dict[str, PlannedRun]:
    specs: dict[str, RunSpec] = {}
    kinds: dict[str, set[str]] = {}
    pairs: dict[str, dict[tuple[str, str], None]] = {}
    weights_needed: set[str] = set()
    for cell in cells:
        roles = {cell.runs.floor.id: "weak", cell.runs.ceiling.id: "ceiling", cell.runs.student.id: "student"}
        for run in _closure(cell.runs):
            specs.setdefault(run.id, run)
            kind = "pretrain" if run.task.kind == "text" else roles.get(run.id, "middle")
            kinds.setdefault(run.id, set()).add(kind)
            pairs.setdefault(run.id, {})[(cell.weak, cell.strong)] = None
            if isinstance(run.model.base, RunSpec):
                weights_needed.add(run.model.base.id)
    return {
        run_id: PlannedRun(
            spec=spec,
            kinds=tuple(kind for kind in _KINDS if kind in kinds[run_id]),
            pairs=tuple(pairs[run_id]),
            resources=sweep.resources_of(spec),
            needs_model=run_id in weights_needed,
        )
        for run_id, spec in specs.items()
    }


def _closure(runs: CellRuns) -> Iterator[RunSpec]:
    for end in (runs.floor, runs.ceiling, runs.student):
        yield from end.closure()


def _check_run(run: PlannedRun, store: Store) -> None:
    spec = run.spec
    where = f"{run.kind} run of {spec.model.name!r} on task {spec.task.name!r}"
    known = split_names(spec.task, store)
    if spec.train_split not in known:
        raise InvalidInput(f"{where}: unknown split {spec.train_split!r}; the task has {', '.join(known)}")
    objective = objectives.get(spec.objective.name)
    try:
        objective.check(**spec.objective.params)
    except TypeError as error:
        raise InvalidInput(f"{where}: objective {spec.objective.name!r}: {error}") from error
    if objective.token_level != (spec.task.kind == "text"):
        wanted = "language_modelling" if spec.task.kind == "text" else "cross_entropy or another one for labels"
        raise InvalidInput(
            f"{where}: objective {spec.objective.name!r} doesn't fit a task of kind {spec.task.kind!r}; use {wanted}"
        )
    if isinstance(spec.labels, WeakLabels):
        for call in spec.labels.transforms:
            transforms.get(call.name)
    run.resources.micro_batch(spec.optimization.batch_size)
