"""Measuring: from a finished run's saved predictions to its numbers, without training.

This is the only place besides training on ground truth that reads a task's true labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from raysweep.metrics import accuracy, agreement, correct
from raysweep.predictions import Predictions
from raysweep.spec import RunSpec, WeakLabels
from raysweep.training.data import ground_truth, training_labels

if TYPE_CHECKING:
    from raysweep.store import Store


def measure_run(spec: RunSpec, store: Store) -> dict[str, float]:
    """A run's metrics: `<split>_accuracy` against ground truth, `validation_accuracy_on_own_labels` against what it was trained
    on, for a student `test_agreement…` with its supervisor; for tasks of kind "text", `validation_loss`, mean nats a token."""
    paths = store.run(spec.id)
    if spec.task.kind == "text":
        curve = pd.read_parquet(paths.curve_predictions("validation"))
        last = curve[curve["step"] == curve["step"].max()]
        return {"validation_loss": float(np.mean([row[0] for row in last["outputs"]]))}
    metrics: dict[str, float] = {}
    for path in sorted(paths.predictions("").parent.glob("*.parquet")):
        metrics |= _Comparison.of(spec, path.stem, store).metrics(Predictions.read(path))
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
        compare = None if spec.task.kind == "text" else _Comparison.of(spec, split, store)
        for step, point in points.groupby("step", sort=True):
            row = rows.setdefault(int(str(step)), {})
            outputs = np.stack(point["outputs"].to_list()).astype(np.float64)
            if compare is None:
                row[f"{split}_loss"] = float(outputs.mean())
            else:
                row |= compare.metrics(Predictions.of(point["id"].to_numpy(dtype=str), outputs, spec.id))
    return pd.DataFrame([{"step": step} | row for step, row in sorted(rows.items())])


@dataclass(frozen=True)
class _Comparison:
    """What a run's predictions on a split are compared with, read once for all points of a curve."""

    split: str
    truth: Predictions
    own_labels: Predictions | None
    supervisor: Predictions | None

    @classmethod
    def of(cls, spec: RunSpec, split: str, store: Store) -> _Comparison:
        own_labels = training_labels(spec, split, store) if split == "validation" else None
        supervisor = None
        if split == "test" and isinstance(spec.labels, WeakLabels):
            supervisor = store.run(spec.labels.supervisor.id).read_predictions(split)
        return cls(split, ground_truth(spec, split, store), own_labels, supervisor)

    def metrics(self, predicted: Predictions) -> dict[str, float]:
        truth = self.truth.align(predicted.ids)
        values: dict[str, float | None] = {"accuracy": accuracy(predicted, truth)}
        if self.own_labels is not None:
            own = self.own_labels.align(predicted.ids)
            if own.covered.any():  # what a transform dropped has no label
                values["accuracy_on_own_labels"] = float(correct(predicted, own)[own.covered].mean())
        if self.supervisor is not None:
            values |= agreement(predicted, self.supervisor.align(predicted.ids), truth)
        return {f"{self.split}_{name}": value for name, value in values.items() if value is not None}
