"""Metrics: pure functions from saved predictions to numbers, re-runnable on old results without training.

A metric is a function of one `Measurement`; those of `metrics` are measured on every split of every run. What
belongs to a cell (the gap recovered, early stopping) is computed from the accuracies of its runs: see
`raysweep.metrics.gap`.
"""

from raysweep.metrics.base import Measurement, correct, measured, metrics
from raysweep.metrics.decisions import accuracy, accuracy_by_difficulty, agreement, legality
from raysweep.metrics.gap import performance_gap_recovered, stop_readings
from raysweep.metrics.probabilities import auroc, calibration, misfit

__all__ = [
    "Measurement",
    "accuracy",
    "accuracy_by_difficulty",
    "agreement",
    "auroc",
    "calibration",
    "correct",
    "legality",
    "measured",
    "metrics",
    "misfit",
    "performance_gap_recovered",
    "stop_readings",
]
