"""A convex mixture of heads: the student of the theory of misfit with cross-entropy."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from raysweep.probes.base import Fitted, LabelledFeatures, Numbers, ProbeFit, probes, softmax
from raysweep.probes.linear import logistic_regression
from raysweep.spec.parameters import Above, AtLeast

_LEAST = 1e-6
"""Probabilities of labels are at least this: a hard label would make any other prediction infinitely bad."""


def mixture_shares(heads: Numbers, labels: Numbers, weights: Numbers) -> Numbers:
    """(H,) shares of the mixture p of heads that minimises the weighted mean of KL(p ‖ label), a convex
    problem.

    For the minimum p and any t in the convex set, KL(t ‖ w) − KL(t ‖ p) ≥ KL(p ‖ w) (Mulgund and Pabbaraju
    2025, 2501.19105): what the student gains is at least its misfit.

    Args:
        heads: (H, N, K) probabilities of each head.
        labels: (N, K) positive.
        weights: (N,) positive.
    """
    import scipy.optimize

    logs = np.log(labels)
    parts = weights / weights.sum()

    def loss_and_gradient(shares: Numbers) -> tuple[float, Numbers]:
        mixed = np.tensordot(shares, heads, 1)
        excess = np.log(mixed) - logs
        loss = float(parts @ (mixed * excess).sum(axis=1))
        return loss, np.einsum("n,nk,hnk->h", parts, excess + 1, heads)

    found = scipy.optimize.minimize(
        loss_and_gradient,
        np.full(len(heads), 1 / len(heads)),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * len(heads),
        constraints={"type": "eq", "fun": lambda shares: shares.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    shares = np.clip(found.x, 0, None)
    return shares / shares.sum()


def _mixture_of_heads(
    data: LabelledFeatures,
    k: Annotated[int, AtLeast(1)] = 10,
    l2: Annotated[float, Above(0)] = 1e-3,
) -> Fitted:
    """The mixture of k logistic heads that is nearest to the labels in reverse KL (Mulgund, Pabbaraju 2025).

    Each head is fitted to a half of the examples, drawn by the run's seed; the shares are fitted to all.
    """
    rng = np.random.default_rng([data.seed, *b"mixture_of_heads"])
    num = len(data.features)
    draws = [rng.permutation(num)[: max(1, num // 2)] for _ in range(k)]
    heads = [
        logistic_regression(data.features[rows], data.labels[rows], data.weights[rows], l2) for rows in draws
    ]
    labels = np.clip(data.labels, _LEAST, None)
    labels = labels / labels.sum(axis=1, keepdims=True)
    shares = mixture_shares(_predicted(heads, data.features), labels, data.weights)
    return lambda features: np.tensordot(shares, _predicted(heads, features), 1)


def _predicted(heads: list[Numbers], features: Numbers) -> Numbers:
    return np.stack([softmax(features @ head[:-1] + head[-1]) for head in heads])


probes.add("mixture_of_heads", ProbeFit(_mixture_of_heads))
