"""The plan: a sweep's grid as a graph of distinct runs, each trained once however many cells share it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from raysweep.errors import InvalidInput, user_code
from raysweep.models.families import Model
from raysweep.plan_checks import RunChecks, check_parameters
from raysweep.prepare import Preparation
from raysweep.recipes import Cell, CellRuns, recipes
from raysweep.resources import Resources
from raysweep.spec import Prompting, RunSpec, TaskSpec
from raysweep.store import RunState, Store
from raysweep.sweep import Method, Sweep

_KINDS = ("pretrain", "weak", "middle", "student", "ceiling")
"""What a run is in the grid; one that serves two ends of it has both kinds, joined by "+"."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run of the plan."""

    spec: RunSpec
    kinds: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    """(weak, strong) names of the cells that it serves."""
    num_cells: int
    """How many these are."""
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
        return sum(run.num_cells for run in self.runs.values() if run.kinds != ("pretrain",))

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
                "task": run.spec.task.label,
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
    preparation, checks = Preparation(store), RunChecks(store)
    methods = [_checked(method, preparation) for method in sweep.methods]
    task_specs = [preparation.task(TaskSpec(name=task) if isinstance(task, str) else task) for task in sweep.tasks]
    pairs = [(_pinned_model(weak, preparation), _pinned_model(strong, preparation)) for weak, strong in sweep.pairs]
    _require_distinct_names(task_specs, [model for pair in pairs for model in pair])
    with _without_collection():
        cells = _cells(sweep, task_specs, pairs, methods)
        plan = Plan(sweep=sweep, runs=_distinct_runs(sweep, cells), cells=tuple(cells))
        for run in plan.runs.values():
            checks.check(run)
            if not isinstance(run.spec.model.tuning, Prompting):  # which makes its prompts itself
                preparation.tokens(run.spec.task, run.spec.model)
    return plan


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep Python from looking for garbage again and again among what is only ever added to: a third of the time else."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _cells(
    sweep: Sweep, task_specs: list[TaskSpec], pairs: list[tuple[Model, Model]], methods: list[Method]
) -> list[PlannedCell]:
    cells = []
    for task in task_specs:
        for weak, strong in pairs:
            split, looks = sweep.ceiling_split, sweep.evaluation
            points = [
                Cell(task=task, weak=weak, strong=strong, seed=seed, ceiling_split=split, evaluation=looks)
                for seed in sweep.seeds
            ]
            for method in methods:
                names = {"task": task.label, "weak": weak.name, "strong": strong.name, "method": method.name}
                cells += [PlannedCell(**names, seed=point.seed, runs=_runs(method, point)) for point in points]
    return cells


def _checked(method: Method | str, preparation: Preparation) -> Method:
    """A method whose parameters its recipe takes, with the models among them pinned."""
    method = Method(name=method, recipe=method) if isinstance(method, str) else method
    check_parameters(
        recipes.get(method.recipe), method.params, f"method {method.name!r}: recipe {method.recipe!r}", num_leading=1
    )
    return replace(method, params={name: _pinned(value, preparation) for name, value in method.params.items()})


def _pinned_model(model: Model, preparation: Preparation) -> Model:
    return replace(model, spec=preparation.model(model.spec))


def _pinned(value: object, preparation: Preparation) -> object:
    if isinstance(value, Model):
        return _pinned_model(value, preparation)
    if isinstance(value, tuple | list):
        return [_pinned(item, preparation) for item in value]
    return value


def _runs(method: Method, cell: Cell) -> CellRuns:
    with user_code(f"recipe {method.recipe!r}") if ":" in method.recipe else nullcontext():
        runs = recipes.get(method.recipe)(cell, **method.params)
    if not isinstance(runs, CellRuns):
        what = type(runs).__name__
        raise InvalidInput(f"recipe {method.recipe!r} returned a {what}; it must return a raysweep.recipes.CellRuns")
    return runs


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
    num_cells: dict[str, int] = {}
    bases: set[str] = set()
    for cell in cells:
        ends = (("weak", cell.runs.floor), ("ceiling", cell.runs.ceiling), ("student", cell.runs.student))
        found: dict[str, RunSpec] = {}
        for _, end in ends:
            _add_closure(end, found)
        for run_id, spec in found.items():
            if run_id not in specs:
                specs[run_id], kinds[run_id], pairs[run_id], num_cells[run_id] = spec, set(), {}, 0
                if isinstance(spec.model.base, RunSpec):
                    bases.add(spec.model.base.id)
            pairs[run_id][cell.weak, cell.strong] = None
            num_cells[run_id] += 1
        for role, end in ends:
            kinds[end.id].add(role)
    return {
        run_id: PlannedRun(
            spec=spec,
            kinds=tuple(kind for kind in _KINDS if kind in kinds[run_id]) or ("pretrain" if run_id in bases else "middle",),
            pairs=tuple(pairs[run_id]),
            num_cells=num_cells[run_id],
            resources=sweep.resources_of(spec),
            needs_model=run_id in bases,
        )
        for run_id, spec in specs.items()
    }


def _add_closure(run: RunSpec, found: dict[str, RunSpec]) -> None:
    """Add a run and all it depends on by id, dependencies first."""
    if run.id not in found:
        for dependency in run.dependencies:
            _add_closure(dependency, found)
        found[run.id] = run
