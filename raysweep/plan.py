"""The plan: a sweep's grid as a graph of distinct runs, each trained once however many cells share it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from raysweep.errors import InvalidInput, user_code
from raysweep.models.families import Model
from raysweep.objectives import objectives
from raysweep.prepare import Preparation, split_sizes
from raysweep.recipes import Cell, CellRuns, recipes
from raysweep.resources import Resources
from raysweep.spec import Call, GroundTruth, Prompting, RunSpec, TaskSpec, WeakLabels
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
        return sum(
            len({run.id for run in _closure(cell.runs) if self.runs[run.id].kinds != ("pretrain",)}) for cell in self.cells
        )

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
    preparation = Preparation(store)
    methods = [_checked(method, preparation) for method in sweep.methods]
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
                    names = {"task": task.label, "weak": weak.name, "strong": strong.name, "method": method.name}
                    cells.append(PlannedCell(**names, seed=seed, runs=_runs(method, cell)))
    plan = Plan(sweep=sweep, runs=_distinct_runs(sweep, cells), cells=tuple(cells))
    for run in plan.runs.values():
        _check_run(run, store)
        if not isinstance(run.spec.model.tuning, Prompting):  # which makes its prompts itself
            preparation.tokens(run.spec.task, run.spec.model)
    return plan


def _checked(method: Method | str, preparation: Preparation) -> Method:
    """A method whose parameters its recipe takes, with the models among them pinned."""
    method = Method(name=method, recipe=method) if isinstance(method, str) else method
    _check_parameters(
        recipes.get(method.recipe), method.params, f"method {method.name!r}: recipe {method.recipe!r}", num_leading=1
    )
    return replace(method, params={name: _pinned(value, preparation) for name, value in method.params.items()})


def _pinned(value: object, preparation: Preparation) -> object:
    if isinstance(value, Model):
        return replace(value, spec=preparation.model(value.spec))
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
    bases: set[str] = set()
    for cell in cells:
        roles: dict[str, set[str]] = {}
        for role, end in (("weak", cell.runs.floor), ("ceiling", cell.runs.ceiling), ("student", cell.runs.student)):
            roles.setdefault(end.id, set()).add(role)
        for run in _closure(cell.runs):
            specs.setdefault(run.id, run)
            kinds.setdefault(run.id, set()).update(roles.get(run.id, ()))
            pairs.setdefault(run.id, {})[(cell.weak, cell.strong)] = None
            if isinstance(run.model.base, RunSpec):
                bases.add(run.model.base.id)
    for run_id, found in kinds.items():
        if not found:
            found.add("pretrain" if run_id in bases else "middle")
    return {
        run_id: PlannedRun(
            spec=spec,
            kinds=tuple(kind for kind in _KINDS if kind in kinds[run_id]),
            pairs=tuple(pairs[run_id]),
            resources=sweep.resources_of(spec),
            needs_model=run_id in bases,
        )
        for run_id, spec in specs.items()
    }


def _closure(runs: CellRuns) -> Iterator[RunSpec]:
    for end in (runs.floor, runs.ceiling, runs.student):
        yield from end.closure()


def _check_run(run: PlannedRun, store: Store) -> None:
    """Refuse now what would fail when the run trains."""
    spec = run.spec
    where = f"{run.kind} run of {spec.model.name!r} on task {spec.task.label!r}"
    sizes = split_sizes(spec.task, store)
    if spec.train_split not in sizes:
        raise InvalidInput(f"{where}: unknown split {spec.train_split!r}; the task has {', '.join(sizes)}")
    is_prompted = isinstance(spec.model.tuning, Prompting)
    if not is_prompted and spec.optimization.num_steps(sizes[spec.train_split]) == 0:
        raise InvalidInput(
            f"{where}: split {spec.train_split!r} has {sizes[spec.train_split]} examples; with {spec.optimization.epochs:g} "
            f"epochs that is less than one batch of {spec.optimization.batch_size}. Give more examples, or change batch_size, "
            "epochs or steps of its Optimization"
        )
    _check_objective(spec, where)
    if isinstance(spec.labels, WeakLabels) and spec.train_split == "supervisor":
        raise InvalidInput(f"{where}: its supervisor learnt from the split 'supervisor' and labels 'transfer' only")
    for call in spec.labels.transforms if isinstance(spec.labels, WeakLabels | GroundTruth) else ():
        transform = transforms.get(call.name)
        _check_call(transform.check, call, f"{where}: transform")
        if transform.needs_probabilities and spec.kind == "generative":
            raise InvalidInput(f"{where}: transform {call.name!r} needs class probabilities; the labels here are answers")
    _check_prompting(spec, where)
    run.resources.micro_batch(spec.optimization.batch_size)


def _check_objective(spec: RunSpec, where: str) -> None:
    objective, name = objectives.get(spec.objective.name), spec.objective.name
    _check_call(objective.check, spec.objective, f"{where}: objective")
    if spec.kind not in objective.kinds:
        fitting = [known for known, entry in objectives if spec.kind in entry.kinds]
        raise InvalidInput(
            f"{where}: objective {name!r} is for {' and '.join(objective.kinds)}, here the kind is {spec.kind!r}; "
            f"use {' or '.join(fitting)}"
        )
    if objective.num_classes not in (None, spec.task.num_classes):
        raise InvalidInput(
            f"{where}: objective {name!r} is for {objective.num_classes} classes, this task has {spec.task.num_classes}; "
            "use another one, such as 'confidence'"
        )


def _check_prompting(spec: RunSpec, where: str) -> None:
    tuning = spec.model.tuning
    if not isinstance(tuning, Prompting):
        return
    if spec.kind not in ("classification", "generative"):
        raise InvalidInput(f"{where}: Prompting asks for a class or an answer, what is asked here is of kind {spec.kind!r}")
    if spec.kind == "classification" and len(tuning.words) != spec.task.num_classes:
        raise InvalidInput(
            f"{where}: Prompting has the words {', '.join(map(repr, tuning.words)) or '(none)'} for the "
            f"{spec.task.num_classes} classes of the task; give one for each"
        )


def _check_call(check: Callable[..., None], call: Call, what: str) -> None:
    """Have the parameters of an objective or a transform checked by its own function."""
    _check_parameters(check, call.params, f"{what} {call.name!r}")
    with user_code(f"{what} {call.name!r}"):
        check(**call.params)


def _check_parameters(function: Callable[..., object], params: Mapping[str, Any], what: str, num_leading: int = 0) -> None:
    """Refuse parameters that a function doesn't have, or lacks."""
    signature = inspect.signature(function)
    try:
        signature.bind(*[None] * num_leading, **params)
    except TypeError as error:
        allowed = ", ".join(list(signature.parameters)[num_leading:]) or "none"
        raise InvalidInput(f"{what}: {error}; its parameters: {allowed}") from error
