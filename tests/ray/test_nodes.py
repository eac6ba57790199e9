"""Nodes that join and nodes that are lost, as raylets of one cluster on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
MEMORY = 100 * 2**20
"""Bytes of a node's object store."""

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without CPUs. Each test adds its own nodes, and removes them."""
    one = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    yield one
    one.shutdown()


@pytest.fixture
def add_node(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Adds a node of one CPU to the cluster."""
    nodes = []

    def add() -> Any:
        variables = {"STANDS_STILL": str(tmp_path / "stands-still")}
        nodes.append(cluster.add_node(num_cpus=1, object_store_memory=MEMORY, env_vars=variables))
        return nodes[-1]

    yield add
    for node in nodes:
        if node in cluster.list_all_nodes():
            cluster.remove_node(node, allow_graceful=False)


class Command:
    """`raysweep run` in a folder, as a driver of the cluster; its output goes to a file.

    Args:
        address: of the cluster; "" for none, in this process.
    """

    def __init__(self, folder: Path, experiment: str, address: str, *options: str, **variables: str) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RAY_", "RAYSWEEP_", "MLFLOW_"))
        }
        self._log = folder / f"{time.monotonic_ns()}.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "raysweep.cli", "run", str(EXPERIMENTS / experiment), *options],
                cwd=folder,
                env=inherited | {"RAY_ADDRESS": address} | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_for(self, condition: Callable[[], object], seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None and time.monotonic() < end, self.output
            time.sleep(0.1)

    def end(self) -> int:
        try:
            return self.process.wait(240)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(self.output) from None


def results(store: Path) -> dict[str, dict[str, Any]]:
    """By run id, all numbers of the finished runs."""
    files = (json.loads(path.read_text()) for path in store.glob("runs/*/result.json"))
    return {one["id"]: one["metrics"] for one in files}


def test_a_sweep_starts_without_nodes_and_uses_what_joins(
    cluster: Cluster, add_node: Callable[[], Any], tmp_path: Path
) -> None:
    refused = Command(tmp_path, "tiny_sweep.py", cluster.address)
    assert refused.end() == 2 and "RAYSWEEP_WAIT_FOR_NODES" in refused.output, refused.output

    waits = Command(tmp_path, "tiny_sweep.py", cluster.address, RAYSWEEP_WAIT_FOR_NODES="10")
    waits.wait_for(lambda: "waiting for 1 CPU" in waits.output)
    add_node()
    assert waits.end() == 0, waits.output
    assert len(results(tmp_path / "raysweep-store")) == 5


def test_who_waits_too_long_is_told_what_is_missing(cluster: Cluster, tmp_path: Path) -> None:
    waits = Command(tmp_path, "tiny_sweep.py", cluster.address, RAYSWEEP_WAIT_FOR_NODES="0.05")
    assert waits.end() == 75, waits.output
    assert "waited 0.05 minutes for 1 CPU, of which the 1 node(s) of the cluster have 0" in waits.output
    assert "Traceback" not in waits.output


def test_a_node_that_is_killed_in_the_middle_of_a_run_costs_nothing_that_was_finished(
    cluster: Cluster, add_node: Callable[[], Any], tmp_path: Path
) -> None:
    store = tmp_path / "raysweep-store"
    nodes = [add_node(), add_node()]
    sweep = Command(tmp_path, "lost_node.py", cluster.address)
    stands_still = tmp_path / "stands-still"
    # All others are done by then.
    sweep.wait_for(lambda: stands_still.exists() and len(results(store)) == 4)
    finished = {path: path.stat().st_mtime_ns for path in store.glob("runs/*/result.json")}
    node_id, process = stands_still.read_text().split()
    (lost,) = [node for node in nodes if node.node_id == node_id]
    cluster.remove_node(lost, allow_graceful=False)  # kill -9 of its raylet

    assert sweep.end() == 0, sweep.output
    assert "try 1 of 3 was lost, another follows" in sweep.output
    # Ray may find out about the process before it does about the node.
    (told,) = [line for line in sweep.output.splitlines() if "try 1 of 3 was lost" in line]
    assert f"process {process} on node " in told and "its node" in told, told
    after = {path: path.stat().st_mtime_ns for path in store.glob("runs/*/result.json")}
    assert len(after) == 5 and finished.items() <= after.items(), "a finished run was trained again"
    (last,) = after.keys() - finished.keys()
    assert json.loads(last.read_text())["info"]["resumed_at_step"] == 100
    assert not [*store.glob("runs/*/error.txt")]

    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    alone = Command(undisturbed, "lost_node.py", "", "--local")
    assert alone.end() == 0, alone.output
    assert results(undisturbed / "raysweep-store") == results(store)
