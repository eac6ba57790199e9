"""`cluster/local.sh stop` ends and removes only what `start` started and made."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "cluster" / "local.sh"


def stop(folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [SCRIPT, "stop"],
        env={"PATH": path, "RAYSWEEP_CLUSTER": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def began(pid: int) -> str:
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return " ".join(told.stdout.split())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that calls itself the MLflow server of a folder."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    sleep = "import time; time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", sleep, "--backend-store-uri", uri, "--workers"], start_new_session=True
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    "content",
    ["{pid}\n", "{pid}\nThu Jan 1 00:00:00 1970\n", "{pid} 1\n{began}\n", "-1\n{began}\n", "1\n{began}\n"],
    ids=["no time", "another time", "no number", "all processes", "another process"],
)
def test_another_process_is_left_alone(content: str, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "mlflow.pid").write_text(content.format(pid=server.pid, began=began(server.pid)))
    assert stop(tmp_path) == "" and server.poll() is None and not (tmp_path / "mlflow.pid").exists()


def test_a_process_of_another_folder_is_left_alone(server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("mlflow", "ray"):
        (other / f"{name}.pid").write_text(f"{server.pid}\n{began(server.pid)}\n")
    assert stop(other) == "" and server.poll() is None


def test_its_own_process_is_ended(server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "mlflow.pid").write_text(f"{server.pid}\n{began(server.pid)}\n")
    reaper = time.monotonic() + 20
    stopping = subprocess.Popen([SCRIPT, "stop"], env=os.environ | {"RAYSWEEP_CLUSTER": str(tmp_path)})
    assert server.wait(timeout=reaper - time.monotonic()) == -15 and stopping.wait() == 0


def test_a_folder_that_was_not_made_for_it_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    link = Path(f"/tmp/raysweep-{os.urandom(3).hex()}")
    link.symlink_to(precious)
    try:
        for named in (precious, link, "/", "", "/tmp"):
            (tmp_path / "scratch").write_text(f"{named}\n")
            stop(tmp_path)
            assert precious.is_dir() and link.is_symlink() and not (tmp_path / "scratch").exists()
    finally:
        link.unlink()


@pytest.mark.parametrize("is_own", [True, False])
def test_scratch_space_is_removed_if_it_was_made_for_this_folder(is_own: bool, tmp_path: Path) -> None:
    scratch = Path(f"/tmp/raysweep-{os.urandom(3).hex()}")
    scratch.mkdir()
    (scratch / "made-for").write_text(f"{tmp_path if is_own else tmp_path / 'other'}\n")
    (tmp_path / "scratch").write_text(f"{scratch}\n")
    stop(tmp_path)
    assert scratch.exists() != is_own
    if not is_own:
        (scratch / "made-for").unlink()
        scratch.rmdir()
