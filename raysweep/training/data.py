"""What a run reads, in memory: token numbers, labels and weights of a split, and the labels' source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.prepare import prepare_tokens, read_split
from raysweep.spec import RunSpec, WeakLabels
from raysweep.store import Store
from raysweep.transforms import transforms

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TokenizedSplit:
    """N examples of S texts each, as token numbers; memory-mapped."""

    ids: npt.NDArray[np.str_]
    tokens: npt.NDArray[np.int32]
    """(T,) the tokens of all texts, one after another."""
    offsets: npt.NDArray[np.int64]
    """(N·S + 1,) where each text starts."""
    num_texts: int
    """S: 1, or 2 for preferences."""

    @classmethod
    def load(cls, spec: RunSpec, split: str, store: Store) -> TokenizedSplit:
        """A split of a run's task, in the tokens of its model."""
        folder: Path = prepare_tokens(spec.task, spec.model, store)
        ids = read_split(spec.task, split, store)["id"].to_numpy(dtype=str)
        tokens = np.load(folder / f"{split}.tokens.npy", mmap_mode="r")
        offsets = np.load(folder / f"{split}.offsets.npy")
        return cls(ids, tokens, offsets, (len(offsets) - 1) // len(ids))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(N,) tokens of each example's longest text."""
        return np.diff(self.offsets).reshape(len(self), self.num_texts).max(axis=1)

    @cached_property
    def num_tokens(self) -> npt.NDArray[np.int64]:
        """(N,) tokens of each example's texts together."""
        return np.diff(self.offsets).reshape(len(self), self.num_texts).sum(axis=1)

    def collate(self, rows: npt.NDArray[np.int64], pad_token: int, device: torch.device) -> dict[str, torch.Tensor]:
        """Padded inputs of B examples: `input_ids` and `attention_mask` (B·S, L), L the longest of them."""
        import torch

        texts = (rows[:, None] * self.num_texts + np.arange(self.num_texts)).ravel()
        starts, ends = self.offsets[texts], self.offsets[texts + 1]
        width = int((ends - starts).max())
        input_ids = np.full((len(texts), width), pad_token, np.int64)
        mask = np.arange(width) < (ends - starts)[:, None]
        for row, start, end in zip(input_ids, starts, ends, strict=True):
            row[: end - start] = self.tokens[start:end]
        inputs = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
        return {name: tensor.to(device, non_blocking=True) for name, tensor in inputs.items()}


def ground_truth(spec: RunSpec, split: str, store: Store) -> Predictions:
    """The task's own labels of a split. Only `measure` and runs on ground truth may ask for them."""
    frame = read_split(spec.task, split, store)
    return Predictions.one_hot(frame["id"].tolist(), frame["label"].to_numpy(dtype=int), spec.task.num_classes or 0)


def training_labels(spec: RunSpec, split: str, store: Store) -> Predictions:
    """What the run takes for true on a split: ground truth, or its supervisor's predictions after the transforms.

    Raises:
        InvalidInput: no example is left to train on, or the supervisor has another number of classes.
    """
    if not isinstance(spec.labels, WeakLabels):
        return ground_truth(spec, split, store)
    labels = store.run(spec.labels.supervisor.id).read_predictions(split)
    for call in spec.labels.transforms:
        labels = transforms.get(call.name)(labels, **call.params)
    if not labels.covered.any():
        raise InvalidInput(f"after the transforms, no example of split {split!r} has a weak label; loosen the filter")
    if labels.probabilities.shape[1] != spec.task.num_classes:
        raise InvalidInput(
            f"the supervisor of this run predicts {labels.probabilities.shape[1]} classes, task {spec.task.name!r} has "
            f"{spec.task.num_classes}"
        )
    return labels
