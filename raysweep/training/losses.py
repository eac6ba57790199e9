"""TODO."""

from __future__ import annotations

from typing import Any

import numpy as np

from raysweep.training.checkpoint import Checkpoints
from raysweep.training.engine import Engine
from raysweep.training.history import History


class PendingLosses:
    """Losses of the last steps, kept on the device so that the device needn't wait for us at every step."""

    def __init__(self, engine: Engine, checkpoints: Checkpoints) -> None:
        self._engine = engine
        self._checkpoints = checkpoints
        self._pending: list[tuple[int, Any, float, int]] = []
        self._skipped: int | None = None
        """The first step whose gradient wasn't finite, though its loss was."""

    def add(self, step: int, own_loss: Any, learning_rate: float, tokens: int) -> None:
        """`own_loss`: this rank's share of the global batch's loss, a tensor."""
        self._pending.append((step, own_loss, learning_rate, tokens))
        if self._engine.has_skipped_steps and self._skipped is None:
            self._skipped = step

    def flush(self, records: History) -> None:
        """Sum the losses over the ranks and write them down.

        Raises:
            TrainingDiverged: one, or a gradient, isn't finite; names the first such step.
        """
        import torch

        if not self._pending:
            return
        losses = self._engine.sum(torch.stack([entry[1] for entry in self._pending]).double()).tolist()
        for (step, _, learning_rate, tokens), loss in zip(self._pending, losses, strict=True):
            self._checkpoints.require_finite(loss, "the loss", step)
            records.add_step(step, loss, learning_rate, tokens)
        if self._skipped is not None:
            self._checkpoints.require_finite(np.inf, "the gradient", self._skipped)
        self._pending.clear()
