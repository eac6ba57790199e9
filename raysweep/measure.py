"""Measuring: from a finished run's saved predictions to its numbers, without training.

This is the only place besides training on ground truth that reads a task's true labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from raysweep.metrics import accuracy, agreement
from raysweep.predictions import Predictions
from raysweep.spec import RunSpec, WeakLabels
from raysweep.training.data import ground_truth, training_labels

if TYPE_CHECKING:
    from raysweep.store import Store


def measure_run(spec: RunSpec, store: Store) -> dict[str, float]:
    """A run's metrics: `<split>_accuracy` against ground truth, `validation_accuracy_on_own_labels` against what it was trained
    on, for a student `test_agreement…` with its supervisor; for tasks of kind "text", `validation_loss` in nats a token."""
    paths = store.run(spec.id)
    if spec.task.kind == "text":
        curve = pd.read_parquet(paths.curve_predictions("validation"))
        last = curve[curve["step"] == curve["step"].max()]
        return {"validation_loss": float(np.mean([row[0] for row in last["outputs"]]))}
    metrics: dict[str, float] = {}
    for path in sorted(paths.predictions("").parent.glob("*.parquet")):
        split = path.stem
        predicted, truth = Predictions.read(path), ground_truth(spec, split, store)
        metrics[f"{split}_accuracy"] = accuracy(predicted, truth)
        if split == "validation":
            own = training_labels(spec, split, store).align(predicted.ids)
            metrics["validation_accuracy_on_own_labels"] = accuracy(predicted, own)
        if split == "test" and isinstance(spec.labels, WeakLabels):
            supervisor = store.run(spec.labels.supervisor.id).read_predictions(split)
            values = agreement(predicted, supervisor, truth)
            metrics |= {f"test_{name}": value for name, value in values.items() if value is not None}
    return metrics


def measure_curve(spec: RunSpec, store: Store) -> pd.DataFrame:
    """The evaluation curves of a finished run by step, from the predictions it saved at each point.

    Columns: step; `validation_accuracy`, `test_accuracy` against ground truth; `validation_accuracy_on_own_labels`; for a
    student `test_agreement`, `test_agreement_supervisor_right`, `test_agreement_supervisor_wrong`; for tasks of kind
    "text", `validation_loss`.
    """
    paths = store.run(spec.id)
    rows: dict[int, dict[str, float]] = {}
    for split in ("validation", "test"):
        if not paths.curve_predictions(split).exists():
            continue
        points = pd.read_parquet(paths.verified(paths.curve_predictions(split)))
        for step, point in points.groupby("step", sort=True):
            row = rows.setdefault(int(str(step)), {})
            outputs = np.stack(point["outputs"].to_list()).astype(np.float64)
            if spec.task.kind == "text":
                row[f"{split}_loss"] = float(outputs.mean())
                continue
            predicted = Predictions.of(point["id"].to_numpy(dtype=str), outputs, spec.id)
            row |= _point_metrics(spec, split, predicted, store)
    return pd.DataFrame([{"step": step} | row for step, row in sorted(rows.items())])


def _point_metrics(spec: RunSpec, split: str, predicted: Predictions, store: Store) -> dict[str, float]:
    truth = ground_truth(spec, split, store).align(predicted.ids)
    row = {f"{split}_accuracy": accuracy(predicted, truth)}
    if split == "validation":
        own = training_labels(spec, split, store).align(predicted.ids)
        row["validation_accuracy_on_own_labels"] = accuracy(predicted, own)
    elif isinstance(spec.labels, WeakLabels):
        supervisor = store.run(spec.labels.supervisor.id).read_predictions(split).align(predicted.ids)
        values = agreement(predicted, supervisor, truth)
        row |= {f"{split}_{name}": value for name, value in values.items() if value is not None}
    return row
