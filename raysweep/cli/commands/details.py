"""What `raysweep list KIND NAME` tells of one thing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from raysweep.errors import unknown
from raysweep.metrics import declaration, metrics
from raysweep.models.families import Family, Model, families
from raysweep.objectives import objectives
from raysweep.recipes import recipes
from raysweep.scheduling.runners import runners
from raysweep.spec.parameters import Parameters
from raysweep.tasks.base import Task, tasks
from raysweep.transforms import transforms


@dataclass(frozen=True, kw_only=True)
class Details:
    """All that is told of one thing."""

    name: str
    text: str
    """What it is, what its parameters mean, and the paper or code it is of."""
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By name: "default", "" of those that must be given, and what is "allowed"."""
    facts: Mapping[str, str] = field(default_factory=dict)
    defined_in: str = ""
    """Module, file and line of its code."""

    def to_json(self) -> dict[str, Any]:
        """The content of `raysweep list KIND NAME --json`."""
        return asdict(self)


def details(kind: str, name: str) -> Details:
    """What is known of a thing, also of one's own as `module:object`.

    Args:
        kind: one of the kinds of `raysweep.cli.commands.listing.catalogue`.
        name: its name.

    Raises:
        InvalidInput: there is no such thing.
    """
    if kind == "models":
        return _of_model(name)
    if kind == "families":
        return _of_family(name, families.get(name))
    if kind == "tasks":
        return _of_task(name, tasks.get(name))
    if kind == "methods":
        return _of_function(name, recipes.get(name), Parameters(recipes.get(name), num_leading=1))
    if kind == "objectives":
        return _of_function(name, objectives.get(name).loss, objectives.get(name).parameters)
    if kind == "transforms":
        return _of_function(name, transforms.get(name).apply, transforms.get(name).parameters)
    if kind == "metrics":
        columns = declaration(name).columns or {}
        return _of_function(name, metrics.get(name), facts={key: columns[key] or "—" for key in columns})
    return _of_function(name, runners.get(name))


def _of_function(
    name: str,
    function: Any,
    parameters: Parameters | None = None,
    facts: Mapping[str, str] | None = None,
) -> Details:
    described = parameters.described() if parameters else {}
    objective = dict(objectives).get(name)
    if objective is not None:  # a method that passes on parameters declares their bounds there
        bounds = objective.parameters.described()
        for key in described.keys() & bounds.keys():
            if described[key]["allowed"] in ("a finite number", "a whole number"):
                described[key] = {**described[key], "allowed": bounds[key]["allowed"]}
    return Details(
        name=name,
        text=inspect.getdoc(function) or "",
        parameters=described,
        facts=facts or {},
        defined_in=_place(function),
    )


def _of_task(name: str, task: Task) -> Details:
    facts: dict[str, str] = {"kind": task.kind}
    if task.num_classes:
        facts["classes"] = ", ".join(task.class_names) or str(task.num_classes)
    if task.has_halves:
        facts["examples in each half, at most"] = f"{task.num_train:,}"
        facts["examples of validation and test, at most"] = f"{task.num_validation:,} and {task.num_test:,}"
    parameters = Parameters(task.load, num_leading=0).described()
    return Details(
        name=name, text=task.summary, parameters=parameters, facts=facts, defined_in=_place(task.load)
    )


def _of_family(name: str, family: Family) -> Details:
    facts = {
        model.name: f"learning rate {model.optimization.learning_rate:g}, {model.optimization.precision}"
        for model in family.models
    }
    return Details(name=name, text=family.summary, facts=facts)


def _of_model(name: str) -> Details:
    known = {model.name: (family, model) for _, family in families for model in family.models}
    if name not in known:
        raise unknown("model", name, known)
    family, model = known[name]
    return Details(name=name, text=f"{family.name}: {family.summary}", facts=_values(model))


def _values(model: Model) -> dict[str, str]:
    """The fields of a model's spec and of its training, where they are short."""
    shown = {"base": repr(model.spec.base), "max_tokens": str(model.spec.max_tokens)}
    return {key: value for key, value in shown.items() if len(value) < 200} | {
        key: str(value) for key, value in vars(model.optimization).items()
    }


def _place(code: Any) -> str:
    code = inspect.unwrap(code)
    try:
        return f"{code.__module__} ({inspect.getsourcefile(code)}, line {inspect.getsourcelines(code)[1]})"
    except (AttributeError, OSError, TypeError):  # not a function, or one without a file
        return str(getattr(code, "__module__", ""))
