"""How sure a PGR is: a paired bootstrap over seeds and test examples."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.9
_DRAWS = 2_000

Correct = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class GapRecovered:
    """PGR over the seeds of one (task, weak, strong, method): mean accuracies before the division."""

    weak_accuracy: float
    student_accuracy: float
    ceiling_accuracy: float
    pgr: float | None
    """None where the gap is inside the noise."""
    interval: tuple[float, float] | None
    """90 % interval of the PGR; None with it."""
    num_seeds: int


def gap_recovered(weak: Correct, student: Correct, ceiling: Correct) -> GapRecovered:
    """PGR with its 90 % interval from who was right where.

    The percentile bootstrap draws seeds and test examples with replacement, the same ones for all three models, so that what
    they share cancels; it covers both the noise of training and that of the test set, with a single seed the latter alone.
    PGR is undefined when the 90 % interval of the gap (ceiling − weak) reaches 0.

    Args:
        weak, student, ceiling: (seeds, examples), whether each test example was classified right.
    """
    means = [float(right.mean()) for right in (weak, student, ceiling)]
    num_seeds, num_examples = weak.shape
    seeds, examples = _draws("seeds", num_seeds), _draws("examples", num_examples)
    # Whole numbers below 2²⁴ all the way, so float32 is exact here.
    sums = [(examples @ right.T.astype(np.float32) * seeds).sum(axis=1) for right in (weak, student, ceiling)]
    drawn = [total.astype(np.float64) / (num_seeds * num_examples) for total in sums]
    tails = [50 * (1 - CONFIDENCE), 100 - 50 * (1 - CONFIDENCE)]
    gap = drawn[2] - drawn[0]
    defined = np.percentile(gap, tails[0]) > 0
    pgr = interval = None
    if defined:
        pgr = (means[1] - means[0]) / (means[2] - means[0])
        positive = gap > 0
        low, high = np.percentile((drawn[1] - drawn[0])[positive] / gap[positive], tails)
        interval = (float(low), float(high))
    return GapRecovered(
        weak_accuracy=means[0],
        student_accuracy=means[1],
        ceiling_accuracy=means[2],
        pgr=pgr,
        interval=interval,
        num_seeds=num_seeds,
    )


@functools.lru_cache(maxsize=8)
def _draws(what: str, count: int) -> npt.NDArray[np.float32]:
    """(draws, count) how often each of `count` items is drawn in each replicate: the same for all rows of a table."""
    rng = np.random.default_rng([len(what), count])
    return rng.multinomial(count, np.full(count, 1 / count), _DRAWS).astype(np.float32)
