"""Which examples form a step, how they are spread, padded and counted, and at which learning rate."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from raysweep.spec import Optimization
from raysweep.training.batching import evaluation_batches, global_batches, learning_rate, micro_batches
from raysweep.training.tokenized import TokenizedSplit


def test_the_fixed_order_is_the_split_s_own_epoch_after_epoch() -> None:
    batches = [batch.tolist() for batch in global_batches(5, 4, 3, "fixed", seed=7)]
    assert batches == [[0, 1, 2], [3, 4, 0], [1, 2, 3], [4, 0, 1]]


def test_a_batch_larger_than_the_data_takes_several_epochs() -> None:
    assert [batch.tolist() for batch in global_batches(2, 1, 5, "fixed", seed=0)] == [[0, 1, 0, 1, 0]]


def test_a_shuffled_epoch_holds_every_example_once_in_a_new_order() -> None:
    stream = np.concatenate(list(global_batches(12, 9, 4, "shuffled", seed=3)))
    epochs = stream.reshape(3, 12)
    for epoch in epochs:
        assert sorted(epoch) == list(range(12))
    assert len({tuple(epoch) for epoch in epochs} | {tuple(range(12))}) == 4


def test_batches_follow_from_the_seed() -> None:
    first, again, other = (
        np.concatenate(list(global_batches(20, 6, 4, "shuffled", seed))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("num_examples", "epochs", "batch_size", "steps"),
    [(160, 2.0, 32, 10), (160, 1.0, 48, 3), (100, 0.5, 32, 1), (31, 1.0, 32, 0)],
)
def test_the_number_of_steps_is_rounded_down(
    num_examples: int, epochs: float, batch_size: int, steps: int
) -> None:
    assert (
        Optimization(learning_rate=1e-3, epochs=epochs, batch_size=batch_size).num_steps(num_examples)
        == steps
    )


@pytest.mark.parametrize(("world_size", "micro_batch"), [(1, 12), (1, 3), (2, 6), (2, 2), (3, 4), (4, 1)])
def test_micro_batches_divide_a_global_batch_by_length(world_size: int, micro_batch: int) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, 50)
    batch = rng.permutation(50)[:12]
    ranks = [micro_batches(batch, lengths, micro_batch, rank, world_size) for rank in range(world_size)]
    assert all(len(rows) == micro_batch for parts in ranks for rows in parts)
    assert {len(parts) for parts in ranks} == {12 // (world_size * micro_batch)}
    assert sorted(itertools.chain.from_iterable(rows for parts in ranks for rows in parts)) == sorted(batch)
    # at each micro step, no rank holds an example that is longer than one of a later micro step
    steps = [np.concatenate([parts[step] for parts in ranks]) for step in range(len(ranks[0]))]
    for earlier, later in itertools.pairwise(steps):
        assert lengths[earlier].max() <= lengths[later].min()


@pytest.mark.parametrize(
    ("num_examples", "batch_size", "world_size"), [(10, 4, 1), (10, 4, 2), (3, 4, 2), (17, 2, 4), (8, 8, 3)]
)
def test_evaluation_visits_everything_once_and_ranks_go_in_step(
    num_examples: int, batch_size: int, world_size: int
) -> None:
    lengths = np.random.default_rng(1).integers(1, 9, num_examples)
    ranks = [evaluation_batches(lengths, batch_size, rank, world_size) for rank in range(world_size)]
    assert {len(batches) for batches in ranks} == {
        math.ceil(math.ceil(num_examples / batch_size) / world_size)
    }
    visited = Counter(int(row) for batches in ranks for rows in batches for row in rows)
    assert visited == Counter(range(num_examples))
    assert all(len(rows) <= batch_size for batches in ranks for rows in batches)
    assert (
        lengths[ranks[0][0][0]] == lengths.max()
    )  # the longest first: what doesn't fit into memory fails at once


def test_cosine_without_warmup_is_pytorchs() -> None:
    plan = Optimization(learning_rate=3e-3)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=37)
    for step in range(37):
        assert learning_rate(plan, step, 37) == pytest.approx(schedule.get_last_lr()[0], rel=1e-6, abs=1e-12)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schedule": "constant"}, [4, 4, 4, 4, 4, 4, 4, 4]),
        ({"schedule": "linear"}, [4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5]),
        ({"schedule": "linear", "warmup_fraction": 0.5}, [1, 2, 3, 4, 4, 3, 2, 1]),
        ({"schedule": "constant", "warmup_fraction": 0.25}, [2, 4, 4, 4, 4, 4, 4, 4]),
        ({"warmup_fraction": 0.5}, [1, 2, 3, 4, 4, 2 + math.sqrt(2), 2, 2 - math.sqrt(2)]),
        ({"warmup_fraction": 1.0}, [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]),
    ],
    ids=str,
)
def test_learning_rates_by_hand(changes: dict[str, Any], expected: list[float]) -> None:
    plan = Optimization(learning_rate=4.0, **changes)
    assert [learning_rate(plan, step, 8) for step in range(8)] == pytest.approx(expected)


def split_of(texts: list[list[int]], num_texts: int = 1) -> TokenizedSplit:
    """A split of texts in token numbers, `num_texts` of them to an example."""
    offsets = np.cumsum([0, *map(len, texts)])
    ids = np.array([f"example-{number}" for number in range(len(texts) // num_texts)])
    return TokenizedSplit(ids, np.concatenate(texts).astype(np.int32), offsets, num_texts)


def test_texts_are_padded_on_the_right_to_the_longest_of_the_batch() -> None:
    split = split_of([[5, 6, 7], [8], [9, 10], [11, 12, 13, 14]])
    inputs = split.collate(np.array([2, 0, 1]), 99, torch.device("cpu"))
    assert inputs["input_ids"].tolist() == [[9, 10, 99], [5, 6, 7], [8, 99, 99]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0]]
    assert inputs["input_ids"].dtype == inputs["attention_mask"].dtype == torch.int64


def test_the_mask_is_by_length_and_not_by_the_padding_token() -> None:
    split = split_of([[99, 5, 99], [5]])
    inputs = split.collate(np.array([0, 1]), 99, torch.device("cpu"))
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_both_texts_of_a_preference_come_one_after_the_other() -> None:
    split = split_of([[1], [2, 2], [3, 3, 3], [4]], num_texts=2)
    inputs = split.collate(np.array([1, 0]), 0, torch.device("cpu"))
    assert inputs["input_ids"].tolist() == [[3, 3, 3], [4, 0, 0], [1, 0, 0], [2, 2, 0]]
    assert split.lengths.tolist() == [2, 3] and split.num_tokens.tolist() == [3, 4]


def test_a_language_model_predicts_all_tokens_but_the_first() -> None:
    assert split_of([[5, 6, 7], [8], [9, 10]]).num_targets.tolist() == [2, 0, 1]
    assert split_of([[1, 2, 3], [4], [5, 6], [7, 8]], num_texts=2).num_targets.tolist() == [2, 2]


def test_only_what_continues_a_prompt_is_predicted() -> None:
    split = split_of([[5, 6, 7], [8]]).continued([[1], [2, 3]])
    assert split.tokens.tolist() == [5, 6, 7, 1, 8, 2, 3] and split.num_targets.tolist() == [1, 2]
    assert split.first_targets(np.array([1, 0])).tolist() == [1, 3]


def test_padding_on_the_left_leaves_the_end_of_each_prompt_last() -> None:
    inputs = split_of([[5, 6, 7], [8]]).collate(np.array([0, 1]), 0, torch.device("cpu"), pad_left=True)
    assert inputs["input_ids"].tolist() == [[5, 6, 7], [0, 0, 8]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]
