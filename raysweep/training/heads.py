"""From a model's outputs to what objectives and predictions need: the two kinds of head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from raysweep.training.data import TokenizedSplit

if TYPE_CHECKING:
    from torch import Tensor

    from raysweep.training.batching import Rows
    from raysweep.training.engine import Engine


@dataclass(frozen=True)
class Head:
    """Reads rows of a split through the engine.

    A classifier gives K logits for an example's one text; a preference model a score for each of its texts, so that class
    k is "text k is the better one" and P(class 1) = σ(score_1 − score_0).
    """

    engine: Engine
    pad_token: int

    def outputs(self, split: TokenizedSplit, rows: Rows) -> Tensor:
        """(B, K) logits."""
        logits = self.engine.forward(**split.collate(rows, self.pad_token, self.engine.device))
        return logits.reshape(len(rows), -1)

    def readings(self, outputs: Tensor) -> Tensor:
        """(B, K) class probabilities."""
        return outputs.softmax(dim=-1)


class LanguageModelHead(Head):
    """Reads rows as text to be predicted token by token."""

    def outputs(self, split: TokenizedSplit, rows: Rows) -> Tensor:
        """(B, 1) mean negative log-likelihood of each example's tokens after its first, in nats."""
        import torch

        inputs = split.collate(rows, self.pad_token, self.engine.device)
        logits = self.engine.forward(**inputs)[:, :-1]
        mask = inputs["attention_mask"][:, 1:].float()
        targets = inputs["input_ids"][:, 1:]
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
        return ((losses * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1))[:, None]

    def readings(self, outputs: Tensor) -> Tensor:
        """(B, 1) the losses themselves."""
        return outputs


def num_target_tokens(split: TokenizedSplit) -> np.ndarray:
    """(N,) tokens that a language model predicts of each example."""
    return np.maximum(np.diff(split.offsets) - 1, 0).astype(np.float64)
