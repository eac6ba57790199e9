"""The command `raysweep list`: what can be named in an experiment file, with one line each."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TypeVar

from rich.console import Console

from raysweep.cli.commands.details import Details, details
from raysweep.cli.console import FittedTable, print_json
from raysweep.cli.exit_codes import SUCCESS
from raysweep.metrics import metrics
from raysweep.models.families import families
from raysweep.objectives import objectives
from raysweep.probes import probes
from raysweep.recipes import recipes
from raysweep.registry import Registry, summary
from raysweep.rules import rules
from raysweep.scheduling.runners import runners
from raysweep.tasks.base import tasks
from raysweep.transforms import transforms

T = TypeVar("T")


def catalogue() -> dict[str, dict[str, str]]:
    """By kind, by name: what it is and where it comes from."""
    models = {
        model.name: f"{family.name}; learning rate {model.optimization.learning_rate:g}"
        for _, family in families
        for model in family.models
    }
    return {
        "tasks": _named(tasks, lambda task: task.summary),
        "families": _named(families, lambda family: family.summary),
        "models": models,
        "methods": _named(recipes, summary),
        "objectives": _named(objectives, lambda objective: summary(objective.loss)),
        "transforms": _named(transforms, lambda transform: summary(transform.apply)),
        "rules": _named(rules, lambda rule: summary(rule.apply)),
        "probes": _named(probes, lambda probe: summary(probe.fit)),
        "metrics": _named(metrics, summary),
        "runners": _named(runners, summary),
    }


def _named(registry: Registry[T], summarize: Callable[[T], str]) -> dict[str, str]:
    """A line for each entry; that of a plug-in has the module that registered it."""
    modules = {name: registry.module(name) for name, _ in registry}
    return {
        name: summarize(entry) + (f" (from {modules[name]})" if modules[name] else "")
        for name, entry in registry
    }


def list_registered(console: Console, *, kind: str | None, name: str | None, as_json: bool) -> int:
    """Everything that has a name, all of a kind, or one thing with its parameters."""
    if kind and name:
        sys.path.insert(0, os.getcwd())  # as the folder of an experiment is when it is loaded
        found = details(kind, name)
        if as_json:
            print_json(found.to_json(), console)
        else:
            _show(found, console)
        return SUCCESS
    entries = catalogue() if kind is None else {kind: catalogue()[kind]}
    if as_json:
        print_json(entries, console)
        return SUCCESS
    for title, named in entries.items():
        width = max(map(len, named))
        console.print(f"\n{title}", style="bold")
        for entry, line in named.items():
            console.print(f"  {entry:<{width}}  {line}", markup=False)
    return SUCCESS


def _show(found: Details, console: Console) -> None:
    console.print(found.name, style="bold", markup=False)
    console.print(found.text, markup=False)
    if found.parameters:
        rows = [(name, told["default"], told["allowed"]) for name, told in found.parameters.items()]
        console.print("", FittedTable(("parameter", "default", "allowed"), rows, num_names=1))
    if found.facts:
        console.print("")
        for fact, value in found.facts.items():
            console.print(f"{fact}: {value}", markup=False)
    if found.defined_in:
        console.print(f"\nDefined in {found.defined_in}", markup=False)
