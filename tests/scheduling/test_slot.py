"""A slot's process watches itself from before Ray Train starts, which imports for seconds."""

import signal
import subprocess
import sys
from pathlib import Path

from grid_helpers import small_sweep

from raysweep import Resources
from raysweep.planning.plan import make_plan
from raysweep.store import Store

STANDS_STILL = """
import os, signal, sys
from grid_helpers import small_sweep
from raysweep import Resources
from raysweep.planning.plan import make_plan
from raysweep.scheduling import slot
from raysweep.scheduling.jobs import Jobs
from raysweep.store import Store
store = Store(sys.argv[1])
plan = make_plan(small_sweep(resources=Resources(timeout_seconds=3)), store)
slot._train_here = lambda job, folder: os.kill(os.getpid(), signal.SIGSTOP)
slot.Slot((), store.folder).run(Jobs(store, {}).make(next(iter(plan.runs.values())), may_kill=True))
"""


def test_a_slot_that_stands_still_while_ray_train_starts_is_killed_and_named(
    store: Store, tmp_path: Path
) -> None:
    tests = Path(__file__).parents[1]
    process = subprocess.run(
        [sys.executable, "-c", STANDS_STILL, str(store.folder)],
        env={"PYTHONPATH": f"{tests.parent}:{tests}", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    run = next(iter(make_plan(small_sweep(resources=Resources(timeout_seconds=3)), store).runs.values()))
    assert (
        store.run(run.id)
        .failure()
        .startswith("no sign of life for 3 s (Resources.timeout_seconds): the last one")
    )
