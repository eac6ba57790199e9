"""DeepSpeed's configuration: how ZeRO divides a run, as the engine uses it and as the memory estimate counts
it. Imports no DeepSpeed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raysweep.spec import Optimization
from raysweep.spec.resources import Resources

MAX_BUCKET_SIZE = 500_000_000
"""Gradients that DeepSpeed reduces at once: its default `reduce_bucket_size`."""
STAGE_3_LIMITS: Mapping[str, int] = {
    "stage3_max_live_parameters": 1_000_000_000,
    "stage3_max_reuse_distance": 1_000_000_000,
    "stage3_prefetch_bucket_size": 50_000_000,
    "stage3_param_persistence_threshold": 100_000,
}
"""Numbers of parameters that ZeRO stage 3 gathers at a time, keeps gathered until they are used again,
gathers ahead of their use, and never divides. DeepSpeed's defaults, named since the memory estimate counts
them and since tests scale them to the size of their models."""


def effective_stage(optimization: Optimization, resources: Resources) -> int:
    """The ZeRO stage that a run is trained with.

    In bfloat16, stages 0 and 1 become stage 2, which computes the same. Below it, DeepSpeed either sums the
    gradients of micro batches in bfloat16, or has an optimizer that takes a step when it is created, which
    makes Adam's first updates too small.
    """
    if optimization.precision == "bfloat16":
        return max(resources.zero_stage, 2)
    return resources.zero_stage


def bucket_size(num_trained: int) -> int:
    """Gradients that are reduced at once, for a number of trained parameters.

    DeepSpeed allocates the whole bucket at once, so its default would cost 1 to 2 GB for a model of any size.
    """
    return min(num_trained, MAX_BUCKET_SIZE)


def deepspeed_config(
    optimization: Optimization, resources: Resources, num_trained: int | None = None
) -> dict[str, Any]:
    """DeepSpeed's configuration. It follows from `Resources`, except precision and clipping, which change the
    result of a run.

    Args:
        optimization: of the run.
        resources: of the run.
        num_trained: number of trained parameters; None while the model isn't built yet.

    Raises:
        InvalidInput: the global batch can't be divided among workers and micro batches.
    """
    micro_batch = resources.micro_batch(optimization.batch_size)
    zero: dict[str, Any] = {"stage": effective_stage(optimization, resources)}
    if num_trained is not None:
        zero["reduce_bucket_size"] = bucket_size(num_trained)
    if resources.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    if resources.offload_parameters:
        zero["offload_param"] = {"device": "cpu"}
    if resources.zero_stage == 3:
        zero |= {"stage3_gather_16bit_weights_on_model_save": False, **STAGE_3_LIMITS}
    if zero["stage"] == 2 and resources.world_size == 1:
        zero["reduce_scatter"] = False  # gradients have no other rank to go to: spares three copies of them
    # In bfloat16, each gradient is asked whether it is finite; otherwise its norm tells.
    reads_norm = optimization.gradient_clipping or optimization.precision != "bfloat16"
    if zero["stage"] == 2 and not reads_norm and not resources.offload_optimizer:
        zero["compute_grad_norm"] = False
    precision: dict[str, Any] = {"bf16": {"enabled": optimization.precision == "bfloat16"}}
    if optimization.precision == "bfloat16":
        # Summed over micro batches and ranks in bfloat16, gradients would lose digits with every summand.
        precision |= {"data_types": {"grad_accum_dtype": "fp32"}, "communication_data_type": "fp32"}
    return precision | {
        "train_batch_size": optimization.batch_size,
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": optimization.batch_size // (micro_batch * resources.world_size),
        "gradient_clipping": optimization.gradient_clipping or 0.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }
