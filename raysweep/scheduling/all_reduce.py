"""How fast the processes of a cluster add up gradients: all-reduces timed within a node and between nodes."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any

_BYTES = 64 * 2**20
_REPEATS = 5
_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Speed:
    """Of one group of processes."""

    where: str
    num_processes: int
    backend: str
    bytes_per_second: float | None
    """Bus bandwidth, 2·(n − 1)/n of the bytes per second, as in NCCL's own tests; None if it failed."""
    error: str | None = None


def speeds(nodes: list[dict[str, Any]]) -> list[Speed]:
    """Measure within the first node that can hold two processes, and between all nodes, one process each.

    Args:
        nodes: those of `ray.nodes()` that are alive.
    """
    found = []
    for node in nodes:
        gpus, cpus = int(node["Resources"].get("GPU", 0)), int(node["Resources"].get("CPU", 0))
        num = gpus if gpus > 1 else min(cpus, 2) if gpus == 0 else 0
        if num > 1:
            found.append(_speed(f"within {node['NodeManagerHostname']}", [node["NodeID"]] * num, gpus > 1))
            break
    able = [node for node in nodes if node["Resources"].get("CPU", 0) >= 1]
    if len(able) > 1:
        on_gpus = all(node["Resources"].get("GPU", 0) >= 1 for node in able)
        found.append(_speed(f"between {len(able)} nodes", [node["NodeID"] for node in able], on_gpus))
    return found


def _speed(where: str, node_ids: list[str], on_gpus: bool) -> Speed:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    backend = "nccl" if on_gpus else "gloo"
    remote = ray.remote(num_cpus=1, num_gpus=1 if on_gpus else 0, max_calls=1)(_member)
    address = ray.remote(num_cpus=0)(_free_address).options(
        scheduling_strategy=NodeAffinitySchedulingStrategy(node_ids[0], soft=False)
    )
    members: list[Any] = []
    try:
        meeting = ray.get(address.remote(), timeout=_TIMEOUT_SECONDS)
        members += [
            remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                meeting, rank, len(node_ids), backend
            )
            for rank, node in enumerate(node_ids)
        ]
        seconds = max(ray.get(members, timeout=_TIMEOUT_SECONDS))
    except ray.exceptions.GetTimeoutError:
        for member in members:
            ray.cancel(member, force=True)
        told = f"not done after {_TIMEOUT_SECONDS} s; the processes may not have found free CPUs or GPUs"
        return Speed(where, len(node_ids), backend, None, told)
    except Exception as error:  # whatever fails in a task, Ray itself among it, is what a doctor reports
        last = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        return Speed(where, len(node_ids), backend, None, last[:300])
    share = 2 * (len(node_ids) - 1) / len(node_ids)
    return Speed(where, len(node_ids), backend, share * _BYTES / seconds)


def _free_address() -> str:
    import ray

    with socket.create_server(("", 0)) as server:
        return f"tcp://{ray.util.get_node_ip_address()}:{server.getsockname()[1]}"


def _member(meeting: str, rank: int, world_size: int, backend: str) -> float:
    """Seconds of one all-reduce, in one of the processes."""
    from datetime import timedelta

    import torch
    import torch.distributed as dist

    dist.init_process_group(
        backend,
        init_method=meeting,
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=_TIMEOUT_SECONDS),
    )
    device = "cuda" if backend == "nccl" else "cpu"
    values = torch.ones(_BYTES // 4, device=device)
    try:
        dist.all_reduce(values)  # the first one sets up connections
        dist.barrier()
        begun = time.perf_counter()
        for _ in range(_REPEATS):
            dist.all_reduce(values)
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - begun) / _REPEATS
    finally:
        dist.destroy_process_group()
