"""Divergences between labels and predictions other than the plain cross-entropy, forward and reversed.

A reversed loss weights the labels' log-probabilities by the student's own probabilities: it seeks the mode of
the labels and ignores what an uncertain label says. Its labels are smoothed, w̃ = (1 − ε)·w + ε/K, since the
loss of a label of probability 0 would be unbounded. The published code has ε = 0 by default; our default of
0.001 is our own choice. log w̃ is clamped at −100, as torch's binary cross-entropy in that code does, so that
ε = 0 stays finite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from raysweep.objectives.base import BatchContext, Objective, objectives, soft_cross_entropy
from raysweep.spec.parameters import AtLeast, Between

if TYPE_CHECKING:
    from torch import Tensor

_EPSILON = 1e-3


def _log_smoothed(labels: Tensor, epsilon: float) -> Tensor:
    """(B, K) log w̃, at least −100."""
    return ((1 - epsilon) * labels + epsilon / labels.shape[-1]).log().clamp(min=-100)


def kl(logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
    """KL(labels ‖ student) (`kl` of EleutherAI/w2s): cross-entropy minus the labels' entropy.

    Σ_k w_k (log w_k − log p_k). Its gradient is that of cross-entropy; only the loss curve differs, since its
    minimum is 0.
    """
    import torch

    return soft_cross_entropy(logits, labels) - torch.special.entr(labels).sum(dim=-1)


def reverse_kl(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    epsilon: Annotated[float, Between(0, 1)] = _EPSILON,
) -> Tensor:
    """Reverse KL divergence KL(student ‖ smoothed labels) (Yao et al. 2025, arXiv 2502.11107).

    Σ_k p_k (log p_k − log w̃_k), w̃ = (1 − ε)·w + ε/K. The code of arXiv 2505.24313 (Gengze/W2SG-Bregman)
    takes the mean over batch and classes, so that its loss is 1/K of this one.
    """
    log_probabilities = logits.log_softmax(dim=-1)
    return (log_probabilities.exp() * (log_probabilities - _log_smoothed(labels, epsilon))).sum(dim=-1)


def reverse_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    epsilon: Annotated[float, Between(0, 1)] = _EPSILON,
) -> Tensor:
    """Reverse cross-entropy of smoothed labels under the student (arXiv 2502.11107 and 2505.24313).

    −Σ_k p_k log w̃_k, w̃ = (1 − ε)·w + ε/K: `reverse_kl` plus the student's entropy. It is linear in p, so
    that its minimum is a student certain of the most probable label, however uncertain that label is. Its
    gradient vanishes on a uniform label, and on a student that is certain, rightly or not.
    """
    return -(logits.softmax(dim=-1) * _log_smoothed(labels, epsilon)).sum(dim=-1)


def symmetric_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    forward: Annotated[float, AtLeast(0)] = 1.0,
    reverse: Annotated[float, AtLeast(0)] = 0.1,
    epsilon: Annotated[float, Between(0, 1)] = _EPSILON,
) -> Tensor:
    """Symmetric cross-entropy ("SL"): cross-entropy plus a little reverse cross-entropy (arXiv 2505.24313).

    forward·CE(w, p) + reverse·RCE(p, w̃), after Wang et al. 2019 (arXiv 1908.06112), with the weights 1 and
    0.1 of that repository. The labels of the forward part aren't smoothed.
    """
    reversed_part = reverse_cross_entropy(logits, labels, context, epsilon=epsilon)
    return forward * soft_cross_entropy(logits, labels) + reverse * reversed_part


def confidence_adaptive_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    threshold: Annotated[float, Between(0, 0.5)] = 0.1,
    quantile: Annotated[float, Between(0, 1)] | None = None,
    epsilon: Annotated[float, Between(0, 1)] = _EPSILON,
) -> Tensor:
    """Confidence-adaptive CE ("CACE"): reverse cross-entropy on uncertain labels (arXiv 2505.24313).

    Cross-entropy where the label is confident, max_k w_k − ½ ≥ threshold, and `reverse_cross_entropy` where
    it isn't. With two classes the condition is |w_1 − ½| ≥ threshold. With more classes the ½ stays; it
    doesn't become 1/K.

    Args:
        logits: (B, K).
        labels: (B, K) probabilities.
        context: its `labels` give the quantile.
        threshold: 0.1 in the repository's README; 0.01 as the default of its code.
        quantile: sets the threshold to this quantile of max_k w_k − ½ over all training labels ("Quan_CACE_5"
            is 0.5).
        epsilon: smoothing of the labels of the reversed part.
    """
    import torch

    cut: float | Tensor = threshold
    if quantile is not None:
        cut = torch.quantile(context.labels.max(dim=-1).values - 0.5, quantile)
    uncertain = labels.max(dim=-1).values - 0.5 < cut
    reversed_part = reverse_cross_entropy(logits, labels, context, epsilon=epsilon)
    return torch.where(uncertain, reversed_part, soft_cross_entropy(logits, labels))


objectives.add("kl", Objective(kl))
objectives.add("reverse_kl", Objective(reverse_kl))
objectives.add("reverse_cross_entropy", Objective(reverse_cross_entropy))
objectives.add("symmetric_cross_entropy", Objective(symmetric_cross_entropy))
objectives.add("confidence_adaptive_cross_entropy", Objective(confidence_adaptive_cross_entropy))
