"""What a run writes down while it trains: the training curve, and predictions at the points of the evaluation
curves."""

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
    """Kept in memory, saved in every checkpoint and at the end."""

    training: dict[str, list[float]] = field(
        default_factory=lambda: {"step": [], "loss": [], "learning_rate": [], "tokens": []}
    )
    """One entry a step: the global batch's loss, the learning rate, the tokens trained on (padding left
    out)."""
    points: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    """By split: frames of columns step, id, and outputs (class probabilities, or one loss of a text) or
    answer."""
    seconds: dict[str, float] = field(default_factory=lambda: {"training": 0.0, "evaluation": 0.0})
    resumed_at_step: int = 0
    """Steps that were done already when this process took the run over from a checkpoint."""
    num_parameters: int = 0
    """Of the whole model, its head included."""
    num_trainable_parameters: int = 0
    """Those of them that are trained; 0 of a model that is only prompted."""

    def add_step(self, step: int, loss: float, learning_rate: float, tokens: int) -> None:
        """Write down one optimizer step."""
        for name, value in (
            ("step", step),
            ("loss", loss),
            ("learning_rate", learning_rate),
            ("tokens", tokens),
        ):
            self.training[name].append(value)

    def add_point(
        self, split: str, step: int, ids: npt.NDArray[np.str_], readings: npt.NDArray[np.float64], head: Head
    ) -> None:
        """Write down a point of the evaluation curves: readings (n, K) of the first n examples after `step`
        steps."""
        says: dict[str, object] = {"outputs": list(readings.astype(np.float32))}
        if isinstance(head, AnswerHead):
            says = {"answer": head.predictions(ids[: len(readings)], readings, "curve").answers}
        frame = pd.DataFrame({"step": step, "id": ids[: len(readings)]} | says)
        self.points.setdefault(split, []).append(frame)

    @property
    def num_tokens(self) -> int:
        """Tokens trained on so far."""
        return int(sum(self.training["tokens"]))

    def save(self, paths: RunFolder) -> None:
        """Write the curves' files of a run (or of a checkpoint laid out as one)."""
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
