"""Splits as token numbers, and the padded batches that a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raysweep.data.inputs import RunInputs

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TokenizedSplit:
    """N examples of S texts each, as token numbers."""

    ids: npt.NDArray[np.str_]
    tokens: npt.NDArray[np.int32]
    """(T,) the tokens of all texts, one text after another; memory-mapped if they come from the store."""
    offsets: npt.NDArray[np.int64]
    """(N·S + 1,) where each text starts in `tokens`."""
    num_texts: int
    """S: 1, or 2 for preferences."""
    starts: npt.NDArray[np.int64] | None = None
    """(N·S,) position in each text of the first token that a language model learns to predict; None for the
    second token of each text."""

    @classmethod
    def load(cls, inputs: RunInputs, split: str) -> TokenizedSplit:
        """A split of a run's task in the tokens of its model; raises as `RunInputs.tokens`."""
        ids = inputs.examples(split, ["id"])["id"].to_numpy(dtype=str)
        tokens, offsets = inputs.tokens(split)
        return cls(ids, tokens, np.array(offsets), (len(offsets) - 1) // len(ids))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(N,) number of tokens of each example's longest text."""
        return np.diff(self.offsets).reshape(len(self), self.num_texts).max(axis=1)

    @cached_property
    def num_tokens(self) -> npt.NDArray[np.int64]:
        """(N,) number of tokens of all texts of each example."""
        return np.diff(self.offsets).reshape(len(self), self.num_texts).sum(axis=1)

    @cached_property
    def num_targets(self) -> npt.NDArray[np.int64]:
        """(N,) number of tokens of each example that a language model learns to predict."""
        starts = 1 if self.starts is None else self.starts
        return np.maximum(np.diff(self.offsets) - starts, 0).reshape(len(self), self.num_texts).sum(axis=1)

    @classmethod
    def of_lists(
        cls, ids: npt.NDArray[np.str_], lists: Sequence[Sequence[int]], starts: Sequence[int] | None = None
    ) -> TokenizedSplit:
        """Examples of one text each, from lists of token numbers.

        Args:
            ids: (N,) of the examples.
            lists: N texts.
            starts: as the attribute of this name.
        """
        offsets = np.cumsum([0, *map(len, lists)], dtype=np.int64)
        tokens = np.fromiter(
            (token for tokens in lists for token in tokens), np.int32, count=int(offsets[-1])
        )
        return cls(ids, tokens, offsets, 1, None if starts is None else np.asarray(starts, np.int64))

    def continued(self, endings: Sequence[Sequence[int]]) -> TokenizedSplit:
        """The same examples with more tokens after each text; only these are learnt."""
        prompts = [self.tokens[start:end].tolist() for start, end in pairwise(self.offsets.tolist())]
        lists = [[*prompt, *ending] for prompt, ending in zip(prompts, endings, strict=True)]
        return TokenizedSplit.of_lists(self.ids, lists, [len(prompt) for prompt in prompts])

    def collate(
        self, rows: npt.NDArray[np.int64], pad_token: int, device: torch.device, *, pad_left: bool = False
    ) -> dict[str, torch.Tensor]:
        """Padded inputs of B examples: `input_ids` and `attention_mask` (B·S, L), where L is the length of
        the longest text."""
        import torch

        texts = self._texts(rows)
        starts = self.offsets[texts]
        ends = self.offsets[texts + 1]
        lengths = ends - starts
        width = int(lengths.max())
        input_ids = np.full((len(texts), width), pad_token, np.int64)
        for row, start, end in zip(input_ids, starts, ends, strict=True):
            row[width - (end - start) if pad_left else 0 :][: end - start] = self.tokens[start:end]
        places = np.arange(width)[None, ::-1] if pad_left else np.arange(width)[None]
        mask = (places < lengths[:, None]).astype(np.int64)
        inputs = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}
        return {name: tensor.to(device, non_blocking=True) for name, tensor in inputs.items()}

    def first_targets(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(B·S,) position of the first token to predict in each text of `collate`."""
        texts = self._texts(rows)
        return np.ones(len(texts), np.int64) if self.starts is None else self.starts[texts]

    def _texts(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        texts: npt.NDArray[np.int64] = (rows[:, None] * self.num_texts + np.arange(self.num_texts)).ravel()
        return texts
