"""Which fraction of a GPU a run gets, where its `Resources` leave that open ("auto"): as many runs share a
device as its memory holds.

The memory that a run needs is estimated (`raysweep.training.memory`) and corrected by what finished runs of
the store measured: with an equal footprint, the largest of them replaces the estimate; else the estimate is
multiplied by what the nearest size of the same tuning and precision took over its own estimate. Both get
`MARGIN`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from raysweep.errors import InvalidInput
from raysweep.estimates.throughput import newest_infos
from raysweep.planning.plan import Plan, PlannedRun
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.store.run_folder import RunFolder
from raysweep.training.memory import Footprint, footprint

Basis = Literal["measured", "scaled", "estimated"]

MARGIN = 1.1
"""Over what was measured: equal runs differ in which batches meet, and in how the allocator's blocks fall."""
SHARES_PER_GPU = 16
"""Fractions are multiples of a device's sixteenth, exact in binary."""
ASSUMED_DEVICE_BYTES = 80 * 10**9
"""Of a GPU that isn't known yet (a forecast's): an H100 or A100 of 80 GB."""


@dataclass(frozen=True)
class Measurements:
    """What runs on GPUs took, by footprint: the largest, in bytes."""

    peaks: Mapping[Footprint, int]
    device_bytes: int | None
    """Memory of the device of the newest of them."""

    @classmethod
    def read(cls, store: Store) -> Measurements:
        """Of the newest runs of a store; those of another version's footprints aren't used."""
        peaks: dict[Footprint, int] = defaultdict(int)
        device_bytes = None
        for _, info in newest_infos(store):
            try:
                found = Footprint(**info["footprint"])
                measured = int(info["device_memory_bytes"])
                device_bytes = device_bytes or int(info["device_total_bytes"])
            except (KeyError, TypeError, ValueError):
                continue
            peaks[found] = max(peaks[found], measured)
        return cls(dict(peaks), device_bytes)

    def need(self, wanted: Footprint) -> tuple[int, Basis]:
        """(bytes, what they rest on)."""
        if wanted in self.peaks:
            return round(MARGIN * self.peaks[wanted]), "measured"
        alike = [
            known
            for known in self.peaks
            if (known.tuning, known.precision) == (wanted.tuning, wanted.precision)
        ]
        if not alike:
            return wanted.num_bytes(), "estimated"
        nearest = min(alike, key=lambda known: abs(math.log(known.num_parameters / wanted.num_parameters)))
        ratio = self.peaks[nearest] / nearest.num_bytes()
        return round(MARGIN * ratio * wanted.num_bytes()), "scaled"


class GpuShares:
    """Resolves `gpus_per_worker="auto"`; runs that differ in seed or labels alone are looked at once.

    Args:
        store: of the runs.
        device_bytes: memory of the smallest GPU; None if it isn't known yet: that of the newest measured run,
            else `ASSUMED_DEVICE_BYTES`.
    """

    def __init__(self, store: Store, device_bytes: int | None = None) -> None:
        self._store = store
        self._measured = Measurements.read(store)
        self.device_bytes = device_bytes or self._measured.device_bytes or ASSUMED_DEVICE_BYTES
        self._footprints: dict[tuple[object, ...], Footprint] = {}
        self._kept: list[object] = []
        """So that the id() of a model's spec isn't given to another object."""

    def resources(self, run: PlannedRun) -> Resources:
        """A run's resources with a number of GPUs.

        Raises:
            InvalidInput: it needs more than a whole device.
        """
        if run.resources.gpus_per_worker != "auto":
            return run.resources
        needed, basis = self._measured.need(self._footprint(run))
        parts = math.ceil(SHARES_PER_GPU * needed / self.device_bytes)
        if parts > SHARES_PER_GPU:
            raise InvalidInput(
                f"the {run.role} run of {run.spec.model.name!r} on task {run.spec.task.label!r} needs about "
                f"{_gigabytes(needed)} of memory ({basis}), and a GPU has {_gigabytes(self.device_bytes)}. "
                "Change its Resources: a smaller micro_batch_size or evaluation_batch_size, "
                "activation_checkpointing, zero_stage=1 with offload_optimizer, or several workers "
                "(num_workers, gpus_per_worker=1) with zero_stage 2 or 3"
            )
        return replace(run.resources, gpus_per_worker=parts / SHARES_PER_GPU)

    def _footprint(self, run: PlannedRun) -> Footprint:
        spec = run.spec
        key = (
            spec.task.content,
            id(spec.model),
            spec.optimization,
            spec.kind,
            spec.train_split,
            run.resources,
        )
        if key not in self._footprints:
            self._kept.append(spec.model)
            self._footprints[key] = footprint(spec, run.resources, self._store)
        return self._footprints[key]


def with_more_memory(resources: Resources, ended: RunFolder) -> Resources | None:
    """Twice the fraction of a GPU, at most all of it, for a run that has just ended out of memory while it
    shared a device; None for any other."""
    if (
        not 0 < resources.num_gpus < 1
        or not ended.error.exists()
        or not ended.failure().startswith("OutOfMemoryError")
    ):
        return None
    return replace(resources, gpus_per_worker=min(1.0, 2 * resources.num_gpus))


def is_open(runs: Iterable[PlannedRun]) -> bool:
    """Whether the GPUs of a run are left open."""
    return any(run.resources.gpus_per_worker == "auto" for run in runs)


def pack(plan: Plan, packer: GpuShares) -> Plan:
    """The plan with a number of GPUs for every run; raises as `GpuShares.resources`."""
    return replace(
        plan, runs={run.id: replace(run, resources=packer.resources(run)) for run in plan.runs.values()}
    )


def _gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.3g} GB"
