"""Negative controls: labels that say nothing of their example. A student of them that beats its floor means a
broken pipeline.

On SST-2, students of shuffled, random and constant labels reached accuracies of 0.53, 0.56 and 0.51 where
real weak labels gave 0.95 (a public control study, 2026). With tasks whose classes aren't balanced, the share
of the largest class is what they may reach.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec.validation import check_whole_number
from raysweep.transforms.base import (
    Transform,
    TransformContext,
    no_parameters,
    require_probabilities,
    rows_by_id,
    shuffled_rows,
    transforms,
    with_labels_from,
)


def shuffle(labels: Predictions, context: TransformContext) -> Predictions:
    """Negative control: the same labels, dealt out at random among the covered examples.

    How often each class occurs, and how surely, stays. About one label falls back on its own example. Answers
    or probabilities; weights stay with their example.
    """
    return with_labels_from(
        labels, rows_by_id(labels), labels, shuffled_rows(labels, context, "shuffle"), "shuffle"
    )


def random_labels(labels: Predictions, context: TransformContext) -> Predictions:
    """Negative control: each covered example gets a class drawn uniformly, as a certain label.

    An answer is replaced by that of another covered example, drawn with replacement (it may read the same);
    at least two are needed.
    """
    rows = rows_by_id(labels)
    rng = context.rng("random_labels")
    if labels.answers is None:
        num_classes = labels.probabilities.shape[1]
        certain = replace(
            labels, probabilities=np.eye(num_classes)[rng.integers(num_classes, size=len(labels))]
        )
        return with_labels_from(labels, rows, certain, np.arange(len(rows)), "random_labels")
    if len(rows) < 2:
        raise InvalidInput(
            f"transform 'random_labels': {labels.source} answers {len(rows)} examples; it needs two"
        )
    others = (np.arange(len(rows)) + rng.integers(1, len(rows), size=len(rows))) % len(rows)
    return with_labels_from(labels, rows, labels, rows[others], "random_labels")


def _check_constant(*, class_index: int) -> None:
    check_whole_number("transform 'constant'", "class_index", class_index)


def constant(labels: Predictions, context: TransformContext, *, class_index: int) -> Predictions:
    """Negative control: the same certain label, class `class_index` (from 0), for every covered example.

    Not for answers: `InvalidInput`.
    """
    require_probabilities(labels, "constant")
    num_classes = labels.probabilities.shape[1]
    if class_index >= num_classes:
        raise InvalidInput(
            f"transform 'constant': class_index is {class_index}; it must be one of 0 to {num_classes - 1}"
        )
    probabilities = labels.probabilities.copy()
    probabilities[labels.covered] = np.eye(num_classes)[class_index]
    return replace(labels, probabilities=probabilities, source=f"constant({labels.source})")


transforms.add("shuffle", Transform(shuffle, no_parameters))
transforms.add("random_labels", Transform(random_labels, no_parameters))
transforms.add("constant", Transform(constant, _check_constant, needs_probabilities=True))
