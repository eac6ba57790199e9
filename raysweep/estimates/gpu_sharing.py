"""The fraction of a GPU that a run gets if its `Resources` leave it open ("auto"): as many runs share a
device as fit into its memory.

The memory that a run needs is estimated (`raysweep.training.memory`) and corrected by measurements of
finished runs in the store. If runs with the same footprint were measured, the largest measurement replaces
the estimate. Otherwise the estimate is multiplied by the ratio of measurement to estimate of the run of the
nearest size with the same tuning and precision. Both get `MARGIN`.
"""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.estimates.throughput import newest_infos
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.training.memory import Footprint, footprint

Basis = Literal["measured", "scaled", "estimated"]

MARGIN = 1.1
"""Factor over what was measured. Runs with equal footprints differ in which texts form a batch, and in how
the allocator places its blocks."""
SHARES_PER_GPU = 16
"""Fractions are multiples of a sixteenth of a device, which are exact in binary."""
ASSUMED_DEVICE_BYTES = 80 * 10**9
"""Memory of a GPU that isn't known yet, as in forecasts: that of an H100 or A100 with 80 GB."""

_REMEDIES = (
    "a smaller micro_batch_size or evaluation_batch_size, activation_checkpointing, zero_stage=1 with "
    "offload_optimizer, or several workers (num_workers, gpus_per_worker=1) with zero_stage 2 or 3"
)


@dataclass(frozen=True)
class Measurements:
    """Memory that runs on GPUs used."""

    peaks: Mapping[Footprint, int]
    """By footprint, the largest peak in bytes."""
    device_bytes: int | None
    """Memory of the device of the newest of these runs; None without any."""

    @classmethod
    def read(cls, store: Store) -> Measurements:
        """Measurements of the newest runs of a store, except those whose footprints are of another
        version."""
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
        """The memory that a run needs: (bytes, what they are based on)."""
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
    """Resolves `gpus_per_worker="auto"`. Runs with the same workload are estimated once.

    Args:
        store: of the runs.
        device_bytes: memory of the smallest GPU; None if it isn't known yet, for that of the newest measured
            run, or `ASSUMED_DEVICE_BYTES`.
    """

    def __init__(self, store: Store, device_bytes: int | None = None) -> None:
        self._store = store
        self._measured = Measurements.read(store)
        self.device_bytes = device_bytes or self._measured.device_bytes or ASSUMED_DEVICE_BYTES
        self._footprints: dict[tuple[object, ...], Footprint] = {}

    def resources(self, run: PlannedRun) -> Resources:
        """A run's resources with a number of GPUs.

        Raises:
            InvalidInput: it needs more than a whole device.
        """
        if run.resources.gpus_per_worker != "auto":
            return run.resources
        needed, basis = self.need(run)
        parts = math.ceil(SHARES_PER_GPU * needed / self.device_bytes)
        if parts > SHARES_PER_GPU:
            raise InvalidInput(
                f"the {run.role} run of {run.spec.model.name!r} on task {run.spec.task.label!r} needs about "
                f"{_gigabytes(needed)} of memory ({basis}), and a GPU has {_gigabytes(self.device_bytes)}. "
                f"Change its Resources: {_REMEDIES}"
            )
        return replace(run.resources, gpus_per_worker=parts / SHARES_PER_GPU)

    def need(self, run: PlannedRun) -> tuple[int, Basis]:
        """The memory of a device that a run needs: (bytes, what they are based on); raises as `footprint`."""
        return self._measured.need(self._footprint(run))

    def warnings(self, runs: Iterable[PlannedRun]) -> list[str]:
        """A line for each model whose runs may not fit their GPUs, about the one that needs most.

        Runs whose fraction is open aren't among them: `resources` refuses them. Those whose memory can't be
        estimated aren't either.
        """
        most: dict[tuple[str, str], tuple[int, Basis, PlannedRun]] = {}
        for run in runs:
            if not run.resources.num_gpus or run.resources.gpus_per_worker == "auto":
                continue
            with contextlib.suppress(InvalidInput):
                needed, basis = self.need(run)
                key = (run.spec.model.name, type(run.spec.model.tuning).__name__)
                there = self.device_bytes * min(1.0, run.resources.num_gpus)
                if needed > there and (key not in most or needed > most[key][0]):
                    most[key] = (needed, basis, run)
        return [
            f"Memory: the {run.role} of {run.spec.model.name!r} on task {run.spec.task.label!r} needs about "
            f"{_gigabytes(needed)} ({basis}), and it gets {_gigabytes(self.device_bytes * share)} of a GPU; "
            f"out of memory, it is tried again with half its micro batch. In its Resources: {_REMEDIES}"
            for needed, basis, run in most.values()
            for share in [min(1.0, run.resources.num_gpus)]
        ]

    def _footprint(self, run: PlannedRun) -> Footprint:
        key = (run.spec.workload, run.resources)
        if key not in self._footprints:
            self._footprints[key] = footprint(RunInputs(run.spec, self._store), run.resources)
        return self._footprints[key]


def is_open(runs: Iterable[PlannedRun]) -> bool:
    """Whether the number of GPUs of one of the runs is left open."""
    return any(run.resources.gpus_per_worker == "auto" for run in runs)


def pack(plan: Plan, packer: GpuShares) -> Plan:
    """The plan with a number of GPUs for every run; raises as `GpuShares.resources`."""
    return replace(
        plan, runs={run.id: replace(run, resources=packer.resources(run)) for run in plan.runs.values()}
    )


def _gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.3g} GB"
