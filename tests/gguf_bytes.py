"""GGUF files for tests, byte by byte; among them a Llama of transformers, as llama.cpp converts it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

GGUF_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def typed(value: Any) -> bytes:
    """A value with its type before it: a text, a list of one type, a truth, a float32 or a uint32."""
    if isinstance(value, list):
        return struct.pack("<I", 9) + typed(value[0])[:4] + struct.pack("<Q", len(value)) + _items(value)
    kind, body = (
        (8, text(value))
        if isinstance(value, str)
        else (7, struct.pack("<?", value))
        if isinstance(value, bool)
        else (6, struct.pack("<f", value))
        if isinstance(value, float)
        else (4, struct.pack("<I", value))
    )
    return struct.pack("<I", kind) + body


def _items(values: list[Any]) -> bytes:
    return b"".join(typed(value)[4:] for value in values)


def gguf(values: Mapping[str, Any], tensors: Mapping[str, tuple[tuple[int, ...], int, bytes]]) -> bytes:
    """A file of version 3. Tensors are (shape, type, bytes); shapes are written from the last dimension."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    head += b"".join(text(name) + typed(value) for name, value in values.items())
    body = b""
    for name, (shape, kind, content) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        head += struct.pack("<IQ", kind, len(body))
        body += content + bytes(-len(content) % 32)
    return head + bytes(-len(head) % 32) + body


def llama_bytes(model: Any, tokens: list[str], merges: list[str]) -> bytes:
    """A Llama with tied embeddings, in float32, with a tokenizer of SmolLM's kind whose first token is
    special."""
    config = model.config
    values = {
        "general.architecture": "llama",
        "llama.block_count": config.num_hidden_layers,
        "llama.context_length": config.max_position_embeddings,
        "llama.embedding_length": config.hidden_size,
        "llama.feed_forward_length": config.intermediate_size,
        "llama.attention.head_count": config.num_attention_heads,
        "llama.attention.head_count_kv": config.num_key_value_heads,
        "llama.attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "llama.rope.dimension_count": config.head_dim,
        "llama.rope.freq_base": 10_000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] + [1] * (len(tokens) - 1),
        "tokenizer.ggml.merges": merges,
        "tokenizer.chat_template": "{{ messages }}",
    } | {f"tokenizer.ggml.{name}_token_id": 0 for name in ("bos", "eos", "padding", "unknown")}
    tensors = {}
    for name, parameter in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        layer, own = name.split(".", 3)[2:] if ".layers." in name else ("", name)
        weight = parameter.numpy()
        if "q_proj" in name or "k_proj" in name:
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            weight = next_to_each_other(weight, heads)
        renamed = f"blk.{layer}.{GGUF_NAMES[own]}" if layer else GGUF_NAMES[own]
        tensors[renamed] = (weight.shape, 0, np.ascontiguousarray(weight, "<f4").tobytes())
    return gguf(values, tensors)


def next_to_each_other(weight: npt.NDArray[Any], heads: int) -> npt.NDArray[Any]:
    """Rows as llama.cpp's converter orders them: row i of a head's first half, then row i of its second."""
    size = len(weight) // heads
    order = [
        head * size + half * size // 2 + row
        for head in range(heads)
        for row in range(size // 2)
        for half in (0, 1)
    ]
    return weight[order]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
