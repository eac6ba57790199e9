"""Objectives: per-example losses, pure functions of logits and labels.

The trainer weights, reduces, accumulates and gathers; an objective never sees ranks or micro batches. What a
loss needs of the whole global batch (the confidence loss's threshold) it takes from `BatchContext`.
"""

from raysweep.objectives import divergences, eleuther, own_targets
from raysweep.objectives.base import BatchContext, Objective, objectives
from raysweep.objectives.confidence import hardened
from raysweep.objectives.likelihood import cross_entropy

__all__ = [
    "BatchContext",
    "Objective",
    "cross_entropy",
    "divergences",
    "eleuther",
    "hardened",
    "objectives",
    "own_targets",
]
