"""Labels to train on: the task's own labels, and transforms of labels. Pure functions; `RunInputs` reads what
they take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec import Call, TaskSpec
from raysweep.transforms import TransformContext, apply_transform, transforms


def true_labels(examples: pd.DataFrame, task: TaskSpec) -> Predictions:
    """A task's own labels of examples.

    Args:
        examples: columns id and label (class numbers), or id and target for a generative task.
        task: the pinned task.
    """
    ids = examples["id"].tolist()
    if task.kind == "generative":
        return Predictions.of_answers(ids, examples["target"].tolist(), "ground truth")
    return Predictions.one_hot(ids, examples["label"].to_numpy(dtype=int), task.num_classes or 0)


def transformed(
    labels: Predictions, call: Call, seed: int, difficulty: pd.Series, truth: Callable[[], Predictions]
) -> Predictions:
    """Labels after a transform.

    Args:
        labels: of a split, or of a part of it.
        call: the transform and its parameters.
        seed: of the run that is trained on the labels.
        difficulty: of the split's examples by id; larger is harder, NaN where unknown.
        truth: reads the split's ground truth. Called only if the transform declares that it reads it.

    Raises:
        InvalidInput: the transform asks for ground truth without declaring it; see also `apply_transform`.
    """
    transform = transforms.get(call.name)

    def aligned_truth() -> Predictions:
        if not transform.reads_ground_truth:
            raise InvalidInput(
                "a transform asked for ground truth; one that may must say so: "
                "Transform(reads_ground_truth=True)"
            )
        return truth().align(labels.ids)

    aligned = difficulty.loc[labels.ids.tolist()].to_numpy(np.float64)
    return apply_transform(call, labels, TransformContext(seed, aligned, aligned_truth))


def require_usable(labels: Predictions, task: TaskSpec, split: str) -> None:
    """Check that a run on a task can be trained on labels of a split.

    Raises:
        InvalidInput: they cover no example, or are over another number of classes.
    """
    if not labels.covered.any():
        raise InvalidInput(
            f"no example of split {split!r} has a weak label after transforms and rules; loosen the filter"
        )
    if labels.answers is None and labels.probabilities.shape[1] != task.num_classes:
        raise InvalidInput(
            f"the supervisor of this run predicts {labels.probabilities.shape[1]} classes, task "
            f"{task.name!r} has {task.num_classes}"
        )
