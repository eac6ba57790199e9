"""Labels are the task's own, or a transform's of what it may look at."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from raysweep.data.labels import require_usable, transformed, true_labels
from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec import Call, TaskSpec
from raysweep.transforms.base import Transform, TransformContext

TASK = TaskSpec(name="toy", content="0" * 16, kind="classification", num_classes=3)
ANSWERS = TaskSpec(name="toy", content="0" * 16, kind="generative", num_classes=0)
IDS = ["a", "b", "c"]
DIFFICULTY = pd.Series([2.0, np.nan, 1.0, 9.0], index=["c", "d", "b", "a"])
TRUTH = Predictions.one_hot(["d", "c", "b", "a"], [0, 1, 2, 1], 3)


def labels() -> Predictions:
    return Predictions.of(IDS, [[0.2, 0.3, 0.5], [0.8, 0.1, 0.1], [0.0, 1.0, 0.0]], "supervisor")


def _seen(labels: Predictions, context: TransformContext, truth: bool = False) -> Predictions:
    """Labels whose weights tell what the transform was given: the difficulties, or the true classes."""
    weight = context.truth().classes.astype(float) if truth else context.difficulty + context.seed
    return Predictions(labels.ids, labels.probabilities, weight, labels.covered, "seen")


SEEN = Transform(_seen)
SEEN_WITH_TRUTH = Transform(_seen, reads_ground_truth=True)


def refuse() -> Predictions:
    raise AssertionError("the ground truth was read")


def test_the_true_labels_of_classes_are_certain() -> None:
    examples = pd.DataFrame({"id": IDS, "label": pd.array([2, 0, 1], dtype="Int64")})
    truth = true_labels(examples, TASK)
    assert truth.ids.tolist() == IDS and truth.source == "ground truth"
    np.testing.assert_array_equal(truth.probabilities, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])


def test_the_true_labels_of_a_generative_task_are_its_answers() -> None:
    truth = true_labels(pd.DataFrame({"id": IDS, "target": ["x", "y z", ""]}), ANSWERS)
    assert truth.answers is not None and truth.answers.tolist() == ["x", "y z", ""]


def test_a_transform_sees_the_seed_and_the_difficulties_of_its_examples() -> None:
    found = transformed(labels(), Call("test_labels:SEEN"), 5, DIFFICULTY, refuse)
    assert found.weight.tolist() == [9 + 5, 1 + 5, 2 + 5]


def test_a_registered_transform_gets_its_parameters() -> None:
    found = transformed(labels(), Call("easiest", {"share": 0.34}), 0, DIFFICULTY, refuse)
    assert found.covered.tolist() == [False, True, False]  # b is the easiest of three


def test_only_a_transform_that_declares_it_reads_ground_truth() -> None:
    call = Call("test_labels:SEEN_WITH_TRUTH", {"truth": True})
    assert transformed(labels(), call, 0, DIFFICULTY, lambda: TRUTH).weight.tolist() == [1, 2, 1]
    with pytest.raises(InvalidInput, match=r"must say so: Transform\(reads_ground_truth=True\)"):
        transformed(labels(), Call("test_labels:SEEN", {"truth": True}), 0, DIFFICULTY, lambda: TRUTH)


def test_labels_that_nothing_can_be_trained_on_are_refused() -> None:
    require_usable(labels(), TASK, "transfer")
    require_usable(Predictions.of_answers(IDS, ["x", "y", "z"], "supervisor"), ANSWERS, "transfer")
    with pytest.raises(InvalidInput, match="the supervisor of this run predicts 3 classes, task 'toy' has 2"):
        require_usable(labels(), TaskSpec(name="toy", num_classes=2), "transfer")
    nothing = Predictions(labels().ids, labels().probabilities, np.ones(3), np.zeros(3, bool), "filter")
    with pytest.raises(InvalidInput, match="no example of split 'transfer' has a weak label"):
        require_usable(nothing, TASK, "transfer")
