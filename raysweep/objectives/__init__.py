"""Objectives: the per-example losses that a run can minimise.

An objective is a pure function of logits, labels and a `BatchContext`. The trainer weights, accumulates and
reduces the losses, so that an objective knows nothing of ranks or micro batches; what it needs of the whole
global batch (the threshold of the confidence loss) or of all training labels comes with the context.

Imports `errors`, `registry` and `spec` only, and torch only inside functions, so that planning doesn't load
it. Start with `base`, then `likelihood` and `calling`; the other modules are the losses, by
family.
"""

from raysweep.objectives import divergences, eleuther, own_targets
from raysweep.objectives.base import BatchContext, Objective, objectives
from raysweep.objectives.calling import LossCall
from raysweep.objectives.confidence import hardened
from raysweep.objectives.likelihood import cross_entropy

__all__ = [
    "BatchContext",
    "LossCall",
    "Objective",
    "cross_entropy",
    "divergences",
    "eleuther",
    "hardened",
    "objectives",
    "own_targets",
]
