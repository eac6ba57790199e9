"""The real path: Ray Tune, Ray Train and two DeepSpeed workers, killed in the middle and run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def raysweep(folder: Path, command: str, experiment: str, *options: str) -> subprocess.Popen[str]:
    """Start the command line in a folder, as a user would."""
    arguments = [sys.executable, "-m", "raysweep.cli", command, str(EXPERIMENTS / experiment), *options]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "RAYSWEEP_", "MLFLOW_"))
    }
    return subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 400) -> tuple[int, str]:
    """The exit code and all output of a command."""
    output, _ = process.communicate(timeout=timeout)
    return process.returncode, output


def results_of(folder: Path, experiment: str) -> dict:
    code, output = finish(raysweep(folder, "results", experiment, "--format", "json"))
    assert code == 0, output
    return json.loads(output)


def wait_for(condition, process: subprocess.Popen[str], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, (
            f"the sweep ended before it could be killed:\n{process.communicate()[0]}"
        )
        assert time.monotonic() < end, "the state to kill it in didn't come"
        time.sleep(0.05)


@pytest.mark.ray
def test_a_killed_sweep_goes_on_and_trains_nothing_twice(tmp_path: Path) -> None:
    store = tmp_path / "raysweep-store"
    first = raysweep(tmp_path, "run", "two_workers.py")
    # In the middle: some runs are done, and a worker group has written a checkpoint.
    wait_for(lambda: [*store.glob("runs/*/checkpoints/2-zero1/step-*/manifest.json")], first)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    done_before = {path: path.stat().st_mtime_ns for path in store.glob("runs/*/result.json")}
    assert 0 < len(done_before) < 5
    interrupted = next(iter(store.glob("runs/*/checkpoints/2-zero1/step-*/manifest.json"))).parents[3]
    assert not (interrupted / "result.json").exists()

    code, output = finish(raysweep(tmp_path, "run", "two_workers.py"))

    assert code == 0, output
    done_after = {path: path.stat().st_mtime_ns for path in store.glob("runs/*/result.json")}
    assert len(done_after) == 5
    assert {path: done_after[path] for path in done_before} == done_before, "a finished run was trained again"
    resumed_at = json.loads((interrupted / "result.json").read_text())["info"]["resumed_at_step"]
    assert resumed_at >= 50, "the killed run didn't go on from its checkpoint"

    # The same runs, uninterrupted, in one process each: the same numbers up to floating-point noise.
    alone = tmp_path / "alone"
    alone.mkdir()
    code, output = finish(raysweep(alone, "run", "two_workers.py:one_process", "--local"))
    assert code == 0, output
    ours = results_of(tmp_path, "two_workers.py")["cells"][0]
    theirs = results_of(alone, "two_workers.py:one_process")["cells"][0]
    for name in ("weak_accuracy", "student_accuracy", "ceiling_accuracy", "agreement"):
        assert ours[name] == pytest.approx(theirs[name], abs=2 / 64), name


@pytest.mark.ray
@pytest.mark.parametrize("experiment", ["troubles.py", "troubles.py:in_groups"])
def test_failures_stay_where_they_are_and_unclean_processes_go(experiment: str, tmp_path: Path) -> None:
    code, output = finish(raysweep(tmp_path, "run", experiment))

    assert code == 1, output
    plan = json.loads(finish(raysweep(tmp_path, "plan", experiment, "--json"))[1])
    runs = {run["id"]: run for run in plan["runs"]}
    # The diverging supervisors fail, their students with them, and everything else is done.
    supervisors = {cell["supervisor"] for cell in plan["cells"] if cell["weak"] == "diverging"}
    students = {cell["student"] for cell in plan["cells"] if cell["weak"] == "diverging"}
    assert len(supervisors) == 1 and len(students) == 2
    assert {run_id for run_id, run in runs.items() if run["status"] != "done"} == supervisors | students
    for run_id in supervisors:
        assert f"{run_id} (supervisor, diverging" in output and "at step" in output
    for run_id in students:
        assert f"{run_id} (student" in output and "which it depends on, failed" in output
    # One process, or worker group, executes one run after another, until one leaves something behind or
    # fails.
    results = [json.loads(path.read_text()) for path in tmp_path.glob("raysweep-store/runs/*/result.json")]
    order = [result["id"] for result in sorted(results, key=lambda result: result["info"]["finished_at"])]
    process = {result["id"]: result["info"]["process"] for result in results}
    leaky = {
        cell["student"] for cell in plan["cells"] if cell["method"] == "leaky" and cell["weak"] != "diverging"
    }
    assert len(leaky) == 1
    assert len(set(process.values())) < len(process), "no process was kept"
    for run_id in leaky:
        later = order[order.index(run_id) + 1 :]
        assert process[run_id] not in {process[other] for other in later}, (
            "a process with a stray thread was kept"
        )


@pytest.mark.ray
def test_an_interrupted_sweep_says_so_and_keeps_what_is_done(tmp_path: Path) -> None:
    process = raysweep(tmp_path, "run", "two_workers.py")
    wait_for(lambda: [*tmp_path.glob("raysweep-store/runs/*/result.json")], process)
    process.send_signal(signal.SIGINT)
    code, output = finish(process)
    assert code == 130 and output.endswith("raysweep: interrupted; run the same command again to go on\n"), (
        output
    )
    assert "Traceback" not in output
    assert 1 <= len([*tmp_path.glob("raysweep-store/runs/*/result.json")]) < 5


@pytest.mark.ray
def test_a_run_that_no_cluster_like_this_can_fit_is_refused(tmp_path: Path) -> None:
    code, output = finish(raysweep(tmp_path, "run", "troubles.py:too_wide"))

    assert code == 2
    assert "asks for 1000 CPU" in output and "can never fit" in output and "Traceback" not in output
    assert not [*tmp_path.glob("raysweep-store/runs/*/result.json")]
