"""Transforms of the labels' confidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from raysweep.predictions import Predictions
from raysweep.spec.parameters import Above
from raysweep.transforms.base import Transform, TransformContext, require_probabilities, transforms


def harden(labels: Predictions, context: TransformContext) -> Predictions:
    """The most probable class as a hard label (Burns et al. 2023).

    On a tie, the lowest class. Answers stay as they are.
    """
    source = f"harden({labels.source})"
    if labels.answers is not None:
        return replace(labels, source=source)
    hard = np.eye(labels.probabilities.shape[1])[labels.classes]
    probabilities = np.where(labels.covered[:, None], hard, labels.probabilities)
    return replace(labels, probabilities=probabilities, source=source)


def temperature(
    labels: Predictions, context: TransformContext, *, t: Annotated[float, Above(0)]
) -> Predictions:
    """Probabilities at temperature t, ∝ p^(1/t), as in distillation (Hinton et al. 2015, arXiv 1503.02531).

    Softer above 1, sharper below, hard labels in the limit of 0 (with ties kept). On softmax outputs it is
    the softmax of the logits over t. A probability of 0 stays 0, so that hard labels don't change.

    Raises:
        InvalidInput: the labels are answers.
    """
    require_probabilities(labels, "temperature")
    given = labels.probabilities[labels.covered]
    # Relative to the largest, whose power is then 1: a row never underflows as a whole.
    relative = given / given.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        powers = np.exp(np.log(relative) / t)
    probabilities = labels.probabilities.copy()
    probabilities[labels.covered] = powers / powers.sum(axis=1, keepdims=True)
    return replace(labels, probabilities=probabilities, source=f"temperature({labels.source})")


transforms.add("harden", Transform(harden))
transforms.add("temperature", Transform(temperature, needs_probabilities=True))
