"""Backfilling: whether a run that doesn't fit yet blocks the runs behind it. The scheduler and the simulation
share this rule."""

from __future__ import annotations

import math
from collections.abc import Mapping

_TOLERANCE = 1e-6
"""For sums of fractions."""


def blocks_backfill(need: float, free: float, others: Mapping[float, int], alike: int, total: float) -> bool:
    """Whether a run that doesn't fit blocks those that come after it.

    It does if it would fit as soon as nothing narrower ran: narrow runs fit sooner, and would take what it
    waits for again and again. It doesn't if only runs like it or wider ones are in its way, whose place it
    will take: what is free beside them may be used meanwhile.

    Args:
        need: the amount it takes of a resource, a share of one device if below 1.
        free: the amount that is free, summed over devices.
        others: numbers of running runs of other resources, by the amount that each takes.
        alike: number of running runs of the same resources.
        total: the amount there is.
    """
    if 0 < need < 1 and alike >= total * math.floor(1 / need):
        return False
    narrower = sum(amount * count for amount, count in others.items() if amount <= need)
    return need <= free + narrower + _TOLERANCE
