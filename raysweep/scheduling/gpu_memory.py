"""The memory of a cluster's GPUs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysweep.errors import InvalidInput

_PATIENCE_SECONDS = 120


def smallest_gpu_bytes() -> int:
    """Memory of the cluster's smallest GPU. Every node with a GPU is asked; the driver needn't have one.

    Raises:
        InvalidInput: there is no GPU, or a node can't tell its memory.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    if not nodes:
        raise InvalidInput(
            'gpus_per_worker is "auto", and the cluster has no GPU; give Resources without one, or start '
            "a GPU node"
        )
    # No GPU is asked for, as all of them may be held by other jobs: nvidia-smi sees them all the same.
    asked = {
        node["NodeManagerAddress"]: _memory.options(  # type: ignore[attr-defined]
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in nodes
    }
    found = []
    for address, answer in asked.items():
        try:
            found.append(min(ray.get(answer, timeout=_PATIENCE_SECONDS)))
        except (ray.exceptions.RayError, ValueError) as error:
            cause = " ".join(str(getattr(error, "cause", error)).split()) or type(error).__name__
            raise InvalidInput(
                f'gpus_per_worker is "auto", and node {address} doesn\'t tell how much memory its GPUs '
                f"have ({cause}); "
                "give Resources a number of GPUs"
            ) from error
    return min(found)


@ray.remote
def _memory() -> Iterable[int]:
    """Bytes of each GPU of this node."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [int(line) * 2**20 for line in told.split("\n") if line.strip()]
