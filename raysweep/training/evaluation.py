"""Evaluation: large batches, no gradients, all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raysweep.training.batching import evaluation_batches
from raysweep.training.tokenized import TokenizedSplit
from raysweep.training.watchdog import alive

if TYPE_CHECKING:
    from raysweep.training.heads import Head


def evaluate(
    head: Head, split: TokenizedSplit, num_examples: int, batch_size: int
) -> npt.NDArray[np.float64]:
    """The head's readings (n, K) of the first n examples of a split, the same on all ranks: class
    probabilities, losses, or the token numbers of answers."""
    import torch

    engine = head.engine
    lengths = split.lengths[:num_examples]
    engine.train_mode(False)
    own: dict[int, torch.Tensor] = {}
    with torch.no_grad():
        for rows in evaluation_batches(lengths, batch_size, engine.rank, engine.world_size):
            outputs = head.readings(split, rows if len(rows) else np.zeros(1, np.int64))
            own.update(zip(rows.tolist(), outputs, strict=False))
            alive(f"{len(own)} examples of an evaluation")
        whole = torch.zeros(len(lengths), outputs.shape[1], device=engine.device)
        if own:
            whole[list(own)] = torch.stack(list(own.values()))
        engine.sum(whole)
    engine.train_mode(True)
    return whole.double().cpu().numpy()
