"""Would another interval hold the truth where seeds failed? What `raysweep.results.seeds` tells, by hand:

    .venv/bin/python tests/results/alternative_intervals.py        half a minute

Seeds alone are simulated, without test examples: weak, student and ceiling as in `skewed_sweeps` of
test_coverage.py, where a supervisor fails with a chance of 20 %, or never. Each interval is made for 90 %.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t

NUM_SWEEPS = 2_000
NUM_RESAMPLES = 400

Numbers = npt.NDArray[np.float64]
Interval = tuple[float, float]


def sweeps(rng: np.random.Generator, num_seeds: int, rate: float) -> Numbers:
    """(sweeps, 2, seeds): student − weak and ceiling − weak."""
    shape = (NUM_SWEEPS, num_seeds)
    has_failed = rng.random(shape) < rate
    weak = np.where(has_failed, rng.uniform(0.5, 0.8, shape), rng.normal(0.87, 0.005, shape))
    ceiling = rng.normal(0.93, 0.003, shape)
    student = weak + np.where(has_failed, 0.15, 0.5) * (ceiling - weak) + rng.normal(0, 0.005, shape)
    return np.stack([student - weak, ceiling - weak], axis=1)


def true_pgr(rate: float) -> float:
    """Of means over all seeds."""
    gained = (1 - rate) * 0.5 * 0.06 + rate * 0.15 * 0.28
    return float(gained / ((1 - rate) * 0.06 + rate * 0.28))


def ratio_and_error(values: Numbers) -> tuple[Numbers, Numbers]:
    """Ratios of means (…) of (…, 2, seeds), and their standard errors by the delta method."""
    means = values.mean(axis=-1)
    ratio = means[..., 0] / means[..., 1]
    residuals = values[..., 0, :] - ratio[..., None] * values[..., 1, :]
    error = residuals.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1]) / np.abs(means[..., 1])
    return ratio, error


def bootstrap(rng: np.random.Generator, values: Numbers) -> Interval:
    """Bootstrap of Student's t over seeds (Efron and Tibshirani 1993, section 12.5)."""
    num_seeds = values.shape[-1]
    drawn = rng.integers(num_seeds, size=(NUM_RESAMPLES, num_seeds))
    ratio, error = ratio_and_error(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios, errors = ratio_and_error(values[:, drawn].transpose(1, 0, 2))
        pivots = (ratios - ratio) / errors
    low, high = np.quantile(pivots[errors > 1e-12], [0.05, 0.95])
    return float(ratio - high * error), float(ratio - low * error)


def fieller(values: Numbers) -> Interval | None:
    """Over seeds alone; None where the gap isn't told from 0."""
    num_seeds = values.shape[-1]
    (top, bottom), covariance = values.mean(axis=-1), np.cov(values) / num_seeds
    limit = student_t.ppf(0.95, num_seeds - 1) ** 2
    a = bottom**2 - limit * covariance[1, 1]
    b = top * bottom - limit * covariance[0, 1]
    c = top**2 - limit * covariance[0, 0]
    if a <= 0:
        return None
    root = np.sqrt(b**2 - a * c)
    return float((b - root) / a), float((b + root) / a)


def covered(num_seeds: int, rate: float) -> dict[str, float]:
    """By interval: the share of those that there are which hold the truth."""
    rng = np.random.default_rng(num_seeds)
    truth = true_pgr(rate)
    held: dict[str, list[bool]] = {name: [] for name in ("Fieller's", "bootstrap", "the wider", "range")}
    for values in sweeps(rng, num_seeds, rate):
        exact, resampled = fieller(values), bootstrap(rng, values)
        each = values[0] / values[1]
        intervals = {"Fieller's": exact, "bootstrap": resampled, "range": (each.min(), each.max())}
        if exact is not None:
            intervals["the wider"] = min(exact[0], resampled[0]), max(exact[1], resampled[1])
        for name, interval in intervals.items():
            if interval is not None:
                held[name].append(bool(interval[0] <= truth <= interval[1]))
    return {name: float(np.mean(hits)) for name, hits in held.items()}


if __name__ == "__main__":
    for rate in (0.2, 0.0):
        for num_seeds in (3, 5, 10):
            shares = ", ".join(f"{name} {share:.0%}" for name, share in covered(num_seeds, rate).items())
            print(f"{num_seeds} seeds, a supervisor fails with {rate:.0%}: {shares}")
