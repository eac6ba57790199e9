"""Decoders for which transformers has no classifier get one that reads what their language model reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
)

from raysweep.models.architecture import adapted, auto_class

SIZE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "cohere2": SIZE,
    "granitemoe": SIZE | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "olmoe": SIZE | {"num_experts": 4, "num_experts_per_tok": 2},
    "glm4_moe": SIZE | EXPERTS | {"n_routed_experts": 4, "head_dim": 8},
    "llama4_text": SIZE | {"num_local_experts": 2, "head_dim": 8, "intermediate_size_mlp": 32},
    "qwen3_5_moe_text": SIZE
    | EXPERTS
    | {"num_hidden_layers": 4, "num_experts": 4, "head_dim": 8, "shared_expert_intermediate_size": 16}
    | {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8}
    | {"linear_value_head_dim": 8},
    "mamba": {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4},
    "rwkv": {"hidden_size": 16, "num_hidden_layers": 2, "attention_hidden_size": 16, "context_length": 32},
    "xglm": {"d_model": 16, "num_layers": 2, "attention_heads": 2, "ffn_dim": 32},
}


def config_of(architecture: str) -> PreTrainedConfig:
    special = {"vocab_size": 60, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}
    return AutoConfig.for_model(architecture, **(dict(CONFIGS[architecture]) | special))


@pytest.mark.parametrize("architecture", CONFIGS)
@torch.no_grad()
def test_a_classifier_reads_the_last_state_of_the_language_model(architecture: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    language_model = AutoModelForCausalLM.from_config(config_of(architecture), dtype=torch.float32).eval()
    language_model.save_pretrained(tmp_path)
    config = adapted(AutoConfig.from_pretrained(tmp_path), 0, 3, dropout=False)
    auto = auto_class("classes", config)
    model, report = auto.from_pretrained(
        tmp_path, config=config, dtype=torch.float32, output_loading_info=True
    )
    assert report["missing_keys"] == {"score.weight"}

    texts = torch.tensor([[5, 9, 2, 7, 7, 3], [8, 1, 0, 0, 0, 0], [4, 4, 4, 2, 0, 0]])
    logits = model.eval()(input_ids=texts, attention_mask=(texts != 0).long(), use_cache=False).logits
    for row, length in enumerate((6, 2, 4)):
        alone = texts[row : row + 1, :length]
        states = language_model(input_ids=alone, output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(logits[row], model.score(states[0, -1]), atol=1e-6, rtol=1e-5)


def test_what_a_classifier_saves_is_loaded_again(tmp_path: Path) -> None:
    config = adapted(config_of("cohere2"), 0, 3, dropout=False)
    model = auto_class("classes", config).from_config(config).eval()
    model.save_pretrained(tmp_path)
    loaded = auto_class("classes", config).from_pretrained(tmp_path).eval()
    texts = torch.tensor([[5, 9, 2], [8, 1, 0]])
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=texts).logits, model(input_ids=texts).logits)
    assert model.config.architectures == ["Cohere2ForSequenceClassification"]


@pytest.mark.parametrize("architecture", ["llama", "marian", "fnet"])
def test_other_architectures_keep_what_transformers_has(architecture: str) -> None:
    config = AutoConfig.for_model(architecture)
    before = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    auto_class("classes", config)
    assert MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None) is before
    assert (before is None) == (architecture == "marian")
