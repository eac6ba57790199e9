"""Two sweeps at once on one store: each run is executed by one of them."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from grid_helpers import finish, small_sweep

from raysweep.planning.plan import make_plan
from raysweep.scheduling.claim import FailedElsewhere, claimed
from raysweep.scheduling.jobs import Jobs
from raysweep.store import Store
from raysweep.training.run import Job

ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(store: Store) -> Job:
    plan = make_plan(small_sweep(), store)
    return Jobs(store, {}).make(next(iter(plan.runs.values())))


@contextmanager
def executed_elsewhere(job: Job, ending: Callable[[], object]) -> Iterator[None]:
    """Another sweep holds the run's lock; as soon as somebody waits for it, the run ends there."""
    paths = Store(job.store_folder).run(job.spec.id)
    lock = paths.lock()
    assert lock is not None

    def end() -> None:
        ending()
        lock.release()

    timer = threading.Timer(0.3, end)
    timer.start()
    yield
    timer.join()


def test_a_run_is_executed_by_the_first_and_found_done_by_the_second(job: Job) -> None:
    store = Store(job.store_folder)
    with claimed(job) as is_open:
        assert is_open and store.run(job.spec.id).lock(wait=False) is None
    with executed_elsewhere(job, lambda: finish(job.spec, store)), claimed(job) as is_open:
        assert not is_open
    with claimed(job) as is_open:
        assert not is_open


def test_a_run_that_failed_meanwhile_is_not_tried_at_once_again(job: Job) -> None:
    paths = Store(job.store_folder).run(job.spec.id)
    with (
        executed_elsewhere(job, lambda: paths.tell_failure("the loss became nan at step 3")),
        pytest.raises(FailedElsewhere, match="the loss became nan at step 3"),
        claimed(job),
    ):
        pass
    with claimed(job) as is_open:  # by a later command
        assert is_open


def test_a_run_whose_sweep_was_killed_is_taken_over(job: Job) -> None:
    with executed_elsewhere(job, lambda: None), claimed(job) as is_open:
        assert is_open


def test_the_same_sweep_twice_at_once_ends_well_twice(tmp_path: Path) -> None:
    (tmp_path / "experiment.py").write_text(
        "from grid_helpers import small_sweep\ndef sweep(): return small_sweep()\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "raysweep.cli", "run", "experiment.py", "--local"]
    both = [
        subprocess.Popen(
            [*command, "--tracking-uri", f"sqlite:///{tmp_path}/{name}.db"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("first", "second")
    ]
    for process in both:
        out, _ = process.communicate(timeout=550)
        assert (
            process.returncode == 0 and "missing" not in out and "failed" not in out.replace("0 failed", "")
        )
    folder = tmp_path / "raysweep-store"
    assert len([*folder.glob("runs/*/result.json")]) == 5
    assert not [*folder.glob("runs/*/.*.tmp")] and not [*folder.glob("runs/.*.lock")]
