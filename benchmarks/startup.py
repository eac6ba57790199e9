"""The cost of a run besides training and evaluation: in a kept process, and in a worker group of two.

    .venv/bin/python benchmarks/startup.py

Sweeps of a GPT-2 with 3 million parameters in a folder, with 64 examples and 2 steps per run, through Ray
Tune on this machine. "In the run" is the result's seconds_total less training and evaluation. "From run to
run" is the time between the ends of two consecutive runs of a process (for groups, of the cluster), less
training and evaluation of the second one, so that scheduling is included. The first run of a process, which
imports, isn't counted. After that, a breakdown of the time in seconds.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import Row, machine, record, write_gpt2

if TYPE_CHECKING:
    from raysweep import Sweep

GOAL_KEPT = 0.3
GOAL_GROUP = 8.0
SEEDS = {"kept": 8, "group": 2}
WIDTH = 256
LAYERS = 4
PARTS = {
    "process.py:_quiet_libraries": "quiet libraries",
    "run.py:environment": "environment",
    "run_folder.py:claim": "claim on the folder",
    "engine.py:process_group": "process group created and destroyed",
    "tokenized.py:load": "tokens read (with checksums)",
    "source.py:tokenizer": "tokenizer",
    "model.py:build_model": "model built and loaded",
    "engine.py:__init__": "DeepSpeed's engine created",
    "step.py:load": "labels",
    "loop.py:_train": "training",
    "loop.py:_predict": "evaluation and predictions",
    "history.py:save": "curves written",
    "model.py:save_model": "model saved",
    "engine.py:close": "engine freed",
    "measure.py:measure_run": "measured",
    "run_folder.py:finish": "result written (with checksums)",
    "~:<built-in method gc.collect>": "garbage collected",
}
"""Functions of a run by file and name, with labels; some contain others."""
IMPORTS = (
    "torch",
    "transformers",
    "ray.tune",
    "ray.train.torch",
    "deepspeed",
    "mlflow",
    "raysweep.cli.commands.run",
)


def sweep(kind: str) -> Sweep:
    """A supervisor, a ceiling and a student per seed."""
    from raysweep import Evaluation, Folder, ModelSpec, Optimization, Resources, Sweep, TaskSpec
    from raysweep.models.families import Model

    folder = Path(os.environ["BENCHMARK_MODELS"])
    weak, strong = (
        Model(
            spec=ModelSpec(name=name, base=Folder(path=str(folder / name))),
            optimization=Optimization(learning_rate=1e-3, batch_size=32, steps=2),
        )
        for name in ("weak", "strong")
    )
    world = {"num_sentences": 600, "num_test_sentences": 200}
    return Sweep(
        name=f"startup-{kind}",
        tasks=[TaskSpec(name="sandbox", params=world, num_train=64, num_validation=32, num_test=64)],
        pairs=[(weak, strong)],
        methods=["naive"],
        seeds=range(SEEDS[kind]),
        evaluation=Evaluation(every=0),
        resources=Resources(num_workers=2 if kind == "group" else 0),
    )


def kept() -> Sweep:
    """Every run in a kept process."""
    return sweep("kept")


def group() -> Sweep:
    """Every run in a worker group of two."""
    return sweep("group")


def run(kind: str, folder: Path) -> list[dict[str, Any]]:
    """The `info` of the sweep's results, in the order in which runs ended, with the time of their claim."""
    from raysweep.planning.plan import make_plan
    from raysweep.store import Store

    store = folder / f"store-{kind}"
    command = [str(Path(sys.executable).parent / "raysweep"), "run", f"{__file__}:{kind}"]
    command += ["--store", str(store), "--tracking-uri", f"sqlite:///{folder / kind}.db"]
    start = time.time()
    clock = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    clock = time.perf_counter() - clock
    infos = []
    for run_id in make_plan(sweep(kind), Store(store)).runs:
        paths = Store(store).run(run_id)
        infos.append(paths.read_result()["info"] | {"claimed_at": paths.spec.stat().st_mtime})
    infos.sort(key=lambda info: info["finished_at"])
    first = min(info["claimed_at"] for info in infos) - start
    last = infos[-1]["finished_at"] - start
    num_parameters = infos[0]["num_parameters"]
    load = os.getloadavg()[0]
    print(f"\n{kind}: {len(infos)} runs in {clock:.1f} s, {num_parameters:,} parameters; load {load:.1f}")
    print(f"  {first:.1f} s until the first run's claim, {clock - last:.1f} s after the last run's end")
    return infos


def overhead_seconds(info: dict[str, Any]) -> float:
    """Seconds of a run besides training and evaluation."""
    return float(info["seconds_total"] - info["seconds_training"] - info["seconds_evaluation"])


def show(label: str, values: list[float], goal: float | None = None) -> None:
    """Print the median and the largest value; record them if there is a goal."""
    middle = statistics.median(values)
    measured = f"{middle:.3f} s, largest {max(values):.3f}, {len(values)} runs"
    if goal is None:
        print(f"  {label}: {measured}")
    else:
        is_met = middle <= goal
        record(Row(item="Start-up per run", what=label, goal=f"≤ {goal} s", measured=measured, is_met=is_met))


def pairs(infos: list[dict[str, Any]], *, by_process: bool) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Consecutive runs, of each process or of all."""
    slots: dict[int, list[dict[str, Any]]] = {}
    for info in infos:
        slots.setdefault(info["process"] if by_process else 0, []).append(info)
    return [pair for slot in slots.values() for pair in pairwise(slot)]


def gap(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Seconds from the end of one run to that of the next, less training and evaluation of the next one."""
    return float(
        after["finished_at"] - before["finished_at"] - after["seconds_training"] - after["seconds_evaluation"]
    )


def profile(folder: Path) -> None:
    """Print where the time of a run goes in a process that already had others, under Python's profiler."""
    from raysweep.planning.plan import make_plan
    from raysweep.scheduling.jobs import Jobs
    from raysweep.store import Store
    from raysweep.training.process import clean_process
    from raysweep.training.run import execute

    store = Store(folder / "store-profile")
    plan = make_plan(kept(), store)
    jobs = Jobs(store, {})
    profiler = cProfile.Profile()
    times = []
    supervisors = [planned for planned in plan.runs.values() if planned.roles == ("supervisor",)]
    for number, planned in enumerate(supervisors):
        is_profiled = number == len(supervisors) - 1
        if is_profiled:
            profiler.enable()
        start = time.perf_counter()
        with clean_process():
            execute(jobs.make(planned, num_workers=0))
        times.append(time.perf_counter() - start)
        profiler.disable()
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    print(f"\na run in a kept process: {statistics.median(times[2:-1]):.3f} s with its training")
    print(f"where it goes, under Python's profiler ({times[-1]:.3f} s):")
    found: dict[str, float] = {}
    for (path, _, name), (_, _, _, cumulative, _) in stats.items():
        key = f"{Path(path).name}:{name}"
        if key in PARTS and ("raysweep" in path or path == "~"):
            found[key] = found.get(key, 0.0) + cumulative
    assert found.keys() == PARTS.keys(), f"renamed: {', '.join(PARTS.keys() - found.keys())}"
    for key, label in PARTS.items():
        print(f"  {label:36} {found[key]:.3f}")


def imports() -> None:
    """Print the seconds of imports, each in a new process, and of Ray's start."""
    print("\nimports, each in a process of its own (files cached), less Python's own start:")
    empty = _timed("pass")
    for name in IMPORTS:
        print(f"  {name:36} {_timed(f'import {name}') - empty:.2f}")
    code = "import ray, logging; ray.init(log_to_driver=False, logging_level=logging.ERROR)"
    print(f"  {'import ray, ray.init() and its end':36} {_timed(code) - empty:.2f}")


def _timed(code: str) -> float:
    start = time.perf_counter()
    environment = os.environ | {"DS_ACCELERATOR": "cpu"}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    """Record both costs with their goals, then print a breakdown of the time."""
    from raysweep.tasks.sandbox import World

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [" ".join(World().words)]
        for model in ("weak", "strong"):
            write_gpt2(folder / model, words, width=WIDTH, layers=LAYERS, context=16, word_level=True)
        os.environ["BENCHMARK_MODELS"] = str(folder)
        infos = run("kept", folder)
        following = pairs(infos, by_process=True)
        inside = [overhead_seconds(after) for _, after in following]
        show("a run in a kept process, by its own clock", inside, GOAL_KEPT)
        gaps = [gap(*pair) for pair in following]
        show("a run in a kept process, from the end of the one before", gaps, GOAL_KEPT)
        infos = run("group", folder)
        following = pairs(infos, by_process=False)
        gaps = [gap(*pair) for pair in following]
        show("a run in a worker group of two, from the end of the one before", gaps, GOAL_GROUP)
        until_claims = [after["claimed_at"] - before["finished_at"] for before, after in following]
        show("  of it until the group has claimed the run", until_claims)
        show("  of it in the run", [overhead_seconds(after) for _, after in following])
        profile(folder)
    imports()


if __name__ == "__main__":
    main()
