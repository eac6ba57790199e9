"""Metrics: pure functions from saved predictions to numbers, which can be computed anew without training.

A metric is a function of one `Measurement`. Those in the registry `metrics` are measured on every split of
every run and written into its result.json as `<split>_<number>`; results, tables, figures and MLflow show
them by these names. Numbers of a cell that follow from the accuracies of its runs, the performance gap
recovered and the readings at early stops, are in `raysweep.metrics.gap`.

A new metric is one function that is registered here, see `raysweep.metrics.base.metric` for what it may say
of its numbers. The package imports `predictions`, `registry` and `errors`. Start reading in
`raysweep.metrics.base`.
"""

from raysweep.metrics.base import Measurement, correct, declaration, measured, metric, metrics
from raysweep.metrics.decisions import accuracy, accuracy_by_difficulty, agreement, known, legality
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
    "declaration",
    "known",
    "legality",
    "measured",
    "metric",
    "metrics",
    "misfit",
    "performance_gap_recovered",
    "stop_readings",
]
