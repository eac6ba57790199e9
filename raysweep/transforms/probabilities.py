"""Transforms of how sure a label is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from raysweep.predictions import Predictions
from raysweep.spec.validation import check_number
from raysweep.transforms.base import (
    Transform,
    TransformContext,
    no_parameters,
    require_probabilities,
    transforms,
)


def harden(labels: Predictions, context: TransformContext) -> Predictions:
    """The most probable class as a certain label (the "hard" labels of Burns et al. 2023).

    The lowest class on a tie. Answers are certain as they are.
    """
    source = f"harden({labels.source})"
    if labels.answers is not None:
        return replace(labels, source=source)
    certain = np.eye(labels.probabilities.shape[1])[labels.classes]
    probabilities = np.where(labels.covered[:, None], certain, labels.probabilities)
    return replace(labels, probabilities=probabilities, source=source)


def _check_temperature(*, t: float) -> None:
    check_number("transform 'temperature'", "t", t, 0, above=True)


def temperature(labels: Predictions, context: TransformContext, *, t: float) -> Predictions:
    """Probabilities at another temperature, ∝ p^(1/t), as in distillation (Hinton et al. 2015, arXiv
    1503.02531).

    Softer above 1, sharper below, hard labels towards 0 (with ties kept). Of softmax outputs it is the
    softmax of the logits over t. A probability of 0 stays 0, so that hard labels don't change. Not for
    answers: `InvalidInput`.
    """
    require_probabilities(labels, "temperature")
    given = labels.probabilities[labels.covered]
    with np.errstate(divide="ignore"):
        powers = np.exp(
            np.log(given / given.max(axis=1, keepdims=True)) / t
        )  # the largest is 1: nothing underflows as a whole
    probabilities = labels.probabilities.copy()
    probabilities[labels.covered] = powers / powers.sum(axis=1, keepdims=True)
    return replace(labels, probabilities=probabilities, source=f"temperature({labels.source})")


transforms.add("harden", Transform(harden, no_parameters))
transforms.add("temperature", Transform(temperature, _check_temperature, needs_probabilities=True))
