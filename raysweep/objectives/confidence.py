"""Auxiliary confidence losses: the student's own hardened predictions as a second target.

The threshold that hardens them is a statistic of the whole global batch, the same on every rank and in every
micro batch: with a threshold per rank, half of the hardened targets would differ at a global batch of 32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import numpy.typing as npt

from raysweep.objectives.base import BatchContext, Objective, linear_warmup, objectives, soft_cross_entropy
from raysweep.spec.parameters import Between

if TYPE_CHECKING:
    from torch import Tensor

Threshold = Literal["balanced", "prior"]


def hardened(batch_logits: Tensor, prior: Tensor, logits: Tensor) -> Tensor:
    """One-hot predictions (B, K) whose class counts over the global batch match a prior.

    A bias per class is added to the log-probabilities such that, over the global batch, class k is the
    largest G·prior_k times, rounded to whole examples. With K = 2 this is the threshold t of Burns et al.
    2023 (appendix A.4): an example is positive if its probability exceeds the batch's quantile at 1 −
    prior_1. Examples that tie at the threshold go to the class of the lowest index, as in the paper's
    `f > t`.

    Args:
        batch_logits: (G, K) of the global batch.
        prior: (K,) shares, summing to 1.
        logits: (B, K) of the examples to harden.
    """
    import torch

    batch = batch_logits.detach().double()
    own = logits.detach().double()
    if logits.shape[-1] == 2:
        chosen = (own[:, 1] - own[:, 0] > _threshold(batch[:, 1] - batch[:, 0], prior[1])).long()
    else:
        chosen = (own + _matching_bias(batch, prior)).argmax(dim=-1)
    return torch.nn.functional.one_hot(chosen, logits.shape[-1]).to(logits.dtype)


def _threshold(margins: Tensor, share: Tensor) -> Tensor:
    """A threshold that G·share of the margins (G,) exceed, rounded to a whole number of them.

    If two whole numbers are equally near, the lower one: of an odd batch at a share of one half, ⌊G/2⌋
    margins exceed the median. The threshold lies midway between its two neighbours among the margins, so that
    noise in their last digits changes no target.

    Not `torch.quantile`: it interpolates between order statistics and leaves ⌈(G − 1)·share⌉ margins above,
    on average 0.4 too many at a share of 0.1 and a batch of 32, and never all G.
    """
    import torch

    ends = margins.new_tensor([torch.inf, -torch.inf])
    ordered = torch.cat([ends[:1], margins.sort(descending=True).values, ends[1:]])
    count = (share.double() * len(margins) - 0.5).ceil().long()
    return (ordered[count] + ordered[count + 1]) / 2


def _matching_bias(scores: Tensor, prior: Tensor) -> Tensor:
    """(K,) biases with which the argmax counts over the rows of scores (G, K) match `prior`, up to ties.

    The assignment of rows to classes with these counts and the largest sum of scores is a linear assignment
    problem; biases that make it the argmax solve its dual. Coordinate descent on the dual (one class after
    the other) gets stuck, since the dual isn't smooth.
    """
    from scipy.optimize import linear_sum_assignment

    values = scores.cpu().numpy()
    shares = prior.double().cpu().numpy()
    if not np.isfinite(values).all():
        return scores.new_zeros(len(shares))  # the loss isn't finite either, which the trainer reports
    places = np.repeat(np.arange(len(shares)), _whole_counts(shares, len(values)))
    order, place = linear_sum_assignment(values[:, places], maximize=True)
    chosen = np.empty(len(values), dtype=int)
    chosen[order] = places[place]
    # bias_k − bias_j may be at most slack[j, k], or a row of class j would move to class k. Bounds add up
    # along paths of classes.
    slack = np.full((len(shares), len(shares)), np.inf)
    for j in np.unique(chosen):
        rows = values[chosen == j]
        slack[j] = (rows[:, [j]] - rows).min(axis=0)
    for middle in range(len(shares)):
        slack = np.minimum(slack, slack[:, [middle]] + slack[[middle], :])
    used = np.unique(chosen)
    between = slack[np.ix_(used, used)]
    biases = np.full(len(shares), -np.inf)  # of classes that no row is assigned to
    biases[used] = (between - between.T).mean(axis=0) / 2  # in the middle of what the bounds allow
    return scores.new_tensor(biases)


def _whole_counts(shares: npt.NDArray[np.float64], total: int) -> npt.NDArray[np.int64]:
    """Whole numbers (K,) near total·shares that sum to the total, by the largest-remainder method."""
    amounts = total * shares
    counts = np.floor(amounts + 1e-6).astype(int)  # 32·0.25 in float32 may be a little less than 8
    counts[np.argsort(counts - amounts, kind="stable")[: total - counts.sum()]] += 1
    return counts


def confidence(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    alpha_max: Annotated[float, Between(0, 1)] = 0.5,
    warmup_fraction: Annotated[float, Between(0, 1)] = 0.2,
    threshold: Threshold = "balanced",
) -> Tensor:
    """Auxiliary confidence loss (Burns et al. 2023, appendix A.4), for K classes.

    L = (1 − α)·CE(labels, p) + α·CE(hardened p, p), where α grows linearly from 0 to α_max over the first
    `warmup_fraction` of the steps (20 % in the paper; α_max is 0.75 for its largest students, otherwise 0.5).

    threshold="balanced" hardens predictions so that all classes have equal shares of the global batch: for
    K = 2, half of it is positive, as in the paper, whose tasks are balanced. threshold="prior" gives them the
    shares of all training labels, as the code of openai/weak-to-strong does batch by batch: for tasks that
    aren't balanced. The two differ on a balanced task too, by as much as its supervisor prefers a class.

    What is hardened must know something first. Heads on frozen features do after a fifth of 150 steps: there
    a warm-up over all steps recovers less (a PGR of 0.57 against 0.65, see experiments/README.md). A model
    all of whose weights are trained doesn't after a fifth of 60 steps: MiniLM on film reviews ended below
    its supervisor then (0.666 against 0.735; one seed), and with warmup_fraction=1 at 0.747, beside naive
    with 0.751. So warm up over all steps in short finetunings of all weights.
    """
    assert context.batch_logits is not None
    alpha = alpha_max * linear_warmup(context.step_fraction, warmup_fraction)
    prior = (
        context.prior
        if threshold == "prior"
        else context.prior.new_full(context.prior.shape, 1 / len(context.prior))
    )
    own = hardened(context.batch_logits, prior, logits)
    return (1 - alpha) * soft_cross_entropy(logits, labels) + alpha * soft_cross_entropy(logits, own)


def confidence_openai(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    alpha_max: Annotated[float, Between(0, 1)] = 0.5,
    warmup_fraction: Annotated[float, Between(0, 1)] = 0.1,
) -> Tensor:
    """The confidence loss of openai/weak-to-strong's code (`logconf`) with its warm-up; two classes.

    Differs from `confidence`: the coefficient is α_max·s while the step fraction s ≤ warmup_fraction and then
    jumps to α_max (their issue 33); the threshold is the quantile of P(class 0) at the batch's mean label of
    class 1; the loss is one cross-entropy with the mixed target (1 − c)·label + c·hardened.
    """
    import torch

    assert context.batch_logits is not None and context.batch_labels is not None
    is_warm = context.step_fraction > warmup_fraction
    coefficient = alpha_max * (1.0 if is_warm else context.step_fraction)
    batch_first = context.batch_logits.detach().softmax(dim=-1)[:, 0]
    cut = torch.quantile(batch_first, context.batch_labels.mean(dim=0)[1].to(batch_first.dtype))
    is_first = logits.detach().softmax(dim=-1)[:, 0] >= cut
    own = torch.stack([is_first, ~is_first], dim=1).to(logits.dtype)
    return soft_cross_entropy(logits, (1 - coefficient) * labels + coefficient * own)


objectives.add("confidence", Objective(confidence, needs_global_batch=True))
objectives.add("confidence_openai", Objective(confidence_openai, needs_global_batch=True, num_classes=2))
