"""The memory that a run is said to need: by hand for a GPT-2 of known size, and against tensors that are
really there."""

from __future__ import annotations

import gc
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TinyWorld

from raysweep import HeadOnly, Lora, Prompting
from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.spec import Optimization, RunSpec
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.training.engine import Engine, process_group
from raysweep.training.memory import CONTEXT_BYTES, Footprint, footprint
from raysweep.training.model import build_model, meta_model
from raysweep.training.parameters import ParameterCounts
from raysweep.training.process import clean_process
from raysweep.training.sharding import Sharding

GPT2 = Footprint(  # with a classifier's head of two classes
    tuning="Full",
    precision="float32",
    num_parameters=124_441_344,
    num_trained=124_441_344,
    num_layers=12,
    width=768,
    inner=3072,
    vocabulary=0,
    texts=8,
    tokens=100,
    evaluation_texts=16,
    evaluation_tokens=100,
    is_generative=False,
    num_workers=1,
    zero_stage=0,
    offload_optimizer=False,
    offload_parameters=False,
    activation_checkpointing=False,
)
LAYER = 8 * 100 * (11 * 768 + 5 * 3072 + 100)
"""Elements of one layer's activations: 19,126,400."""


def test_a_gpt2_by_hand() -> None:
    assert GPT2.state_bytes() == 16 * 124_441_344  # value, gradient, two moments, 4 bytes each
    assert GPT2.training_bytes() == 13 * 19_126_400 * 4
    assert GPT2.evaluation_bytes() == 2 * 19_126_400 * 4
    assert GPT2.num_bytes() == CONTEXT_BYTES + round(1.1 * (1_991_061_504 + 994_572_800)) == 4_357_939_558


@pytest.mark.parametrize(("texts", "gigabytes"), [(8, 118), (4, 73)])
def test_gpt2_xl_fits_80_gb_only_with_small_micro_batches(texts: int, gigabytes: float) -> None:
    """As experiments/nlp.py says: 48 layers of width 1,600 and texts of 1,024 tokens, in float32."""
    states = 16 * 1_557_611_200
    layer = texts * 1_024 * (11 * 1_600 + 5 * 6_400 + 1_024) * 4
    expected = CONTEXT_BYTES + 1.1 * (states + 49 * layer)
    large = replace(
        GPT2,
        num_parameters=1_557_611_200,
        num_trained=1_557_611_200,
        num_layers=48,
        width=1_600,
        inner=6_400,
        texts=texts,
        tokens=1_024,
        evaluation_texts=64,
        evaluation_tokens=1_024,
    )
    assert large.num_bytes() == pytest.approx(expected) == pytest.approx(gigabytes * 1e9, rel=0.01)


def test_bfloat16_halves_activations_and_adds_float32_copies() -> None:
    low = replace(GPT2, precision="bfloat16", zero_stage=2)
    # The bucket holds all gradients of a model below 500 million; they are summed in float32.
    assert low.training_bytes() == GPT2.training_bytes() / 2 + (2 + 4) * 124_441_344
    assert low.state_bytes() == (2 + 4 + 4 + 8) * 124_441_344  # value, gradient, copy, moments
    assert low.step_bytes() == GPT2.step_bytes() == 0
    assert replace(GPT2, zero_stage=2).step_bytes() == 4 * 124_441_344


@pytest.mark.parametrize(
    ("stage", "offload", "gigabytes"),
    [
        (2, {}, 14 + 28 / 4 + 7 * 12 / 4),
        (2, {"offload_optimizer": True}, 14 + 28 / 4),
        (3, {}, 14 / 4 + 2 + 28 / 4 + 7 * 12 / 4),
        (3, {"offload_optimizer": True, "offload_parameters": True}, 2 + 28 / 4),
    ],
)
def test_zero_divides_seven_billion_parameters_among_four(
    stage: int, offload: dict[str, bool], gigabytes: float
) -> None:
    sizes: dict[str, Any] = {
        "num_parameters": 7_000_000_000,
        "num_trained": 7_000_000_000,
        "precision": "bfloat16",
    }
    wide = replace(GPT2, **sizes, zero_stage=stage, num_workers=4, **offload)
    assert wide.state_bytes() == pytest.approx(1e9 * gigabytes)
    assert wide.step_bytes() == (7e9 if stage == 3 and not offload else 0)
    assert wide.training_bytes() == GPT2.training_bytes() / 2 + 6 * 500_000_000  # a full bucket


def test_frozen_parameters_have_neither_gradients_nor_moments() -> None:
    adapted = replace(GPT2, tuning="Lora", num_trained=1_000_000)
    assert adapted.state_bytes() == 4 * 124_441_344 + 12 * 1_000_000
    assert adapted.training_bytes() == GPT2.training_bytes()
    probe = replace(GPT2, tuning="HeadOnly", num_trained=1_536)
    assert probe.training_bytes() == 4 * LAYER  # nothing is kept for a backward pass


def test_logits_of_a_vocabulary_and_answers_count() -> None:
    reads = replace(GPT2, vocabulary=50_257)
    assert reads.training_bytes() - GPT2.training_bytes() == 800 * 50_257 * 12
    assert reads.evaluation_bytes() - GPT2.evaluation_bytes() == 1_600 * 50_257 * 8
    writes = replace(reads, is_generative=True)  # one token of each text at a time
    cache = 2 * 12 * 16 * 100 * 768 * 4  # keys and values of all layers
    assert writes.evaluation_bytes() - GPT2.evaluation_bytes() == 16 * 50_257 * 8 + cache
    kept = replace(GPT2, tuning="Features")  # hidden states of all layers, counted as keys and values are
    assert kept.evaluation_bytes() - GPT2.evaluation_bytes() == cache
    low = replace(reads, precision="bfloat16", zero_stage=2)
    assert low.training_bytes() == GPT2.training_bytes() / 2 + 6 * 124_441_344 + 800 * 50_257 * 16


def test_checkpointing_keeps_each_layers_input_and_one_layer() -> None:
    less = replace(GPT2, activation_checkpointing=True)
    assert less.training_bytes() == (12 * 800 * 768 + 2 * LAYER) * 4


def storages() -> dict[int, torch.UntypedStorage]:
    """Where tensors' values are, by address; what is kept of them keeps addresses from being given again."""
    gc.collect()
    found = [
        item for item in gc.get_objects() if isinstance(item, torch.Tensor) and item.device.type == "cpu"
    ]
    found += [
        item.grad for item in found if item.is_leaf and item.grad is not None
    ]  # Python may not have met them
    return {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in found}


@pytest.mark.parametrize(
    ("precision", "stage"), [("float32", 0), ("float32", 2), ("bfloat16", 0), ("bfloat16", 2)]
)
def test_states_and_activations_are_those_of_a_gpt2_that_trains(
    precision: Any, stage: Any, tiny_world: TinyWorld
) -> None:
    spec = tiny_world.finetuning()
    store = Store(tiny_world.folder)
    spec = replace(spec, optimization=Optimization(learning_rate=1e-2, batch_size=16, precision=precision))
    resources = Resources(micro_batch_size=16, zero_stage=stage)
    said = footprint(RunInputs(spec, store), resources)
    held_while_training(
        spec, resources, store, said.tokens
    )  # what libraries make once and keep isn't the run's
    states, activations = held_while_training(spec, resources, store, said.tokens)
    assert said.num_parameters == said.num_trained
    assert 0.98 * said.state_bytes() <= states <= 1.05 * said.state_bytes()
    without = replace(said, zero_stage=0)  # a bucket isn't activations
    layers = (
        without.training_bytes() * said.num_layers / (said.num_layers + 1)
    )  # the rest is a layer's gradients
    assert layers / 1.5 <= activations <= 1.1 * layers


def held_while_training(
    spec: RunSpec, resources: Resources, store: Store, num_tokens: int
) -> tuple[int, int]:
    """Bytes of states after two steps, and of what autograd keeps of 16 texts beside parameters and
    buffers."""
    with clean_process(), process_group(on_gpu=False):
        before = storages()
        model = build_model(RunInputs(spec, store), Sharding(None))
        with closing(Engine(model, spec.optimization, resources)) as engine:
            ids = torch.full((16, num_tokens), 3)
            kept: dict[int, int] = {}

            def keep(tensor: torch.Tensor) -> torch.Tensor:
                kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
                tensors.append(tensor)
                return tensor

            tensors: list[torch.Tensor] = []
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                logits = engine.forward(input_ids=ids, attention_mask=torch.ones_like(ids))
            own = {
                item.untyped_storage().data_ptr()
                for item in [*engine.module.parameters(), *engine.module.buffers()]
            }
            activations = sum(size for place, size in kept.items() if place not in own)
            tensors.clear()
            engine.backward(logits.square().sum())
            engine.step(1e-2)
            logits = engine.forward(input_ids=ids, attention_mask=torch.ones_like(ids))
            engine.backward(logits.square().sum())  # a step's end lets go of gradients
            del logits, ids
            states = sum(item.nbytes() for place, item in storages().items() if place not in before)
            del model
    return states, activations


@pytest.mark.parametrize("tuning", [Lora(rank=2), HeadOnly(), Prompting(words=("yes", "no"))], ids=str)
def test_parameters_are_counted_on_what_would_be_built(
    tuning: Any, tiny_world: TinyWorld, tmp_path: Path
) -> None:
    spec = tiny_world.finetuning(model=replace(tiny_world.model, tuning=tuning))
    store = tiny_world.copy(tmp_path / "store")
    model = build_model(RunInputs(spec, store), Sharding(None))
    real = {name: (item.shape, item.requires_grad) for name, item in model.named_parameters()}
    empty = meta_model(RunInputs(spec, store))
    assert {name: (item.shape, item.requires_grad) for name, item in empty.named_parameters()} == real
    assert all(item.is_meta for item in empty.parameters())
    said = footprint(RunInputs(spec, store), Resources())
    used = {name: size.numel() for name, (size, _) in real.items() if ".original_module." not in name}
    trained = (
        0 if isinstance(tuning, Prompting) else sum(size for name, size in used.items() if real[name][1])
    )
    assert (said.num_parameters, said.num_trained) == (sum(used.values()), trained)
    assert (
        footprint(RunInputs(spec, store), Resources(), ParameterCounts(sum(used.values()), trained)) == said
    )
    assert said.texts == (0 if isinstance(tuning, Prompting) else 16) and said.evaluation_texts == 64
    assert Footprint(**asdict(said)) == said


def test_lengths_are_those_of_the_longest_texts(tiny_world: TinyWorld) -> None:
    spec = tiny_world.finetuning()
    store = Store(tiny_world.folder)
    said = footprint(RunInputs(spec, store), Resources(micro_batch_size=4, evaluation_batch_size=7))
    longest = max(
        len(text[0].split()) for text in read_split(spec.task, "supervisor", store, ["texts"])["texts"]
    )
    assert (said.texts, said.tokens, said.evaluation_texts, said.evaluation_tokens) == (
        4,
        longest,
        7,
        longest,
    )
    assert (said.width, said.inner, said.num_layers, said.vocabulary) == (16, 64, 2, 0)
    reads = tiny_world.model.base
    assert isinstance(reads, RunSpec)
    assert footprint(RunInputs(reads, Store(tiny_world.folder)), Resources()).vocabulary > 40


def test_auto_is_for_one_process() -> None:
    assert Resources(gpus_per_worker="auto").num_gpus == 1
    with pytest.raises(InvalidInput, match='"auto" only with num_workers of 0 or 1'):
        Resources(gpus_per_worker="auto", num_workers=2)
    with pytest.raises(InvalidInput, match="a number of at least 0"):
        Resources(gpus_per_worker="all")  # type: ignore[arg-type]
