"""Models that ZeRO stage 3 divides among the ranks: how they are loaded, and how their parameters are
reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raysweep.spec import Optimization
from raysweep.spec.resources import Resources
from raysweep.training.zero import deepspeed_config

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Sharding:
    """Access to parameters, whether ZeRO stage 3 divides them among the ranks or not."""

    config: Mapping[str, Any] | None
    """DeepSpeed's configuration if ZeRO stage 3 divides the model; None if each rank has the whole."""

    @contextmanager
    def whole(self, *parameters: Tensor) -> Iterator[None]:
        """Gather whole parameters for the block, which may write them; the values of rank 0 are kept."""
        if self.config is None:
            yield
            return
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(parameters), modifier_rank=0):
            yield

    def local(self, parameter: Tensor) -> Tensor:
        """This rank's share of a parameter."""
        return parameter if self.config is None else parameter.ds_tensor  # type: ignore[attr-defined, no-any-return]

    def divide(self, model: torch.nn.Module) -> None:
        """Divide what was added to a model after it was loaded: adapters, and peft's copy of the head."""
        if self.config is not None:
            import deepspeed

            deepspeed.zero.Init(module=model, config_dict_or_path=dict(self.config))


@contextmanager
def sharded_loading(optimization: Optimization, resources: Resources) -> Iterator[Sharding]:
    """Under ZeRO stage 3, have transformers divide a model that the block loads among the ranks."""
    if resources.zero_stage != 3:
        yield Sharding(None)
        return
    from transformers.integrations.deepspeed import HfDeepSpeedConfig, unset_hf_deepspeed_config

    config = deepspeed_config(optimization, resources)
    keep_alive = HfDeepSpeedConfig(config)
    try:
        yield Sharding(config)
    finally:
        unset_hf_deepspeed_config()
        del keep_alive
