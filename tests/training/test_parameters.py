"""The number of parameters that a run records is the model's, by the architecture's arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny

from raysweep.data.inputs import RunInputs
from raysweep.spec import Full, HeadOnly, Lora, RunSpec
from raysweep.store import Store

WIDTH = 16
NUM_LAYERS = 2
NUM_POSITIONS = 16
NUM_CLASSES = 2
HEAD = NUM_CLASSES * WIDTH
"""GPT-2's classifier has no bias; its language model's output is its embedding and adds nothing."""


def body(num_words: int) -> int:
    """GPT-2's: embeddings of words and positions, blocks, last norm; each matrix with its bias, each norm
    with its shift."""
    attention = WIDTH * 3 * WIDTH + 3 * WIDTH + WIDTH * WIDTH + WIDTH
    feed_forward = WIDTH * 4 * WIDTH + 4 * WIDTH + 4 * WIDTH * WIDTH + WIDTH
    block = attention + feed_forward + 2 * 2 * WIDTH
    return num_words * WIDTH + NUM_POSITIONS * WIDTH + NUM_LAYERS * block + 2 * WIDTH


def counts(spec: RunSpec, store: Store) -> tuple[int, int]:
    info = store.run(spec.id).read_result()["info"]
    return info["num_parameters"], info["num_trainable_parameters"]


def test_a_pretraining_counts_tied_embeddings_once(tiny_world: tiny.TinyWorld) -> None:
    pretraining = tiny_world.model.base
    store = Store(tiny_world.folder)
    assert isinstance(pretraining, RunSpec)
    num_words = len(RunInputs(pretraining, store).tokenizer)
    assert counts(pretraining, store) == (body(num_words),) * 2


@pytest.mark.parametrize("zero_stage", [0, 3])
@pytest.mark.parametrize("tuning", [Full(), HeadOnly(), Lora(rank=4, target_modules=("c_attn",))], ids=str)
def test_a_finetuning_counts_head_and_adapters_and_what_is_trained(
    tiny_world: tiny.TinyWorld, tiny_store: Store, tuning: Full | HeadOnly | Lora, zero_stage: int
) -> None:
    spec = tiny_world.finetuning(model=replace(tiny_world.model, tuning=tuning))
    tiny.train_run(spec, tiny_store, zero_stage=zero_stage)
    whole = body(len(RunInputs(spec, tiny_store).tokenizer)) + HEAD
    adapters = NUM_LAYERS * (WIDTH * 4 + 4 * 3 * WIDTH)
    expected = {Full: (whole, whole), HeadOnly: (whole, HEAD), Lora: (whole + adapters, HEAD + adapters)}
    assert counts(spec, tiny_store) == expected[type(tuning)]
