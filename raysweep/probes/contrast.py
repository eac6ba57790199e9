"""Contrast-consistent search: a direction that is found without labels."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from raysweep.probes.base import Fitted, LabelledFeatures, Numbers, ProbeFit, probes
from raysweep.spec.parameters import AtLeast


def consistency_loss(coefficients: Numbers, pairs: Numbers, weights: Numbers) -> tuple[float, Numbers]:
    """The loss of contrast-consistent search and its gradient: the weighted mean of (p₁ + p₀ − 1)² + min(p₁,
    p₀)², where pₖ is the probability that text k of a pair is the better one.

    Args:
        coefficients: (W + 1,) of the logits, the intercept last.
        pairs: (N, 2, W).
        weights: (N,) positive.
    """
    import scipy.special

    p = scipy.special.expit(pairs @ coefficients[:-1] + coefficients[-1])
    off = p.sum(axis=1) - 1
    least = p.min(axis=1)
    shares = weights / weights.sum()
    loss = float(shares @ (off**2 + least**2))
    is_least = np.arange(2) == p.argmin(axis=1)[:, None]
    by_logit = shares[:, None] * 2 * (off[:, None] + least[:, None] * is_least) * p * (1 - p)
    slopes = np.einsum("nk,nkw->w", by_logit, pairs)
    return loss, np.append(slopes, by_logit.sum())


def _contrast_consistent(data: LabelledFeatures, tries: Annotated[int, AtLeast(1)] = 10) -> Fitted:
    """Contrast-consistent search (Burns et al. 2022, 2212.03827): labels only say which side is which.

    The features of first and of second texts are each brought to mean 0 and deviation 1, so that nothing
    tells them apart but what is said. The best of some random starts is kept.
    """
    import scipy.optimize

    mean = data.features.mean(axis=0)
    deviation = data.features.std(axis=0)
    deviation = np.where(deviation > 0, deviation, np.inf)

    def scaled(pairs: Numbers) -> Numbers:
        return (pairs - mean) / deviation

    pairs = scaled(data.features)
    width = pairs.shape[2]
    rng = np.random.default_rng([data.seed, *b"contrast_consistent"])
    found = [
        scipy.optimize.minimize(
            consistency_loss,
            np.append(rng.normal(size=width) / np.sqrt(width), 0.0),
            (pairs, data.weights),
            jac=True,
            method="L-BFGS-B",
        )
        for _ in range(tries)
    ]
    best = min(found, key=lambda result: float(result.fun)).x

    def second_is_better(given: Numbers) -> Numbers:
        p = scipy.special.expit(given @ best[:-1] + best[-1])
        second: Numbers = (p[:, 1] + 1 - p[:, 0]) / 2
        return second

    says = np.sign(second_is_better(pairs) - 0.5)
    is_reversed = float(data.weights @ (says * (data.labels[:, 1] - data.labels[:, 0]))) < 0

    def predict(features: Numbers) -> Numbers:
        second = second_is_better(scaled(features))
        second = 1 - second if is_reversed else second
        return np.stack([1 - second, second], axis=1)

    return predict


probes.add("contrast_consistent", ProbeFit(_contrast_consistent, kinds=("preference",), takes_pairs=True))
