"""Seconds and peak memory of the commands on a store of 100,000 finished runs.

    .venv/bin/python benchmarks/store_at_scale.py [number of runs [STORE]]      default: 100000 in a new one

The runs are made up: they have all the files of a finished run, with few examples each, and nothing
is trained. A store that is named is made unless it is there, and kept. Each command is measured in a process
of its own, from its start to its end: `raysweep status`, what `raysweep run` does of a sweep that is done,
without tracking and without the report, and `raysweep results`. Files are in the page cache, as after they
were written. Seconds are those of the clock; on a busy machine, use those of the CPU. The goals are for
100,000 runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import Row, machine, record
from planner import sweep as planned_sweep

from raysweep import Sweep
from raysweep.data.examples import split_sizes
from raysweep.data.inputs import RunInputs
from raysweep.planning.plan import Plan, make_plan
from raysweep.predictions import Predictions
from raysweep.results.measure import measure_run
from raysweep.spec import RunSpec, WeakLabels
from raysweep.store import RunStatus, Store

NUM_RUNS = 100_000
RUNS_PER_SEED = 4_000
VARIANTS = 5
"""Different predictions per task."""
GOALS = {"status": (5.0, None), "run": (10.0, None), "results": (None, 1_024.0)}
"""Of each command, seconds and MiB."""


def sweep() -> Sweep:
    """The sweep of the store that is measured."""
    return planned_sweep(int(os.environ["BENCHMARK_SEEDS"]))


class MadeUp:
    """Files of finished runs, those that don't differ between runs made once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._files: dict[tuple[str, str, bool, int], dict[str, bytes]] = {}
        self._metrics: dict[tuple[str, str, bool, int], dict[str, float]] = {}

    def finish(self, spec: RunSpec, number: int) -> None:
        """Give a run the files that training would give it."""
        paths = self._store.run(spec.id)
        key = (
            spec.task.content or "",
            str(spec.kind),
            isinstance(spec.labels, WeakLabels),
            number % VARIANTS,
        )
        paths.claim(spec)
        if key not in self._files:
            self._files[key] = self._made(spec, key[-1])
        for name, content in self._files[key].items():
            path = paths.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        if key not in self._metrics:
            self._metrics[key] = measure_run(RunInputs(spec, self._store))
        info = {"num_steps": 4, "seconds_total": 1.0, "finished_at": 2.0, "resources": {}}
        paths.finish(spec, self._metrics[key], info)

    def _made(self, spec: RunSpec, variant: int) -> dict[str, bytes]:
        files = {"environment.json": b'{"packages": {}, "code": {}}\n'}
        steps = pd.DataFrame({"step": [2, 4], "loss": [0.6, 0.5]})
        files["curves/training.parquet"] = steps.to_parquet()
        if spec.kind == "text":
            losses = pd.DataFrame({"step": [3, 3], "id": ["a", "b"], "outputs": [[2.0], [3.0]]})
            return files | {"curves/validation.parquet": losses.to_parquet(), "model/weights": b"weights"}
        for split in split_sizes(spec.task, self._store):
            if split == "supervisor":
                continue
            truth = RunInputs(spec, self._store).ground_truth(split)
            rng = np.random.default_rng([variant, len(split)])
            share = 0.7 if isinstance(spec.labels, WeakLabels) else 0.6 + 0.05 * variant
            right = rng.permutation(len(truth)) < round(share * len(truth))
            certain = np.where(right[:, None], truth.probabilities, 1 - truth.probabilities)
            predicted = Predictions.of(truth.ids, 0.1 + 0.8 * certain, spec.id)
            with tempfile.TemporaryDirectory() as folder:
                predicted.write(Path(folder) / "predictions")
                files[f"predictions/{split}.parquet"] = (Path(folder) / "predictions").read_bytes()
            if split != "transfer":
                point = pd.DataFrame({"id": truth.ids[:10], "outputs": list(predicted.probabilities[:10])})
                files[f"curves/{split}.parquet"] = pd.concat(
                    [point.assign(step=step) for step in (2, 4)]
                ).to_parquet()
        return files if isinstance(spec.labels, WeakLabels) else files | {"model/weights": b"weights"}


def fill(store: Store, plan: Plan) -> None:
    """Finish the runs of a plan that aren't."""
    made_up = MadeUp(store)
    for number, run in enumerate(plan.runs.values()):
        if not store.run(run.id).result.exists():
            made_up.finish(run.spec, number)


def execute(command: str, folder: str) -> None:
    """Do what a command does; in a process of its own."""
    if command == "run":
        from raysweep.scheduling.run import run_plan

        store = Store(folder)
        plan = make_plan(sweep(), store, retries=True)
        queue = run_plan(plan, store, "local", code={})
        assert queue.count(RunStatus.CACHED) == len(plan.runs)
        return
    from raysweep.cli.main import main

    arguments: list[str] = [command, f"{Path(__file__).name}:sweep", "--store", folder]
    os.chdir(Path(__file__).parent)
    assert main(arguments) == 0


def peak_mib() -> float:
    """The peak memory of this program in MiB. That of `resource` begins with what the parent had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1_024


def measured(command: str, folder: str) -> tuple[float, float, float]:
    """(seconds, seconds of the CPU, MiB at the peak) of a command."""
    start = time.perf_counter()
    before = os.times()
    arguments = [sys.executable, __file__, "--execute", command, folder]
    told = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, cpu, float(told.splitlines()[-1])


def main(num_runs: int, folder: str) -> None:
    """Make the store, and print a line for each command."""
    print(machine())
    os.environ["BENCHMARK_SEEDS"] = str(max(1, num_runs // RUNS_PER_SEED))
    store = Store(folder)
    start = time.perf_counter()
    plan = make_plan(sweep(), store)
    planning = time.perf_counter() - start
    has_goals = len(plan.runs) >= NUM_RUNS
    what = f"{len(plan.runs):,} finished runs"
    fill(store, plan)
    print(f"{what}: planned in {planning:.1f} s, made in {time.perf_counter() - start:.0f} s")
    del plan
    for command, (most_seconds, most_mib) in GOALS.items():
        seconds, cpu, mib = measured(command, folder)
        print(f"{command:>8} {seconds:8.1f} s, {cpu:.1f} s of the CPU, {mib:,.0f} MiB", flush=True)
        for goal, value, unit in ((most_seconds, seconds, "s"), (most_mib, mib, "MiB")):
            if goal is not None:
                record(
                    Row(
                        item="A large store",
                        what=f"{command} of {what}",
                        goal=f"≤ {goal:,.0f} {unit}" if has_goals else "",
                        measured=f"{value:,.1f} {unit}",
                        is_met=value <= goal if has_goals else None,
                    )
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--execute"]:
        execute(*sys.argv[2:])
        print(peak_mib())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            arguments = [*sys.argv[1:], *[str(NUM_RUNS), temporary][len(sys.argv) - 1 :]]
            main(int(arguments[0]), arguments[1])
