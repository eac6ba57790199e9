"""The interface of an objective: a per-example loss, and what it needs of the trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from raysweep.registry import Registry
from raysweep.spec import TaskKind
from raysweep.spec.parameters import Parameters

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BatchContext:
    """What a loss may know beyond the examples of its micro batch."""

    step_fraction: float
    """Steps done over all steps, in [0, 1)."""
    step: int
    """Steps done."""
    prior: Tensor
    """(K,) mean of the training labels over the whole training set."""
    batch_logits: Tensor | None
    """(G, K) logits of the whole global batch, without gradient; None unless the objective asks for them."""
    batch_labels: Tensor | None
    """(G, K) labels of the whole global batch, in the same order; None as `batch_logits`."""
    labels: Tensor
    """(N, K) labels of the whole training set, in any order: their distribution is what a loss may use."""


LossFunction = Callable[..., "Tensor"]
"""(logits (B, K), labels (B, K) as probabilities, context, **params) → loss (B,)."""


@dataclass(frozen=True)
class Objective:
    """A loss function and what it needs of the trainer."""

    loss: LossFunction
    """Its signature declares its parameters, from which they are checked (see `raysweep.spec.parameters`)."""
    _: KW_ONLY
    check: Callable[..., None] | None = None
    """Only for a rule that binds several parameters: see `Parameters.rule`."""
    needs_global_batch: bool = False
    num_classes: int | None = None
    """The number of classes that it is for; None for any."""
    kinds: tuple[TaskKind, ...] = ("classification", "preference")
    """Kinds of task that it can be trained on. For tokens ("generative", "text") the trainer computes the
    negative log-likelihood of each example's tokens itself and doesn't call `loss`."""

    @property
    def parameters(self) -> Parameters:
        """The parameters of the loss: those after logits, labels and context."""
        return Parameters(self.loss, num_leading=3, rule=self.check)


objectives: Registry[Objective] = Registry("objective", Objective, of_function=Objective)


def linear_warmup(done: float, length: float) -> float:
    """Value after `done` of a linear warm-up from 0 to 1 over `length` (in the same unit); 1 without one."""
    return min(1.0, done / length) if length > 0 else 1.0


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """(B,) −Σ_k q_k log p_k of logits (B, K) against targets q (B, K)."""
    return -(targets * logits.log_softmax(dim=-1)).sum(dim=-1)
