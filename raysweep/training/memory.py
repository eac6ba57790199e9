"""How much GPU memory a run needs, estimated before it trains.

The most that a run needs is the sum of
- **model states** (Rajbhandari et al. 2020, ZeRO, arXiv 1910.02054, section 3.1): the value of each
  parameter; for each trained one also its gradient and Adam's two moments in float32, and where ZeRO is used
  (in bfloat16 always, see `zero`) a float32 copy of the value. ZeRO divides these among the workers according
  to its stage; offloading moves all but the gradients to the CPU.
- under ZeRO, the bucket in which gradients are reduced, in bfloat16 with a float32 copy, and at the end of a
  step a copy of the gradients (not in bfloat16 at stage 2).
- **activations** of one micro batch (counted as in Korthikanti et al. 2022, arXiv 2205.05198, section 4.1):
  per layer and token, 11·width + 5·inner + length elements. These are norms, residuals, queries, keys, values
  and the output of attention; the inner layer of the MLP, which both GELU written in Python and a gated MLP
  save four times; and a row of the attention mask, of which each layer keeps its own. Attention is assumed to
  be fused, so that no matrix is kept per head. For GPT-2, Llama, Qwen2, GPT-NeoX, BERT and OPT this is 1.0 to
  2.4 times what autograd saves (counted on 2026-11-21).
- or, if larger, an **evaluation batch**: activations of one layer, and, where answers are generated, keys and
  values of all layers;
- in both, **logits** where a vocabulary is predicted, with their float32 copy, logarithm and gradient;
- a tenth more for memory that the allocator can't reuse (`SLACK`), and `CONTEXT_BYTES`.

A model that isn't trained below its head keeps no activations. Batches of labels are left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.spec import Features, Prompting
from raysweep.spec.resources import Resources
from raysweep.training.history import History
from raysweep.training.parameters import ParameterCounts, expected_parameters
from raysweep.training.zero import STAGE_3_LIMITS, bucket_size, effective_stage

if TYPE_CHECKING:
    from transformers import PretrainedConfig

CONTEXT_BYTES = 2**30
"""Memory of a process that uses a GPU beside what torch's allocator holds: CUDA's context, and kernels and
workspaces of cuBLAS and NCCL. An assumption, not measured here: several hundred MiB are commonly seen on an
H100, more with NCCL."""
SLACK = 1.1
"""Ratio of what torch's allocator holds to what tensors need."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What the memory of a run depends on. Runs with equal footprints need equally much."""

    tuning: str
    """"Full", "Lora", "HeadOnly" or "Prompting"."""
    precision: str
    num_parameters: int
    """Of the whole model, its head included."""
    num_trained: int
    num_layers: int
    width: int
    inner: int
    """Width of the MLP's inner layer."""
    vocabulary: int
    """Number of logits per token; 0 where classes or scores are predicted."""
    texts: int
    """Texts in a micro batch; 0 where nothing is trained."""
    tokens: int
    """Tokens of the longest of them."""
    evaluation_texts: int
    evaluation_tokens: int
    """Tokens of the longest evaluated text, with the answer that is generated after it."""
    is_generative: bool
    """Whether an evaluation generates answers."""
    num_workers: int
    zero_stage: int
    """The effective one: see `raysweep.training.zero`."""
    offload_optimizer: bool
    offload_parameters: bool
    activation_checkpointing: bool

    @property
    def size(self) -> int:
        """Bytes of a parameter or an activation."""
        return 2 if self.precision == "bfloat16" else 4

    def state_bytes(self) -> float:
        """Parameters, gradients and optimizer states of one worker."""
        whole = self.num_parameters
        trained = self.num_trained
        share = 1 / self.num_workers
        if self.zero_stage == 0:
            return whole * self.size + trained * (4 + 8)
        found = 0.0
        if self.zero_stage == 3:
            held = 0 if self.offload_parameters else share
            live = min(whole, STAGE_3_LIMITS["stage3_max_live_parameters"]) if held < 1 else 0
            found += (whole * held + live) * self.size
        else:
            found += whole * self.size
        found += trained * 4 * (share if self.zero_stage > 1 else 1)
        if not self.offload_optimizer:
            found += trained * share * (4 + 8)
        return found

    def step_bytes(self) -> float:
        """What the end of a step needs, when no activations are kept."""
        sums_are_flat = self.precision == "bfloat16" and self.zero_stage == 2
        if self.zero_stage == 0 or self.offload_optimizer or sums_are_flat:
            return 0.0
        return 4 * self.num_trained / self.num_workers

    def training_bytes(self) -> float:
        """Activations and logits of one micro batch, the gradients of a layer, and ZeRO's bucket."""
        layer = self._layer(self.texts, self.tokens)
        beside = self.texts * self.tokens * self.vocabulary * (12 if self.size == 4 else 16)
        beside += bucket_size(self.num_trained) * (4 if self.size == 4 else 2 + 4) if self.zero_stage else 0
        if self.tuning == "HeadOnly":
            return layer * self.size + beside
        kept = self.num_layers * layer
        if self.activation_checkpointing:
            kept = self.num_layers * self.texts * self.tokens * self.width + layer
        return (kept + layer) * self.size + beside

    def evaluation_bytes(self) -> float:
        """Activations of one layer and logits of one evaluation batch, and keys and values of all layers if
        it generates answers, or hidden states of all if they are kept."""
        texts = self.evaluation_texts
        tokens = self.evaluation_tokens
        places = tokens
        if self.is_generative:
            places = 1
        elif self.tuning == "Prompting":
            places = min(texts, tokens)  # where texts end
        logits = texts * places * self.vocabulary * (8 if self.size == 4 else 10)
        cache = (
            2 * self.num_layers * texts * tokens * self.width
            if self.is_generative or self.tuning == "Features"
            else 0
        )
        return (self._layer(texts, tokens) + cache) * self.size + logits

    def _layer(self, texts: int, tokens: int) -> int:
        return texts * tokens * (11 * self.width + 5 * self.inner + tokens)

    def num_bytes(self) -> int:
        """The estimate, in bytes of the device of one worker."""
        most = max(self.training_bytes(), self.step_bytes(), self.evaluation_bytes())
        return CONTEXT_BYTES + round(SLACK * (self.state_bytes() + most))


def footprint(inputs: RunInputs, resources: Resources, counts: ParameterCounts | None = None) -> Footprint:
    """What the memory of a pinned run depends on.

    Args:
        inputs: of the run.
        resources: of the run.
        counts: its numbers of parameters if they are known; otherwise they are counted without memory, once
            for a store.

    Raises:
        InvalidInput: the model's configuration can't be loaded, or lacks a size.
    """
    spec = inputs.spec
    text = inputs.config.get_text_config()
    tuning = spec.model.tuning
    is_trained = not isinstance(tuning, Prompting | Features)
    reads_states = isinstance(tuning, Features)  # those of all layers, in place of keys and values
    predicts_tokens = not reads_states and (spec.kind in ("text", "generative") or not is_trained)
    answer = inputs.max_answer_tokens if spec.kind == "generative" else 0
    num_texts = 2 if (spec.task.kind if reads_states else spec.kind) == "preference" else 1
    counts = counts or expected_parameters(inputs)
    return Footprint(
        tuning=type(tuning).__name__,
        precision=spec.optimization.precision,
        num_parameters=counts.num_parameters,
        num_trained=counts.num_trained,
        num_layers=_size(text, "num_hidden_layers"),
        width=_size(text, "hidden_size"),
        inner=_inner(text),
        vocabulary=_size(text, "vocab_size") if predicts_tokens else 0,
        texts=num_texts * resources.micro_batch(spec.optimization.batch_size) if is_trained else 0,
        tokens=_longest(inputs, [spec.train_split]) + answer if is_trained else 0,
        evaluation_texts=num_texts * resources.evaluation_batch_size,
        evaluation_tokens=_longest(inputs, inputs.split_sizes if reads_states else inputs.evaluated_splits)
        + answer,
        is_generative=spec.kind == "generative",
        num_workers=resources.world_size,
        zero_stage=effective_stage(spec.optimization, resources),
        offload_optimizer=resources.offload_optimizer,
        offload_parameters=resources.offload_parameters,
        activation_checkpointing=resources.activation_checkpointing,
    )


def _size(config: PretrainedConfig, name: str) -> int:
    found = getattr(config, name, None)
    if not isinstance(found, int):
        raise InvalidInput(
            f"the memory that a {config.model_type} needs can't be estimated: its configuration has no "
            f"{name}; give Resources.gpus_per_worker as a number"
        )
    return found


def _inner(config: PretrainedConfig) -> int:
    for name in ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"):
        if isinstance(found := getattr(config, name, None), int):
            return found
    return 4 * _size(config, "hidden_size")


def _longest(inputs: RunInputs, splits: Iterable[str]) -> int:
    """Tokens of the longest text in splits; for prompts, which are made when the run starts, the context
    length."""
    if isinstance(inputs.model.tuning, Prompting):
        return inputs.context_length
    return max((int(np.diff(inputs.tokens(split).offsets).max()) for split in splits), default=0)


def reset_peak(resources: Resources) -> None:
    """Start to record the peak memory of a process anew, if its run uses a GPU: it may have trained an
    earlier run."""
    import torch

    if resources.num_gpus and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def memory_info(inputs: RunInputs, resources: Resources, history: History) -> dict[str, Any]:
    """What the info of a run that used a GPU says of memory: the peak since `reset_peak` (what torch held,
    and `CONTEXT_BYTES`) and the device's total, in bytes, and the footprint of the run.

    Empty for a run on CPU, and for a model whose size can't be read from its configuration.
    """
    import torch

    if not resources.num_gpus or not torch.cuda.is_available():
        return {}
    counts = ParameterCounts(history.num_parameters, history.num_trainable_parameters)
    with contextlib.suppress(InvalidInput):
        return {
            "device_memory_bytes": torch.cuda.max_memory_reserved() + CONTEXT_BYTES,
            "device_total_bytes": torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory,
            "footprint": asdict(footprint(inputs, resources, counts)),
        }
    return {}
