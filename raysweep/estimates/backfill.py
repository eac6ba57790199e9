"""TODO."""

from __future__ import annotations

import math
from collections.abc import Mapping

_TOLERANCE = 1e-6
"""Of sums of fractions."""


def blocks_backfill(need: float, free: float, others: Mapping[float, int], alike: int, total: float) -> bool:
    """Whether a run that doesn't fit holds back those that come after it.

    It does if it would fit as soon as nothing narrower ran: narrow runs fit sooner, and would take what it
    waits for again and again. It doesn't where only runs key it or wider ones are in its way, whose place it
    will take: what is free beside them may be used meanwhile.

    Args:
        need: what it takes of a resource, of one device if below 1.
        free: what nobody takes, as a sum over devices.
        others: how many runs of other shapes run, by what each takes.
        alike: how many of its own shape run.
        total: what there is.
    """
    if 0 < need < 1 and alike >= total * math.floor(1 / need):
        return False
    narrower = sum(amount * count for amount, count in others.items() if amount <= need)
    return need <= free + narrower + _TOLERANCE
