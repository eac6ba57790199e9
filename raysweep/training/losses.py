"""Losses of a run while it trains, and the check that it hasn't diverged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raysweep.errors import TrainingDiverged
from raysweep.training.checkpoint import Checkpoints
from raysweep.training.engine import Engine
from raysweep.training.history import History

if TYPE_CHECKING:
    from torch import Tensor

_MOST_STEPS = 10
_MOST_SECONDS = 5.0
"""Between two transfers of losses from the device: few enough steps to end a diverged run soon, enough not to
slow down a GPU; and of slow steps so few that a reader needn't wait for them."""


class PendingLosses:
    """Losses of the last steps, kept on the device so that it needn't wait for the host at every step."""

    def __init__(self, engine: Engine, checkpoints: Checkpoints) -> None:
        self._engine = engine
        self._checkpoints = checkpoints
        self._pending: list[tuple[int, Tensor, float, int]] = []
        self._skipped: int | None = None
        """The first step whose gradient wasn't finite although its loss was."""
        self._flushed = time.monotonic()
        self._num_steps = 1

    @property
    def is_due(self) -> bool:
        """Whether it is time to flush, on all ranks alike."""
        return len(self._pending) >= self._num_steps

    def add(self, step: int, own_loss: Tensor, learning_rate: float, tokens: int) -> None:
        """Keep the loss of a step.

        Args:
            step: from 0.
            own_loss: scalar, this rank's share of the loss of the global batch.
            learning_rate: of the step.
            tokens: in the global batch, without padding.
        """
        self._pending.append((step, own_loss, learning_rate, tokens))
        if self._engine.has_skipped_steps and self._skipped is None:
            self._skipped = step

    def flush(self, history: History) -> None:
        """Sum the losses over the ranks and add them to the history; all ranks call it.

        Raises:
            TrainingDiverged: a loss or a gradient isn't finite; names the first such step.
        """
        import torch

        if not self._pending:
            return
        own = torch.stack([entry[1] for entry in self._pending]).double()
        elapsed = own.new_tensor([time.monotonic() - self._flushed])
        *losses, seconds = self._engine.sum(torch.cat([own, elapsed])).tolist()
        # The same on all ranks, which must flush together.
        per_step = seconds / self._engine.world_size / len(self._pending)
        self._num_steps = max(1, min(_MOST_STEPS, int(_MOST_SECONDS / max(per_step, 1e-9))))
        self._flushed = time.monotonic()
        for (step, _, learning_rate, tokens), loss in zip(self._pending, losses, strict=True):
            require_finite(loss, "the loss", step, self._checkpoints)
            history.add_step(step, loss, learning_rate, tokens)
        if self._skipped is not None:
            require_finite(np.inf, "the gradient", self._skipped, self._checkpoints)
        self._pending.clear()


def require_finite(values: npt.ArrayLike, what: str, step: int, checkpoints: Checkpoints) -> None:
    """Check numbers that were computed with a run's weights.

    Args:
        values: the numbers, of any shape.
        what: what they are, for the message.
        step: how many steps the weights were trained for. A checkpoint after that step isn't good either.
        checkpoints: of the run.

    Raises:
        TrainingDiverged: a value is NaN or infinite; names the step and the last good checkpoint.
    """
    wrong = np.asarray(values)[~np.isfinite(values)]
    if wrong.size:
        good = checkpoints.latest(before=step) or "none was written before"
        raise TrainingDiverged(
            f"{what} became {wrong[0]} at step {step}; last good checkpoint: {good}. Lower the "
            "learning_rate, add warmup_fraction or gradient_clipping, or look at the labels"
        )
