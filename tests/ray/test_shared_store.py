"""A cluster of two nodes on this machine, one of which has a disk of its own in place of the store."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "tiny_sweep.py"
RAY = Path(sys.executable).parent / "ray"
_NODE = ["--block", "--disable-usage-stats", "--object-store-memory", "100000000"]

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def may_unshare() -> bool:
    tool = shutil.which("unshare")
    return bool(tool) and not subprocess.run([str(tool), "-m", "true"], capture_output=True).returncode


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a head without CPUs and a node with one, which sees an empty disk at the store."""
    scratch = Path(tempfile.mkdtemp(prefix="raysweep-", dir="/tmp"))
    address = f"127.0.0.1:{20_000 + os.getpid() % 10_000}"
    environment = os.environ | {"RAY_BACKEND_LOG_LEVEL": "error", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}
    head = [RAY, "start", "--head", "--port", address.rpartition(":")[2], "--num-cpus", "0"]
    head += [
        "--include-dashboard",
        "false",
        "--temp-dir",
        str(scratch),
        "--ray-client-server-port",
        str(31_000 + os.getpid() % 1_000),
    ]
    node = f"mount -t tmpfs tmpfs {tmp_path}/store && exec {RAY} start --address {address} --num-cpus 1"
    (tmp_path / "store").mkdir()
    started = []
    with (tmp_path / "nodes.log").open("w") as log:
        for command in ([*head, *_NODE], ["unshare", "-m", "bash", "-c", f"{node} {' '.join(_NODE)}"]):
            started.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            )
            wait_for_start(tmp_path / "nodes.log", len(started))
    yield address
    for process in reversed(started):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    shutil.rmtree(scratch, ignore_errors=True)


def wait_for_start(log: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while log.read_text().count("Ray runtime started") < count:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)


@pytest.mark.skipif(not may_unshare(), reason="this user may not have mounts of its own")
def test_a_node_that_does_not_share_the_store_is_named_before_anything_trains(
    cluster: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "raysweep.cli", "run", str(EXPERIMENT), "--store", str(tmp_path / "store")],
        env=os.environ | {"RAY_ADDRESS": cluster, "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "doesn't share" in line]
    assert f"doesn't share the store {tmp_path}/store: it has another folder there, or none" in line
    assert "Traceback" not in done.stderr
    assert not [*tmp_path.glob("store/runs/*/result.json")] and not [*tmp_path.glob("store/.probe*")]
