"""What an objective is: a per-example loss, a pure function of logits and labels, and what it needs of the
trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raysweep.registry import Registry
from raysweep.spec import TaskKind

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BatchContext:
    """What is known beyond the examples at hand."""

    step_fraction: float
    """Steps done over all steps, in [0, 1)."""
    step: int
    """Steps done."""
    prior: Tensor
    """(K,) mean of the training labels over the whole training set."""
    batch_logits: Tensor | None
    """(G, K) logits of the whole global batch without gradient, for objectives that ask for it."""
    batch_labels: Tensor | None
    """(G, K) labels of the whole global batch, in the same order."""
    labels: Tensor
    """(N, K) labels of all examples that are trained on, in any order; for objectives that look at their
    distribution."""


LossFunction = Callable[..., "Tensor"]
"""(logits (B, K), labels (B, K) as probabilities, context, **params) → loss (B,)."""


@dataclass(frozen=True)
class Objective:
    """A loss function and what it needs of the trainer."""

    loss: LossFunction
    check: Callable[..., None]
    """Called with the parameters when a sweep is planned; raises `InvalidInput` on a bad one."""
    needs_global_batch: bool = False
    num_classes: int | None = None
    """The number of classes that it is for; None for any."""
    kinds: tuple[TaskKind, ...] = ("classification", "preference")
    """What it can teach. Where tokens are learnt ("generative", "text"), the trainer gives the negative
    log-likelihood of each example's tokens and `loss` isn't called."""


objectives: Registry[Objective] = Registry("objective", Objective)


def no_parameters() -> None:
    """The check of an objective without parameters."""


def linear_warmup(done: float, length: float) -> float:
    """How far a linear climb from 0 to 1 over `length` has come after `done`; 1 where there is none."""
    return min(1.0, done / length) if length > 0 else 1.0


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """(B,) −Σ_k q_k log p_k of logits (B, K) against targets q (B, K)."""
    return -(targets * logits.log_softmax(dim=-1)).sum(dim=-1)
