"""What forward passes are spared: the mask of padding on the right, and keys and values that nobody reads."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from folders import ARCHITECTURES, ENCODERS, tiny_config
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from raysweep.models.architecture import auto_class
from raysweep.training.forward import CAUSAL, ForwardInputs
from raysweep.training.pooling import pool_for_head

CPU = torch.device("cpu")
GPU: Any = SimpleNamespace(type="cuda")
SIZES: Mapping[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 32,
    "sliding_window": 4,
    "vocab_size": 30,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
OWN_NAMES: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "attn_pdrop": 0.0}
    | {"embd_pdrop": 0.0, "resid_pdrop": 0.0},
    "gptj": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "rotary_dim": 4},
    "gpt_neo": {"num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]]}
    | {"window_size": 4},
    "bloom": {"n_layer": 2, "n_head": 2},
    "mpt": {"d_model": 16, "n_layers": 2, "n_heads": 2},
    "opt": {"ffn_dim": 32, "num_attention_heads": 2, "word_embed_proj_dim": 16, "dropout": 0.0},
}
LENGTHS = torch.tensor([5, 12, 9, 12])
IDS = torch.randint(3, 30, (4, 12), generator=torch.Generator().manual_seed(0))
MASK = (torch.arange(12) < LENGTHS[:, None]).long()


def decoder(architecture: str, **changes: Any) -> Any:
    names = OWN_NAMES.get(architecture, {})
    sizes = {name: value for name, value in SIZES.items() if not names or "head" not in name}
    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **{**sizes, **names, **changes})
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def computed(model: torch.nn.Module, inputs: Mapping[str, Any]) -> list[torch.Tensor]:
    """The logits of real tokens, and the gradients of all parameters."""
    model.zero_grad()
    torch.manual_seed(0)
    logits = model(input_ids=IDS * MASK, **inputs).logits
    read = logits[MASK.bool()] if logits.dim() == 3 else logits
    read.square().mean().backward()
    return [read.detach(), *(item.grad.clone() for item in model.parameters() if item.grad is not None)]


@pytest.mark.parametrize("architecture", sorted(CAUSAL))
def test_a_causal_model_computes_the_same_without_mask_and_cache(architecture: str) -> None:
    model = decoder(architecture)
    chosen = ForwardInputs(model, GPU)({"attention_mask": MASK})
    assert "attention_mask" not in chosen
    assert not chosen.get("use_cache")
    for ours, masked in zip(computed(model, chosen), computed(model, {"attention_mask": MASK}), strict=True):
        torch.testing.assert_close(ours, masked, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_classifier_with_dropout_computes_the_same(dropout: float) -> None:
    rates = {"attn_pdrop": dropout, "resid_pdrop": dropout, "embd_pdrop": dropout}
    config = AutoConfig.for_model("gpt2", **SIZES, **{**OWN_NAMES["gpt2"], **rates})
    model = AutoModelForSequenceClassification.from_config(config).train()
    chosen = ForwardInputs(model, GPU)({"attention_mask": MASK})
    for ours, masked in zip(computed(model, chosen), computed(model, {"attention_mask": MASK}), strict=True):
        torch.testing.assert_close(ours, masked, rtol=1e-4, atol=1e-6)


def test_the_mask_is_kept_on_cpu() -> None:
    model = decoder("llama", num_key_value_heads=1)
    inputs = {"attention_mask": MASK}
    assert ForwardInputs(model, CPU)(inputs).keys() == {"attention_mask", "use_cache"}
    spared = ForwardInputs(model, GPU)(inputs)
    assert spared == {"use_cache": False} and inputs.keys() == {"attention_mask"}
    for ours, masked in zip(computed(model, spared), computed(model, inputs), strict=True):
        torch.testing.assert_close(ours, masked, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_takes_what_it_is_given(architecture: str) -> None:
    config = tiny_config(architecture)
    config.num_labels = 2
    model = auto_class("classes", config).from_config(config)
    chosen = ForwardInputs(model, GPU)({"input_ids": IDS * MASK, "attention_mask": MASK})
    returned = model(**chosen)
    assert returned.logits.shape == (4, 2) and getattr(returned, "past_key_values", None) is None
    assert ("attention_mask" in chosen) == (architecture in ENCODERS)


def test_adapters_are_looked_through() -> None:
    from peft import LoraConfig, get_peft_model

    config = AutoConfig.for_model("gpt2", **SIZES, **OWN_NAMES["gpt2"])
    model = AutoModelForSequenceClassification.from_config(config)
    adapted = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["c_attn"]))
    assert ForwardInputs(adapted, GPU)({"attention_mask": MASK}) == {"use_cache": False}


@pytest.mark.parametrize(
    ("architecture", "change"),
    [("llama", {"is_causal": False}), ("gemma3_text", {"use_bidirectional_attention": True})],
)
def test_a_model_that_is_causal_by_name_only_keeps_the_mask(
    architecture: str, change: Mapping[str, Any]
) -> None:
    model = decoder(architecture, **change)
    assert "attention_mask" in ForwardInputs(model, GPU)({"attention_mask": MASK})
    without, masked = (computed(model, inputs)[0] for inputs in ({}, {"attention_mask": MASK}))
    assert not torch.allclose(without, masked, atol=1e-4), "here the mask matters"


def test_a_model_whose_head_reads_pooled_states_keeps_the_mask() -> None:
    model = decoder("gpt2")
    pool_for_head(model, "mean")
    assert "attention_mask" in ForwardInputs(model, GPU)({"attention_mask": MASK})
