"""The examples of a task, as the store holds them."""

from __future__ import annotations

import numpy as np
import pytest
from grid_helpers import small_task

from raysweep.data.examples import max_answer_tokens, read_split, split_sizes
from raysweep.data.pinning import Pinner
from raysweep.errors import CorruptFile, InvalidInput
from raysweep.spec import TaskSpec
from raysweep.store import Store
from raysweep.tasks.base import Example, Task


def load_sums() -> dict[str, list[Example]]:
    return {
        pool: [
            Example(
                id=f"{pool}-{number}",
                group=f"{pool}-{number}",
                texts=(f"{number} + 1 =",),
                target=str(number + 1),
            )
            for number in range(start, start + 30)
        ]
        for pool, start in (("train", 0), ("test", 100))
    }


SUMS = Task(
    name="sums",
    summary="Sums.",
    kind="generative",
    num_classes=0,
    load=load_sums,
    max_answer_tokens=5,
    num_train=10,
    num_validation=5,
    num_test=10,
)


def test_the_splits_of_a_task_are_kept_as_they_were_divided(store: Store) -> None:
    task = Pinner(store).task(small_task())
    assert list(split_sizes(task, store)) == ["supervisor", "transfer", "validation", "test"]
    assert split_sizes(task, store) == {"supervisor": 32, "transfer": 32, "validation": 20, "test": 40}
    frame = read_split(task, "test", store)
    assert list(frame.columns) == ["id", "group", "texts", "label", "difficulty", "target", "allowed"]
    assert sorted(frame["label"].unique()) == [0, 1] and frame["id"].is_unique
    with pytest.raises(
        InvalidInput, match="unknown split 'train' of task 'sandbox'; it has supervisor, transfer, validation"
    ):
        read_split(task, "train", store)


def test_only_the_wanted_columns_are_read(store: Store) -> None:
    task = Pinner(store).task(small_task())
    whole = read_split(task, "test", store)
    frame = read_split(task, "test", store, ["id", "difficulty"])
    assert list(frame.columns) == ["id", "difficulty"]
    np.testing.assert_array_equal(frame["difficulty"], whole["difficulty"])


def test_room_for_an_answer_is_that_of_a_generative_task(store: Store) -> None:
    sums = Pinner(store).task(TaskSpec(name="test_examples:SUMS"))
    assert max_answer_tokens(sums, store) == 5
    assert max_answer_tokens(Pinner(store).task(small_task()), store) == 0


def test_a_task_that_is_not_in_the_store_is_told(store: Store) -> None:
    with pytest.raises(
        CorruptFile, match="is missing or isn't what raysweep wrote; run the same command again"
    ):
        split_sizes(TaskSpec(name="gone", content="0" * 16), store)
