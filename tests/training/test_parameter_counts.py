"""Numbers of parameters are those of the architecture's arithmetic, both recorded by a run and expected
before it trains."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from raysweep.data.inputs import RunInputs
from raysweep.spec import Folder, Full, HeadOnly, Lora, ModelSpec, Prompting, RunSpec
from raysweep.store import Store
from raysweep.training.parameters import expected_parameters, parameters_without_head

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


def forget_counts(store: Store) -> None:
    """Delete what other tests have counted in the tiny world's store."""
    shutil.rmtree(store.model_size("").parent, ignore_errors=True)


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


@pytest.mark.parametrize(
    "tuning",
    [Full(), HeadOnly(), Lora(rank=4), Prompting(words=("ba", "de"))],
    ids=str,
)
def test_what_will_be_trained_is_expected_and_counted_once_for_a_store(
    tiny_world: tiny.TinyWorld, tiny_store: Store, tuning: Full | HeadOnly | Lora | Prompting
) -> None:
    forget_counts(tiny_store)
    inputs = RunInputs(tiny_world.finetuning(model=replace(tiny_world.model, tuning=tuning)), tiny_store)
    own = body(len(inputs.tokenizer))
    # Between width and 3, 1 and 4 times the width: queries, keys and values; their output; the MLP's two.
    adapters = NUM_LAYERS * 4 * ((1 + 3) + (1 + 1) + (1 + 4) + (4 + 1)) * WIDTH
    expected = {
        Full: (own + HEAD, own + HEAD),
        HeadOnly: (own + HEAD, HEAD),
        Lora: (own + HEAD + adapters, HEAD + adapters),
        Prompting: (own, 0),
    }
    assert expected_parameters(inputs) == expected[type(tuning)]
    (path,) = tiny_store.model_size("").parent.iterdir()
    path.write_text('{"num_parameters": 7, "num_trained": 3}')
    assert expected_parameters(inputs) == (7, 3)


def test_the_body_is_counted_without_head_and_adapters_once_for_a_store(
    tiny_world: tiny.TinyWorld, tiny_store: Store
) -> None:
    forget_counts(tiny_store)
    adapted = replace(tiny_world.model, tuning=Lora(rank=4))
    for spec in (tiny_world.finetuning(model=adapted), tiny_world.model.base, tiny_world.finetuning()):
        assert isinstance(spec, RunSpec)
        inputs = RunInputs(spec, tiny_store)
        assert parameters_without_head(inputs) == body(len(inputs.tokenizer))
    (path,) = tiny_store.model_size("").parent.iterdir()  # they share the architecture
    path.write_text('{"num_parameters": 7}')
    assert parameters_without_head(inputs) == 7


@pytest.mark.parametrize("has_safetensors", [True, False])
def test_the_body_of_a_folder_is_read_from_its_safetensors_if_it_has_some(
    has_safetensors: bool, tiny_world: tiny.TinyWorld, tiny_store: Store, tmp_path: Path
) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    config = GPT2Config(n_embd=4, n_layer=2, n_head=1, n_positions=8, vocab_size=11)
    model = GPT2ForSequenceClassification(config)
    model.save_pretrained(tmp_path)
    if not has_safetensors:
        (tmp_path / "model.safetensors").unlink()
    spec = tiny_world.finetuning(model=ModelSpec(name="folder", base=Folder(path=str(tmp_path), content="0")))
    # A block: attention 4·d² + 4·d, MLP 8·d² + 5·d, two norms 4·d. The head's 2·4 numbers aren't counted.
    layer = 12 * 4**2 + 13 * 4
    assert parameters_without_head(RunInputs(spec, tiny_store)) == 2 * layer + 2 * 4 + (11 + 8) * 4
