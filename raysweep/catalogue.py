"""What can be named in an experiment file: everything registered, with one line each."""

from __future__ import annotations

from raysweep.models.families import families
from raysweep.objectives import objectives
from raysweep.recipes import recipes
from raysweep.registry import Registry, summary
from raysweep.tasks.base import tasks
from raysweep.transforms import transforms


def catalogue() -> dict[str, dict[str, str]]:
    """By kind, by name: what it is and where it comes from."""

    def by_docstring(registry: Registry) -> dict[str, str]:
        return {name: summary(entry) for name, entry in registry}

    models = {
        model.name: f"{family.name}; learning rate {model.optimization.learning_rate:g}"
        for _, family in families
        for model in family.models
    }
    return {
        "tasks": {name: task.summary for name, task in tasks},
        "families": {name: family.summary for name, family in families},
        "models": models,
        "methods": by_docstring(recipes),
        "objectives": {name: summary(objective.loss) for name, objective in objectives},
        "transforms": by_docstring(transforms),
    }
