"""The losses of EleutherAI/w2s as published (`w2s/loss.py` at a929af0), to reproduce their numbers.

They warm up over a number of *steps*: 100, the `logconf_warmup_steps` of that repository, whose functions
have an unused default of 200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from raysweep.objectives.base import BatchContext, Objective, linear_warmup, objectives, soft_cross_entropy
from raysweep.spec.parameters import Above, AtLeast, Between

if TYPE_CHECKING:
    from torch import Tensor

Prior = Literal["half", "labels"]


def entropy(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    alpha_max: Annotated[float, Between(0, 1)] = 0.5,
    warmup_steps: Annotated[int, AtLeast(0)] = 100,
) -> Tensor:
    """The entropy loss of EleutherAI/w2s as published; in effect, cross-entropy at a lower learning rate.

    A cross-entropy with the target (1 − c)·w + c·p, where c grows linearly to `alpha_max` over `warmup_steps`
    steps. As p has no gradient in the target, the gradient is (1 − c)·(p − w): that of cross-entropy times
    (1 − c), a factor that Adam all but cancels. Nothing lowers the entropy; the objective
    `entropy_regularization` does. Their `balance_batch`, off by default, is left out.
    """
    coefficient = alpha_max * linear_warmup(context.step, warmup_steps)
    own = logits.detach().softmax(dim=-1)
    return soft_cross_entropy(logits, (1 - coefficient) * labels + coefficient * own)


def confidence_window(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    radius: Annotated[float, Above(0, 1)] | Literal["midweak"] = 0.15,
) -> Tensor:
    """Cross-entropy only where the student is still unsure: the confidence window of EleutherAI/w2s.

    The loss of an example whose max_k p_k isn't below ½ + radius is 0. The trainer still divides by the whole
    batch, as theirs does, so that a batch of confident examples teaches nothing, even where the student is
    wrong. A radius above 0.5 keeps all examples. With more than two classes the bound stays ½ + radius, as in
    their formula; it doesn't become 1/K + radius.

    Args:
        logits: (B, K).
        labels: (B, K) probabilities.
        context: its `labels` give the median.
        radius: a number, or "midweak" for the median of max_k w_k − ½ over all training labels, which with
            two classes is the median of |w_1 − ½|. Of two middle values torch takes the lower one.
    """
    import torch

    if radius == "midweak":
        bound: float | Tensor = context.labels.max(dim=-1).values.median()
    else:
        bound = 0.5 + radius
    unsure = logits.detach().softmax(dim=-1).max(dim=-1).values < bound
    losses = soft_cross_entropy(logits, labels)
    return torch.where(unsure, losses, torch.zeros_like(losses))


def confidence_eleuther(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    alpha_max: Annotated[float, Between(0, 1)] = 0.5,
    warmup_steps: Annotated[int, AtLeast(0)] = 100,
    prior: Prior = "half",
    balance_batch: bool = False,
) -> Tensor:
    """The confidence loss of EleutherAI/w2s as published (`logconf`): warm-up over steps; two classes.

    A cross-entropy with the target (1 − c)·w + c·ŷ, where c grows linearly to `alpha_max` over `warmup_steps`
    steps and ŷ is class 0 where P(class 0) ≥ t, else class 1; t is the quantile of P(class 0), at a prior,
    over a window of predictions.

    Their window is the last 32 predictions (their batch size), taken minibatch by minibatch; ours is the
    global batch. The two are the same where their minibatch is the batch. At their default minibatch of 1, an
    example's window is itself and the 31 before it, so that early in a batch most of the window was predicted
    before the last update; and since their trainer also calls the loss to evaluate, the first windows after
    an evaluation hold validation and test examples. We imitate neither.

    Args:
        logits: (B, 2).
        labels: (B, 2) probabilities.
        context: with the logits and labels of the global batch.
        alpha_max: largest weight of the student's own predictions.
        warmup_steps: steps after which `alpha_max` is reached.
        prior: "half" as in their code at a minibatch of 1; "labels" for the mean of the batch's labels, as in
            their code at larger minibatches.
        balance_batch: shift the labels' log-odds by their mean over the batch, and take one half as the
            prior. At a minibatch of 1 their code makes every label ½ that way; ours never does, since it
            takes the mean over the global batch.
    """
    import torch

    assert context.batch_logits is not None and context.batch_labels is not None
    share = context.batch_labels[:, 1].mean()
    if balance_batch:
        balanced = (_log_odds(labels) - _log_odds(context.batch_labels).mean()).sigmoid()
        labels = torch.stack([1 - balanced, balanced], dim=1)
    if balance_batch or prior == "half":
        share = torch.full_like(share, 0.5)
    coefficient = alpha_max * linear_warmup(context.step, warmup_steps)
    window = context.batch_logits.detach().softmax(dim=-1)[:, 0]
    is_first = logits.detach().softmax(dim=-1)[:, 0] >= torch.quantile(window, share.to(window.dtype))
    own = torch.stack([is_first, ~is_first], dim=1).to(logits.dtype)
    return soft_cross_entropy(logits, (1 - coefficient) * labels + coefficient * own)


def _log_odds(labels: Tensor) -> Tensor:
    """(B,) log-odds of class 1 in labels (B, 2), kept finite by the summand of their code."""
    positive = labels[:, 1]
    return (positive + 1e-7).log() - (1 - positive + 1e-7).log()


objectives.add("entropy", Objective(entropy))
objectives.add("confidence_window", Objective(confidence_window))
objectives.add("confidence_eleuther", Objective(confidence_eleuther, needs_global_batch=True, num_classes=2))
