"""The gap recovered, and the three readings of a run, on curves made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from raysweep.metrics.gap import performance_gap_recovered, stop_readings, stop_steps


def curve(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "step": [10, 20, 30, 40],
            "validation_accuracy": [0.60, 0.80, 0.80, 0.70],
            "validation_accuracy_on_own_labels": [0.70, 0.80, 0.90, 0.95],
            "test_accuracy": [0.62, 0.78, 0.80, 0.71],
        }
        | columns
    )


@pytest.mark.parametrize(
    ("weak", "student", "ceiling", "expected"),
    [
        (0.6, 0.75, 0.9, 0.5),
        (0.6, 0.6, 0.9, 0.0),
        (0.6, 0.9, 0.9, 1.0),
        (0.6, 0.5, 0.8, -0.5),
        (0.6, 1.0, 0.8, 2.0),
        (0.6, 0.7, 0.6, None),
        (0.6, 0.7, 0.5, None),
    ],
)
def test_the_gap_recovered(weak: float, student: float, ceiling: float, expected: float | None) -> None:
    found = performance_gap_recovered(weak, student, ceiling)
    assert found is None if expected is None else found == pytest.approx(expected)


def test_a_run_is_read_at_three_steps() -> None:
    # The best validation accuracy is at 20 and 30 alike: the earlier one. Test accuracy, better at 30,
    # chooses nothing.
    assert stop_steps(curve()) == {"last": 40, "ground_truth_stop": 20, "weak_label_stop": 40}
    found = stop_steps(curve(validation_accuracy_on_own_labels=[0.9, 0.9, 0.9, 0.8]))
    assert found == {"last": 40, "ground_truth_stop": 20, "weak_label_stop": 10}
    assert stop_steps(curve().iloc[::-1]) == stop_steps(curve())  # rows in any order


def test_what_a_student_is_worth_at_each_stop() -> None:
    found = stop_readings(
        curve(validation_accuracy_on_own_labels=[0.7, 0.8, 0.9, 0.8]), weak=0.6, ceiling=0.8
    )
    assert found == pytest.approx(
        {
            "weak_accuracy_at_last": 0.6,
            "ceiling_accuracy_at_last": 0.8,
            "step_at_last": 40,
            "student_accuracy_at_last": 0.71,
            "pgr_at_last": 0.55,
            "step_at_ground_truth_stop": 20,
            "student_accuracy_at_ground_truth_stop": 0.78,
            "pgr_at_ground_truth_stop": 0.9,
            "step_at_weak_label_stop": 30,
            "student_accuracy_at_weak_label_stop": 0.8,
            "pgr_at_weak_label_stop": 1.0,
        }
    )


def test_without_a_gap_there_is_no_pgr_at_any_stop() -> None:
    found = stop_readings(curve(), weak=0.8, ceiling=0.8)
    assert not [name for name in found if name.startswith("pgr")]
    assert found["student_accuracy_at_ground_truth_stop"] == 0.78


def test_a_stop_needs_a_curve_and_what_it_looks_at() -> None:
    last = curve().iloc[-1:]
    assert stop_readings(last, weak=0.6, ceiling=0.8) == pytest.approx(
        {
            "weak_accuracy_at_last": 0.6,
            "ceiling_accuracy_at_last": 0.8,
            "step_at_last": 40,
            "student_accuracy_at_last": 0.71,
            "pgr_at_last": 0.55,
        }
    )
    without = curve().drop(columns="validation_accuracy_on_own_labels")
    assert stop_steps(without) == {"last": 40, "ground_truth_stop": 20}
    assert stop_steps(curve(validation_accuracy=[np.nan] * 4)) == {"last": 40, "weak_label_stop": 40}
    assert stop_steps(curve(validation_accuracy=[np.nan, 0.5, 0.7, np.nan]))["ground_truth_stop"] == 30
    assert stop_steps(curve(test_accuracy=[0.5, np.nan, 0.6, np.nan])) == {
        "last": 30,
        "ground_truth_stop": 30,
        "weak_label_stop": 30,
    }
    assert stop_readings(curve(test_accuracy=[np.nan] * 4), weak=0.6, ceiling=0.8) == {}
