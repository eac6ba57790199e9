"""The driver's CPU time for a run, in sweeps of 100 to 10,000 runs that do nothing.

    .venv/bin/python benchmarks/driver.py [number of runs …]      default: 100 1000 10000

For each number, a plan of that many runs goes through the local runner and through Ray Tune, with the queue,
the progress lines and the order of the critical path, but with a training that only writes a result. CPU
seconds are those of the driver's process alone (with Ray Tune's own bookkeeping, without MLflow). The ratio
of a run in the largest sweep to one in the smallest shows whether the cost grows. Planning and the start of
Ray aren't counted.
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
from planner import model, small_task
from rich.console import Console

from raysweep import Sweep, grid
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
"""The largest ratio of the cost of a run in the largest sweep to that in the smallest."""


def do_nothing(job: Job) -> None:
    """Write the files of `execute` without training."""
    paths = Store(job.store_folder).run(job.spec.id)
    paths.claim(job.spec)
    paths.model.mkdir(exist_ok=True)
    (paths.model / "weights").write_text("none")
    write_json(paths.environment, {"packages": {}})
    paths.finish(job.spec, {"test_accuracy": 0.5}, {"num_steps": 1})


class Idle:
    """A slot whose runs do nothing."""

    def run(self, job: Job) -> None:
        """Write the files of a run."""
        do_nothing(job)

    def close(self) -> None:
        """Do nothing."""


class IdleTrial(tune.SlotTrial):
    """A trial with an idle slot."""

    def setup(self, config: dict[str, Any], import_path: Sequence[str]) -> None:  # type: ignore[override]
        self._slot = Idle()  # type: ignore[assignment]


def sweep(num_runs: int) -> Sweep:
    """One supervisor, one ceiling and three students per seed, after the pretrainings of both models."""
    return Sweep(
        name="driver",
        tasks=[small_task()],
        pairs=grid([model(2)], [model(6)]),
        methods=["naive", "confidence", "confidence_openai"],
        seeds=range(num_runs // 5),
    )


def measure(runner: str, num_runs: int) -> tuple[int, float, float]:
    """(number of runs, milliseconds of the driver's CPU per run, milliseconds of the clock per run)."""
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        store = Store(folder)
        plan = make_plan(sweep(num_runs), store)
        estimate_costs(plan, store)  # builds models without weights once, with the imports for it
        progress = Progress(Console(file=nowhere))
        # Let the first run of the local runner freeze this plan, as in a process with a single sweep.
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
    """Print a line for each number of runs and record the ratio of the last to the first."""
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
        measured = f"{costs[-1] / costs[0]:.2f} ({costs[-1]:.1f} ms per run)"
        record(Row(item="The driver", what=what, goal=f"≤ {GOAL}", measured=measured, is_met=ratio <= GOAL))


if __name__ == "__main__":
    main()
