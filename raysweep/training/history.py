"""What is recorded of a run while it trains: the training curve, and predictions at the points of the
evaluation curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from raysweep.files import written_atomically
from raysweep.store.run_folder import RunFolder
from raysweep.training.heads import AnswerHead

if TYPE_CHECKING:
    from raysweep.training.heads import Head


@dataclass
class History:
    """The record of a run so far, kept in memory, in every checkpoint, and in the run's folder at the end."""

    training: dict[str, list[float]] = field(
        default_factory=lambda: {"step": [], "loss": [], "learning_rate": [], "tokens": []}
    )
    """One entry per step: its number, the loss of the global batch, the learning rate, and the number of
    tokens trained on, without padding."""
    points: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    """By split, one frame per point of its curve, with columns step, id, and either outputs (class
    probabilities, or the loss of a text) or answer."""
    seconds: dict[str, float] = field(default_factory=lambda: {"training": 0.0, "evaluation": 0.0})
    resumed_at_step: int = 0
    """Steps that were done when this process resumed the run from a checkpoint."""
    num_parameters: int = 0
    """Of the whole model, its head included."""
    num_trainable_parameters: int = 0
    """Those of them that are trained; 0 for a model that is only prompted or probed."""

    def add_step(self, step: int, loss: float, learning_rate: float, tokens: int) -> None:
        """Record one optimizer step."""
        self.training["step"].append(step)
        self.training["loss"].append(loss)
        self.training["learning_rate"].append(learning_rate)
        self.training["tokens"].append(tokens)

    def add_point(
        self, split: str, step: int, ids: npt.NDArray[np.str_], readings: npt.NDArray[np.float64], head: Head
    ) -> None:
        """Record a point of the evaluation curves.

        Args:
            split: what was evaluated.
            step: number of steps done.
            ids: (N,) of the split's examples.
            readings: (n, K) the head's readings of the first n of them.
            head: the head.
        """
        says: dict[str, object] = {"outputs": list(readings.astype(np.float32))}
        if isinstance(head, AnswerHead):
            says = {"answer": head.predictions(ids[: len(readings)], readings, "curve").answers}
        frame = pd.DataFrame({"step": step, "id": ids[: len(readings)]} | says)
        self.points.setdefault(split, []).append(frame)

    @property
    def num_tokens(self) -> int:
        """Tokens trained on so far, without padding."""
        return int(sum(self.training["tokens"]))

    def save(self, paths: RunFolder) -> None:
        """Write the curves into the folder of a run, or of a checkpoint with the same layout."""
        _write(pd.DataFrame(self.training).astype({"step": "int64", "tokens": "int64"}), paths.training_curve)
        for split, frames in self.points.items():
            _write(pd.concat(frames, ignore_index=True), paths.curve_predictions(split))

    @classmethod
    def load(cls, paths: RunFolder, splits: Sequence[str], seconds: dict[str, float]) -> History:
        """Read what `save` wrote."""
        training = {name: column.tolist() for name, column in pd.read_parquet(paths.training_curve).items()}
        found = {split: paths.curve_predictions(split) for split in splits}
        points = {split: [pd.read_parquet(path)] for split, path in found.items() if path.exists()}
        return cls(
            {str(name): values for name, values in training.items()},
            points,
            dict(seconds),
            len(training["step"]),
        )


def _write(frame: pd.DataFrame, path: Path) -> None:
    with written_atomically(path) as temporary:
        frame.to_parquet(temporary, index=False)
