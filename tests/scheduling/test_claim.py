"""Two sweeps at once on one store: each run is executed by one of them."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from grid_helpers import finish, small_sweep
from mlflow import MlflowClient

from raysweep.planning.plan import make_plan
from raysweep.scheduling.claim import claimed
from raysweep.scheduling.jobs import Jobs
from raysweep.store import Store
from raysweep.tracking.mlflow.tags import KEY_TAGS
from raysweep.training.run import Job

ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(store: Store) -> Job:
    plan = make_plan(small_sweep(), store)
    return Jobs(store, {}).make(next(iter(plan.runs.values())))


def test_a_process_waits_for_what_is_left_of_an_earlier_try(job: Job) -> None:
    store = Store(job.store_folder)
    lock = store.run(job.spec.id).lock()
    assert lock is not None

    def end() -> None:
        finish(job.spec, store)
        lock.release()

    timer = threading.Timer(0.3, end)
    timer.start()
    with claimed(job) as is_open:
        assert not is_open
    timer.join()


def test_a_run_is_open_until_it_is_done_with_what_is_needed_of_it(job: Job) -> None:
    store = Store(job.store_folder)
    with claimed(job) as is_open:
        assert is_open and store.run(job.spec.id).lock(wait=False) is None
    finish(job.spec, store)
    with claimed(job) as is_open:
        assert not is_open


def test_the_same_sweep_twice_at_once_trains_each_run_once_and_writes_it_once(tmp_path: Path) -> None:
    (tmp_path / "experiment.py").write_text(
        "from grid_helpers import small_sweep\ndef sweep(): return small_sweep()\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "raysweep.cli", "run", "experiment.py", "--local"]
    both = [
        subprocess.Popen(
            [*command, "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    told = []
    for process in both:
        out, _ = process.communicate(timeout=550)
        assert process.returncode == 0, out
        assert "missing" not in out and "failed" not in out.replace("0 failed", "")
        told.append(out)
    folder = tmp_path / "raysweep-store"
    trained_by = {
        json.loads(path.read_text())["info"]["process"]: path for path in folder.glob("runs/*/result.json")
    }
    assert set(trained_by) <= {process.pid for process in both}
    assert len([*folder.glob("runs/*/result.json")]) == 5
    # Each run was trained by one of them, and is cached, or was trained elsewhere, for the other.
    assert sum(len(re.findall(r"^done ", out, re.MULTILINE)) for out in told) == 5
    assert not [*folder.glob("runs/*/.*")] and not [*folder.glob("runs/.*.lock")]
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([item.experiment_id for item in client.search_experiments()])
    keys = [next(run.data.tags[tag] for tag in KEY_TAGS.values() if tag in run.data.tags) for run in runs]
    assert len(keys) == len(set(keys)) == 5 + 1 + 1 + 1  # runs, the cell, its row of results, the sweep
    assert {run.info.status for run in runs} == {"FINISHED"}
