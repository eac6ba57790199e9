"""A run's spec as params: flat, one name and one text each."""

from __future__ import annotations

import dataclasses
from typing import Any

from raysweep.spec import (
    Call,
    Combination,
    Folder,
    GroundTruth,
    Hub,
    RunSpec,
    Scratch,
    Unlabelled,
    WeakLabels,
)


def spec_params(spec: RunSpec) -> dict[str, str]:
    """The params of a run's spec by name; those without a value are left out."""
    base = spec.model.base
    labels = spec.labels
    values: dict[str, Any] = {
        "task": spec.task.label,
        "task_content": spec.task.content,
        "model": spec.model.name,
        "seed": spec.seed,
        "train_split": spec.train_split,
        "labels": _labels_name(labels),
        "transforms": None
        if isinstance(labels, Unlabelled)
        else "; ".join(str(call) for call in labels.transforms),
        "supervisor": labels.supervisor.model.name if isinstance(labels, WeakLabels) else None,
        **_call("objective", spec.objective),
        **_fields(spec.optimization),
        "model_base": _base_name(base),
        "tuning": type(spec.model.tuning).__name__,
        **_fields(spec.model.tuning, "tuning_"),
        **{name: getattr(spec.model, name) for name in ("head_init", "dropout", "max_tokens", "truncation")},
        **_fields(spec.evaluation, "evaluation_"),
    }
    return {name: _text(value) for name, value in values.items() if value not in (None, "")}


def _labels_name(labels: GroundTruth | WeakLabels | Unlabelled) -> str:
    if isinstance(labels, WeakLabels):
        return f"run {labels.supervisor.id}"
    return "ground truth" if isinstance(labels, GroundTruth) else "none"


def _base_name(base: Hub | Folder | Scratch | RunSpec | Combination) -> str:
    if isinstance(base, Hub):
        return f"{base.id}@{base.commit}"
    if isinstance(base, Folder):
        return base.path
    if isinstance(base, Combination):
        return str(base)
    return f"run {base.id}" if isinstance(base, RunSpec) else f"new {base.architecture}"


def _call(name: str, call: Call) -> dict[str, Any]:
    return {name: call.name} | {f"{name}_{key}": value for key, value in call.params.items()}


def _fields(value: Any, prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}{item.name}": getattr(value, item.name) for item in dataclasses.fields(value)}


def _text(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
