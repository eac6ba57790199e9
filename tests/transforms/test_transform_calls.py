"""What a transform of the user's own may do and return, as a run calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tiny import TinyWorld, Trained

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec import Call, WeakLabels
from raysweep.store import Store
from raysweep.transforms import Transform, TransformContext, apply_transform

LABELS = Predictions.of(["a", "b", "c"], [[0.2, 0.8], [0.8, 0.2], [0.4, 0.6]], "weak")


def own(apply: Callable[[Predictions], Any]) -> Transform:
    def transform(labels: Predictions, context: TransformContext) -> Any:
        return apply(labels)

    return Transform(transform)


def overwrite(labels: Predictions) -> Predictions:
    labels.probabilities[:] = 0.5
    return labels


def negate(labels: Predictions) -> Predictions:
    found = replace(labels, weight=labels.weight.copy())
    found.weight[0] = -1.0  # after the check of Predictions
    return found


REVERSED = own(lambda labels: labels.rows(np.array([2, 1, 0])))
LIST = own(lambda labels: labels.probabilities.tolist())
DROPPED = own(lambda labels: labels.rows(np.array([0, 2])))
RENAMED = own(lambda labels: replace(labels, ids=np.array(["a", "b", "x"])))
TWICE = own(lambda labels: replace(labels, ids=np.array(["a", "b", "b"])))
THREE = own(lambda labels: replace(labels, probabilities=np.full((len(labels), 3), 1 / 3)))
ANSWERS = own(lambda labels: Predictions.of_answers(labels.ids, ["x", "y", "z"], "own"))
HALVES = own(lambda labels: replace(labels, probabilities=labels.probabilities / 2))
NEGATIVE = own(negate)
OVERWRITTEN = own(overwrite)
LEAVES = own(lambda labels: sys.exit(0))
WEIGHTLESS = own(lambda labels: replace(labels, weight=np.zeros(len(labels))))


def refuse() -> Predictions:
    raise AssertionError("the ground truth was read")


def apply(name: str) -> Predictions:
    context = TransformContext(0, np.full(3, np.nan), refuse)
    return apply_transform(Call(f"test_transform_calls:{name}"), LABELS, context)


def test_the_same_ids_in_another_order_are_taken() -> None:
    assert apply("REVERSED").ids.tolist() == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("LIST", "returned a list; it must return Predictions"),
        ("DROPPED", "returned labels that lack 1 of the 3 ids and have 0 others; .* with covered=False"),
        ("RENAMED", "returned labels that lack 1 of the 3 ids and have 1 others"),
        ("TWICE", ": .*an example id occurs twice"),
        ("THREE", "returned labels over 3 classes; it must keep the 2 that it was given"),
        ("ANSWERS", "returned answers for probabilities"),
        ("HALVES", ": .*a row isn't a probability distribution"),
        ("NEGATIVE", "returned labels that can't be used: .*a weight is negative"),
        ("OVERWRITTEN", r"failed:(?s:.*)destination is read-only"),
        ("LEAVES", r"failed:(?s:.*)SystemExit: 0"),
    ],
)
def test_what_are_no_labels_is_refused_by_the_name_that_the_user_gave(name: str, told: str) -> None:
    before = LABELS.probabilities.tolist()
    with pytest.raises(InvalidInput, match=rf"^transform 'test_transform_calls:{name}' ?{told}"):
        apply(name)
    assert LABELS.probabilities.tolist() == before


def test_labels_whose_weights_are_all_0_end_a_run(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    """With a number of steps, not of epochs, it used to look for a batch for ever."""
    labels = WeakLabels(
        supervisor=tiny_world.supervisor, transforms=(Call("test_transform_calls:WEIGHTLESS"),)
    )
    spec = tiny_world.student(labels=labels)
    assert spec.optimization.steps
    told = "transform 'test_transform_calls:WEIGHTLESS' leaves 160 labelled examples, all of weight 0"
    with pytest.raises(InvalidInput, match=told):
        trained(spec, tiny_store)
