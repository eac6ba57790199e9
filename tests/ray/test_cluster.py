"""The first step on a cluster, exactly as cluster/README.md says it: a real job server and a real MLflow
server."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raysweep.store import Store

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "cluster" / "local.sh"

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def free_ports(num: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(num)]
    ports = [str(server.getsockname()[1]) for server in sockets]
    for server in sockets:
        server.close()
    return ports


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A running cluster: the environment that `eval "$(cluster/local.sh env)"` gives a shell."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("RAY", "MLFLOW_TRACKING"))
    }
    path = f"{Path(sys.executable).parent}:{inherited['PATH']}"
    names = ("RAYSWEEP_RAY_PORT", "RAYSWEEP_DASHBOARD_PORT", "RAYSWEEP_MLFLOW_PORT")
    environment = inherited | dict(zip(names, free_ports(3), strict=True))
    environment |= {"PATH": path, "RAYSWEEP_CLUSTER": str(tmp_path / "cluster")}
    options = ["--num-cpus", "2", "--object-store-memory", "100000000"]
    try:
        started = subprocess.run([SCRIPT, "start", *options], env=environment, capture_output=True, text=True)
        assert started.returncode == 0, started.stderr
        exports = subprocess.run(
            [SCRIPT, "env"], env=environment, capture_output=True, text=True, check=True
        ).stdout
        yield environment | dict(shlex.split(line)[1].split("=", 1) for line in exports.splitlines())
    finally:
        subprocess.run([SCRIPT, "stop"], env=environment, check=True)


def status_code(address: str, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_submitted_job_leaves_its_cells_with_their_pgr_in_mlflow(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    jobs = f"{cluster['RAY_API_SERVER_ADDRESS']}/api/jobs/"
    token = Path(cluster["RAY_AUTH_TOKEN_PATH"])
    assert token.stat().st_mode & 0o077 == 0, "others can read the token"
    assert status_code(jobs, {}) == 401
    assert status_code(jobs, {"Authorization": f"Bearer {token.read_text()}"}) == 200

    submit = [
        "ray",
        "job",
        "submit",
        "--working-dir",
        ".",
        "--",
        "raysweep",
        "run",
        "tests/experiments/tiny_sweep.py",
    ]
    job = subprocess.run(submit, cwd=ROOT, env=cluster, capture_output=True, text=True)
    assert job.returncode == 0, job.stdout[-5000:]

    client = MlflowClient(cluster["MLFLOW_TRACKING_URI"])
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len([run for run in runs if "raysweep.run_id" in run.data.tags]) == 5
    (cell,) = [run for run in runs if run.data.tags["kind"] == "cell"]
    metrics = cell.data.metrics
    weak, student, ceiling = (metrics[f"{name}_accuracy"] for name in ("weak", "student", "ceiling"))
    assert metrics["pgr"] == pytest.approx((student - weak) / (ceiling - weak))
    recorded = Store(cluster["RAYSWEEP_STORE"]).run(cell.data.tags["raysweep.student"]).read_result()
    assert student == recorded["metrics"]["test_accuracy"]
    # The server, not a folder that happens to be shared, has the artifacts.
    (run,) = [run for run in runs if run.data.tags.get("raysweep.run_id") == recorded["id"]]
    files = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert files == {"environment.json", "examples", "result.json", "spec.json"}
    (sweep,) = [run for run in runs if run.data.tags["kind"] == "sweep"]
    assert {item.path for item in client.list_artifacts(sweep.info.run_id)} == {
        "figures",
        "report.html",
        "sweep.json",
    }

    pids = [(tmp_path / "cluster" / f"{name}.pid").read_text().split()[0] for name in ("ray", "mlflow")]
    processes = [int(pid) for pid in pids]
    assert all(Path(f"/proc/{process}").exists() for process in processes)
    subprocess.run([SCRIPT, "stop"], env=cluster, check=True)
    assert not any(Path(f"/proc/{process}").exists() for process in processes)


def test_a_sweep_is_submitted_once_followed_and_ended_in_order(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    """`raysweep submit` of a small project: the second command finds the job of the first."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(ROOT / "tests/experiments/tiny_sweep.py", project / "mine.py")
    environment = cluster | {"PYTHONPATH": str(ROOT)}

    def submit(*options: str) -> subprocess.CompletedProcess[str]:
        command = ["raysweep", "submit", "mine.py", *options]
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=250
        )

    left = submit("--leave")
    assert left.returncode == 0, left.stderr
    job = left.stdout.split("job ", 1)[1].split(":", 1)[0]
    assert job.startswith("tiny-")
    followed = submit()
    assert followed.returncode == 0, followed.stdout[-3000:] + followed.stderr
    assert f"job {job} runs this already" in followed.stdout and "5 done" in followed.stdout
    assert Store(cluster["RAYSWEEP_STORE"]).folder.is_dir()

    # It has ended: the next one is another try, which trains nothing; and nothing is left to be ended.
    again = submit()
    assert f"job {job}-try2" in again.stdout and "5 of 5 runs are done already" in again.stdout
    nothing = submit("--cancel")
    assert nothing.returncode == 1 and "no job of this sweep" in nothing.stderr

    (project / "mine.py").write_text(
        (project / "mine.py").read_text().replace("seeds=[0]", "seeds=[5, 6, 7, 8]")
    )
    assert submit("--leave").returncode == 0
    ended = submit("--cancel")
    assert ended.returncode == 0 and "ending job" in ended.stderr, ended.stderr

    (project / "settings.py").write_text("TOKEN = 'hf" + "_" + "a1B2" * 9 + "'\n")
    refused = submit()
    assert refused.returncode == 2 and "settings.py, line 1, holds what looks like a token" in refused.stderr
