"""What a sweep will cost on a cluster of a given size, before anybody pays for it: `raysweep plan --gpus
N`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raysweep.estimates.gpu_sharing import GpuShares, is_open, pack
from raysweep.estimates.runtime import ASSUMED_FLOPS, Basis, estimate_costs, remaining_seconds
from raysweep.estimates.simulation import SimulatedRun, Simulation, simulate
from raysweep.estimates.throughput import Device, num_devices
from raysweep.planning.plan import Plan
from raysweep.store import RunStatus, Store

_ASSUMPTIONS: Mapping[Device, str] = {
    "GPU": "40 % of the 989 TFLOP/s of an H100 in bfloat16, 90 % of its 67 in float32",
    "CPU": f"{ASSUMED_FLOPS['CPU', 'float32'] / 1e9:g} GFLOP/s a core",
}


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The runs of a plan that aren't done, on so many devices."""

    device: Device
    """GPUs if any run takes one; runs that don't then cost nothing of them."""
    simulation: Simulation
    critical_path_seconds: float
    """No cluster is faster than its longest chain of runs."""
    bases: Mapping[Basis, int]
    """On what the seconds of how many runs rest."""
    shared_bytes: int | None
    """Memory of a GPU, where runs share one as it allows."""

    def lines(self) -> str:
        """For people."""
        found = self.simulation
        unit = "GPU" if self.device == "GPU" else "CPU core"
        num_runs = sum(self.bases.values())
        if num_runs == 0:
            return "Nothing is left to be computed."
        told = {
            "measured": f"{self.bases.get('measured', 0)} measured on runs of the same model",
            "scaled": f"{self.bases.get('scaled', 0)} scaled by FLOPs from other models' runs",
            "assumed": f"{self.bases.get('assumed', 0)} assumed, at {_ASSUMPTIONS[self.device]}",
        }
        shared = (
            f"\nRuns share GPUs of {self.shared_bytes / 1e9:.3g} GB as memory allows"
            if self.shared_bytes
            else ""
        )
        speeds = ", ".join(text for basis, text in told.items() if self.bases.get(basis))  # type: ignore[call-overload]
        return (
            f"{num_runs} runs on {found.num_devices:g} {unit}{'s' if found.num_devices != 1 else ''}: about "
            f"{_duration(found.makespan)}, {found.device_seconds / 3600:.3g} {unit} hours, "
            f"{found.idle_share:.0%} idle; the longest chain of runs alone takes "
            f"{_duration(self.critical_path_seconds)}\nSpeeds: {speeds}"
            f"{shared}"
        )

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        found = self.simulation
        return {
            "device": self.device,
            "num_devices": found.num_devices,
            "seconds": found.makespan,
            "device_hours": found.device_seconds / 3600,
            "idle_share": found.idle_share,
            "critical_path_seconds": self.critical_path_seconds,
            "num_runs_by_basis": dict(self.bases),
            "shared_gpu_bytes": self.shared_bytes,
            "assumption": _ASSUMPTIONS[self.device] if self.bases.get("assumed") else None,
        }


def forecast(plan: Plan, store: Store, count: float) -> Forecast:
    """Simulate what is left of a plan on `count` GPUs; of a sweep that takes none, on as many CPU cores.

    Raises:
        InvalidInput: a run asks for more than there is, or a model's configuration can't be loaded.
    """
    packer = GpuShares(store) if is_open(plan.runs.values()) else None
    plan = pack(plan, packer) if packer else plan
    costs = estimate_costs(plan, store)
    left = [run for run in plan.runs.values() if run.status(store) is not RunStatus.DONE]
    device: Device = "GPU" if any(run.resources.num_gpus for run in plan.runs.values()) else "CPU"
    runs = {
        run.id: SimulatedRun(
            seconds=costs[run.id].seconds,
            devices=num_devices(run.resources) if device == "CPU" or run.resources.num_gpus else 0.0,
            depends_on=[dependency.id for dependency in run.spec.dependencies],
        )
        for run in left
    }
    remaining = remaining_seconds(plan, costs)
    return Forecast(
        device=device,
        simulation=simulate(runs, count, remaining),
        critical_path_seconds=max((remaining[run_id] for run_id in runs), default=0.0),
        bases=Counter(costs[run_id].basis for run_id in runs),
        shared_bytes=packer.device_bytes if packer else None,
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"
