"""`raysweep doctor`: whether a cluster can run a sweep, and what to do where it can't.

One task on each node, and the driver, measure the same facts (`node_checks`); they are compared here, and
what is wrong becomes a finding with its remedy. Nothing of a sweep is run.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from raysweep.scheduling.all_reduce import Speed, speeds
from raysweep.scheduling.node_checks import node_facts
from raysweep.scheduling.shared_store import REMEDY, not_shared

_LEAST_SHM = 2 * 2**30
_LEAST_OPEN_FILES = 4_096
_LEAST_FREE = 20 * 2**30
_LEAST_WRITE = 50e6
_MOST_SKEW_SECONDS = 5.0
_TASK_SECONDS = 180
_COMPARED_PACKAGES = ("ray", "torch", "deepspeed", "transformers", "datasets", "numpy", "raysweep")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or will be."""

    severity: Literal["error", "warning"]
    """"error": a sweep would fail; "warning": it would be slow, or fail under load."""
    where: str
    what: str
    remedy: str


@dataclass(frozen=True)
class Diagnosis:
    """What was measured and found."""

    nodes: Sequence[dict[str, Any]]
    """The driver's facts, then those of each node."""
    speeds: Sequence[Speed]
    findings: Sequence[Finding] = field(default_factory=list)

    @property
    def is_fit(self) -> bool:
        """Whether a sweep can run."""
        return not any(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values, packages left out (their hash and versions that matter stay)."""
        nodes = [
            {name: value for name, value in node.items() if name != "packages"}
            | {"versions": {name: node.get("packages", {}).get(name) for name in _COMPARED_PACKAGES}}
            for node in self.nodes
        ]
        return {
            "is_fit": self.is_fit,
            "findings": [asdict(finding) for finding in self.findings],
            "nodes": nodes,
            "all_reduce": [asdict(speed) for speed in self.speeds],
        }


def diagnose(store: Path, tracking: str, say: Callable[[str], None]) -> Diagnosis:
    """Measure the cluster to which this process is connected.

    Args:
        store: the folder that all nodes must share.
        tracking: where results are tracked.
        say: told what is being done.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    alive = [node for node in ray.nodes() if node["Alive"]]
    say(f"asking {len(alive)} node{'s' * (len(alive) > 1)}")
    lock = f".doctor-{secrets.token_hex(8)}"
    server = tracking if tracking.startswith(("http://", "https://")) else None
    try:
        remote = ray.remote(num_cpus=0, max_retries=0)(node_facts)
        begun = time.time()
        tasks = [
            remote.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(str(store), lock, None)
            for node in alive
        ]
        driver = node_facts(str(store), lock, server) | {"name": "driver"}
        found: list[dict[str, Any]] = []
        for node, task in zip(alive, tasks, strict=True):
            name = node["NodeManagerHostname"]
            try:
                facts = ray.get(task, timeout=_TASK_SECONDS)
            except Exception as error:  # a node that can't run the task is a finding, whatever the reason
                found.append(
                    {"name": name, "error": (str(error).strip() or repr(error)).splitlines()[-1][:300]}
                )
                continue
            # A right clock shows a time between the two moments of this one.
            facts["skew_seconds"] = max(begun - facts["time"], facts["time"] - time.time(), 0.0)
            found.append(facts | {"name": name})
        say("timing all-reduces")
        measured = speeds(alive)
    finally:
        (store / lock).unlink(missing_ok=True)
    unshared = not_shared(store)
    return Diagnosis([driver, *found], measured, findings([driver, *found], measured, unshared))


def findings(
    nodes: Sequence[dict[str, Any]], measured: Sequence[Speed], unshared: Sequence[tuple[str, str]] = ()
) -> list[Finding]:
    """What is wrong, worst first; a node that couldn't be asked has a finding of its own and no other.

    Args:
        nodes: the facts of the driver (the first) and of the nodes.
        measured: the all-reduces.
        unshared: nodes that don't share the store, and why.
    """
    driver = nodes[0]
    found = [Finding("error", node, f"it doesn't share the store: {why}", REMEDY) for node, why in unshared]
    for node in nodes:
        if "error" in node:
            remedy = "look at `ray status` and at the logs of its raylet; a dead node must leave the cluster"
            found.append(Finding("error", node["name"], f"it can't run a task: {node['error']}", remedy))
            continue
        found += [*_of_versions(node, driver), *_of_machine(node), *_of_store(node), *_of_network(node)]
    for speed in measured:
        if speed.error is not None:
            what = f"an all-reduce of {speed.num_processes} processes ({speed.backend}) failed: {speed.error}"
            remedy = "open all ports between the nodes, and name the right interface in NCCL_SOCKET_IFNAME"
            found.append(Finding("error", speed.where, what, remedy))
    lockers = [node["name"] for node in nodes if node.get("store", {}).get("has_lock")]
    if len(lockers) > 1:
        what = f"{', '.join(lockers)} each made a file that only one of them may make (O_EXCL)"
        remedy = "two sweeps on this store could train one run twice; mount it with locks and without caching"
        found.append(Finding("error", "store", what, remedy))
    return sorted(found, key=lambda finding: finding.severity != "error")


def _of_versions(node: dict[str, Any], driver: dict[str, Any]) -> list[Finding]:
    if node["packages_hash"] == driver["packages_hash"] and node["python"] == driver["python"]:
        return []
    ours, theirs = (
        {name: item["packages"].get(name) for name in _COMPARED_PACKAGES} | {"python": item["python"]}
        for item in (driver, node)
    )
    different = [
        f"{name} {theirs[name] or 'missing'} (driver: {ours[name] or 'missing'})"
        for name in ours
        if ours[name] != theirs[name]
    ]
    remedy = "install one environment (constraints.txt) or one image, by digest, on all nodes"
    if different:
        return [Finding("error", node["name"], f"other versions: {', '.join(different)}", remedy)]
    return [Finding("warning", node["name"], "other packages than the driver's, none that matters", remedy)]


def _of_machine(node: dict[str, Any]) -> list[Finding]:
    found: list[tuple[Literal["error", "warning"], str, str]] = []
    if node["shm_bytes"] < _LEAST_SHM:
        what = f"/dev/shm has {node['shm_bytes'] / 2**20:.0f} MiB"
        found.append(("error", what, "start containers with --shm-size=16g, or a volume in memory there"))
    if node["open_files"] < _LEAST_OPEN_FILES:
        what = f"a process may open {node['open_files']} files"
        found.append(("warning", what, "raise `ulimit -n` to 65536 before `ray start`"))
    if node["scratch_free_bytes"] < _LEAST_FREE:
        what = f"/tmp has {node['scratch_free_bytes'] / 2**30:.1f} GiB left"
        found.append(("warning", what, "free it, or name another disk in RAY_TMPDIR"))
    if node.get("skew_seconds", 0) > _MOST_SKEW_SECONDS:
        what = f"its clock is {node['skew_seconds']:.0f} s off the driver's"
        found.append(("warning", what, "run an NTP client; leases and logs go by time"))
    if node["outer_variables"]:
        what = f"{', '.join(node['outer_variables'])} are set by another launcher"
        found.append(("warning", what, "unset them before `ray start`; raysweep sets its own"))
    if len({(gpu["name"], gpu["driver"]) for gpu in node["gpus"]}) > 1:
        what = f"different GPUs: {', '.join(sorted({gpu['name'] for gpu in node['gpus']}))}"
        found.append(("warning", what, "a group of workers is as fast as its slowest GPU"))
    return [Finding(severity, node["name"], what, remedy) for severity, what, remedy in found]


def _of_store(node: dict[str, Any]) -> list[Finding]:
    store, name = node["store"], node["name"]
    if "error" in store:
        return [Finding("error", name, f"the store can't be used: {store['error']}", REMEDY)]
    found = []
    if store["write_bytes_per_second"] < _LEAST_WRITE:
        what = f"the store takes {store['write_bytes_per_second'] / 1e6:.0f} MB/s ({store['mount']})"
        found.append(
            Finding("warning", name, what, "checkpoints of large models will take long; use faster storage")
        )
    if store["free_bytes"] < _LEAST_FREE:
        what = f"the store has {store['free_bytes'] / 2**30:.1f} GiB left"
        found.append(Finding("warning", name, what, "free it; a sweep that fills it ends with exit code 1"))
    return found


def _of_network(node: dict[str, Any]) -> list[Finding]:
    found = []
    if "error" in node["hub"]:
        what = f"huggingface.co doesn't answer: {node['hub']['error']}"
        remedy = "fine if models and tasks are in folders or the cache (HF_HOME); else open the network"
        found.append(Finding("warning", node["name"], what, remedy))
    if node["mlflow"] is not None and ("error" in node["mlflow"] or node["mlflow"].get("status") != 200):
        reason = node["mlflow"].get("error") or f"HTTP {node['mlflow']['status']}"
        remedy = "start the server, or name it in --tracking-uri or MLFLOW_TRACKING_URI"
        found.append(Finding("error", node["name"], f"MLflow doesn't answer: {reason}", remedy))
    return found
