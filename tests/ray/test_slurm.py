"""cluster/slurm/sweep.sbatch with a real slurmctld and slurmd on this machine.

The slurmd has a process namespace of its own, since `ray symmetric-run` ends with `ray stop`, which ends
every Ray process that it sees.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munge", "unshare")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(bool(MISSING), reason=f"Slurm isn't installed: no {', '.join(MISSING)} (slurm-wlm)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="slurmd must be started by root"),
]

EXPERIMENT = """
from raysweep import Sweep, TaskSpec, families, grid

def sweep():
    models = families.get("sandbox")
    return Sweep(
        name="slurm",
        tasks=[TaskSpec(name="sandbox", num_train=200, num_validation=50, num_test=100)],
        pairs=grid(weak=[models["sandbox-6"]], strong=[models["sandbox-12"]]),
        methods=["naive"],
        seeds=[0],
    )
"""


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which this test's Slurm is used."""
    host = socket.gethostname()
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    ports = _free_ports(2)
    settings = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldPort": ports[0],
        "SlurmdPort": ports[1],
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
        "ProctrackType": "proctrack/pgid",
        "TaskPlugin": "task/none",
        "MpiDefault": "none",
        "JobAcctGatherType": "jobacct_gather/none",
        "NodeName": f"{host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000",
        "PartitionName": "all Nodes=ALL Default=YES State=UP",
    }
    conf = folder / "slurm.conf"
    conf.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    environment = os.environ | {
        "SLURM_CONF": str(conf),
        "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        "RAYSWEEP_STORE": str(tmp_path / "store"),
    }
    if subprocess.run("munge -n | unmunge", shell=True, capture_output=True).returncode != 0:
        pytest.skip("munged isn't running: start it with `service munge start`")
    # The shell reaps what the jobs leave, as a node's first process does.
    node = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", "slurmd -D & wait"]
    daemons = [
        subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
        for command in (["slurmctld", "-D"], node)
    ]
    try:
        _wait(lambda: "idle" in _output("sinfo", environment), 30, "Slurm's node doesn't become idle")
        yield environment
    finally:
        subprocess.run(["scancel", "--user", "root"], env=environment, check=False)
        for daemon in daemons:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()


def test_a_sweep_that_is_stopped_before_its_time_limit_goes_on_by_itself(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(EXPERIMENT)
    log = tmp_path / "job.log"
    submitted = subprocess.run(
        [
            *(
                "sbatch",
                "--parsable",
                "--nodes=1",
                "--cpus-per-task=2",
                "--gpus-per-node=0",
                f"--output={log}",
            ),
            *(str(ROOT / "cluster/slurm/sweep.sbatch"), str(tmp_path / "mine.py")),
        ],
        env=slurm,
        capture_output=True,
        text=True,
    )
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.strip()

    _wait(lambda: log.exists() and "done    " in log.read_text(), 240, "no run is done")
    subprocess.run(["scancel", "--batch", "--signal=TERM", job], env=slurm, check=True)
    _wait(lambda: "back into the queue" in log.read_text(), 60, "the job isn't stopped")
    # Slurm waits for two minutes before it starts a job again.
    _wait(lambda: "PENDING" in _output(f"squeue --job {job} --format %T", slurm), 120, "no second try")
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], env=slurm, check=True)
    _wait(lambda: job not in _output("squeue", slurm), 300, "the second try doesn't end")

    printed = log.read_text()
    assert "0 of 5 runs are done already" in printed
    assert "0 failed, 0 waiting" in printed[printed.rindex("runs are done already") :], printed
    assert "ExitCode=0:0" in _output(f"scontrol show job {job}", slurm)


def _output(command: str, environment: dict[str, str]) -> str:
    return subprocess.run(command.split(), env=environment, capture_output=True, text=True).stdout


def _wait(condition: Callable[[], bool], seconds: int, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(1)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(item.getsockname()[1]) for item in sockets]
    for item in sockets:
        item.close()
    return ports
