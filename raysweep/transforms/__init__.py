"""Transforms: pure functions from labels to labels, applied between a run's labels and the run.

A transform gets the labels of a split and a `TransformContext`, and gives labels over the same ids: what it
drops isn't covered any more. One that reads ground truth says so; all others can't. None looks at the order
of the rows: where one draws, it draws in the order of the ids, so that the same ids and seed give the same
labels in whatever order they come.
"""

from raysweep.transforms import controls, probabilities, subsets, supervisors
from raysweep.transforms.base import Transform, TransformContext, transforms

__all__ = [
    "Transform",
    "TransformContext",
    "controls",
    "probabilities",
    "subsets",
    "supervisors",
    "transforms",
]
