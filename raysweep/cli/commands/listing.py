"""The command `raysweep list`: what can be named in an experiment file, with one line each."""

from __future__ import annotations

from rich.console import Console

from raysweep.cli.console import print_json
from raysweep.cli.exit_codes import SUCCESS
from raysweep.metrics import metrics
from raysweep.models.families import families
from raysweep.objectives import objectives
from raysweep.recipes import recipes
from raysweep.registry import summary
from raysweep.scheduling.runners import runners
from raysweep.tasks.base import tasks
from raysweep.transforms import transforms


def catalogue() -> dict[str, dict[str, str]]:
    """By kind, by name: what it is and where it comes from."""

    models = {
        model.name: f"{family.name}; learning rate {model.optimization.learning_rate:g}"
        for _, family in families
        for model in family.models
    }
    return {
        "tasks": {name: task.summary for name, task in tasks},
        "families": {name: family.summary for name, family in families},
        "models": models,
        "methods": {name: summary(recipe) for name, recipe in recipes},
        "objectives": {name: summary(objective.loss) for name, objective in objectives},
        "transforms": {name: summary(transform.apply) for name, transform in transforms},
        "metrics": {name: summary(metric) for name, metric in metrics},
        "runners": {name: summary(runner) for name, runner in runners},
    }


def list_registered(console: Console, *, as_json: bool) -> int:
    """Everything that has a name."""
    entries = catalogue()
    if as_json:
        print_json(entries, console)
        return SUCCESS
    for kind, named in entries.items():
        width = max(map(len, named))
        console.print(f"\n{kind}", style="bold")
        for name, line in named.items():
            console.print(f"  {name:<{width}}  {line}", markup=False)
    return SUCCESS
