"""Numbers of a cell from the accuracies of its runs: the performance gap recovered, and three readings of the
student at early stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

STOPS = {
    "last": "",
    "ground_truth_stop": "validation_accuracy",
    "weak_label_stop": "validation_accuracy_on_own_labels",
}
"""The three readings, each with the curve it maximises ("last" has none). The ground-truth stop is an oracle,
as it needs true labels."""


def performance_gap_recovered(weak: float, student: float, ceiling: float) -> float | None:
    """PGR = (student − weak) / (ceiling − weak) (Burns et al. 2023, section 3); None without a gap to
    recover."""
    return (student - weak) / (ceiling - weak) if ceiling > weak else None


def stop_steps(curve: pd.DataFrame) -> dict[str, int]:
    """The step at which a run is read, by the names of `STOPS`.

    `last`: the end. `ground_truth_stop`, an oracle: the best validation accuracy. `weak_label_stop`: the best
    validation accuracy on the labels that the run was trained on. The earliest step on ties (Burns et al.
    2023, section 5.1.1). A stop needs a curve of at least two points, and its own column.

    Args:
        curve: columns step, and of `validation_accuracy`, `validation_accuracy_on_own_labels` and
            `test_accuracy` those that are known; points without a test accuracy are left out.
    """
    points = curve.dropna(subset=["test_accuracy"]).sort_values("step", kind="stable")
    if points.empty:
        return {}
    steps = {"last": int(points["step"].iloc[-1])}
    for name, column in STOPS.items():
        if len(points) > 1 and column in points and points[column].notna().any():
            steps[name] = int(
                points["step"].iloc[int(np.nanargmax(points[column].to_numpy(float)))]
            )  # the first of equals
    return steps


def stop_readings(curve: pd.DataFrame, weak: float, ceiling: float) -> dict[str, float]:
    """A student's test accuracy and PGR at each stop.

    For each stop of `stop_steps`: `step_at_<stop>`, `student_accuracy_at_<stop>` on test, and `pgr_at_<stop>`
    (left out without a gap); and `weak_accuracy_at_last` and `ceiling_accuracy_at_last`, from which every PGR
    here is computed.

    Args:
        curve: the student's; see `stop_steps`.
        weak, ceiling: test accuracies at their last step, on the examples that the curve's are of.
    """
    steps = stop_steps(curve)
    if not steps:
        return {}
    values = {"weak_accuracy_at_last": weak, "ceiling_accuracy_at_last": ceiling}
    for name, step in steps.items():
        student = float(curve.loc[curve["step"] == step, "test_accuracy"].iloc[0])
        values |= {f"step_at_{name}": float(step), f"student_accuracy_at_{name}": student}
        pgr = performance_gap_recovered(weak, student, ceiling)
        if pgr is not None:
            values[f"pgr_at_{name}"] = pgr
    return values
