"""Negative controls: labels that carry no information on their example.

A student of such labels that beats its floor reveals a broken pipeline. On SST-2, students of shuffled,
random and constant labels reached accuracies of 0.53, 0.56 and 0.51 where real weak labels gave 0.95 (a
public control study, 2026). On a task with unbalanced classes they may reach the share of the largest class.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec.parameters import AtLeast
from raysweep.transforms.base import (
    Transform,
    TransformContext,
    require_probabilities,
    rows_by_id,
    shuffled_rows,
    transforms,
    with_labels_from,
)


def shuffle(labels: Predictions, context: TransformContext) -> Predictions:
    """Negative control: the same labels, permuted at random among the covered examples.

    The distribution of the labels stays. On average one label falls back on its own example. Answers or
    probabilities; weights stay with their example.
    """
    return with_labels_from(
        labels, rows_by_id(labels), labels, shuffled_rows(labels, context, "shuffle"), "shuffle"
    )


def random_labels(labels: Predictions, context: TransformContext) -> Predictions:
    """Negative control: each covered example gets a class drawn uniformly, as a hard label.

    An answer is replaced by that of another covered example, drawn with replacement (it may read the same).

    Raises:
        InvalidInput: fewer than two examples have an answer.
    """
    rows = rows_by_id(labels)
    rng = context.rng("random_labels")
    if labels.answers is None:
        num_classes = labels.probabilities.shape[1]
        drawn = np.eye(num_classes)[rng.integers(num_classes, size=len(labels))]
        others = replace(labels, probabilities=drawn)
        return with_labels_from(labels, rows, others, np.arange(len(rows)), "random_labels")
    if len(rows) < 2:
        raise InvalidInput(
            f"transform 'random_labels': {labels.source} answers {len(rows)} examples; it needs two"
        )
    places = (np.arange(len(rows)) + rng.integers(1, len(rows), size=len(rows))) % len(rows)
    return with_labels_from(labels, rows, labels, rows[places], "random_labels")


def constant(
    labels: Predictions, context: TransformContext, *, class_index: Annotated[int, AtLeast(0)]
) -> Predictions:
    """Negative control: the same hard label, class `class_index` (from 0), for every covered example.

    Raises:
        InvalidInput: the labels are answers, or have no such class.
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


transforms.add("shuffle", Transform(shuffle))
transforms.add("random_labels", Transform(random_labels))
transforms.add("constant", Transform(constant, needs_probabilities=True))
