"""The capacity of a cluster: what of it is taken, and which ready run may reserve what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from raysweep.estimates.backfill import _TOLERANCE, blocks_backfill
from raysweep.planning.graph import PlannedRun
from raysweep.scheduling.cluster_size import ClusterSize, fits
from raysweep.spec.resources import Resources


class ClusterCapacity:
    """CPUs and GPUs of a cluster, by the slots that reserved them.

    Ray chooses the device on which a fraction of a GPU lies. So a run in its own process may have to wait
    although it fits by the sum; until it has started, nothing narrower may reserve anything. A worker group
    is started by Ray Train, out of sight of this class, so it may only reserve GPUs if enough whole devices
    are free wherever the fractions lie.

    What is given away may be more than the nodes that are there have: up to what the cluster may grow to.
    """

    def __init__(self, size: ClusterSize) -> None:
        self.resize(size)
        self._running: Counter[Resources] = Counter()
        self._waiting: Counter[Resources] = Counter()
        """Given, and not yet started."""

    def resize(self, size: ClusterSize) -> None:
        """The cluster has another size now: nodes have joined it, or are lost."""
        self._nodes = size.nodes
        self._total = size.limit()

    def choose(self, candidates: Sequence[PlannedRun]) -> PlannedRun | None:
        """The run that may reserve its resources next; None if there is none.

        Args:
            candidates: the first ready run of each distinct `Resources`, the most urgent first.
        """
        held: set[str] = set()
        """Of these, what comes after gets nothing."""
        for run in candidates:
            shape = run.resources
            if self.is_reserved_for_wider(shape) or any(
                amount > 0 and name in held for name, amount in shape.total().items()
            ):
                continue
            short = self._short_of(shape)
            if not short:
                return run
            if all(self._blocks_backfill(shape, name) for name in short):
                held |= short
        return None

    def choose_without(
        self, slots: Sequence[Resources], candidates: Sequence[PlannedRun]
    ) -> PlannedRun | None:
        """The run that might reserve its resources next if these slots, which have started, released
        theirs."""
        self._running.subtract(slots)
        try:
            return self.choose(candidates)
        finally:
            self._running.update(slots)

    def is_reserved_for_wider(self, shape: Resources) -> bool:
        """Whether a slot of other resources, as wide or wider, has reserved them, can't start, and can't take
        the place of a slot like itself. One for which a node has to join holds nothing back."""
        own = shape.total()
        for other, count in self._waiting.items():
            scarce = "GPU" if other.num_gpus else "CPU"
            is_wider = other != shape and other.total()[scarce] >= own[scarce] > 0
            if is_wider and count > self._running[other] and fits(other, self._nodes):
                return True
        return False

    def reserve(self, shape: Resources) -> None:
        """A slot reserves its resources, before it starts."""
        self._waiting[shape] += 1

    def start(self, shape: Resources) -> None:
        """A slot that reserved its resources has started."""
        self._waiting[shape] -= 1
        self._running[shape] += 1

    def release(self, shape: Resources, *, has_started: bool) -> None:
        """A slot has ended."""
        (self._running if has_started else self._waiting)[shape] -= 1

    def _taken(self) -> Counter[Resources]:
        return self._running + self._waiting

    def _short_of(self, shape: Resources) -> set[str]:
        """The resources that there isn't enough of."""
        capacity = self._free()
        if shape.num_workers and shape.num_gpus >= 1:
            others = self._taken().items()
            capacity["GPU"] -= sum(
                (1 - other.num_gpus) * count for other, count in others if 0 < other.num_gpus < 1
            )
        return {name for name, amount in shape.total().items() if amount > capacity[name] + _TOLERANCE}

    def _free(self) -> dict[str, float]:
        free = dict(self._total)
        for shape, count in self._taken().items():
            for name, amount in shape.total().items():
                free[name] -= amount * count
        return free

    def _blocks_backfill(self, shape: Resources, name: str) -> bool:
        others = Counter[float]()
        for other, count in self._taken().items():
            if other != shape:
                others[other.total()[name]] += count
        return blocks_backfill(
            shape.total()[name], self._free()[name], others, self._taken()[shape], self._total[name]
        )
