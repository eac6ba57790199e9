"""How a sweep's numbers came about: data, models, code, machines, packages and time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.data.examples import split_sizes
from raysweep.files import read_json
from raysweep.planning.plan import Plan
from raysweep.planning.search.studies import CHOICES
from raysweep.planning.sweep import Method
from raysweep.recipes import baselines, controls, recipes
from raysweep.spec import Combination, Folder, Hub, ModelSpec, Scratch, TaskSpec
from raysweep.spec.identity import canonical
from raysweep.store import RunStatus, Store

_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "deepspeed",
    "ray",
    "mlflow",
    "numpy",
    "pandas",
    "scipy",
)
"""Packages whose version can change a number or a timing."""


def num_devices(resources: Mapping[str, Any]) -> int:
    """GPUs that a run trains on, a shared one counted as one; 0 on CPU."""
    return math.ceil(
        max(int(resources.get("num_workers", 0)), 1) * float(resources.get("gpus_per_worker", 0))
    )


def provenance(
    plan: Plan, store: Store, statuses: Mapping[str, RunStatus], search: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """How a sweep's numbers came about, as plain values that JSON holds.

    `sweep`; `num_cells`, `num_runs`, `num_finished_runs`, `num_trainings`, `num_pretrainings`,
    `num_trainings_without_sharing`; `tasks` and `models` by name (content, splits, commits), and of tasks
    whose halves are drawn by a seed of their own, `training_seeds` with the content of each; of the
    finished runs, `started_at` and `finished_at` (seconds since 1970, None if no run is finished),
    `seconds_total` (the sum over runs), `has_uncommitted_changes`, and the distinct `commits`,
    `commands`, `devices`, `python` and `packages` (by name), each as a list; `search`; `yardsticks`, the
    methods that are controls, baselines, or chosen by an oracle; and `num_open_cells`, the cells that
    wait for what the search chooses.

    Args:
        plan: the sweep.
        store: where its runs are.
        statuses: of all its runs, by id.
        search: the fields of `raysweep.results.choices.Choice` for each study and signal.
    """
    done = [run.spec for run_id, run in plan.runs.items() if statuses[run_id] is RunStatus.DONE]
    infos = [store.run(spec.id).read_result()["info"] for spec in done]
    environments = [read_json(store.run(spec.id).verified(store.run(spec.id).environment)) for spec in done]
    codes = [environment.get("code", {}) for environment in environments]
    machines = [environment.get("machine", {}) for environment in environments]
    packages = [environment.get("packages", {}) for environment in environments]
    tasks: dict[str, list[TaskSpec]] = {}
    for run in plan.runs.values():
        tasks.setdefault(run.spec.task.label, []).append(run.spec.task)
    finetuned = (run.spec for run in plan.runs.values() if run.is_finetuning)
    models = {spec.model.name: spec.model for spec in finetuned}
    return {
        "sweep": plan.sweep.name,
        "num_cells": len(plan.cells),
        "num_runs": len(plan.runs),
        "num_finished_runs": len(done),
        "num_trainings": plan.num_trainings,
        "num_pretrainings": plan.num_pretrainings,
        "num_trainings_without_sharing": plan.num_trainings_without_sharing,
        "tasks": {label: _task(drawn, store) for label, drawn in tasks.items()},
        "models": {name: _model(model) for name, model in models.items()},
        "started_at": min((info["finished_at"] - info["seconds_total"] for info in infos), default=None),
        "finished_at": max((info["finished_at"] for info in infos), default=None),
        "seconds_total": float(sum(info["seconds_total"] for info in infos)),
        "commits": _distinct(code.get("commit") for code in codes),
        "commands": _distinct(code.get("command") for code in codes),
        "has_uncommitted_changes": any(bool(code.get("diff")) for code in codes),
        "devices": _distinct(gpu for machine in machines for gpu in machine.get("gpus") or ["CPU"]),
        "python": _distinct(machine.get("python") for machine in machines),
        "packages": {name: _distinct(found.get(name) for found in packages) for name in _PACKAGES},
        "search": list(search),
        "yardsticks": _yardsticks(plan),
        "num_open_cells": plan.num_open_cells,
    }


def _yardsticks(plan: Plan) -> list[str]:
    """The names of the plan's methods that are no answer to how well weak labels do."""
    modules = (baselines.__name__, controls.__name__)
    methods = [
        Method(name=item, recipe=item) if isinstance(item, str) else item for item in plan.sweep.methods
    ]
    known = {item.name for item in methods if getattr(recipes.get(item.recipe), "__module__", "") in modules}
    chosen = {f"{name} ({label})" for name in known for label in CHOICES.values()}
    by_oracle = {f"{item.name} ({CHOICES['ground_truth_validation']})" for item in methods}
    names = dict.fromkeys(cell.method for cell in plan.cells)
    return [name for name in names if name in known | chosen | by_oracle]


def _distinct(values: Any) -> list[str]:
    return sorted({value for value in values if value})


def _task(drawn: Sequence[TaskSpec], store: Store) -> dict[str, Any]:
    """The facts of a task, by its first draw of the halves.

    Args:
        drawn: the tasks of all runs with one label, which differ in their halves alone.
        store: where they are.
    """
    task = drawn[0]
    return {
        "name": task.name,
        "content": task.content,
        "kind": task.kind,
        "class_names": list(task.class_names),
        "params": canonical(task.params),
        "split_seed": task.split_seed,
        "training_seeds": {
            str(item.training_seed): item.content for item in drawn if item.training_seed is not None
        },
        "num_examples": split_sizes(task, store),
    }


def _model(model: ModelSpec) -> dict[str, Any]:
    base = model.base
    tuning = type(model.tuning).__name__
    if isinstance(base, Hub):
        return {"base": base.id, "commit": base.commit, "tuning": tuning}
    if isinstance(base, Folder):
        return {"base": base.path, "content": base.content, "tuning": tuning}
    if isinstance(base, Combination):
        return {"base": str(base), "tuning": ""}
    if isinstance(base, Scratch):
        return {"base": f"new {base.architecture}", "tuning": tuning}
    return {"base": f"run {base.id}", "tuning": tuning}
