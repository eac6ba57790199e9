"""DeepSpeed behind a few methods. It and `sharding` are the only modules that import DeepSpeed, and only in
processes that train."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.gc_control import gc_paused
from raysweep.spec import Optimization
from raysweep.spec.resources import Resources
from raysweep.training.forward import ForwardInputs
from raysweep.training.state_files import StateFiles
from raysweep.training.zero import deepspeed_config, effective_stage

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.distributed import ProcessGroup
    from transformers import PreTrainedModel


def hide_gpus() -> None:
    """Have this process see no GPU of its machine, where libraries would otherwise make a CUDA context, which
    takes half a GB of a GPU that others compute on.

    It is asked by NVML, not by CUDA, whether there are any: CUDA would never find one again, and the
    process of a local sweep may train its next run on a GPU.
    """
    os.environ.update({"CUDA_VISIBLE_DEVICES": "", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"})
    os.environ["DS_ACCELERATOR"] = "cpu"


@contextmanager
def process_group(on_gpu: bool) -> Iterator[None]:
    """Have the process groups of torch and DeepSpeed in the block.

    In a worker group, Ray Train has created torch's group already, and it stays for the next run of the
    workers. In the process of a trial (`num_workers=0`), a group of one is created here and destroyed after
    the block. Its store is in memory, so that nothing listens on a port.
    """
    import torch.distributed as dist

    is_own = not dist.is_initialized()
    if not on_gpu:
        hide_gpus()
    deepspeed = _import_deepspeed()
    if is_own:
        os.environ.update({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_SIZE": "1"})
        backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    # Otherwise DeepSpeed compiles an operator for shared-memory inference on CPU, which takes a minute and
    # which training doesn't use.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    try:
        deepspeed.init_distributed(dist_init_required=False, auto_mpi_discovery=False)
        yield
    finally:
        _forget_model()
        if is_own:
            deepspeed.comm.destroy_process_group()


def _import_deepspeed() -> Any:
    """Import DeepSpeed, with MLflow hidden from it unless this process has imported MLflow already, as that
    of a local sweep has. DeepSpeed's autotuner, which isn't used, would import it, which takes a second."""
    hides = sys.modules.setdefault("mlflow", None) is None  # type: ignore[arg-type]
    try:
        with gc_paused():
            import deepspeed
    finally:
        if hides:
            del sys.modules["mlflow"]
    return deepspeed


def _forget_model() -> None:
    """Empty the globals in which DeepSpeed's ZeRO stage 3 still refers to the last model, so that its memory
    is freed."""
    from deepspeed.runtime.zero import parameter_offload
    from deepspeed.runtime.zero.partitioned_param_coordinator import PartitionedParameterCoordinator

    parameter_offload.FWD_MODULE_STACK.clear()
    instrumented = vars(PartitionedParameterCoordinator)[
        "_PartitionedParameterCoordinator__params_to_release"
    ]
    instrumented.__closure__[0].cell_contents.cache_clear()  # an lru_cache on a method, below a decorator


def _group_of_hosts(resources: Resources) -> ProcessGroup | None:
    """The ranks of a run over gloo, to wait for work that only rank 0 does; None for one process.

    NCCL's barrier would run into its time-out, which kills the process, while rank 0 writes a large model.
    This one waits for twice as long as a rank may stand still, so that the one that does is found first.
    """
    import torch.distributed as dist

    if resources.world_size == 1:
        return None
    return dist.new_group(backend="gloo", timeout=timedelta(seconds=2 * resources.timeout_seconds))


def _classes_of_states() -> list[type]:
    """What DeepSpeed puts into its states beside tensors, containers and numbers."""
    from deepspeed.runtime.fp16.loss_scaler import LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    return [LossScaler, ZeroStageEnum, fragment_address]


def decay_groups(trained: Sequence[torch.nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Trained parameters as AdamW's groups. Biases and scales of norms, which have one dimension, don't
    decay."""
    if weight_decay == 0:
        return [{"params": trained}]
    vectors = [item for item in trained if len(getattr(item, "ds_shape", item.shape)) < 2]
    without = {id(item) for item in vectors}
    matrices = [item for item in trained if id(item) not in without]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


class Engine:
    """A model being trained by DeepSpeed."""

    def __init__(self, model: PreTrainedModel, optimization: Optimization, resources: Resources) -> None:
        import deepspeed
        import torch

        if resources.activation_checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        num_trained = sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in trained)
        config = deepspeed_config(optimization, resources, num_trained)
        optimizer = torch.optim.AdamW(
            decay_groups(trained, optimization.weight_decay),
            lr=optimization.learning_rate,
            betas=optimization.betas,
            eps=optimization.epsilon,
            weight_decay=optimization.weight_decay,
            fused=not resources.offload_optimizer,
        )
        self._deepspeed, *_ = deepspeed.initialize(
            model=model, optimizer=optimizer, model_parameters=trained, config=config
        )
        # With one worker there is nothing to sum, but DeepSpeed would do so in a copy of all gradients.
        if resources.world_size == 1 and effective_stage(optimization, resources) == 0:
            self._deepspeed.enable_backward_allreduce = False
        self.accumulation: int = config["gradient_accumulation_steps"]
        self.world_size = resources.world_size
        self.rank: int = self._deepspeed.global_rank
        self.device: torch.device = self._deepspeed.device
        self.is_sharded = resources.zero_stage == 3
        self._inputs = ForwardInputs(model, self.device)
        self._hosts = _group_of_hosts(resources)
        self._states = StateFiles(_classes_of_states())
        files = self._deepspeed.checkpoint_engine
        files.save, files.load = self._states.save, self._states.load

    @property
    def module(self) -> PreTrainedModel:
        """The model itself."""
        return self._deepspeed.module

    def forward(self, **inputs: Tensor) -> Tensor:
        """Logits of a batch whose texts are padded on the right, in float32."""
        return self._deepspeed(**self._inputs(inputs)).logits.float()

    def generate(self, inputs: Mapping[str, Tensor], num_tokens: int, end_token: int) -> Tensor:
        """Continue prompts greedily.

        Args:
            inputs: `input_ids` and `attention_mask` (B, L), padded on the left.
            num_tokens: most tokens to generate.
            end_token: ends a text, and pads texts that have ended.

        Returns:
            (B, L + at most num_tokens) the prompts with what follows them.
        """
        from transformers import GenerationConfig

        config = GenerationConfig(
            max_new_tokens=num_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=end_token,
            pad_token_id=end_token,
        )
        # Under ZeRO stage 3 all ranks must go on together, however short their own answers are.
        written: Tensor = self.module.generate(
            **inputs, generation_config=config, synced_gpus=self.is_sharded
        )  # type: ignore[operator]
        return written

    def train_mode(self, training: bool) -> None:
        """Switch between training and evaluation (dropout, activation checkpointing)."""
        self._deepspeed.train(training)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of one micro batch's share of the loss of the global batch.

        DeepSpeed averages over ranks and micro batches; the loss is scaled so that the shares are summed.
        """
        self._deepspeed.backward(loss * (self.world_size * self.accumulation))

    def step(self, learning_rate: float) -> None:
        """End a micro batch; after the last one of a global batch, clip and update."""
        for group in self._deepspeed.optimizer.param_groups:
            group["lr"] = learning_rate
        self._deepspeed.step()

    @property
    def has_skipped_steps(self) -> bool:
        """Whether an update was skipped because a gradient wasn't finite, as DeepSpeed does under ZeRO stages
        1 to 3."""
        return bool(self._deepspeed.skipped_steps)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all ranks, concatenated in the order of the ranks; each rank has the same shape."""
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
        """Whether a condition holds on at least one rank."""
        import torch

        return bool(self.sum(torch.tensor(float(here), device=self.device)) > 0)

    def barrier(self) -> None:
        """Wait for all ranks, in this process and not on its GPU."""
        import torch.distributed as dist

        if self._hosts is not None:
            dist.barrier(group=self._hosts)

    def save_checkpoint(self, folder: Path) -> Mapping[Path, str]:
        """Write optimizer and model states below `folder`, except parameters that aren't trained; all ranks
        call it.

        Returns:
            SHA-256 of each file that this rank wrote.
        """
        self._deepspeed.empty_partition_cache()
        self._states.checksums.clear()
        self._deepspeed.save_checkpoint(
            str(folder), tag="state", save_latest=False, exclude_frozen_parameters=True
        )
        if self.rank == 0:  # DeepSpeed's script for other uses of its files
            (folder / "zero_to_fp32.py").unlink(missing_ok=True)
        return dict(self._states.checksums)

    def load_checkpoint(self, folder: Path) -> None:
        """Read what `save_checkpoint` wrote with the same number of ranks and ZeRO stage, into a model that
        has the parameters that aren't trained."""
        self._deepspeed.load_checkpoint(
            str(folder), tag="state", load_lr_scheduler_states=False, load_module_strict=False
        )

    def state_dict(self) -> Mapping[str, Tensor]:
        """All tensors of the model by name, on rank 0; empty on other ranks. All ranks call it.

        Under ZeRO stage 3 they are copies in CPU memory, otherwise the model's own tensors.
        """
        if not self.is_sharded:
            return self.module.state_dict() if self.rank == 0 else {}
        import deepspeed

        # What was fetched ahead of a backward pass that never came is still in flight after an evaluation.
        self._deepspeed.empty_partition_cache()
        whole: dict[str, Tensor] = {}
        first_names: dict[int, str] = {}
        for name, parameter in self.module.named_parameters(remove_duplicate=False):
            first = first_names.setdefault(id(parameter), name)
            if first == name:
                with deepspeed.zero.GatheredParameters([parameter]):
                    if self.rank == 0:
                        whole[name] = parameter.detach().cpu().clone()
            elif self.rank == 0:
                whole[name] = whole[first]  # tied weights stay one tensor and are saved once
        return whole | {
            name: buffer.cpu()
            for name, buffer in self.module.named_buffers()
            if name in self.module.state_dict()
        }

    def close(self) -> None:
        """Free DeepSpeed's hooks, buffers and references to the model."""
        import torch.distributed as dist

        self._deepspeed.destroy()
        if self._hosts is not None:
            dist.destroy_process_group(self._hosts)
