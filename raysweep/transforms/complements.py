"""What other transforms leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec import Call
from raysweep.transforms.base import Transform, TransformContext, transforms
from raysweep.transforms.calling import apply_transform


def complement(labels: Predictions, context: TransformContext, *, of: Sequence[Call]) -> Predictions:
    """The labels that a chain of other transforms drops, as they were before it.

    Together with what the chain keeps they are all covered labels. Answers or probabilities. A transform that
    reads ground truth can't be among them.
    """
    kept = labels
    for call in of:
        kept = apply_transform(call, kept, context).align(labels.ids)
    return replace(labels, covered=labels.covered & ~kept.covered, source=f"complement({labels.source})")


def _require_transforms(*, of: Sequence[Call]) -> None:
    for call in of:
        transform = transforms.get(call.name)
        if transform.reads_ground_truth:
            raise InvalidInput(f"of holds {call.name!r}, which reads ground truth; leave it out")
        transform.parameters.check(call.params, f"of: transform {call.name!r}")


transforms.add("complement", Transform(complement, check=_require_transforms))
