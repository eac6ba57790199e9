"""The losses of EleutherAI/w2s as published (`w2s/loss.py` at a929af0), so that their numbers can be
reproduced.

They warm up over a number of *steps*. There, `logconf_warmup_steps` is 100; the functions' own default of 200
isn't used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raysweep.errors import InvalidInput
from raysweep.objectives.base import BatchContext, Objective, linear_warmup, objectives, soft_cross_entropy
from raysweep.spec.validation import check_number, check_whole_number, is_number

if TYPE_CHECKING:
    from torch import Tensor


def _check_entropy(*, alpha_max: float = 0.5, warmup_steps: int = 100) -> None:
    check_number("objective 'entropy'", "alpha_max", alpha_max, 0, 1)
    check_whole_number("objective 'entropy'", "warmup_steps", warmup_steps)


def entropy(
    logits: Tensor, labels: Tensor, context: BatchContext, *, alpha_max: float = 0.5, warmup_steps: int = 100
) -> Tensor:
    """The entropy loss as EleutherAI/w2s publishes it; in effect, cross-entropy at a smaller rate.

    A cross-entropy with the target (1 − c)·w + c·p, where c grows linearly to `alpha_max` over `warmup_steps`
    steps. As p has no gradient in the target, the gradient is (1 − c)·(p − w): that of cross-entropy times (1
    − c), which Adam all but cancels. Nothing pushes the entropy down; `entropy_regularization` does. Without
    their `balance_batch`, which is off by default.
    """
    coefficient = alpha_max * linear_warmup(context.step, warmup_steps)
    own = logits.detach().softmax(dim=-1)
    return soft_cross_entropy(logits, (1 - coefficient) * labels + coefficient * own)


def _check_window(*, radius: float | str = 0.15) -> None:
    if radius != "midweak" and not is_number(radius, 0, 1, above=True):
        raise InvalidInput(
            f"objective 'confidence_window': radius is {radius!r}; it must be a number in (0, 1] or 'midweak'"
        )


def confidence_window(
    logits: Tensor, labels: Tensor, context: BatchContext, *, radius: float | str = 0.15
) -> Tensor:
    """Cross-entropy only where the student is still unsure: the confidence window of EleutherAI/w2s.

    An example whose max_k p_k isn't below ½ + radius counts 0. The trainer still divides by the whole batch,
    as theirs does, so that a batch of confident examples teaches nothing, even where the student is wrong.
    Above 0.5 a radius keeps all. For more than two classes the bound stays ½ + radius, as their formula
    reads; it doesn't become 1/K + radius.

    Args:
        radius: a number, or "midweak" for the median of max_k w_k − ½ over all training labels (the lower of
            the two middle ones, as torch takes it), with two classes the median of |w_1 − ½|.
    """
    import torch

    if radius == "midweak":
        bound: float | Tensor = context.labels.max(dim=-1).values.median()
    else:
        bound = 0.5 + float(radius)
    unsure = logits.detach().softmax(dim=-1).max(dim=-1).values < bound
    losses = soft_cross_entropy(logits, labels)
    return torch.where(unsure, losses, torch.zeros_like(losses))


def _check_confidence(
    *, alpha_max: float = 0.5, warmup_steps: int = 100, prior: str = "half", balance_batch: bool = False
) -> None:
    where = "objective 'confidence_eleuther'"
    check_number(where, "alpha_max", alpha_max, 0, 1)
    check_whole_number(where, "warmup_steps", warmup_steps)
    if prior not in ("half", "labels"):
        raise InvalidInput(f"{where}: prior is {prior!r}; it must be 'half' or 'labels'")
    if not isinstance(balance_batch, bool):
        raise InvalidInput(f"{where}: balance_batch is {balance_batch!r}; it must be True or False")


def confidence_eleuther(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    alpha_max: float = 0.5,
    warmup_steps: int = 100,
    prior: str = "half",
    balance_batch: bool = False,
) -> Tensor:
    """The confidence loss as EleutherAI/w2s publishes it (`logconf`): warm-up over steps; two classes.

    A cross-entropy with the target (1 − c)·w + c·ŷ, where c grows linearly to `alpha_max` over `warmup_steps`
    steps and ŷ is class 0 where P(class 0) ≥ t, else class 1; t is the quantile of P(class 0), at a prior,
    over a window of predictions.

    Theirs is the last 32 predictions (their batch size), taken minibatch by minibatch; ours is the global
    batch. The two are the same where their minibatch is the batch. At their default minibatch of 1, an
    example's window is itself and the 31 before it, so that early in a batch most of it was predicted before
    the last update; and as their trainer calls the loss to evaluate too, the first windows after an
    evaluation hold validation and test examples. Neither is imitated.

    Args:
        prior: "half" as in their code at a minibatch of 1; "labels" for the mean of the batch's labels, as in
            their code at larger minibatches.
        balance_batch: shift the labels' log-odds by their mean over the batch, and take a half for the prior.
            Their code at a minibatch of 1 makes every label ½ that way; ours never does, since the mean is
            the global batch's.
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
    """(B,) of class 1 in labels (B, 2); the summand, theirs, keeps them finite."""
    positive = labels[:, 1]
    return (positive + 1e-7).log() - (1 - positive + 1e-7).log()


objectives.add("entropy", Objective(entropy, _check_entropy))
objectives.add("confidence_window", Objective(confidence_window, _check_window))
objectives.add(
    "confidence_eleuther",
    Objective(confidence_eleuther, _check_confidence, needs_global_batch=True, num_classes=2),
)
