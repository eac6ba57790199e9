"""Transforms: pure functions from labels to labels, applied to the labels that a run is trained on.

A transform takes the labels of a split and a `TransformContext` and returns labels over the same ids;
examples that it drops stay in the table, not covered. Only a transform that declares it can read ground
truth. The order of the rows never matters: random numbers are drawn in the order of the ids, so that equal
ids and an equal seed give equal labels in whatever order the rows come.

Imports `errors`, `registry`, `spec` and `predictions` only. Start with `base` and `calling`; the other
modules are the transforms, by purpose.
"""

from raysweep.transforms import complements, controls, probabilities, subsets, supervisors
from raysweep.transforms.base import Transform, TransformContext, transforms
from raysweep.transforms.calling import apply_transform

__all__ = [
    "Transform",
    "TransformContext",
    "apply_transform",
    "complements",
    "controls",
    "probabilities",
    "subsets",
    "supervisors",
    "transforms",
]
