"""Likelihoods: the objectives that take labels, or text, as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raysweep.errors import InvalidInput
from raysweep.objectives.base import BatchContext, Objective, objectives, soft_cross_entropy

if TYPE_CHECKING:
    from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
    """Cross-entropy −Σ_k q_k log p_k with soft or hard labels q (Burns et al. 2023, section 3)."""
    return soft_cross_entropy(logits, labels)


def language_modelling(logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
    """Mean negative log-likelihood of an example's tokens; for text without labels."""
    raise InvalidInput("objective 'language_modelling' is for text without labels; use 'cross_entropy' here")


objectives.add(
    "cross_entropy", Objective(cross_entropy, kinds=("classification", "preference", "generative"))
)
objectives.add("language_modelling", Objective(language_modelling, kinds=("text",)))
