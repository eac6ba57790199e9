"""Objectives: per-example losses, pure functions of logits and labels.

The trainer weights, reduces, accumulates and gathers; an objective never sees ranks or micro batches. What a loss needs
of the whole global batch (the confidence loss's threshold) it takes from `BatchContext`, which is the same on every rank
and in every micro batch: at a global batch of 32, a threshold per rank would change half of the hardened targets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raysweep.errors import InvalidInput
from raysweep.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BatchContext:
    """What is known beyond the examples at hand."""

    step_fraction: float
    """Steps done over all steps, in [0, 1)."""
    prior: Tensor
    """(K,) mean of the training labels over the whole training set."""
    batch_logits: Tensor | None
    """(G, K) logits of the whole global batch without gradient, for objectives that ask for it."""
    batch_labels: Tensor | None
    """(G, K) labels of the whole global batch, in the same order."""


LossFunction = Callable[..., "Tensor"]
"""(logits (B, K), labels (B, K) as probabilities, context, **params) → loss (B,)."""


@dataclass(frozen=True)
class Objective:
    """A loss function and what it needs of the trainer."""

    loss: LossFunction
    check: Callable[..., None]
    """Called with the parameters when a sweep is planned; raises `InvalidInput` on a bad one."""
    needs_global_batch: bool = False
    token_level: bool = False
    """For tasks of kind "text": the trainer gives the mean negative log-likelihood of an example's tokens."""


objectives: Registry[Objective] = Registry("objective")


def _no_parameters() -> None:
    """The check of an objective without parameters."""


def _soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets * logits.log_softmax(dim=-1)).sum(dim=-1)


def cross_entropy(logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
    """Cross-entropy −Σ_k q_k log p_k with soft or hard labels q (Burns et al. 2023, section 3)."""
    return _soft_cross_entropy(logits, labels)


def language_modelling(logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
    """Mean negative log-likelihood of an example's tokens; for tasks of kind "text"."""
    raise InvalidInput("objective 'language_modelling' is for tasks of kind 'text'; use 'cross_entropy' here")


def hardened(batch_logits: Tensor, prior: Tensor, logits: Tensor) -> Tensor:
    """One-hot predictions (B, K) whose class counts over the global batch match a prior.

    A bias per class is added to the log-probabilities such that, over the global batch, class k is the largest about
    G·prior_k times. With K = 2 this is the threshold t of Burns et al. 2023 (appendix A.4): an example is positive if its
    probability exceeds the quantile of the batch at 1 − prior_1.

    Args:
        batch_logits: (G, K) of the global batch.
        prior: (K,) shares, summing to 1.
        logits: (B, K) of the examples to harden.
    """
    import torch

    bias = _matching_bias(batch_logits.detach().double().log_softmax(dim=-1), prior.double())
    chosen = (logits.detach().double().log_softmax(dim=-1) + bias).argmax(dim=-1)
    return torch.nn.functional.one_hot(chosen, logits.shape[-1]).to(logits.dtype)


def _matching_bias(log_probabilities: Tensor, prior: Tensor) -> Tensor:
    """(K,) biases with which the argmax counts over the rows match `prior`, up to ties.

    K = 2 is solved exactly by the quantile of the log-odds; K > 2 by cycling the same step over the classes, each against
    the best of the others, until no bias moves (every step solves its class's count exactly).
    """
    import torch

    num_classes = log_probabilities.shape[1]
    bias = torch.zeros(num_classes, dtype=log_probabilities.dtype, device=log_probabilities.device)
    classes = [1] if num_classes == 2 else list(range(num_classes))
    for _ in range(1 if num_classes == 2 else 100):
        before = bias.clone()
        for k in classes:
            scores = log_probabilities + bias
            others = torch.cat([scores[:, :k], scores[:, k + 1 :]], dim=1).amax(dim=1)
            margin = log_probabilities[:, k] - others
            bias[k] = -torch.quantile(margin, (1 - prior[k]).clamp(0, 1))
        if torch.allclose(bias, before, rtol=0, atol=1e-9):
            break
    return bias


def _check_confidence(*, alpha_max: float = 0.5, warmup_fraction: float = 0.2, threshold: str = "prior") -> None:
    if not 0 <= alpha_max <= 1:
        raise InvalidInput(f"objective 'confidence': alpha_max is {alpha_max}; it must be in [0, 1]")
    if not 0 <= warmup_fraction <= 1:
        raise InvalidInput(f"objective 'confidence': warmup_fraction is {warmup_fraction}; it must be in [0, 1]")
    if threshold not in ("prior", "balanced"):
        raise InvalidInput(f"objective 'confidence': threshold is {threshold!r}; it must be 'prior' or 'balanced'")


def confidence(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    alpha_max: float = 0.5,
    warmup_fraction: float = 0.2,
    threshold: str = "prior",
) -> Tensor:
    """Auxiliary confidence loss (Burns et al. 2023, appendix A.4), for K classes.

    L = (1 − α)·CE(labels, p) + α·CE(hardened p, p), where α grows linearly from 0 to α_max over the first
    `warmup_fraction` of the steps (20 % in the paper; α_max 0.75 for the largest students, 0.5 else). Predictions are
    hardened so that the class shares of the global batch equal the prior of all training labels
    (threshold="prior") or are equal (threshold="balanced": for K = 2, the batch median of the paper).
    """
    assert context.batch_logits is not None
    alpha = alpha_max * (min(1.0, context.step_fraction / warmup_fraction) if warmup_fraction > 0 else 1.0)
    prior = context.prior if threshold == "prior" else context.prior.new_full(context.prior.shape, 1 / len(context.prior))
    own = hardened(context.batch_logits, prior, logits)
    return (1 - alpha) * _soft_cross_entropy(logits, labels) + alpha * _soft_cross_entropy(logits, own)


def _check_openai(*, alpha_max: float = 0.5, warmup_fraction: float = 0.1) -> None:
    _check_confidence(alpha_max=alpha_max, warmup_fraction=warmup_fraction)


def confidence_openai(
    logits: Tensor, labels: Tensor, context: BatchContext, *, alpha_max: float = 0.5, warmup_fraction: float = 0.1
) -> Tensor:
    """The confidence loss as openai/weak-to-strong's code publishes it (`logconf`), its warm-up included; two classes.

    Differs from `confidence`: the coefficient is α_max·s while the step fraction s ≤ warmup_fraction and then jumps to
    α_max (their issue 33); the threshold is the quantile of P(class 0) at the batch's mean label of class 1; the loss is
    one cross-entropy with the mixed target (1 − c)·label + c·hardened.
    """
    import torch

    assert context.batch_logits is not None and context.batch_labels is not None
    if logits.shape[-1] != 2:
        raise InvalidInput(
            f"objective 'confidence_openai' is for two classes, this task has {logits.shape[-1]}; use 'confidence'"
        )
    warm = context.step_fraction > warmup_fraction
    coefficient = alpha_max * (1.0 if warm else context.step_fraction)
    batch_first = context.batch_logits.detach().softmax(dim=-1)[:, 0]
    cut = torch.quantile(batch_first, context.batch_labels.mean(dim=0)[1].to(batch_first.dtype))
    is_first = logits.detach().softmax(dim=-1)[:, 0] >= cut
    own = torch.stack([is_first, ~is_first], dim=1).to(logits.dtype)
    return _soft_cross_entropy(logits, (1 - coefficient) * labels + coefficient * own)


objectives.add("cross_entropy", Objective(cross_entropy, _no_parameters))
objectives.add("language_modelling", Objective(language_modelling, _no_parameters, token_level=True))
objectives.add("confidence", Objective(confidence, _check_confidence, needs_global_batch=True))
objectives.add("confidence_openai", Objective(confidence_openai, _check_openai, needs_global_batch=True))
