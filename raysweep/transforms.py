"""Transforms: pure functions from labels to labels, applied between a supervisor and its student."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from raysweep.predictions import Predictions
from raysweep.registry import Registry

Transform = Callable[..., Predictions]
"""(predictions, **params) → predictions over the same ids; what a transform drops isn't covered any more."""

transforms: Registry[Transform] = Registry("transform", Callable)


@transforms.register("harden")
def harden(labels: Predictions) -> Predictions:
    """The most probable class as a certain label (the "hard" labels of Burns et al. 2023)."""
    certain = np.eye(labels.probabilities.shape[1])[labels.classes]
    return Predictions(labels.ids, certain, labels.weight, labels.covered, f"harden({labels.source})")
