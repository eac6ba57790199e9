"""The driver on one machine: where its Ray listens, how SIGTERM ends it, and a worker that stands still."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1_100)]


def start(folder: Path, experiment: str) -> subprocess.Popen[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "RAYSWEEP_", "MLFLOW_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "raysweep.cli", "run", str(EXPERIMENTS / experiment)],
        cwd=folder,
        env=inherited | {"STANDS_STILL": str(folder / "has-stood-still")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.1)


def test_ray_listens_on_the_loopback_interface_alone_and_sigterm_ends_a_sweep_in_one_line(
    tmp_path: Path,
) -> None:
    process = start(tmp_path, "two_workers.py")
    wait_for(lambda: [*tmp_path.glob("raysweep-store/runs/*/result.json")], process)
    ours = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    listening = {
        (one.name(), connection.laddr.ip)
        for one in ours
        for connection in one.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {"gcs_server", "raylet"} <= {name for name, _ in listening}
    assert {ip for _, ip in listening} <= LOOPBACK, listening

    # To the whole process group, as timeout(1) and batch systems send it: Ray's processes aren't in it.
    os.killpg(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 143 and "Traceback" not in out
    assert err == "raysweep: ended by SIGTERM; run the same command again to go on\n"
    assert 1 <= len([*tmp_path.glob("raysweep-store/runs/*/result.json")]) < 5
    assert not [*tmp_path.glob("raysweep-store/ray/tune-*")]


def test_a_sweep_whose_ray_dies_ends_in_one_line_and_goes_on_with_the_next_command(tmp_path: Path) -> None:
    process = start(tmp_path, "tiny_sweep.py")
    wait_for(lambda: [*tmp_path.glob("raysweep-store/runs/*/progress.jsonl")], process)
    (head,) = [
        one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == "gcs_server"
    ]
    head.kill()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 70, out + err
    assert "raysweep: Ray's gcs_server on this machine has died; what is done is kept" in err
    process = start(tmp_path, "tiny_sweep.py")
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, out + err


@pytest.mark.parametrize("experiment", ["stands_still.py", "stands_still.py:alone"])
def test_a_worker_that_stands_still_is_named_and_its_run_tried_again(experiment: str, tmp_path: Path) -> None:
    process = start(tmp_path, experiment)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, out + err
    lost = "try 1 of 3 was lost, another follows: no sign of life for 25 s (Resources.timeout_seconds): the"
    (told,) = [line for line in out.splitlines() if lost in line]
    assert told.startswith("waiting student large on sandbox seed 0"), told
    assert not [*tmp_path.glob("raysweep-store/runs/*/error.txt")]
