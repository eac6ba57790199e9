"""Which examples form a step, and how they are divided into micro batches and among ranks.

The global batch of a step depends only on the spec. Its examples are sorted by length and then divided, so
that each is padded to the longest of a few similar ones. This changes no result, since losses are summed over
the global batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from raysweep.spec import Optimization, Order

Rows = npt.NDArray[np.int64]


def global_batches(
    num_examples: int, num_steps: int, batch_size: int, order: Order, seed: int
) -> Iterator[Rows]:
    """Row numbers (batch_size,) of the examples of each step: all epochs in a row, cut into whole batches.

    "shuffled" draws a new order for each epoch from (seed, epoch); "fixed" repeats 0 … N−1.
    """
    epoch = 0
    ready = np.empty(0, np.int64)
    for _ in range(num_steps):
        while len(ready) < batch_size:
            rows = np.arange(num_examples)
            if order == "shuffled":
                rows = np.random.default_rng([seed, epoch]).permutation(num_examples)
            ready = np.concatenate([ready, rows])
            epoch += 1
        yield ready[:batch_size]
        ready = ready[batch_size:]


def micro_batches(batch: Rows, lengths: Rows, micro_batch: int, rank: int, world_size: int) -> list[Rows]:
    """This rank's micro batches of a global batch, whose examples are sorted by length.

    In each micro step all ranks have examples of similar lengths, so that none waits long for another.
    """
    ordered = batch[np.argsort(lengths[batch], kind="stable")]
    return [
        step[rank * micro_batch : (rank + 1) * micro_batch]
        for step in ordered.reshape(-1, world_size * micro_batch)
    ]


def evaluation_batches(lengths: Rows, batch_size: int, rank: int, world_size: int) -> list[Rows]:
    """This rank's batches in a pass over N examples, the longest first. All ranks have equally many, some of
    them possibly empty, since ZeRO stage 3 gathers parameters in every forward pass."""
    ordered = np.argsort(-lengths, kind="stable")
    batches = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    batches += [np.empty(0, np.int64)] * (-len(batches) % world_size)
    return batches[rank::world_size]


def learning_rate(optimization: Optimization, step: int, num_steps: int) -> float:
    """The learning rate of a step (from 0): a linear warm-up, then cosine or linear decay to 0, or constant.

    Without warm-up, cosine is lr·(1 + cos(π·step/num_steps))/2, like torch's CosineAnnealingLR in
    openai/weak-to-strong.
    """
    warmup = round(optimization.warmup_fraction * num_steps)
    if step < warmup:
        return optimization.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, num_steps - warmup)
    factor = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[
        optimization.schedule
    ]
    return optimization.learning_rate * factor
