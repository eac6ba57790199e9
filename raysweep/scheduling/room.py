"""What of a cluster is taken, and which of the ready runs may be given what is left."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from raysweep.plan import PlannedRun
from raysweep.resources import Resources

_TOLERANCE = 1e-6
"""Of sums of fractions."""


def holds_back(need: float, free: float, others: Mapping[float, int], alike: int, total: float) -> bool:
    """Whether a run that doesn't fit holds back those that come after it.

    It does if it would fit as soon as nothing narrower ran: narrow runs fit sooner, and would take what it waits for again and
    again. It doesn't where only runs like it or wider ones are in its way, whose place it will take: what is free beside them
    may be used meanwhile.

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


class Room:
    """CPUs and GPUs of a cluster, by the lanes that were given them.

    Which device a fraction lies on is Ray's choice. So a run in its own process may have to wait although it fits by the sum,
    and nothing narrower is given until it has started; a worker group, which Ray Train starts out of sight, is given only when
    enough devices are free wherever the fractions lie.
    """

    def __init__(self, total: Mapping[str, float]) -> None:
        self._total = {name: total.get(name, 0.0) for name in ("CPU", "GPU")}
        self._running: Counter[Resources] = Counter()
        self._waiting: Counter[Resources] = Counter()
        """Given, and not yet started."""

    def choose(self, heads: Sequence[PlannedRun]) -> PlannedRun | None:
        """The run that may be given its resources next.

        Args:
            heads: the first ready run of each kind of resources, the most urgent first.
        """
        held: set[str] = set()
        """Of these, what comes after gets nothing."""
        for run in heads:
            shape = run.resources
            if self.is_awaited(shape) or any(amount > 0 and name in held for name, amount in shape.total().items()):
                continue
            short = self._short_of(shape)
            if not short:
                return run
            if all(self._holds_back(shape, name) for name in short):
                held |= short
        return None

    def choose_without(self, lanes: Sequence[Resources], heads: Sequence[PlannedRun]) -> PlannedRun | None:
        """The run that would be given its resources next, had these lanes, which have started, given theirs back."""
        self._running.subtract(lanes)
        try:
            return self.choose(heads)
        finally:
            self._running.update(lanes)

    def is_awaited(self, shape: Resources) -> bool:
        """Whether one of other resources, as wide or wider, was given them, can't start, and can't take the place of one
        like it."""
        own = shape.total()
        for other, count in self._waiting.items():
            scarce = "GPU" if other.num_gpus else "CPU"
            if other != shape and count > self._running[other] and other.total()[scarce] >= own[scarce] > 0:
                return True
        return False

    def give(self, shape: Resources) -> None:
        """A lane gets its resources, and waits until it starts."""
        self._waiting[shape] += 1

    def start(self, shape: Resources) -> None:
        """A lane that was given its resources has started."""
        self._waiting[shape] -= 1
        self._running[shape] += 1

    def give_back(self, shape: Resources, *, has_started: bool) -> None:
        """A lane has ended."""
        (self._running if has_started else self._waiting)[shape] -= 1

    def _taken(self) -> Counter[Resources]:
        return self._running + self._waiting

    def _short_of(self, shape: Resources) -> set[str]:
        """What there isn't enough of."""
        room = self._free()
        if shape.num_workers and shape.num_gpus >= 1:
            others = self._taken().items()
            room["GPU"] -= sum((1 - other.num_gpus) * count for other, count in others if 0 < other.num_gpus < 1)
        return {name for name, amount in shape.total().items() if amount > room[name] + _TOLERANCE}

    def _free(self) -> dict[str, float]:
        free = dict(self._total)
        for shape, count in self._taken().items():
            for name, amount in shape.total().items():
                free[name] -= amount * count
        return free

    def _holds_back(self, shape: Resources, name: str) -> bool:
        others = Counter[float]()
        for other, count in self._taken().items():
            if other != shape:
                others[other.total()[name]] += count
        return holds_back(shape.total()[name], self._free()[name], others, self._taken()[shape], self._total[name])
