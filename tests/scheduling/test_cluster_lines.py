"""What people are told of the cluster, and that a lost one fails no run."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator

import pytest
from grid_helpers import small_sweep

from raysweep.errors import ClusterLost
from raysweep.planning.plan import make_plan
from raysweep.scheduling import cluster_watch
from raysweep.scheduling.cluster import cluster_line, idle_line
from raysweep.scheduling.cluster_watch import ClusterWatch
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.ray_address import RayAddress
from raysweep.spec.resources import Resources
from raysweep.store import Store

NODES = [{"CPU": 16.0, "GPU": 2.0, "memory": 1e9}, {"CPU": 8.0}]


@pytest.mark.parametrize(
    ("address", "nodes", "free", "line"),
    [
        (
            None,
            [{"CPU": 2.0}],
            {"CPU": 2.0},
            "Ray: a new one on this machine, for this sweep alone (RAY_ADDRESS names none, none was found); "
            "free: 2 of 2 CPUs",
        ),
        (
            RayAddress("10.0.0.1:6379", "RAY_ADDRESS"),
            NODES,
            {"CPU": 20.5, "GPU": 1.0},
            "Ray: the cluster at 10.0.0.1:6379, which RAY_ADDRESS names; free: 1 of 2 GPUs and 20.5 of 24 "
            "CPUs on 2 nodes",
        ),
        (
            RayAddress("127.0.0.1:1", ""),
            [{"CPU": 8.0}],
            {"CPU": 8.0},
            "Ray: the cluster at 127.0.0.1:1, to which this process was connected already; free: 8 of 8 CPUs",
        ),
        (
            RayAddress("127.0.0.1:6379", "/tmp/ray/ray_current_cluster"),
            [{"CPU": 8.0}],
            {},
            "Ray: the cluster at 127.0.0.1:6379, found on this machine (in /tmp/ray/ray_current_cluster); "
            "RAY_ADDRESS=local starts a new one instead; free: 0 of 8 CPUs",
        ),
    ],
)
def test_a_cluster_is_named_with_the_reason_and_what_is_free(
    address: RayAddress | None, nodes: list[dict[str, float]], free: dict[str, float], line: str
) -> None:
    assert cluster_line(address, nodes, free) == line


@pytest.mark.parametrize(
    ("free", "told"),
    [
        ({"CPU": 8.0, "GPU": 1.0}, "waiting for 2 GPUs (1 of 8 free)"),
        ({"CPU": 8.0}, "waiting for 2 GPUs (0 of 8 free)"),
        ({"CPU": 8.0, "GPU": 2.0}, "no worker has started yet"),
    ],
)
def test_why_nothing_runs(free: dict[str, float], told: str, store: Store) -> None:
    resources = Resources(num_workers=2, gpus_per_worker=1)
    run = next(iter(make_plan(small_sweep(resources=resources), store).runs.values()))
    assert idle_line(run, {"CPU": 64.0, "GPU": 8.0}, free).startswith(told)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setattr(cluster_watch, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(cluster_watch, "_PATIENCE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address_of(head: socket.socket) -> str:
    host, port = head.getsockname()
    return f"{host}:{port}"


def test_a_lost_cluster_closes_the_queue_and_interrupts(head: socket.socket, store: Store) -> None:
    queue = RunQueue(make_plan(small_sweep(), store), store)
    address = address_of(head)
    interrupted = threading.Event()
    earlier = signal.signal(signal.SIGINT, lambda number, frame: interrupted.set())
    try:
        with ClusterWatch(address, queue):
            assert not interrupted.wait(0.3) and queue.problem is None
            head.close()
            assert interrupted.wait(10)
            assert isinstance(queue.problem, ClusterLost)
            assert f"lost: nothing answers at {address} any more" in str(queue.problem)
    finally:
        signal.signal(signal.SIGINT, earlier)
