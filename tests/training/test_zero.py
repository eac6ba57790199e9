"""DeepSpeed's configuration, from a run's resources and precision."""

from __future__ import annotations

from typing import Any

import pytest

from raysweep.errors import InvalidInput
from raysweep.spec import Optimization
from raysweep.spec.resources import Resources
from raysweep.training.zero import bucket_size, deepspeed_config, effective_stage

OPTIMIZATION = Optimization(learning_rate=1e-2, batch_size=24)


@pytest.mark.parametrize(
    ("resources", "micro_batch", "accumulation"),
    [
        ({}, 12, 2),  # None: as much as 16, if it divides the share
        ({"micro_batch_size": 4}, 4, 6),
        ({"num_workers": 2}, 12, 1),
        ({"num_workers": 3, "micro_batch_size": 2}, 2, 4),
    ],
    ids=str,
)
def test_micro_batches_and_accumulation_make_up_the_global_batch(
    resources: dict[str, Any], micro_batch: int, accumulation: int
) -> None:
    config = deepspeed_config(OPTIMIZATION, Resources(**resources))
    assert config["train_batch_size"] == 24
    assert config["train_micro_batch_size_per_gpu"] == micro_batch
    assert config["gradient_accumulation_steps"] == accumulation


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(InvalidInput, match="24 can't be divided evenly among 5 workers"):
        deepspeed_config(OPTIMIZATION, Resources(num_workers=5))


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_zero_offload_precision_and_clipping_reach_deepspeed(stage: int) -> None:
    plain = deepspeed_config(OPTIMIZATION, Resources(zero_stage=stage))  # type: ignore[arg-type]
    assert plain["zero_optimization"]["stage"] == stage
    assert not {"offload_optimizer", "offload_param"} & plain["zero_optimization"].keys()
    assert (plain["bf16"]["enabled"], plain["gradient_clipping"]) == (False, 0)
    if stage:
        offloaded = deepspeed_config(
            OPTIMIZATION, Resources(zero_stage=stage, offload_optimizer=True, offload_parameters=stage == 3)
        )  # type: ignore[arg-type]
        zero = offloaded["zero_optimization"]
        assert zero["offload_optimizer"] == {"device": "cpu"}
        assert zero.get("offload_param") == ({"device": "cpu"} if stage == 3 else None)
    plan = Optimization(learning_rate=1e-2, precision="bfloat16", gradient_clipping=0.3)
    low = deepspeed_config(plan, Resources(zero_stage=stage))  # type: ignore[arg-type]
    assert (low["bf16"]["enabled"], low["gradient_clipping"]) == (True, 0.3)


@pytest.mark.parametrize(("stage", "in_bfloat16"), [(0, 2), (1, 2), (2, 2), (3, 3)])
def test_bfloat16_is_never_trained_below_stage_2(stage: Any, in_bfloat16: int) -> None:
    resources = Resources(zero_stage=stage)
    low = Optimization(learning_rate=1e-2, precision="bfloat16")
    assert effective_stage(OPTIMIZATION, resources) == stage
    assert effective_stage(low, resources) == in_bfloat16
    config = deepspeed_config(low, resources)
    assert config["zero_optimization"]["stage"] == in_bfloat16
    assert config["data_types"]["grad_accum_dtype"] == config["communication_data_type"] == "fp32"


def test_one_process_in_bfloat16_is_spared_what_several_need() -> None:
    def zero(resources: Resources, **changes: Any) -> dict[str, Any]:
        plan = Optimization(learning_rate=1e-2, **{"precision": "bfloat16"} | changes)
        found: dict[str, Any] = deepspeed_config(plan, resources)["zero_optimization"]
        return found

    alone = zero(Resources())
    assert (alone["reduce_scatter"], alone["compute_grad_norm"]) == (False, False)
    assert "reduce_scatter" not in zero(Resources(num_workers=2))
    assert "compute_grad_norm" not in zero(Resources(), gradient_clipping=1.0)  # it clips by the norm
    assert "compute_grad_norm" not in zero(Resources(zero_stage=2), precision="float32")  # the only check
    assert "compute_grad_norm" not in zero(Resources(zero_stage=1, offload_optimizer=True))
    assert not {"reduce_scatter", "compute_grad_norm"} & zero(Resources(zero_stage=3)).keys()


def test_the_bucket_is_no_larger_than_the_gradients() -> None:
    assert [bucket_size(number) for number in (7, 500_000_000, 500_000_001)] == [7, 500_000_000, 500_000_000]
    unknown = deepspeed_config(OPTIMIZATION, Resources())["zero_optimization"]
    known = deepspeed_config(OPTIMIZATION, Resources(), num_trained=7)["zero_optimization"]
    assert "reduce_bucket_size" not in unknown and known == unknown | {"reduce_bucket_size": 7}


def test_parameters_under_stage_3_are_not_gathered_to_be_saved() -> None:
    """The engine gathers them itself, one at a time."""
    name = "stage3_gather_16bit_weights_on_model_save"
    assert deepspeed_config(OPTIMIZATION, Resources(zero_stage=3))["zero_optimization"][name] is False
    assert name not in deepspeed_config(OPTIMIZATION, Resources(zero_stage=2))["zero_optimization"]
