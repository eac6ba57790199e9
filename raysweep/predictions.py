"""`Predictions`, the one form in which runs exchange labels.

Weak labels, ground truth, ensembles, relabelled sets and test predictions are all tables keyed by example id.
A row holds class probabilities or, in generative tasks, an answer.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raysweep.errors import CorruptFile, InvalidInput
from raysweep.files import written_atomically


def read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view of an array that can't be written into."""
    view = values.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class Predictions:
    """Class probabilities or answers by example id: N rows and K classes.

    Raises:
        InvalidInput: lengths differ, ids repeat, a covered row isn't a probability distribution, or a weight
            is negative or not finite.
    """

    ids: npt.NDArray[np.str_]
    """(N,) example ids, unique."""
    probabilities: npt.NDArray[np.float64]
    """(N, K); rows sum to 1. K is 0 if answers are given instead."""
    weight: npt.NDArray[np.float64]
    """(N,) weight of each example in the loss of a run that trains on these labels; 1 unless a transform
    changes it."""
    covered: npt.NDArray[np.bool_]
    """(N,) False where the source gives no label; such examples aren't trained on."""
    source: str
    """Where the predictions come from: a run's id, "ground truth", or a transform's name."""
    answers: npt.NDArray[np.str_] | None = None
    """(N,) texts; None if probabilities are given."""

    def __post_init__(self) -> None:
        what = f"predictions of {self.source}"
        num_rows = len(self.ids)
        if self.answers is not None and not (
            len(self.answers) == num_rows and self.probabilities.shape == (num_rows, 0)
        ):
            raise InvalidInput(f"{what}: answers must be one per row, without probabilities")
        lengths = {num_rows, len(self.probabilities), len(self.weight), len(self.covered)}
        if self.probabilities.ndim != 2 or len(lengths) > 1:
            raise InvalidInput(f"{what}: ids, probabilities (N, K), weight and covered differ in length")
        if len(np.unique(self.ids)) != num_rows:
            raise InvalidInput(f"{what}: an example id occurs twice")
        rows = self.probabilities[self.covered] if self.answers is None else np.ones((0, 1))
        if (
            not np.isfinite(rows).all()
            or (rows < 0).any()
            or not np.allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-4)
        ):
            raise InvalidInput(f"{what}: a row isn't a probability distribution")
        if not np.isfinite(self.weight).all() or (self.weight < 0).any():
            raise InvalidInput(f"{what}: a weight is negative or not a number")

    @classmethod
    def of(
        cls, ids: Sequence[str] | npt.NDArray[np.str_], probabilities: npt.ArrayLike, source: str
    ) -> Predictions:
        """Predictions for every example, each with weight 1."""
        ones = np.ones(len(ids))
        return cls(
            np.asarray(ids, dtype=str), np.asarray(probabilities, np.float64), ones, ones.astype(bool), source
        )

    @classmethod
    def one_hot(
        cls, ids: Sequence[str], classes: npt.ArrayLike, num_classes: int, source: str = "ground truth"
    ) -> Predictions:
        """Labels of probability 1 from class numbers (N,).

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
        """Answers for every example, each with weight 1."""
        table = cls.of(ids, np.ones((len(ids), 1)), source)
        return replace(table, probabilities=np.zeros((len(ids), 0)), answers=np.asarray(answers, dtype=str))

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """(N,) the most probable class; the lowest number on a tie."""
        return self.probabilities.argmax(axis=1)

    @property
    def decisions(self) -> npt.NDArray[np.int64] | npt.NDArray[np.str_]:
        """(N,) the most probable class of each example, or its answer."""
        return self.classes if self.answers is None else self.answers

    def __len__(self) -> int:
        return len(self.ids)

    def align(self, ids: Sequence[str] | npt.NDArray[np.str_]) -> Predictions:
        """The rows of the given ids, in their order.

        Raises:
            InvalidInput: an id has no prediction.
        """
        import pandas as pd

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
        return Predictions(
            self.ids[order],
            self.probabilities[order],
            self.weight[order],
            self.covered[order],
            self.source,
            None if self.answers is None else self.answers[order],
        )

    def read_only(self) -> Predictions:
        """The same behind arrays that can't be written into, for code of the user's own."""
        made = copy.copy(self)
        for field in fields(self):
            values = getattr(self, field.name)
            if isinstance(values, np.ndarray):
                object.__setattr__(made, field.name, read_only(values))
        return made

    def write(self, path: Path) -> None:
        """Write a Parquet file: columns id, probabilities (list of K) or answer, weight, covered, source."""
        import pandas as pd

        columns: dict[str, Any] = {"id": self.ids}
        if self.answers is None:
            columns["probabilities"] = list(self.probabilities)
        else:
            columns["answer"] = self.answers
        columns |= {"weight": self.weight, "covered": self.covered, "source": self.source}
        with written_atomically(path) as temporary:
            pd.DataFrame(columns).to_parquet(temporary, index=False)

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read a Parquet file that `write` wrote.

        Raises:
            CorruptFile: the file can't be read, or isn't such a table.
        """
        import pandas as pd
        import pyarrow

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
