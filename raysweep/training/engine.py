"""DeepSpeed behind a few methods: the only module that imports it, and only inside the process that
trains."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.gc_control import gc_paused
from raysweep.spec import Optimization
from raysweep.spec.resources import Resources
from raysweep.training.zero import LARGEST_BUCKET, deepspeed_config

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel


@contextmanager
def process_group(on_gpu: bool) -> Iterator[None]:
    """Have torch's and DeepSpeed's process groups for the block.

    In a worker group Ray Train has made torch's group already, which stays for the group's next run. In the
    trial's own process (`num_workers=0`) a group of one is made here, over a store in memory, so that nothing
    listens on a port, and ended.
    """
    import torch.distributed as dist

    is_own = not dist.is_initialized()
    if not on_gpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
    deepspeed = _import_deepspeed()
    if is_own:
        os.environ.update({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_SIZE": "1"})
        backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    # Else DeepSpeed compiles an op for shared-memory inference on CPU, which takes a minute and which
    # training doesn't use.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    try:
        deepspeed.init_distributed(dist_init_required=False, auto_mpi_discovery=False)
        yield
    finally:
        _forget_model()
        if is_own:
            deepspeed.comm.destroy_process_group()


def _import_deepspeed() -> Any:
    """DeepSpeed. Its autotuner, which isn't used here, would import MLflow where that is installed, which
    takes a second; so that is hidden from it, unless this process (a local sweep's) has MLflow already."""
    hides = sys.modules.setdefault("mlflow", None) is None  # type: ignore[arg-type]
    try:
        with gc_paused():
            import deepspeed
    finally:
        if hides:
            del sys.modules["mlflow"]
    return deepspeed


def _forget_model() -> None:
    """Empty the globals in which DeepSpeed's ZeRO-3 still holds the last model: they would keep it in
    memory."""
    from deepspeed.runtime.zero import parameter_offload
    from deepspeed.runtime.zero.partitioned_param_coordinator import PartitionedParameterCoordinator

    parameter_offload.FWD_MODULE_STACK.clear()
    instrumented = vars(PartitionedParameterCoordinator)[
        "_PartitionedParameterCoordinator__params_to_release"
    ]
    instrumented.__closure__[0].cell_contents.cache_clear()  # an lru_cache on a method, below a decorator


class Engine:
    """A model being trained by DeepSpeed."""

    def __init__(self, model: PreTrainedModel, optimization: Optimization, resources: Resources) -> None:
        import deepspeed
        import torch

        config = deepspeed_config(optimization, resources)
        if resources.activation_checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # DeepSpeed takes the whole bucket at once, by default 1 to 2 GB however small the model is.
        num_trained = sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in trained)
        config["zero_optimization"]["reduce_bucket_size"] = min(num_trained, LARGEST_BUCKET)
        optimizer = torch.optim.AdamW(
            trained,
            lr=optimization.learning_rate,
            betas=optimization.betas,
            eps=optimization.epsilon,
            weight_decay=optimization.weight_decay,
            fused=not resources.offload_optimizer,
        )
        self._deepspeed, *_ = deepspeed.initialize(
            model=model, optimizer=optimizer, model_parameters=trained, config=config
        )
        # With one worker there is nothing to sum, which DeepSpeed would do nevertheless, in a copy of all
        # gradients.
        if resources.world_size == 1 and config["zero_optimization"]["stage"] == 0:
            self._deepspeed.enable_backward_allreduce = False
        self.accumulation: int = config["gradient_accumulation_steps"]
        self.world_size = resources.world_size
        self.rank: int = self._deepspeed.global_rank
        self.device: torch.device = self._deepspeed.device
        self.is_sharded = resources.zero_stage == 3

    @property
    def module(self) -> PreTrainedModel:
        """The model itself."""
        return self._deepspeed.module

    def num_parameters(self, *, trained: bool = False) -> int:
        """Numbers in the whole model, however it is divided, tied ones counted once; or only those that are
        trained.

        What peft keeps of a module that it copied is never used and isn't counted.
        """
        found = (
            parameter for name, parameter in self.module.named_parameters() if ".original_module." not in name
        )
        sizes = (
            getattr(item, "ds_numel", item.numel()) for item in found if item.requires_grad or not trained
        )
        return int(sum(sizes))

    def forward(self, **inputs: Tensor) -> Tensor:
        """Logits of a batch, in float32."""
        return self._deepspeed(**inputs).logits.float()

    def generate(self, inputs: Mapping[str, Tensor], num_tokens: int, end_token: int) -> Tensor:
        """(B, L + at most num_tokens) prompts (B, L), padded on the left, with what the model writes after
        them: always the likeliest token, up to the end token, which also pads."""
        from transformers import GenerationConfig

        config = GenerationConfig(
            max_new_tokens=num_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=end_token,
            pad_token_id=end_token,
        )
        # Under ZeRO-3 all ranks must go on together, however short their own answers are.
        written: Tensor = self.module.generate(
            **inputs, generation_config=config, synced_gpus=self.is_sharded
        )  # type: ignore[operator]
        return written

    def train_mode(self, training: bool) -> None:
        """Switch between training and evaluation (dropout, activation checkpointing)."""
        self._deepspeed.train(training)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of this micro batch's share of the global batch's loss.

        DeepSpeed averages over ranks and over micro batches; the share is scaled so that it sums instead.
        """
        self._deepspeed.backward(loss * (self.world_size * self.accumulation))

    def step(self, learning_rate: float) -> None:
        """End a micro batch; after the last one of a global batch, clip and update."""
        for group in self._deepspeed.optimizer.param_groups:
            group["lr"] = learning_rate
        self._deepspeed.step()

    @property
    def has_skipped_steps(self) -> bool:
        """Whether an update was left out since a gradient wasn't finite: DeepSpeed does so under ZeRO 1 to
        3."""
        return bool(self._deepspeed.skipped_steps)

    def gather(self, rows: Tensor) -> Tensor:
        """The same-shaped rows of all ranks, concatenated in rank order."""
        import torch
        import torch.distributed as dist

        if self.world_size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.world_size)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    def sum(self, values: Tensor) -> Tensor:
        """Element-wise sum over the ranks."""
        import torch.distributed as dist

        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def any(self, here: bool) -> bool:
        """Whether something holds on one of the ranks."""
        import torch

        return bool(self.sum(torch.tensor(float(here), device=self.device)) > 0)

    def barrier(self) -> None:
        """Wait for all ranks."""
        import torch.distributed as dist

        dist.barrier()

    def save_checkpoint(self, folder: Path) -> None:
        """Write optimizer and model states below `folder`; all ranks call it."""
        self._deepspeed.save_checkpoint(str(folder), tag="state", save_latest=False)

    def load_checkpoint(self, folder: Path) -> None:
        """Read what `save_checkpoint` wrote, with the same number of ranks and ZeRO stage."""
        self._deepspeed.load_checkpoint(str(folder), tag="state", load_lr_scheduler_states=False)

    def state_dict(self) -> Mapping[str, Tensor]:
        """The whole model's tensors in CPU memory of rank 0 (empty on other ranks); all ranks call it."""
        if not self.is_sharded:
            return self.module.state_dict() if self.rank == 0 else {}
        import deepspeed

        whole: dict[str, Tensor] = {}
        first_names: dict[int, str] = {}
        for name, parameter in self.module.named_parameters(remove_duplicate=False):
            first = first_names.setdefault(id(parameter), name)
            if first == name:
                with deepspeed.zero.GatheredParameters([parameter]):
                    if self.rank == 0:
                        whole[name] = parameter.detach().cpu().clone()
            elif self.rank == 0:
                whole[name] = whole[first]  # tied weights stay one tensor, so that they are saved once
        return whole | {
            name: buffer.cpu()
            for name, buffer in self.module.named_buffers()
            if name in self.module.state_dict()
        }

    def close(self) -> None:
        """Free what DeepSpeed holds: hooks, buffers, its references to the model."""
        self._deepspeed.destroy()
