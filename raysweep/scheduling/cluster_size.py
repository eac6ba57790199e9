"""How large a cluster is, how large it may become, and how long runs wait for nodes that it lacks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysweep.errors import InvalidInput, NodesMissing
from raysweep.spec.resources import Resources

Nodes = Sequence[Mapping[str, float]]
"""What each node has of "CPU" and "GPU"."""

WAIT_VARIABLE = "RAYSWEEP_WAIT_FOR_NODES"
_DEFAULT_MINUTES = 10.0
"""Waited for a lost node to come back, where no autoscaler is known that would replace it."""
_LOOK_SECONDS = 2.0
_MANY = 1_000
"""Nodes of a group without a limit."""


def fits(shape: Resources, nodes: Nodes) -> bool:
    """Whether nodes that had nothing else to do could hold a run."""
    wanted = shape.total()
    one = {"CPU": shape.cpus_per_worker, "GPU": shape.num_gpus}
    return all(
        sum(node.get(name, 0.0) for node in nodes) >= amount for name, amount in wanted.items()
    ) and any(all(node.get(name, 0.0) >= amount for name, amount in one.items()) for node in nodes)


@dataclass(frozen=True)
class ClusterSize:
    """The nodes of a cluster."""

    nodes: Nodes
    """That are there, without those that are being drained."""
    most: Nodes | None
    """That there may ever be; None if that isn't known, and nodes are waited for."""

    @property
    def may_grow(self) -> bool:
        """Whether nodes may come that aren't there now."""
        return self.most is not self.nodes

    def limit(self) -> dict[str, float]:
        """What of "CPU" and "GPU" slots may be offered for. Placement groups that wait are the demand by
        which an autoscaler adds nodes."""
        if self.most is None:
            return {"CPU": float("inf"), "GPU": float("inf")}
        return {name: sum(node.get(name, 0.0) for node in self.most) for name in ("CPU", "GPU")}


def wait_minutes() -> float | None:
    """The user's limit of the time for which runs wait for nodes; None if there is none.

    Raises:
        InvalidInput: the variable's value isn't a number of minutes.
    """
    given = os.environ.get(WAIT_VARIABLE)
    if not given:
        return None
    try:
        minutes = float(given)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < float("inf"):
        raise InvalidInput(f"{WAIT_VARIABLE} is {given!r}; it must be a number of minutes, such as 60")
    return minutes


def cluster_size() -> ClusterSize:
    """The size of the cluster that this process is connected to."""
    import ray
    from ray._private.state import state

    draining = state.get_draining_nodes()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in draining]
    configured = _configured(ray.get_runtime_context().gcs_address)
    if configured is None:
        return ClusterSize(nodes, nodes if wait_minutes() is None else None)
    return ClusterSize(nodes, [*configured, *_apart(nodes, configured)])


def _configured(gcs_address: str) -> Nodes | None:
    """The nodes that an autoscaler may start, if it is known: reported to Ray's head, as Ray Train reads it
    too, or in the configuration of an autoscaler that runs on this machine. No autoscaler of Ray itself
    reports it."""
    from ray._private.state import state

    reported = state.get_cluster_config()
    groups: Iterable[tuple[Mapping[str, float], int]] = [
        (dict(group.resources), group.max_count)
        for group in (reported.node_group_configs if reported else ())
    ]
    groups = groups or _groups_in(_autoscaler_file(gcs_address))
    nodes: list[Mapping[str, float]] = []
    for resources, count in groups:
        nodes += [resources] * (_MANY if count < 0 else min(count, _MANY))
    return nodes or None


def _autoscaler_file(gcs_address: str) -> Path | None:
    """The configuration of the autoscaler of a cluster, if its process runs here."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended, or isn't the user's
            continue
        options = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
        file = options.get("--autoscaling-config")
        if file and options.get("--gcs-address") == gcs_address:
            return Path(file).expanduser()
    return None


def _groups_in(file: Path | None) -> list[tuple[Mapping[str, float], int]]:
    """The kinds of nodes in an autoscaler's configuration, and how many there may be of each; none if it
    can't be read, or leaves to the cloud what a node has."""
    import yaml

    try:
        config: Any = yaml.safe_load(file.read_text()) if file else None
        most = config["max_workers"]
        return [
            (dict(kind["resources"]), min(kind.get("max_workers", most), most))
            for name, kind in config["available_node_types"].items()
            if name != config["head_node_type"]
        ]
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        return []


def _apart(nodes: Nodes, configured: Nodes) -> Nodes:
    """The nodes that are none of those that an autoscaler starts, such as the head."""

    def kind(node: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(node.get(name, 0.0) for name in ("CPU", "GPU"))

    known = {kind(node) for node in configured}
    return [node for node in nodes if kind(node) not in known]


class NodeWait:
    """How long a sweep has waited for nodes: whether none of its runs has room on the nodes that are there.

    Args:
        limit_minutes: after which `problem` is an error; None for the default, which is no limit where an
            autoscaler is known.
        look: the size of the cluster.
    """

    def __init__(self, limit_minutes: float | None, look: Callable[[], ClusterSize] = cluster_size) -> None:
        self._limit_minutes = limit_minutes
        self._look = look
        self._looked = float("-inf")
        self._since: float | None = None
        self.size = look()

    def refresh(self) -> bool:
        """Look at the cluster, at most every few seconds. Returns whether it did."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return False
        self.size = self._look()
        self._looked = time.monotonic()
        return True

    def problem(self, shapes: Iterable[Resources]) -> NodesMissing | None:
        """That it was waited for too long.

        Args:
            shapes: of the runs that are executed, or could be, as far as resources go.
        """
        shapes = list(shapes)
        if not shapes or any(fits(shape, self.size.nodes) for shape in shapes):
            self._since = None
            return None
        if self._since is None:
            self._since = time.monotonic()
            return None
        minutes = self._limit_minutes
        if minutes is None:
            minutes = float("inf") if self.size.may_grow else _DEFAULT_MINUTES
        if time.monotonic() - self._since <= minutes * 60:
            return None
        asked = {name: amount for name, amount in shapes[0].total().items() if amount}
        wanted = " and ".join(f"{amount:g} {name}{'s' * (amount > 1)}" for name, amount in asked.items())
        there = " and ".join(f"{sum(node.get(name, 0.0) for node in self.size.nodes):g}" for name in asked)
        return NodesMissing(
            f"waited {minutes:g} minutes for {wanted}, of which the {len(self.size.nodes)} node(s) of the "
            f"cluster have {there}. What is done is kept; start nodes and run the same command again to go "
            f"on. {WAIT_VARIABLE} is the number of minutes to wait"
        )
