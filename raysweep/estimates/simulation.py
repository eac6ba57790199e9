"""A plan on a cluster that isn't there: which run would start when, how long all takes, and how much stands
idle."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raysweep.errors import InvalidInput
from raysweep.estimates.backfill import blocks_backfill


@dataclass(frozen=True, kw_only=True)
class SimulatedRun:
    """A run as the scheduler sees it."""

    seconds: float
    devices: float
    """How many it takes, or the share of one."""
    depends_on: Sequence[str] = ()
    """Runs that are named before it; others count as done."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What a cluster would do."""

    num_devices: float
    makespan: float
    """Seconds from the first start to the last end."""
    device_seconds: float
    """Devices by seconds of all runs: what is used, not what stands there."""
    starts: Mapping[str, float]
    """By run, its start in seconds."""

    @property
    def idle_share(self) -> float:
        """The share of the devices' time in which no run holds them; 0 where nothing is to be run."""
        available = self.num_devices * self.makespan
        return max(0.0, 1 - self.device_seconds / available) if available else 0.0


def simulate(
    runs: Mapping[str, SimulatedRun], num_devices: float, urgency: Mapping[str, float] | None = None
) -> Simulation:
    """Let every run start as soon as what it depends on is done and its devices are free.

    As Ray Tune is told here (see `tune.py`): of the ready runs, the most urgent comes first, equal ones in
    the order given; see `blocks_backfill` for when one that has to wait may be overtaken. Shares of devices
    are counted by their sum, as if they lay side by side.

    Args:
        runs: by id, each after all that it depends on.
        num_devices: GPUs, or CPU cores.
        urgency: by id; without it, first come, first served: by when a run became ready.

    Raises:
        InvalidInput: a run asks for more devices than there are.
    """
    for run_id, run in runs.items():
        if run.devices > num_devices:
            raise InvalidInput(
                f"run {run_id} asks for {run.devices:g} devices; there are {num_devices:g}, so it can never "
                "start"
            )
    place = {run_id: number for number, run_id in enumerate(runs)}
    waits_for = {run_id: {item for item in run.depends_on if item in runs} for run_id, run in runs.items()}
    dependents: dict[str, list[str]] = {}
    for run_id, needed in waits_for.items():
        for item in needed:
            dependents.setdefault(item, []).append(run_id)
    ready: dict[float, list[tuple[float, int, str]]] = {}
    """By devices asked for: of equal runs all fit, or none."""

    def add(run_id: str, now: float) -> None:
        first = now if urgency is None else -urgency[run_id]
        heapq.heappush(ready.setdefault(runs[run_id].devices, []), (first, place[run_id], run_id))

    for run_id, needed in waits_for.items():
        if not needed:
            add(run_id, 0.0)
    now = 0.0
    free = num_devices
    starts = dict[str, float]()
    running: list[tuple[float, int, str]] = []
    alike: Counter[float] = Counter()
    """Running runs by the devices that they take."""
    while len(starts) < len(runs) or running:
        while (devices := _next(ready, free, num_devices, alike)) is not None:
            run_id = heapq.heappop(ready[devices])[2]
            starts[run_id] = now
            free = free - devices
            alike[devices] += 1
            heapq.heappush(running, (now + runs[run_id].seconds, place[run_id], run_id))
        now = running[0][0]
        while running and running[0][0] == now:
            run_id = heapq.heappop(running)[2]
            free += runs[run_id].devices
            alike[runs[run_id].devices] -= 1
            for dependent in dependents.get(run_id, ()):
                waits_for[dependent].discard(run_id)
                if not waits_for[dependent]:
                    add(dependent, now)
    used = sum(run.seconds * run.devices for run in runs.values())
    return Simulation(num_devices=num_devices, makespan=now, device_seconds=used, starts=starts)


def _next(
    ready: Mapping[float, list[tuple[float, int, str]]], free: float, total: float, running: Counter[float]
) -> float | None:
    """The devices that the run to be started next asks for; None while nothing may start."""
    for _, _, devices in sorted((*heap[0][:2], devices) for devices, heap in ready.items() if heap):
        if devices <= free + 1e-9:
            return devices
        others = {other: count for other, count in running.items() if other != devices}
        if blocks_backfill(devices, free, others, running[devices], total):
            return None
    return None
