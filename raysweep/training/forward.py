"""What a forward pass is given beside tokens, so that it computes and keeps no more than is read of it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from raysweep.training.pooling import pools_for_head

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

CAUSAL = frozenset(
    [
        "bloom",
        "cohere",
        "cohere2",
        "ernie4_5",
        "exaone4",
        "gemma",
        "gemma2",
        "gemma3_text",
        "glm4",
        "gpt2",
        "gpt_neo",
        "gpt_neox",
        "gptj",
        "granite",
        "helium",
        "llama",
        "ministral",
        "mistral",
        "mpt",
        "nemotron",
        "olmo",
        "olmo2",
        "olmo3",
        "opt",
        "phi",
        "phi3",
        "qwen2",
        "qwen3",
        "smollm3",
        "stablelm",
        "starcoder2",
    ]
)
"""Architectures (`model_type`) in which no token sees a later one, so that padding after a text changes
nothing before it. Mixtures of experts aren't named: padding takes places of an expert's batch."""


def _is_causal(model: Any) -> bool:
    """Whether no token of a model sees a later one: its configuration may say otherwise than its name."""
    configs = (model.config, model.config.get_text_config())
    return model.config.model_type in CAUSAL and not any(
        getattr(config, "is_causal", True) is False or getattr(config, "use_bidirectional_attention", False)
        for config in configs
    )


class ForwardInputs:
    """Prepares the inputs of a model's forward passes over texts that are padded on the right."""

    def __init__(self, model: PreTrainedModel, device: torch.device) -> None:
        body: Any = model
        base = body.get_base_model() if hasattr(body, "get_base_model") else body
        self._takes_cache = "use_cache" in inspect.signature(base.forward).parameters
        # On CPUs the kernels without a mask round otherwise on some machines (AVX2) and for some models, and
        # numbers stay the same to the last bit.
        self._needs_mask = device.type == "cpu" or not _is_causal(base) or pools_for_head(base)

    def __call__(self, inputs: dict[str, Tensor]) -> dict[str, Tensor | bool]:
        """The inputs without what isn't needed.

        - On a GPU, a causal model needs no mask for padding on the right, whose outputs nobody reads. Without
          one, the fast kernels of attention apply, and none is made from it, for which a GPU waits for the
          host.
        - Keys and values of all layers, which models return by default, are only of use for generating.
        """
        chosen: dict[str, Tensor | bool] = dict(inputs)
        if not self._needs_mask:
            del chosen["attention_mask"]
        if self._takes_cache:
            chosen["use_cache"] = False
        return chosen
