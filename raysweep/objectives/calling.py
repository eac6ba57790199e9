"""An objective as the trainer calls it: what the user's own code returns, and does to what it is given, is
checked where it is called, so that an error names the objective and not a tensor of the trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raysweep.errors import InvalidInput
from raysweep.objectives.base import BatchContext, objectives

if TYPE_CHECKING:
    from torch import Tensor

    from raysweep.spec import Call


class LossCall:
    """An objective with its parameters.

    Every call is checked as far as that doesn't wait for the device. In a run's first step the values of the
    losses are read too, and those of the inputs compared with copies, since numpy can write into a tensor
    unseen.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._objective = objectives.get(call.name)

    @property
    def needs_global_batch(self) -> bool:
        """Whether the context must have the logits and labels of the whole global batch."""
        return self._objective.needs_global_batch

    def __call__(self, logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
        """(B,) losses of logits (B, K) against labels (B, K).

        Raises:
            InvalidInput: the objective fails, returns something other than one finite loss per example that
                depends on the logits, or writes into what it is given.
        """
        given = _inputs(logits, labels, context)
        versions = {name: tensor._version for name, tensor in given.items()}
        copies = (
            {name: tensor.detach().clone() for name, tensor in given.items()} if context.step == 0 else {}
        )
        with objectives.calling(self._call.name):
            losses: object = self._objective.loss(logits, labels, context, **self._call.params)
        for name, tensor in given.items():
            if tensor._version != versions[name] or (name in copies and not _equal(tensor, copies[name])):
                raise self._error(f"wrote into {name}; it must leave what it is given as it is")
        return self._checked(losses, logits, reads_values=context.step == 0)

    def _checked(self, losses: object, logits: Tensor, *, reads_values: bool) -> Tensor:
        import torch

        wanted = f"it must return a loss for each example, of shape ({len(logits)},)"
        if not isinstance(losses, torch.Tensor):
            raise self._error(f"returned a {type(losses).__name__}; {wanted}")
        if losses.shape != logits.shape[:1]:
            raise self._error(f"returned a tensor of shape {tuple(losses.shape)}; {wanted}")
        if not losses.is_floating_point():
            raise self._error(f"returned a tensor of {losses.dtype}; it must be one of floats")
        if losses.device != logits.device:
            raise self._error(f"returned a tensor on {losses.device}; the logits are on {logits.device}")
        if not losses.requires_grad:
            raise self._error("returned a loss that doesn't depend on the logits, so that nothing is learnt")
        if reads_values and not losses.isfinite().all() and logits.isfinite().all():
            wrong = losses[~losses.isfinite()][0].item()
            raise self._error(f"returned {wrong} in the first step, whose logits and labels are finite")
        return losses

    def _error(self, what: str) -> InvalidInput:
        return InvalidInput(f"objective {self._call.name!r} {what}")


def _inputs(logits: Tensor, labels: Tensor, context: BatchContext) -> dict[str, Tensor]:
    """The tensors that an objective is given, by the names that its author knows them by."""
    found = {
        "logits": logits,
        "labels": labels,
        "context.prior": context.prior,
        "context.batch_logits": context.batch_logits,
        "context.batch_labels": context.batch_labels,
        "context.labels": context.labels,
    }
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _equal(tensor: Tensor, copy: Tensor) -> bool:
    """Whether the values are those of a copy, NaN where it has NaN."""
    import torch

    return torch.allclose(tensor.detach(), copy, rtol=0, atol=0, equal_nan=True)
