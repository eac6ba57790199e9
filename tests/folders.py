"""Tiny random models of several architectures in local folders, as `save_pretrained` writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tiny import WORDS
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from raysweep.models.tokenizers import make_tokenizer
from raysweep.spec import Call
from raysweep.tasks.sandbox import World

SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONTEXT = {"max_position_embeddings": 32}
# Every rate of dropout is set, so that a forgotten one is seen.
DECODERS: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    | {"resid_pdrop": 0.2, "embd_pdrop": 0.2, "attn_pdrop": 0.2},
    "llama": SIZE | CONTEXT | {"num_key_value_heads": 1, "attention_dropout": 0.2},
    "gpt_neox": SIZE | CONTEXT | {"attention_dropout": 0.2, "hidden_dropout": 0.2},
    "qwen2": SIZE | CONTEXT | {"num_key_value_heads": 1, "attention_dropout": 0.2},
    # transformers has no classifier of it
    "granite": SIZE | CONTEXT | {"num_key_value_heads": 1, "attention_dropout": 0.2},
}
ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "bert": SIZE | CONTEXT,
    "roberta": SIZE | {"max_position_embeddings": 40},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32} | CONTEXT,
    "deberta-v2": SIZE | CONTEXT,
    "modernbert": SIZE | CONTEXT | {"cls_token_id": 1, "sep_token_id": 1, "embedding_dropout": 0.2},
}
BODY_ONLY = ("modernbert",)  # saved without a head, so that its norm too is new
ARCHITECTURES = (*DECODERS, *ENCODERS)


def words() -> list[str]:
    return World(**WORDS).words  # type: ignore[arg-type]


def tiny_config(architecture: str) -> PreTrainedConfig:
    values = (DECODERS | ENCODERS)[architecture]
    special = {"vocab_size": len(words()) + 2, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}
    return AutoConfig.for_model(architecture, **special, **values)


def save_tiny_model(
    architecture: str,
    folder: Path,
    change: Callable[[PreTrainedModel, dict[str, torch.Tensor]], None] | None = None,
) -> Path:
    """Save a pretrained-looking model with a word-level tokenizer; `change` may spoil its tensors before they
    are written."""
    torch.manual_seed(0)
    auto = AutoModelForCausalLM if architecture in DECODERS else AutoModelForMaskedLM
    auto = AutoModel if architecture in BODY_ONLY else auto
    model = auto.from_config(tiny_config(architecture), dtype=torch.float32)
    tensors = dict(model.state_dict())
    if change:
        change(model, tensors)
    make_tokenizer(Call("word_level"), words(), folder)
    model.save_pretrained(folder, state_dict=tensors)
    return folder


def replace_tokenizer(folder: Path, **special_tokens: str) -> None:
    """Give a folder's tokenizer other special tokens."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **special_tokens)
    (folder / "tokenizer_config.json").unlink()
    tokenizer.save_pretrained(folder)
