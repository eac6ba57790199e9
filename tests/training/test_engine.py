"""DeepSpeed's engine; that resources change no result is in test_workers.py."""

from __future__ import annotations

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


@pytest.mark.parametrize("stage", [0, 3])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_activation_checkpointing_computes_blocks_again_in_the_backward_pass(
    checkpointing: bool, stage: int, tiny_world: TinyWorld
) -> None:
    spec = tiny_world.finetuning(optimization=Optimization(learning_rate=1e-2, batch_size=24))
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
