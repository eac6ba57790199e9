"""Objectives that mix the student's own predictions into its targets, example by example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from raysweep.objectives.base import BatchContext, Objective, linear_warmup, objectives, soft_cross_entropy
from raysweep.spec.parameters import Above, AtLeast, Between

if TYPE_CHECKING:
    from torch import Tensor


def product(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    alpha: Annotated[float, AtLeast(0)] = 1.0,
    beta: Annotated[float, AtLeast(0)] = 1.0,
) -> Tensor:
    """Cross-entropy with the product of labels and predictions as target (openai/weak-to-strong's `product`).

    The target is ∝ w^alpha · p^beta, normalised and without gradient. Both powers are 1 in that code, which
    stores a `warmup_frac` of 0.1 that it never uses, so there is none here. The paper's main results don't
    use it.

    In log-odds the target is alpha·logit(w) + beta·logit(p). With beta ≥ 1 it therefore always lies beyond
    the student on the label's side, and only certainty ends the pull; with beta < 1 the student converges to
    alpha/(1 − beta)·logit(w).
    """
    log_target = beta * logits.detach().log_softmax(dim=-1)
    if alpha > 0:  # 0⁰ is 1: with alpha = 0 a label of probability 0 forbids nothing
        log_target = log_target + alpha * labels.log()
    return soft_cross_entropy(logits, log_target.softmax(dim=-1))


def entropy_regularization(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    alpha_max: Annotated[float, Between(-1, 1)] = 0.5,
    warmup_fraction: Annotated[float, Between(0, 1)] = 0.2,
) -> Tensor:
    """Cross-entropy with a penalty on the student's entropy (the formula of EleutherAI's blog).

    L = (1 − |α|)·CE(w, p) + α·H(p), H(p) = −Σ_k p_k log p_k *with* its gradient, which the objective
    `entropy` lacks. α grows linearly from 0 to `alpha_max` over the first `warmup_fraction` of the steps. A
    positive α makes the student confident (entropy minimisation, Grandvalet & Bengio 2004), a negative one
    hesitant: up to a factor it is the confidence penalty CE − β·H(p), β = |α|/(1 − |α|), of Pereyra et al.
    2017 (arXiv 1701.06548). The blog has the positive sign.
    """
    alpha = alpha_max * linear_warmup(context.step_fraction, warmup_fraction)
    own_entropy = soft_cross_entropy(logits, logits.softmax(dim=-1))
    return (1 - abs(alpha)) * soft_cross_entropy(logits, labels) + alpha * own_entropy


def adaptive_confidence(
    logits: Tensor,
    labels: Tensor,
    context: BatchContext,
    *,
    sharpness: Annotated[float, Above(0)] = 0.5,
    temperature: Annotated[float, Above(0)] = 1.0,
    warmup_fraction: Annotated[float, Between(0, 1)] = 0.0,
) -> Tensor:
    """Confidence loss weighted example by example ("AdaptConf", Guo et al. 2024, arXiv 2402.03749).

    L = (1 − α)·T²·KL(w_T ‖ p_T) + α·CE(ŷ_s, p), where p_T and w_T are softened by T = `temperature`, ŷ_s and
    ŷ_w are the most probable classes of student and label, and, without gradient and with τ = `sharpness`,

        α = e^{CE(ŷ_s, p)/τ} / (e^{CE(ŷ_s, p)/τ} + e^{CE(ŷ_w, p)/τ})
          = p(ŷ_w)^{1/τ} / (p(ŷ_s)^{1/τ} + p(ŷ_w)^{1/τ}).

    So α is ½ where student and label agree and *less* where they don't, the less the surer the student is:
    the loss then follows the label. The authors' code (ggjy/vision_weak_to_strong) computes it that way; it
    adds cross-entropy with ground truth, which no student has here. There τ is 0.5 on CIFAR and 4 on
    ImageNet. `warmup_fraction` is 0 in its distillation; its noisy-label experiments let α grow linearly over
    the first 25 % of the epochs. A student whose head starts undecided should warm up: at α ≈ ½ its chance
    guess outweighs any soft label, and an example trained on alone stays near ½ on the side where it started.
    """
    import torch

    log_probabilities = logits.log_softmax(dim=-1)
    own_class = log_probabilities.argmax(dim=-1, keepdim=True)
    label_class = labels.argmax(dim=-1, keepdim=True)
    own_loss = -log_probabilities.gather(-1, own_class)[..., 0]
    label_loss = -log_probabilities.gather(-1, label_class)[..., 0]
    alpha = ((own_loss - label_loss).detach() / sharpness).sigmoid()
    alpha = alpha * linear_warmup(context.step_fraction, warmup_fraction)
    soft_labels = (labels.log() / temperature).softmax(dim=-1)
    label_entropy = torch.special.entr(soft_labels).sum(dim=-1)
    divergence = soft_cross_entropy(logits / temperature, soft_labels) - label_entropy
    return (1 - alpha) * temperature**2 * divergence + alpha * own_loss


objectives.add("product", Objective(product))
objectives.add("entropy_regularization", Objective(entropy_regularization))
objectives.add("adaptive_confidence", Objective(adaptive_confidence))
