"""Predictions: the only currency between runs.

Weak labels, ground truth, ensembles, relabelled sets and test predictions are all one table keyed by example
id. What it says of an example are class probabilities, or, in generative tasks, an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow

from raysweep.errors import CorruptFile, InvalidInput
from raysweep.files import written_atomically


@dataclass(frozen=True)
class Predictions:
    """Class probabilities, or answers, by example id: N rows and K classes.

    Raises:
        InvalidInput: lengths differ, ids repeat, a covered row isn't a probability distribution, or a weight
        is negative.
    """

    ids: npt.NDArray[np.str_]
    """(N,) example ids, unique."""
    probabilities: npt.NDArray[np.float64]
    """(N, K), rows sum to 1; K = 0 where answers are given instead."""
    weight: npt.NDArray[np.float64]
    """(N,) weight of the example in a loss that is trained on these labels; 1 unless a transform says
    otherwise."""
    covered: npt.NDArray[np.bool_]
    """(N,) False where the source abstains: the example isn't trained on."""
    source: str
    """Who predicts: a run's id, "ground truth", or a transform's name."""
    answers: npt.NDArray[np.str_] | None = None
    """(N,) texts; None where probabilities are given."""

    def __post_init__(self) -> None:
        num_rows = len(self.ids)
        if self.answers is not None and not (
            len(self.answers) == num_rows and self.probabilities.shape == (num_rows, 0)
        ):
            raise InvalidInput(
                f"predictions of {self.source}: answers must be one a row, without probabilities beside them"
            )
        if self.probabilities.ndim != 2 or not num_rows == len(self.probabilities) == len(self.weight) == len(
            self.covered
        ):
            raise InvalidInput(
                f"predictions of {self.source}: ids, probabilities (N, K), weight and covered differ in "
                "length"
            )
        if len(np.unique(self.ids)) != num_rows:
            raise InvalidInput(f"predictions of {self.source}: an example id occurs twice")
        rows = self.probabilities[self.covered] if self.answers is None else np.ones((0, 1))
        if (
            not np.isfinite(rows).all()
            or (rows < 0).any()
            or not np.allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-4)
        ):
            raise InvalidInput(f"predictions of {self.source}: a row isn't a probability distribution")
        if not np.isfinite(self.weight).all() or (self.weight < 0).any():
            raise InvalidInput(f"predictions of {self.source}: a weight is negative or not a number")

    @classmethod
    def of(
        cls, ids: Sequence[str] | npt.NDArray[np.str_], probabilities: npt.ArrayLike, source: str
    ) -> Predictions:
        """Predictions that cover every example with weight 1."""
        ones = np.ones(len(ids))
        return cls(
            np.asarray(ids, dtype=str), np.asarray(probabilities, np.float64), ones, ones.astype(bool), source
        )

    @classmethod
    def one_hot(
        cls, ids: Sequence[str], classes: npt.ArrayLike, num_classes: int, source: str = "ground truth"
    ) -> Predictions:
        """Certain labels from class numbers (N,).

        Raises:
            InvalidInput: a number isn't one of 0 to num_classes − 1.
        """
        numbers = np.asarray(classes, dtype=int)
        if ((numbers < 0) | (numbers >= num_classes)).any():
            raise InvalidInput(f"labels of {source}: a class isn't one of 0 to {num_classes - 1}")
        return cls.of(ids, np.eye(num_classes)[numbers], source)

    @classmethod
    def of_answers(
        cls,
        ids: Sequence[str] | npt.NDArray[np.str_],
        answers: Sequence[str] | npt.NDArray[np.str_],
        source: str,
    ) -> Predictions:
        """Answers to every example, with weight 1."""
        table = cls.of(ids, np.ones((len(ids), 1)), source)
        return replace(table, probabilities=np.zeros((len(ids), 0)), answers=np.asarray(answers, dtype=str))

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """(N,) the most probable class; the lowest number on a tie."""
        return self.probabilities.argmax(axis=1)

    @property
    def decisions(self) -> npt.NDArray[np.int64] | npt.NDArray[np.str_]:
        """(N,) what is said of each example: its most probable class, or its answer."""
        return self.classes if self.answers is None else self.answers

    def __len__(self) -> int:
        return len(self.ids)

    def align(self, ids: Sequence[str] | npt.NDArray[np.str_]) -> Predictions:
        """The rows of the given ids, in their order.

        Raises:
            InvalidInput: an id has no prediction.
        """
        position = pd.Index(self.ids).get_indexer(pd.Index(ids))
        if (position < 0).any():
            missing = [str(item) for item, where in zip(ids, position, strict=True) if where < 0]
            raise InvalidInput(
                f"predictions of {self.source} lack {len(missing)} of {len(ids)} examples, such as "
                f"{missing[0]!r}"
            )
        return self.rows(position)

    def rows(self, order: npt.NDArray[np.int64]) -> Predictions:
        """The rows at these positions."""
        says = self.probabilities[order]
        answers = None if self.answers is None else self.answers[order]
        return Predictions(
            self.ids[order], says, self.weight[order], self.covered[order], self.source, answers
        )

    def saying_as(self, other: Predictions, order: npt.NDArray[np.int64]) -> Predictions:
        """Each row with what the row of `other` at its place in `order` says; ids, weights and coverage
        stay."""
        answers = None if other.answers is None else other.answers[order]
        return replace(self, probabilities=other.probabilities[order], answers=answers)

    def write(self, path: Path) -> None:
        """Write a Parquet file: columns id, probabilities (list of K) or answer, weight, covered, source."""
        says = (
            {"probabilities": list(self.probabilities)} if self.answers is None else {"answer": self.answers}
        )
        columns = (
            {"id": self.ids} | says | {"weight": self.weight, "covered": self.covered, "source": self.source}
        )
        with written_atomically(path) as temporary:
            pd.DataFrame(columns).to_parquet(temporary, index=False)

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read a Parquet file that `write` made.

        Raises:
            CorruptFile: the file isn't such a table.
        """
        try:
            frame = pd.read_parquet(path)
            answers = frame["answer"].to_numpy(dtype=str) if "answer" in frame else None
            probabilities = (
                np.zeros((len(frame), 0))
                if answers is not None
                else np.stack(frame["probabilities"].to_list())
            )
            return cls(
                frame["id"].to_numpy(dtype=str),
                probabilities.astype(np.float64),
                frame["weight"].to_numpy(np.float64),
                frame["covered"].to_numpy(bool),
                str(frame["source"].iloc[0]),
                answers,
            )
        except (OSError, KeyError, ValueError, TypeError, IndexError, pyarrow.ArrowException) as error:
            raise CorruptFile(f"{path} can't be read as predictions: {error}") from error
