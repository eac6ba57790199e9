"""How much memory of a GPU a run needs, before it trains.

A run's largest need is the sum of
- **model states** (Rajbhandari et al. 2020, ZeRO, arXiv 1910.02054, section 3.1): a parameter's value, and
  for one that is trained its gradient and Adam's two moments; where ZeRO is used (in bfloat16 always, see the
  engine) also a float32 copy of the value. ZeRO divides these among the workers by its stage, offloading
  moves them to the CPU.
- in ZeRO, the bucket in which gradients are reduced, and in a step a float32 copy of them.
- **activations** of one micro batch (the accounting of Korthikanti et al. 2022, arXiv 2205.05198, section
  4.1), per layer and token 11·width + 5·inner + length elements: what norms, residuals, queries, keys, values
  and the attention's output take; the MLP's inner layer (GELU written out in Python and a gated MLP both save
  it four times); and a row of the attention mask, which each layer keeps for itself. Fused attention is taken
  for granted: no matrix is kept for each head. For GPT-2, Llama, Qwen2, GPT-NeoX, BERT and OPT this is 1.0 to
  2.4 times what autograd saves (counted on 2026-11-21).
- or, if larger, an **evaluation batch**: one layer's activations and the keys and values of all layers;
- in both, **logits** where a vocabulary is predicted, with their float32 copy, logarithm and gradient;
- a tenth more for what the allocator can't hand out again (`SLACK`), and `CONTEXT_BYTES`.

No activations are kept of a model that isn't trained below its head. What batches of labels take is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from raysweep.data.examples import max_answer_tokens, split_names
from raysweep.data.tokens import prepare_tokens
from raysweep.errors import InvalidInput
from raysweep.files import read_json, write_json
from raysweep.models.source import context_length, load_config, tokenizer_key
from raysweep.spec import Prompting, RunSpec, Scratch
from raysweep.spec.identity import digest
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.training.history import History
from raysweep.training.model import meta_model
from raysweep.training.zero import LARGEST_BUCKET

if TYPE_CHECKING:
    from transformers import PretrainedConfig

CONTEXT_BYTES = 2**30
"""Of a process that uses a GPU, beside what torch's allocator holds: CUDA's context, kernels of cuBLAS and
NCCL, their workspaces. Assumed: several hundred MiB are commonly seen on an H100, more with NCCL; not
measured here."""
SLACK = 1.1
"""What torch's allocator holds, over what tensors need."""
_LIVE_PARAMETERS = 1_000_000_000
"""Parameters that ZeRO-3 keeps whole at a time (DeepSpeed's default `stage3_max_live_parameters`)."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What the memory of a run depends on. Runs of equal footprints need equally much."""

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
    """Logits of a token; 0 where classes or scores are predicted."""
    texts: int
    """Texts in a micro batch; 0 where nothing is trained."""
    tokens: int
    """Of the longest one."""
    evaluation_texts: int
    evaluation_tokens: int
    """With an answer that is written after it."""
    is_generative: bool
    """Whether an evaluation writes answers."""
    num_workers: int
    zero_stage: int
    """As the engine uses it."""
    offload_optimizer: bool
    offload_parameters: bool
    activation_checkpointing: bool

    @property
    def size(self) -> int:
        """Bytes of a parameter or an activation."""
        return 2 if self.precision == "bfloat16" else 4

    def state_bytes(self) -> float:
        """Parameters, gradients and the optimizer's states of one worker."""
        whole = self.num_parameters
        trained = self.num_trained
        share = 1 / self.num_workers
        if self.zero_stage == 0:
            return whole * self.size + trained * (self.size + 8)
        found = 0.0
        if self.zero_stage == 3:
            held = 0 if self.offload_parameters else share
            live = min(whole, _LIVE_PARAMETERS) if held < 1 else 0
            found += (whole * held + live) * self.size
        else:
            found += whole * self.size
        found += trained * self.size * (share if self.zero_stage > 1 else 1)
        if not self.offload_optimizer:
            found += trained * share * (4 + 8)
        return found

    def step_bytes(self) -> float:
        """What the end of a step takes while no activations are kept."""
        return (
            4 * self.num_trained / self.num_workers if self.zero_stage and not self.offload_optimizer else 0.0
        )

    def training_bytes(self) -> float:
        """Activations and logits of one micro batch, a layer's gradients, and ZeRO's bucket."""
        layer = self._layer(self.texts, self.tokens)
        beside = self.texts * self.tokens * self.vocabulary * (12 if self.size == 4 else 16)
        beside += min(self.num_trained, LARGEST_BUCKET) * self.size if self.zero_stage else 0
        if self.tuning == "HeadOnly":
            return layer * self.size + beside
        kept = self.num_layers * layer
        if self.activation_checkpointing:
            kept = self.num_layers * self.texts * self.tokens * self.width + layer
        return (kept + layer) * self.size + beside

    def evaluation_bytes(self) -> float:
        """One layer's activations, keys and values of all layers, and logits of one evaluation batch."""
        texts = self.evaluation_texts
        tokens = self.evaluation_tokens
        places = tokens
        if self.is_generative:
            places = 1
        elif self.tuning == "Prompting":
            places = min(texts, tokens)  # where texts end
        logits = texts * places * self.vocabulary * (8 if self.size == 4 else 10)
        cache = 2 * self.num_layers * texts * tokens * self.width
        return (self._layer(texts, tokens) + cache) * self.size + logits

    def _layer(self, texts: int, tokens: int) -> int:
        return texts * tokens * (11 * self.width + 5 * self.inner + tokens)

    def num_bytes(self) -> int:
        """The estimate: bytes of one worker's device."""
        most = max(self.training_bytes(), self.step_bytes(), self.evaluation_bytes())
        return CONTEXT_BYTES + round(SLACK * (self.state_bytes() + most))


def footprint(
    spec: RunSpec, resources: Resources, store: Store, counts: tuple[int, int] | None = None
) -> Footprint:
    """What a pinned run needs memory for.

    Args:
        spec: the run, its tokens prepared.
        resources: where it runs.
        store: where its tokens are.
        counts: (all, trained) parameters where they are known; else modules are laid out without memory, once
        for a store.

    Raises:
        InvalidInput: the model's configuration can't be loaded, or doesn't say how large it is.
    """
    config = load_config(spec.model, spec.task, store)
    text = config.get_text_config()
    tuning = spec.model.tuning
    is_prompted = isinstance(tuning, Prompting)
    writes = spec.kind in ("text", "generative")
    in_bfloat16 = spec.optimization.precision == "bfloat16"
    answer = max_answer_tokens(spec.task, store) if spec.kind == "generative" else 0
    evaluated = [name for name in split_names(spec.task, store) if name not in ("supervisor", "train")]
    num_texts = 2 if spec.kind == "preference" else 1
    num_parameters, num_trained = counts or _count(spec, store)
    return Footprint(
        tuning=type(tuning).__name__,
        precision=spec.optimization.precision,
        num_parameters=num_parameters,
        num_trained=num_trained,
        num_layers=_size(text, "num_hidden_layers"),
        width=_size(text, "hidden_size"),
        inner=_inner(text),
        vocabulary=_size(text, "vocab_size") if writes or is_prompted else 0,
        texts=0 if is_prompted else num_texts * resources.micro_batch(spec.optimization.batch_size),
        tokens=0 if is_prompted else _longest(spec, [spec.train_split], config, store) + answer,
        evaluation_texts=num_texts * resources.evaluation_batch_size,
        evaluation_tokens=_longest(spec, evaluated, config, store) + answer,
        is_generative=spec.kind == "generative",
        num_workers=resources.world_size,
        zero_stage=max(resources.zero_stage, 1) if in_bfloat16 else resources.zero_stage,
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


def _longest(spec: RunSpec, splits: Iterable[str], config: PretrainedConfig, store: Store) -> int:
    """Tokens of the longest text of splits; of prompts, which are made when a run starts, the model's
    context."""
    if isinstance(spec.model.tuning, Prompting):
        return context_length(spec.model, config)
    folder = prepare_tokens(spec.task, spec.model, store)
    offsets = (np.load(folder / f"{split}.offsets.npy", mmap_mode="r") for split in splits)
    return max((int(np.diff(found).max()) for found in offsets), default=0)


def _count(spec: RunSpec, store: Store) -> tuple[int, int]:
    """(all, trained) parameters of a run's model, kept in the store."""
    base = spec.model.base
    while isinstance(base, RunSpec):
        base = base.model.base
    architecture = [base.architecture, base.config] if isinstance(base, Scratch) else []
    outputs = spec.kind if spec.kind in ("text", "generative", "preference") else spec.task.num_classes
    path = store.model_size(
        digest([*architecture, tokenizer_key(spec.model, spec.task), spec.model.tuning, outputs])
    )
    if not path.exists():
        laid_out = [
            item
            for name, item in meta_model(spec, store).named_parameters()
            if ".original_module." not in name
        ]  # as Engine.num_parameters
        is_prompted = isinstance(spec.model.tuning, Prompting)
        trained = sum(item.numel() for item in laid_out if item.requires_grad and not is_prompted)
        write_json(path, {"num_parameters": sum(item.numel() for item in laid_out), "num_trained": trained})
    found = read_json(path)
    return int(found["num_parameters"]), int(found["num_trained"])


def forget_peak() -> None:
    """Begin to watch this process's memory anew: it may have been kept from an earlier run."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def memory_info(spec: RunSpec, resources: Resources, store: Store, records: History) -> dict[str, Any]:
    """For a run's info, if it ran on a GPU: in bytes, the most that torch held of it since `forget_peak`,
    with CUDA's own share, and all that it has; and what the run needed it for."""
    import torch

    if not resources.num_gpus or not torch.cuda.is_available():
        return {}
    counts = (records.num_parameters, records.num_trainable_parameters)
    with contextlib.suppress(
        InvalidInput
    ):  # of an unusual model nothing is known, and its run is done all the same
        return {
            "device_memory_bytes": torch.cuda.max_memory_reserved() + CONTEXT_BYTES,
            "device_total_bytes": torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory,
            "footprint": asdict(footprint(spec, resources, store, counts)),
        }
    return {}
