"""What people are told of the cluster: which one it is and why, what of it is free, and why nothing runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.planning.graph import PlannedRun
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.ray_address import RayAddress
from raysweep.scheduling.ray_startup import started_at
from raysweep.store import RunStatus

_AMOUNTS = ("GPU", "CPU")


def describe_cluster() -> str:
    """Which Ray this process is connected to, why that one, and what of it is free, in one line."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return cluster_line(started_at(), nodes, ray.available_resources())


def cluster_line(
    address: RayAddress | None, nodes: Sequence[Mapping[str, float]], free: Mapping[str, float]
) -> str:
    """The line on a cluster.

    Args:
        address: where it was found; None if it was started for this sweep.
        nodes: what each node has.
        free: what nobody has reserved.
    """
    if address is None:
        which = "a new one on this machine, for this sweep alone (RAY_ADDRESS names none, none was found)"
    elif not address.source:
        which = f"the cluster at {address.text}, to which this process was connected already"
    elif address.source == "RAY_ADDRESS":
        which = f"the cluster at {address.text}, which RAY_ADDRESS names"
    else:
        which = (
            f"the cluster at {address.text}, found on this machine (in {address.source}); RAY_ADDRESS=local "
            "starts a new one instead"
        )
    total = {name: sum(node.get(name, 0.0) for node in nodes) for name in _AMOUNTS}
    there = " and ".join(
        f"{free.get(name, 0.0):g} of {amount:g} {name}s" for name, amount in total.items() if amount
    )
    on = f" on {len(nodes)} nodes" if len(nodes) > 1 else ""
    return f"Ray: {which}; free: {there or 'nothing'}{on}"


def why_idle(queue: RunQueue) -> str:
    """Why none of a queue's runs is being executed."""
    import ray

    # Another thread asks: one that only reads the queue.
    first = [queued.run for queued in queue.first(RunStatus.WAITING, 1)]
    if not first:
        return "no run is ready"
    try:
        return idle_line(first[0], ray.cluster_resources(), ray.available_resources())
    except Exception as error:  # of Ray, whatever it is: told, since it is the answer
        return f"Ray doesn't answer ({type(error).__name__})"


def idle_line(run: PlannedRun, total: Mapping[str, Any], free: Mapping[str, Any]) -> str:
    """What the next run waits for.

    Args:
        run: the run.
        total: what the cluster has.
        free: what of it nobody has reserved.
    """
    wanted = run.resources.total()
    short = {name: amount for name, amount in wanted.items() if amount > free.get(name, 0.0) + 1e-9}
    if not short:
        return "no worker has started yet; the first one imports for a while"
    listed = []
    for name, amount in short.items():
        plural = "s" if amount > 1 else ""
        there = f"{free.get(name, 0.0):g} of {total.get(name, 0.0):g} free"
        listed.append(f"{amount:g} {name}{plural} ({there})")
    lacks_nodes = any(amount > total.get(name, 0.0) + 1e-9 for name, amount in short.items())
    why = "nodes have to join" if lacks_nodes else "what is starting, or other jobs, have the rest"
    return f"waiting for {' and '.join(listed)}; {why}"
