"""What `Resources` and the precision make of DeepSpeed; that they change no result is in test_workers.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import TinyWorld

from raysweep.data.inputs import RunInputs
from raysweep.spec import Optimization
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.training.engine import Engine, process_group
from raysweep.training.model import build_model
from raysweep.training.process import clean_process
from raysweep.training.sharding import sharded_loading
from raysweep.training.zero import deepspeed_config

PLAN = Optimization(learning_rate=1e-2, batch_size=24)


@pytest.mark.parametrize(
    ("resources", "micro_batch", "accumulation"),
    [
        ({}, 12, 2),  # None: as much as 16, if it divides the share
        ({"micro_batch_size": 4}, 4, 6),
        ({"num_workers": 2}, 12, 1),
        ({"num_workers": 3, "micro_batch_size": 2}, 2, 4),
    ],
    ids=str,
)
def test_micro_batches_and_accumulation_make_up_the_global_batch(
    resources: dict[str, Any], micro_batch: int, accumulation: int
) -> None:
    config = deepspeed_config(PLAN, Resources(**resources))
    assert config["train_batch_size"] == 24
    assert config["train_micro_batch_size_per_gpu"] == micro_batch
    assert config["gradient_accumulation_steps"] == accumulation


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_zero_offload_precision_and_clipping_reach_deepspeed(stage: int) -> None:
    plain = deepspeed_config(PLAN, Resources(zero_stage=stage))  # type: ignore[arg-type]
    assert plain["zero_optimization"]["stage"] == stage
    assert not {"offload_optimizer", "offload_param"} & plain["zero_optimization"].keys()
    assert (plain["bf16"]["enabled"], plain["gradient_clipping"]) == (False, 0)
    if stage:
        offloaded = deepspeed_config(
            PLAN, Resources(zero_stage=stage, offload_optimizer=True, offload_parameters=stage == 3)
        )  # type: ignore[arg-type]
        zero = offloaded["zero_optimization"]
        assert zero["offload_optimizer"] == {"device": "cpu"}
        assert zero.get("offload_param") == ({"device": "cpu"} if stage == 3 else None)
    plan = Optimization(learning_rate=1e-2, precision="bfloat16", gradient_clipping=0.3)
    low = deepspeed_config(plan, Resources(zero_stage=stage))  # type: ignore[arg-type]
    assert (low["bf16"]["enabled"], low["gradient_clipping"]) == (True, 0.3)


@pytest.mark.parametrize("stage", [0, 3])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_activation_checkpointing_computes_blocks_again_in_the_backward_pass(
    checkpointing: bool, stage: int, tiny_world: TinyWorld
) -> None:
    spec = tiny_world.finetuning(optimization=PLAN)
    resources = Resources(activation_checkpointing=checkpointing, zero_stage=stage)  # type: ignore[arg-type]
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    with clean_process(), process_group(on_gpu=False):
        with sharded_loading(spec.optimization, resources) as sharding:
            model = build_model(RunInputs(spec, Store(tiny_world.folder)), sharding)
        block: torch.nn.Module = model.transformer.h[0].mlp
        engine = Engine(model, spec.optimization, resources)
        engine.train_mode(True)
        block.register_forward_pre_hook(count)
        tokens = torch.randint(2, 30, (12, 5))
        loss = engine.forward(input_ids=tokens, attention_mask=torch.ones_like(tokens)).square().mean()
        assert calls == 1
        engine.backward(loss)
        assert calls == (2 if checkpointing else 1)
        engine.close()
