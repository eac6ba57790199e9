"""Pooling for the head of a whole model, against each architecture's own layers called one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tiny
import torch
from grid_helpers import small_model, small_sweep
from tiny import TinyWorld
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    RobertaConfig,
)

from raysweep import Full, HeadOnly, InvalidInput
from raysweep.planning.plan import make_plan
from raysweep.planning.validate import RunValidator
from raysweep.store import Store
from raysweep.training.pooling import pool_for_head

SIZES = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
CONFIGS = {
    "bert": BertConfig(vocab_size=20, **SIZES),
    "roberta": RobertaConfig(vocab_size=20, **SIZES),
    "distilbert": DistilBertConfig(vocab_size=20, dim=8, n_layers=2, n_heads=2, hidden_dim=8),
    "gpt2": GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2, pad_token_id=0),
}
HEADS: dict[str, Any] = {
    "bert": lambda model, state: model.classifier(torch.tanh(model.bert.pooler.dense(state))),
    "roberta": lambda model, state: model.classifier(state[:, None]),
    "distilbert": lambda model, state: model.classifier(torch.relu(model.pre_classifier(state))),
    "gpt2": lambda model, state: model.score(state),
}
IDS = torch.tensor([[5, 7, 3, 9, 11], [4, 8, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])


@pytest.mark.parametrize("name", CONFIGS)
def test_the_head_of_an_architecture_reads_the_mean(name: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(CONFIGS[name]).eval()
    with torch.no_grad():
        states = model.base_model(input_ids=IDS, attention_mask=MASK).last_hidden_state
        plain = model(input_ids=IDS, attention_mask=MASK).logits
        means = torch.stack([states[0].mean(dim=0), states[1, :2].mean(dim=0)])
        expected = HEADS[name](model, means)
        pool_for_head(model, "mean")
        found = model(input_ids=IDS, attention_mask=MASK).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert (found - plain).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "own"), [("bert", "first"), ("distilbert", "first"), ("gpt2", "last")])
def test_an_architectures_own_pooling_changes_nothing(name: str, own: Any) -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(CONFIGS[name]).eval()
    with torch.no_grad():
        plain = model(input_ids=IDS, attention_mask=MASK).logits
        pool_for_head(model, own)
        torch.testing.assert_close(model(input_ids=IDS, attention_mask=MASK).logits, plain, rtol=0, atol=1e-6)


def test_runs_with_pooling_and_frozen_embeddings_train(tiny_world: TinyWorld, tiny_store: Store) -> None:
    from safetensors.torch import load_file

    model = replace(tiny_world.model, pooling="mean", tuning=Full(freeze=("embeddings",)))
    run = tiny.train_run(tiny_world.finetuning(model=model), tiny_store, save_weights=True)
    plain = tiny.train_run(tiny_world.finetuning(), tiny_store, save_weights=True)
    before = load_file(tiny_store.run(tiny_world.model.base.id).model / "model.safetensors")  # type: ignore[union-attr]
    after, whole = (load_file(item.paths.model / "model.safetensors") for item in (run, plain))
    for name in ("transformer.wte.weight", "transformer.wpe.weight"):
        assert after[name].equal(before[name])
        assert not whole[name].equal(before[name])
    assert not after["transformer.h.0.attn.c_attn.weight"].equal(before["transformer.h.0.attn.c_attn.weight"])
    frozen = sum(before[f"transformer.{name}.weight"].numel() for name in ("wte", "wpe"))
    assert run.info["num_trainable_parameters"] == plain.info["num_trainable_parameters"] - frozen
    assert run.losses[-1] < run.losses[0]


def test_what_has_no_head_or_a_pooling_of_its_own_takes_none(store: Store) -> None:
    strong = small_model("strong", 6)
    with pytest.raises(InvalidInput, match="which has its own or none"):
        replace(strong.spec, pooling="mean", tuning=HeadOnly(layer=1))
    run = next(iter(make_plan(small_sweep(), store).runs.values()))
    pooling = replace(run.spec, model=replace(run.spec.model, pooling="mean"))
    assert pooling.kind == "text"
    with pytest.raises(InvalidInput, match="a run of kind 'text' has no head that reads a text as a whole"):
        RunValidator(store).check(replace(run, spec=pooling))
    with pytest.raises(InvalidInput, match=r"Full\.freeze is \('words',\); it must be a tuple, empty or"):
        Full(freeze=("words",))  # type: ignore[arg-type]
