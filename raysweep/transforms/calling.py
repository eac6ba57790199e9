"""A transform as a run calls it: what the user's own code returns is checked where it is called, and what it
is given can't be written into, so that an error names the transform."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec import Call
from raysweep.transforms.base import TransformContext, transforms


def apply_transform(call: Call, labels: Predictions, context: TransformContext) -> Predictions:
    """The labels after a transform.

    Raises:
        InvalidInput: the transform fails or refuses the labels, or returns something other than labels over
            the same ids and of the same kind, of which one has a weight.
    """
    name = f"transform {call.name!r}"
    try:
        with transforms.calling(call.name):
            found: object = transforms.get(call.name).apply(labels.read_only(), context, **call.params)
    except InvalidInput as error:
        if name in str(error):
            raise
        raise InvalidInput(f"{name}: {error}") from error
    if not isinstance(found, Predictions):
        raise InvalidInput(f"{name} returned a {type(found).__name__}; it must return Predictions")
    try:
        checked = replace(found)  # its arrays may have been changed since it was made
    except InvalidInput as error:
        raise InvalidInput(f"{name} returned labels that can't be used: {error}") from error
    if not np.array_equal(np.sort(checked.ids), np.sort(labels.ids)):
        missing = len(np.setdiff1d(labels.ids, checked.ids))
        added = len(np.setdiff1d(checked.ids, labels.ids))
        raise InvalidInput(
            f"{name} returned labels that lack {missing} of the {len(labels)} ids and have {added} others; "
            "it must return the same ids, with covered=False for examples that it leaves out"
        )
    if (checked.answers is None) is not (labels.answers is None):
        raise InvalidInput(
            f"{name} returned {'probabilities' if checked.answers is None else 'answers'} for "
            f"{'probabilities' if labels.answers is None else 'answers'}"
        )
    num_classes = labels.probabilities.shape[1]
    if checked.probabilities.shape[1] != num_classes:
        raise InvalidInput(
            f"{name} returned labels over {checked.probabilities.shape[1]} classes; it must keep the "
            f"{num_classes} that it was given"
        )
    if checked.covered.any() and not checked.weight[checked.covered].any():
        raise InvalidInput(
            f"{name} leaves {checked.covered.sum()} labelled examples, all of weight 0; one must be above 0"
        )
    return checked
