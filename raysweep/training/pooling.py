"""How hidden states of a text's tokens become one vector, for features and for the head of a whole model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raysweep.spec.tuning import Pooling

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel


def pooled(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """(B, W) features in float32 of hidden states (B, L, W) of texts that are padded on the right.

    Args:
        states: of one layer.
        mask: (B, L) 1 for tokens, 0 for padding.
        pooling: what becomes of the tokens.
    """
    import torch

    if pooling == "first":
        return states[:, 0].float()
    counts = mask.sum(dim=1)
    if pooling == "last":
        return states[torch.arange(len(states), device=states.device), counts - 1].float()
    # Padding may hold anything, NaN included, so it is left out and not multiplied by 0.
    kept = states.float().masked_fill(mask[..., None] == 0, 0.0)
    return kept.sum(dim=1) / counts[:, None]


_POOLS = "_raysweep_pools"


def pools_for_head(model: PreTrainedModel) -> bool:
    """Whether `pool_for_head` was called with a model, which then reads the mask of its inputs."""
    return hasattr(model, _POOLS)


def pool_for_head(model: PreTrainedModel, pooling: Pooling) -> None:
    """Have a model's own head read pooled hidden states, whichever token's it takes by itself.

    The head stays as it is, with layers that come before the last one, so that what is saved is a model of
    its architecture. Every position of what it is given holds the same vector.
    """
    setattr(model, _POOLS, True)
    body: torch.nn.Module = model.base_model
    masks: list[Tensor] = []

    def note_mask(module: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        masks[:] = [named["attention_mask"] if "attention_mask" in named else given[1]]

    def spread(states: Tensor) -> Tensor:
        return pooled(states, masks[0], pooling).to(states.dtype)[:, None].expand_as(states)

    def before_pooler(module: torch.nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (spread(given[0]), *given[1:])

    def after_body(module: torch.nn.Module, given: tuple[Any, ...], made: Any) -> Any:
        made.last_hidden_state = spread(made.last_hidden_state)
        return made

    body.register_forward_pre_hook(note_mask, with_kwargs=True)
    pooler = getattr(body, "pooler", None)
    if pooler is not None:  # inside the body, as BERT's
        pooler.register_forward_pre_hook(before_pooler)
    else:
        body.register_forward_hook(after_body)
