"""Where a run computes: recorded with its result, never part of its identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raysweep.errors import InvalidInput
from raysweep.spec.validation import require_bool, require_choice, require_int, require_number

ZeroStage = Literal[0, 1, 2, 3]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The part of the cluster that one run gets, and how DeepSpeed divides the run over it. Results depend on
    none of this, up to floating-point noise."""

    num_workers: int = 0
    """0 to train in the process of the trial, n to train in a group of n worker processes. Both kinds of
    processes are kept for the next run."""
    cpus_per_worker: float = 1
    gpus_per_worker: float | Literal["auto"] = 0
    """May be a fraction if `num_workers` is 0 or 1, so that small runs share a device. "auto": the fraction
    that the run's memory needs, estimated, and corrected by what finished runs used (see
    `raysweep.estimates.gpu_sharing`)."""
    zero_stage: ZeroStage = 0
    """What ZeRO divides among the workers: 0 nothing, 1 optimizer states, 2 gradients too, 3 parameters too.
    In bfloat16, stages 0 and 1 run as stage 2 (see `raysweep.training.zero`)."""
    offload_optimizer: bool = False
    """Keep optimizer states in CPU memory (ZeRO stages 1 to 3)."""
    offload_parameters: bool = False
    """Keep parameters in CPU memory (ZeRO stage 3)."""
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass instead of keeping them."""
    micro_batch_size: int | None = None
    """Examples in one forward pass of one worker; None for the largest divisor of the worker's share of the
    global batch that is at most 16."""
    evaluation_batch_size: int = 64
    checkpoint_every: int = 200
    """Steps between two checkpoints, from which a killed run resumes; 0 for none by steps."""
    checkpoint_seconds: float = 60.0
    """Seconds after which another checkpoint is written, whatever the number of steps; 0 for none by time.
    Where one takes long to write, twenty times as long as that."""
    save_student_models: bool = False
    """Whether the weights of students are kept. Those of supervisors, ceilings and pretrainings always
    are."""
    timeout_seconds: int = 1800
    """How long a worker waits for another, or may take for one step, one batch of an evaluation, or loading
    the model, before the run fails and its process is killed."""

    def __post_init__(self) -> None:
        for name, low in (
            ("num_workers", 0),
            ("evaluation_batch_size", 1),
            ("checkpoint_every", 0),
            ("timeout_seconds", 1),
        ):
            require_int(self, name, low)
        require_int(self, "micro_batch_size", 1, optional=True)
        require_choice(self, "zero_stage", ZeroStage)
        require_number(self, "checkpoint_seconds", 0)
        require_number(self, "cpus_per_worker", 0, above=True)
        if self.gpus_per_worker != "auto":
            require_number(self, "gpus_per_worker", 0)
        require_bool(
            self, "offload_optimizer", "offload_parameters", "activation_checkpointing", "save_student_models"
        )
        if self.gpus_per_worker == "auto":
            if self.num_workers > 1:
                raise InvalidInput('Resources.gpus_per_worker may be "auto" only with num_workers of 0 or 1')
        elif self.gpus_per_worker != int(self.gpus_per_worker) and (
            self.gpus_per_worker > 1 or self.num_workers > 1
        ):
            raise InvalidInput(
                "Resources.gpus_per_worker may be a fraction only below 1 and with num_workers of 0 or 1"
            )
        if self.offload_optimizer and self.zero_stage == 0:
            raise InvalidInput("Resources.offload_optimizer needs zero_stage 1, 2 or 3")
        if self.offload_parameters and self.zero_stage != 3:
            raise InvalidInput("Resources.offload_parameters needs zero_stage 3")

    @property
    def world_size(self) -> int:
        """Number of processes that train together."""
        return max(self.num_workers, 1)

    @property
    def num_gpus(self) -> float:
        """GPUs of one worker; a whole one as long as "auto" isn't resolved."""
        return 1.0 if self.gpus_per_worker == "auto" else self.gpus_per_worker

    def micro_batch(self, global_batch_size: int) -> int:
        """Examples in one forward pass of one worker, for a global batch size.

        Raises:
            InvalidInput: the global batch can't be divided evenly among workers and micro batches.
        """
        share, rest = divmod(global_batch_size, self.world_size)
        if rest or share == 0:
            raise InvalidInput(
                f"global batch size {global_batch_size} can't be divided evenly among {self.world_size} "
                "workers; change Optimization.batch_size or Resources.num_workers"
            )
        if self.micro_batch_size is None:
            return max(size for size in range(1, min(share, 16) + 1) if share % size == 0)
        if share % self.micro_batch_size:
            raise InvalidInput(
                f"a worker's share of {share} examples of the global batch can't be divided into micro "
                f"batches of {self.micro_batch_size}; allowed: "
                f"{', '.join(str(n) for n in range(1, share + 1) if share % n == 0)}"
            )
        return self.micro_batch_size

    def total(self) -> dict[str, float]:
        """What the whole run takes of the cluster: {"CPU": …, "GPU": …}."""
        return {"CPU": self.cpus_per_worker * self.world_size, "GPU": self.num_gpus * self.world_size}
