"""TODO."""

from __future__ import annotations

import numpy as np

from raysweep.data.examples import read_split
from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec import RunSpec, Unlabelled, WeakLabels
from raysweep.store import Store
from raysweep.transforms.base import Transform, TransformContext, transforms


def ground_truth(spec: RunSpec, split: str, store: Store) -> Predictions:
    """The task's own labels of a split. Only `measure` and runs on ground truth may ask for them."""
    if spec.task.kind == "generative":
        frame = read_split(spec.task, split, store, ["id", "target"])
        return Predictions.of_answers(frame["id"].tolist(), frame["target"].tolist(), "ground truth")
    frame = read_split(spec.task, split, store, ["id", "label"])
    return Predictions.one_hot(
        frame["id"].tolist(), frame["label"].to_numpy(dtype=int), spec.task.num_classes or 0
    )


def training_labels(spec: RunSpec, split: str, store: Store) -> Predictions:
    """What the run takes for true on a split: ground truth or its supervisor's predictions, after the
    transforms.

    Raises:
        InvalidInput: no example is left to train on, or the supervisor has another number of classes.
    """
    assert not isinstance(spec.labels, Unlabelled)
    if isinstance(spec.labels, WeakLabels):
        labels = store.run(spec.labels.supervisor.id).read_predictions(split)
    else:
        labels = ground_truth(spec, split, store)
    for call in spec.labels.transforms:
        transform = transforms.get(call.name)
        labels = transform.apply(labels, _context(spec, split, labels, transform, store), **call.params)
    if not labels.covered.any():
        raise InvalidInput(
            f"after the transforms, no example of split {split!r} has a weak label; loosen the filter"
        )
    if labels.answers is None and labels.probabilities.shape[1] != spec.task.num_classes:
        raise InvalidInput(
            f"the supervisor of this run predicts {labels.probabilities.shape[1]} classes, task "
            f"{spec.task.name!r} has {spec.task.num_classes}"
        )
    return labels


def _context(
    spec: RunSpec, split: str, labels: Predictions, transform: Transform, store: Store
) -> TransformContext:
    """What a transform may look at: difficulties, and the truth if it says that it reads it."""

    def truth() -> Predictions:
        if not transform.reads_ground_truth:
            raise InvalidInput(
                "a transform asked for ground truth; one that may must say so: "
                "Transform(reads_ground_truth=True)"
            )
        return ground_truth(spec, split, store).align(labels.ids)

    difficulties = read_split(spec.task, split, store, ["id", "difficulty"]).set_index("id")["difficulty"]
    difficulty = difficulties.loc[labels.ids.tolist()].to_numpy(np.float64)
    return TransformContext(spec.seed, difficulty, truth)
