"""TODO."""

from __future__ import annotations

from typing import Any

from raysweep.spec import Optimization
from raysweep.spec.resources import Resources


def deepspeed_config(optimization: Optimization, resources: Resources) -> dict[str, Any]:
    """DeepSpeed's configuration: from `Resources`, and the two things of it that change a result, precision
    and clipping."""
    micro_batch = resources.micro_batch(optimization.batch_size)
    in_bfloat16 = optimization.precision == "bfloat16"
    # In bfloat16 without ZeRO, DeepSpeed's optimizer takes a step at its creation, so that Adam's first
    # updates come out too small: stage 1, which computes the same, doesn't.
    zero: dict[str, Any] = {"stage": max(resources.zero_stage, 1) if in_bfloat16 else resources.zero_stage}
    if resources.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    if resources.offload_parameters:
        zero["offload_param"] = {"device": "cpu"}
    if resources.zero_stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = False
    return {
        "train_batch_size": optimization.batch_size,
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": optimization.batch_size // (micro_batch * resources.world_size),
        "gradient_clipping": optimization.gradient_clipping or 0.0,
        "bf16": {"enabled": in_bfloat16},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }


LARGEST_BUCKET = 500_000_000
"""Gradients that DeepSpeed reduces at once, its default `reduce_bucket_size`; the engine lowers it for models
with fewer."""
