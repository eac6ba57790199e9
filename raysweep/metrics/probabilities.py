"""Metrics of class probabilities; left out where answers are predicted instead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from raysweep.metrics.base import Measurement, correct, metric, metrics

NUM_BINS = 15
_LEAST = 1e-12
"""Probabilities are taken to be no smaller: float32 rounds to 0 what a softmax never is, and one example
would be infinite."""
_SMALLEST = float(np.finfo(np.float64).tiny)


@metrics.register("calibration")
@metric(columns={"expected_calibration_error": "ECE", "brier_score": ""})
def calibration(measurement: Measurement) -> dict[str, float]:
    """Expected calibration error (Guo et al. 2017, arXiv 1706.04599) and Brier score.

    Both are in [0, 1], 0 the best. `expected_calibration_error` = Σ_m |B_m|/N·|accuracy(B_m) −
    confidence(B_m)| over 15 bins of equal width: B_m holds the examples whose confidence (probability of the
    most probable class) is in ((m − 1)/15, m/15]. With K classes no confidence is below 1/K, so two classes
    fill 8 of the bins. `brier_score` = mean ½·Σ_k (p_k − y_k)²; of two classes that is mean (p_1 − y)² (Brier
    1950, halved).
    """
    predicted = measurement.predicted
    if predicted.answers is not None:
        return {}
    confidence = predicted.probabilities.max(axis=1)
    right = correct(predicted, measurement.truth)
    bins = np.clip(np.ceil(confidence * NUM_BINS), 1, NUM_BINS).astype(int)
    gaps = np.bincount(bins, weights=right - confidence)  # |B_m|·(accuracy − confidence)
    brier = squared_errors(predicted.probabilities, measurement.truth.probabilities).mean()
    return {
        "expected_calibration_error": float(np.abs(gaps).sum() / len(predicted)),
        "brier_score": float(brier),
    }


@metrics.register("auroc")
@metric(columns={"auroc": "AUROC"})
def auroc(measurement: Measurement) -> dict[str, float]:
    """Area under the ROC curve of the class probabilities: mean over the classes of one against the rest.

    The share of (positive, negative) pairs in which the positive has the higher odds p_k / Σ_{j≠k} p_j, ties
    counting half; of two classes it is the same for both. Odds and probabilities have one order, but a sure
    model's probabilities are rounded to 1, where the other classes' still tell which is surer. Left out
    unless every class occurs. EleutherAI's weak-to-strong results are in it.
    """
    if measurement.predicted.answers is not None:
        return {}
    probabilities = measurement.predicted.probabilities
    classes = measurement.truth.classes
    if len(np.unique(classes)) < probabilities.shape[1]:
        return {}
    from sklearn.metrics import roc_auc_score

    others = probabilities @ (1 - np.eye(probabilities.shape[1]))
    log_odds = np.log(np.maximum(probabilities, _SMALLEST)) - np.log(np.maximum(others, _SMALLEST))
    areas = [roc_auc_score(classes == number, own) for number, own in enumerate(log_odds.T)]
    return {"auroc": float(np.mean(areas))}


@metrics.register("misfit")
@metric(
    columns={
        "misfit_squared_error": "misfit²",
        "gain_squared_error": "gain²",
        "misfit_error_rate": "",
        "gain_error_rate": "",
        "misfit_cross_entropy": "",
        "gain_cross_entropy": "",
    },
    compares_with_supervisor=("student",),
)
def misfit(measurement: Measurement) -> dict[str, float]:
    """Misfit with the supervisor and gain over it; theory expects gain ≥ misfit (Charikar et al. 2024).

    The theory: arXiv 2405.15116. With p of the student, q of the supervisor, y the truth, means
    over the examples: `misfit_squared_error` ½·Σ_k (p_k − q_k)², `gain_squared_error` brier(q) − brier(p):
    the theory's own form; `misfit_error_rate` share of other decisions, `gain_error_rate` accuracy(p) −
    accuracy(q); `misfit_cross_entropy` KL(p‖q) in nats, `gain_cross_entropy` CE(y, q) − CE(y, p) in nats
    (Mulgund and Pabbaraju 2025, arXiv 2501.19105). Of answers, the error rates alone.
    """
    predicted = measurement.predicted
    supervisor = measurement.supervisor
    truth = measurement.truth
    if supervisor is None:
        return {}
    right = correct(predicted, truth)
    right_supervisor = correct(supervisor, truth)
    values = {
        "misfit_error_rate": 1 - correct(predicted, supervisor).mean(),
        "gain_error_rate": right.mean() - right_supervisor.mean(),
    }
    if predicted.answers is None:
        p = predicted.probabilities
        q = supervisor.probabilities
        y = truth.probabilities
        log_p = np.log(np.maximum(p, _LEAST))
        log_q = np.log(np.maximum(q, _LEAST))
        values |= {
            "misfit_squared_error": squared_errors(p, q).mean(),
            "gain_squared_error": (squared_errors(q, y) - squared_errors(p, y)).mean(),
            "misfit_cross_entropy": (p * (log_p - log_q)).sum(axis=1).mean(),
            "gain_cross_entropy": (y * (log_p - log_q)).sum(axis=1).mean(),
        }
    return {name: float(value) for name, value in values.items()}


def squared_errors(
    probabilities: npt.NDArray[np.float64], others: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(N,) ½·Σ_k (p_k − q_k)² of two (N, K): in [0, 1], and (p_1 − q_1)² of two classes."""
    total: npt.NDArray[np.float64] = ((probabilities - others) ** 2).sum(axis=1) / 2
    return total
