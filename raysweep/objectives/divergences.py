"""Divergences between labels and predictions other than the plain cross-entropy, forward and reversed.

Reversed losses weight what the labels say by the student's own probabilities: they look for the mode of the
labels and ignore what an uncertain label says. In them labels are smoothed, w̃ = (1 − ε)·w + ε/K, or a label
of probability 0 would cost without bound. The published code has ε = 0 by default; ours, 0.001, is ours. As
torch's binary cross-entropy in that code does, log w̃ is cut at −100, so that ε = 0 stays finite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raysweep.objectives.base import BatchContext, Objective, no_parameters, objectives, soft_cross_entropy
from raysweep.spec.validation import check_number

if TYPE_CHECKING:
    from torch import Tensor

_EPSILON = 1e-3


def _log_smoothed(labels: Tensor, epsilon: float) -> Tensor:
    """(B, K) log w̃, at least −100."""
    return ((1 - epsilon) * labels + epsilon / labels.shape[-1]).log().clamp(min=-100)


def kl(logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
    """KL divergence KL(labels ‖ student) (`kl` of EleutherAI/w2s): cross-entropy less the labels' entropy.

    Σ_k w_k (log w_k − log p_k). Its gradient is the cross-entropy's; only the curve of the loss differs,
    which ends at 0.
    """
    import torch

    return soft_cross_entropy(logits, labels) - torch.special.entr(labels).sum(dim=-1)


def _check_reverse_kl(*, epsilon: float = _EPSILON) -> None:
    check_number("objective 'reverse_kl'", "epsilon", epsilon, 0, 1)


def reverse_kl(logits: Tensor, labels: Tensor, context: BatchContext, *, epsilon: float = _EPSILON) -> Tensor:
    """Reverse KL divergence KL(student ‖ smoothed labels) (Yao et al. 2025, arXiv 2502.11107).

    Σ_k p_k (log p_k − log w̃_k), w̃ = (1 − ε)·w + ε/K. The code of arXiv 2505.24313 (Gengze/W2SG-Bregman)
    divides by K on top (a mean over batch and classes): its loss is 1/K of this one.
    """
    log_probabilities = logits.log_softmax(dim=-1)
    return (log_probabilities.exp() * (log_probabilities - _log_smoothed(labels, epsilon))).sum(dim=-1)


def _check_reverse_cross_entropy(*, epsilon: float = _EPSILON) -> None:
    check_number("objective 'reverse_cross_entropy'", "epsilon", epsilon, 0, 1)


def reverse_cross_entropy(
    logits: Tensor, labels: Tensor, context: BatchContext, *, epsilon: float = _EPSILON
) -> Tensor:
    """Reverse cross-entropy of smoothed labels under the student (arXiv 2502.11107 and 2505.24313).

    −Σ_k p_k log w̃_k, w̃ = (1 − ε)·w + ε/K: `reverse_kl` plus the student's entropy. Linear in p, so that it
    is least where the student is certain of the most probable label, however uncertain that label is; its
    gradient vanishes on a label that is uniform, and on a student that is certain, rightly or not.
    """
    return -(logits.softmax(dim=-1) * _log_smoothed(labels, epsilon)).sum(dim=-1)


def _check_symmetric(*, forward: float = 1.0, reverse: float = 0.1, epsilon: float = _EPSILON) -> None:
    where = "objective 'symmetric_cross_entropy'"
    check_number(where, "forward", forward, 0)
    check_number(where, "reverse", reverse, 0)
    check_number(where, "epsilon", epsilon, 0, 1)


def symmetric_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    forward: float = 1.0,
    reverse: float = 0.1,
    epsilon: float = _EPSILON,
) -> Tensor:
    """Symmetric cross-entropy ("SL"): cross-entropy plus a little reverse cross-entropy (arXiv 2505.24313).

    forward·CE(w, p) + reverse·RCE(p, w̃), after Wang et al. 2019 (arXiv 1908.06112); 1 and 0.1 as in that
    repository. The labels of the forward part aren't smoothed.
    """
    reversed_part = reverse_cross_entropy(logits, labels, context, epsilon=epsilon)
    return forward * soft_cross_entropy(logits, labels) + reverse * reversed_part


def _check_adaptive(
    *, threshold: float = 0.1, quantile: float | None = None, epsilon: float = _EPSILON
) -> None:
    where = "objective 'confidence_adaptive_cross_entropy'"
    check_number(where, "threshold", threshold, 0, 0.5)
    if quantile is not None:
        check_number(where, "quantile", quantile, 0, 1)
    check_number(where, "epsilon", epsilon, 0, 1)


def confidence_adaptive_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    threshold: float = 0.1,
    quantile: float | None = None,
    epsilon: float = _EPSILON,
) -> Tensor:
    """Confidence-adaptive cross-entropy ("CACE"): reverse cross-entropy on uncertain labels (arXiv
    2505.24313).

    Cross-entropy where the label is confident, max_k w_k − ½ ≥ threshold, and `reverse_cross_entropy` where
    it isn't. With two classes that is |w_1 − ½| ≥ threshold. For more classes the rule is read the same: its
    ½ doesn't become 1/K.

    Args:
        threshold: 0.1 in the repository's README; 0.01 as the default of its code.
        quantile: takes for threshold this quantile of max_k w_k − ½ over all training labels ("Quan_CACE_5"
        is 0.5).
    """
    import torch

    cut: float | Tensor = threshold
    if quantile is not None:
        cut = torch.quantile(context.labels.max(dim=-1).values - 0.5, quantile)
    uncertain = labels.max(dim=-1).values - 0.5 < cut
    reversed_part = reverse_cross_entropy(logits, labels, context, epsilon=epsilon)
    return torch.where(uncertain, reversed_part, soft_cross_entropy(logits, labels))


objectives.add("kl", Objective(kl, no_parameters))
objectives.add("reverse_kl", Objective(reverse_kl, _check_reverse_kl))
objectives.add("reverse_cross_entropy", Objective(reverse_cross_entropy, _check_reverse_cross_entropy))
objectives.add("symmetric_cross_entropy", Objective(symmetric_cross_entropy, _check_symmetric))
objectives.add(
    "confidence_adaptive_cross_entropy", Objective(confidence_adaptive_cross_entropy, _check_adaptive)
)
