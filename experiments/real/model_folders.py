"""Model folders as transformers reads them: a BERT cut to its first layers, and a Llama out of a GGUF file.

A smaller relative of a model is its first layers: pretrained weights, the same tokenizer, less ability.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf_file import GgufFile

from raysweep import InvalidInput

LLAMA_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}
"""Names of weights in GGUF and in transformers, without what names the layer."""


def cut_bert(source: Path, target: Path, layers: int) -> None:
    """A folder with a BERT of the first layers of another one, and its tokenizer.

    Raises:
        InvalidInput: the other one has fewer layers.
    """
    from safetensors.numpy import load_file, save_file

    config = json.loads((source / "config.json").read_text())
    if config["num_hidden_layers"] < layers:
        raise InvalidInput(f"{source} has {config['num_hidden_layers']} layers, not {layers}")
    target.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copyfile(source / name, target / name)
    config.pop("_name_or_path", None)
    _write(target / "config.json", config | {"num_hidden_layers": layers})
    tensors = {
        name: values
        for name, values in load_file(source / "model.safetensors").items()
        if _layer(name) < layers and not name.endswith("position_ids")
    }
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})


def _layer(name: str) -> int:
    """The layer that a weight of a BERT belongs to; -1 outside of layers."""
    found = re.search(r"encoder\.layer\.(\d+)\.", name)
    return int(found[1]) if found else -1


def llama_of(file: GgufFile, target: Path, layers: int | None = None) -> None:
    """A folder with the Llama of a GGUF file, its weights rounded to float16, and its tokenizer.

    Args:
        file: what is read.
        target: the folder, which isn't there yet.
        layers: how many of its first layers; None for all.

    Raises:
        InvalidInput: the file has another architecture, fewer layers, or a tokenizer that isn't known here.
    """
    from safetensors.numpy import save_file

    if file.value("general.architecture") != "llama":
        raise InvalidInput(
            f"{file.path} has architecture {file.value('general.architecture')!r}, not 'llama'"
        )
    whole = file.value("llama.block_count")
    if layers is not None and whole < layers:
        raise InvalidInput(f"{file.path} has {whole} layers, not {layers}")
    tokenizer = smollm_tokenizer(file)
    config = llama_config(file, layers or whole)
    renamed = {
        new: _in_halves(file.tensor(name), config, name).astype(np.float16)
        for name in file.places
        if (new := llama_name(name, layers or whole))
    }
    target.mkdir(parents=True)
    _write(target / "config.json", config)
    save_file(renamed, target / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(target / "tokenizer.json"))
    _write(target / "tokenizer_config.json", tokenizer_config(file))


def llama_config(file: GgufFile, layers: int) -> dict[str, Any]:
    """The config.json of a Llama."""
    value = file.value
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": value("llama.embedding_length"),
        "intermediate_size": value("llama.feed_forward_length"),
        "num_hidden_layers": layers,
        "num_attention_heads": value("llama.attention.head_count"),
        "num_key_value_heads": value("llama.attention.head_count_kv"),
        "head_dim": value("llama.rope.dimension_count"),
        "hidden_act": "silu",
        # float32 in the file: 9.99999974e-06 is meant as 1e-5.
        "rms_norm_eps": float(f"{value('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": value("llama.rope.freq_base"),
        "max_position_embeddings": value("llama.context_length"),
        "tie_word_embeddings": "output.weight" not in file.places,
        "vocab_size": len(value("tokenizer.ggml.tokens")),
        "bos_token_id": value("tokenizer.ggml.bos_token_id"),
        "eos_token_id": value("tokenizer.ggml.eos_token_id"),
        "pad_token_id": value("tokenizer.ggml.padding_token_id"),
        "attention_bias": False,
        "mlp_bias": False,
        "dtype": "float16",
    }


def llama_name(name: str, layers: int) -> str | None:
    """The name in transformers of a weight in GGUF; None for a weight of a layer that is cut off.

    Raises:
        InvalidInput: a Llama has no such weight.
    """
    layer, _, own = re.fullmatch(r"(?:blk\.(\d+)(\.))?(.*)", name).groups()  # type: ignore[union-attr]
    if own not in LLAMA_NAMES:
        raise InvalidInput(f"a Llama has no weight {name!r}")
    if layer is None:
        return LLAMA_NAMES[own]
    return f"model.layers.{layer}.{LLAMA_NAMES[own]}" if int(layer) < layers else None


def _in_halves(tensor: npt.NDArray[np.float32], config: dict[str, Any], name: str) -> npt.NDArray[np.float32]:
    """A projection to queries or keys with its rows in the order of transformers: the first halves of a
    head's rotated pairs, then the second ones, which GGUF has next to each other. Other weights as they
    are."""
    heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
    kind = name.removesuffix(".weight").rpartition(".")[2]
    if kind not in heads:
        return tensor
    rows, columns = tensor.shape
    return tensor.reshape(config[heads[kind]], -1, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def smollm_tokenizer(file: GgufFile) -> Any:
    """The byte-pair encoding of SmolLM: as GPT-2's, but every digit is alone.

    Raises:
        InvalidInput: the file has another tokenizer.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind = (file.value("tokenizer.ggml.model"), file.value("tokenizer.ggml.pre"))
    if kind != ("gpt2", "smollm"):
        raise InvalidInput(f"{file.path} has the tokenizer {' '.join(kind)}; only that of SmolLM is read")
    tokens = file.value("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in file.value("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = file.value("tokenizer.ggml.token_type")
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def tokenizer_config(file: GgufFile) -> dict[str, Any]:
    """The tokenizer_config.json of SmolLM's tokenizer."""
    tokens = file.value("tokenizer.ggml.tokens")
    special = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": file.value("llama.context_length"),
        "clean_up_tokenization_spaces": False,
        "chat_template": file.value("tokenizer.chat_template"),
    } | {
        f"{name}_token": tokens[file.value(f"tokenizer.ggml.{word}_token_id")]
        for name, word in special.items()
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
