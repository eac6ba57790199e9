"""What the driver of a sweep spends on one run, in sweeps of ever more runs that do nothing.

    .venv/bin/python benchmarks/driver.py [number of runs …]      default: 100 1000 10000

For each number, a plan of that many runs goes through the local runner and through Ray Tune, with the queue,
the progress lines and the order of the critical path, but with a training that only writes a result. CPU
seconds are those of the driver's process alone (Ray Tune's own bookkeeping is in it, MLflow isn't). The
ratio, of a run in the largest and one in the smallest sweep, says whether the cost grows. Planning, and the
start of Ray, aren't counted.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import Row, machine, record
from planner import WORDS, model
from rich.console import Console

from raysweep import Sweep, TaskSpec, grid
from raysweep.cli.progress import Progress
from raysweep.estimates.runtime import estimate_costs
from raysweep.files import write_json
from raysweep.planning.plan import make_plan
from raysweep.scheduling import local, tune
from raysweep.scheduling import ray_startup as start
from raysweep.scheduling.run import run_plan
from raysweep.store import RunStatus, Store
from raysweep.training import process
from raysweep.training.run import Job

GOAL = 1.1
"""What "flat" means: a run of the largest sweep costs at most so many times one of the smallest."""


def do_nothing(job: Job) -> None:
    """What `execute` leaves behind, without training."""
    paths = Store(job.store_folder).run(job.spec.id)
    paths.claim(job.spec)
    paths.model.mkdir(exist_ok=True)
    (paths.model / "weights").write_text("none")
    write_json(paths.environment, {"packages": {}})
    paths.finish(job.spec, {"test_accuracy": 0.5}, {"num_steps": 1})


class Idle:
    """A slot whose runs do nothing."""

    def run(self, job: Job) -> None:
        """Execute nothing."""
        do_nothing(job)

    def close(self) -> None:
        """Nothing is held."""


class IdleTrial(tune.SlotTrial):
    """A trial of an idle slot."""

    def setup(self, config: dict[str, Any], import_path: Sequence[str]) -> None:  # type: ignore[override]
        self._slot = Idle()  # type: ignore[assignment]


def sweep(num_runs: int) -> Sweep:
    """One supervisor, one ceiling and three students a seed, after three pretrainings."""
    task = TaskSpec(
        name="sandbox",
        params=WORDS | {"num_test_sentences": 150},
        num_train=32,
        num_validation=20,
        num_test=40,
    )
    methods = ["naive", "confidence", "confidence_openai"]
    return Sweep(
        name="driver",
        tasks=[task],
        pairs=grid([model(2)], [model(6)]),
        methods=methods,
        seeds=range(num_runs // 5),
    )


def measure(runner: str, num_runs: int) -> tuple[int, float, float]:
    """(runs, milliseconds of the driver's CPU for each, of the clock for each)."""
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        store = Store(folder)
        plan = make_plan(sweep(num_runs), store)
        estimate_costs(plan, store)  # lays out models once, and imports what that needs
        progress = Progress(Console(file=nowhere))
        # So that the local runner's first run freezes this plan, as it does in a process with one sweep.
        gc.unfreeze()
        process._freeze_libraries.cache_clear()
        clock = time.perf_counter()
        cpu = time.process_time()
        with progress:
            queue = run_plan(plan, store, runner, progress.changed, code={})
        clock = time.perf_counter() - clock
        cpu = time.process_time() - cpu
        assert queue.count(RunStatus.DONE) == len(plan.runs), queue.failures[:1]
    return len(plan.runs), 1e3 * cpu / len(plan.runs), 1e3 * clock / len(plan.runs)


def main() -> None:
    """Print a line for each number of runs, and the ratio of the last to the first."""
    numbers = [int(text) for text in sys.argv[1:]] or [100, 1_000, 10_000]
    print(machine())
    local.execute = do_nothing
    tune.SlotTrial = IdleTrial
    for runner in ("local", "ray"):
        if runner == "ray":
            start.start()
        measure(runner, 20)  # imports
        print(f"{runner:>6}  {'runs':>6}  {'CPU ms/run':>10}  {'clock ms/run':>12}")
        costs = []
        for number in numbers:
            num_runs, cpu, clock = measure(runner, number)
            costs.append(cpu)
            print(f"{'':>6}  {num_runs:6}  {cpu:10.2f}  {clock:12.2f}", flush=True)
        what = f"{runner}: the driver's CPU for a run of {num_runs:,}, against one of {numbers[0]:,}"
        ratio = costs[-1] / costs[0]
        measured = f"{costs[-1] / costs[0]:.2f} ({costs[-1]:.1f} ms a run)"
        record(Row(item="The driver", what=what, goal=f"≤ {GOAL}", measured=measured, is_met=ratio <= GOAL))


if __name__ == "__main__":
    main()
