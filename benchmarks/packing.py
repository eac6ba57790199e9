"""The gain from runs that share a GPU, and how long a whole-device run waits for them.

    .venv/bin/python benchmarks/packing.py

Simulated: the grid of benchmarks/critical_path.py without its two largest models on 8 GPUs. Each run has the
share of 80 GB that raysweep estimates for it (micro batches of 8, with a longest text of 256 or of 1,024
tokens), against a whole GPU for each run. How much a run slows down when it shares its device can only be
measured on one. So there are two rows, and the truth lies between them: "host-bound", a run is as fast as
alone (kernels of small models leave a GPU idle, and so do loading, launching and writing); "device-bound", k
runs together take as long as one after another, and packing can gain nothing.

On this machine: Ray Tune with one GPU that only exists in its resources, and runs that wait for 1 to 3 s.
Eight runs at a time fill the GPU while three ceilings that need all of it become ready and are more urgent.
Measured are how many narrow runs start while one of them waits, and for how long it waits, with raysweep's
rule and without a rule (what fits may start). By the rule at most eight can start, those whose processes were
just starting, however many more are ready.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import critical_path
import ray
from common import Row, machine, record
from driver import Idle
from planner import model, small_task

from raysweep import GroundTruth, Resources, RunSpec, Sweep, grid
from raysweep.estimates.gpu_sharing import ASSUMED_DEVICE_BYTES, SHARES_PER_GPU
from raysweep.estimates.simulation import simulate
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import make_plan
from raysweep.scheduling import searcher, tune
from raysweep.scheduling.capacity import ClusterCapacity
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import QueuedRun
from raysweep.store import RunStatus, Store
from raysweep.training.memory import Footprint
from raysweep.training.run import Job

SHAPES = {  # parameters, layers, width, inner width, precision
    "gpt2": (124_000_000, 12, 768, 3072, "float32"),
    "gpt2-medium": (355_000_000, 24, 1024, 4096, "float32"),
    "gpt2-large": (774_000_000, 36, 1280, 5120, "float32"),
    "gpt2-xl": (1_558_000_000, 48, 1600, 6400, "float32"),
    "qwen2.5-0.5b": (494_000_000, 24, 896, 4864, "bfloat16"),
    "qwen2.5-1.5b": (1_544_000_000, 28, 1536, 8960, "bfloat16"),
}
NUM_GPUS = 8
WIDE_SEEDS = range(3)
GOAL = 8


def share(name: str, tokens: int) -> float:
    """The share of a GPU of 80 GB that a model needs, in sixteenths; 1 if it doesn't fit."""
    size, layers, width, inner, precision = SHAPES[name]
    needed = Footprint(
        tuning="Full",
        precision=precision,
        num_parameters=size,
        num_trained=size,
        num_layers=layers,
        width=width,
        inner=inner,
        vocabulary=0,
        texts=8,
        tokens=tokens,
        evaluation_texts=16,
        evaluation_tokens=tokens,
        is_generative=False,
        num_workers=1,
        zero_stage=int(precision == "bfloat16"),
        offload_optimizer=False,
        offload_parameters=False,
        activation_checkpointing=False,
    ).num_bytes()
    return min(SHARES_PER_GPU, -(-SHARES_PER_GPU * needed // ASSUMED_DEVICE_BYTES)) / SHARES_PER_GPU


def simulated() -> None:
    """Record the speed of the small models of the paper's grid, packed against one run per GPU."""
    whole = {name: item for name, item in critical_path.grid().items() if _model(name) in SHAPES}
    alone = simulate(whole, NUM_GPUS, critical_path.remaining(whole))
    for tokens in (256, 1_024):
        shares = {name: share(name, tokens) for name in SHAPES}
        sixteenths = ", ".join(f"{name} {found * SHARES_PER_GPU:g}/16" for name, found in shares.items())
        print(f"  {tokens} tokens: {sixteenths}")
        packed = {name: replace(item, devices=shares[_model(name)]) for name, item in whole.items()}
        slower = {name: replace(item, seconds=item.seconds / item.devices) for name, item in packed.items()}
        for case, runs in (("host-bound", packed), ("device-bound", slower)):
            found = simulate(runs, NUM_GPUS, critical_path.remaining(runs))
            what = (
                f"the paper's small models on {NUM_GPUS} GPUs, {tokens} tokens, {case}, simulated, "
                "against one run per GPU"
            )
            measured = (
                f"{alone.makespan / found.makespan:.2f}× as fast; "
                f"{found.idle_share:.1%} idle for {alone.idle_share:.1%}"
            )
            record(Row(item="Packing", what=what, goal="", measured=measured, is_met=None))


def _model(name: str) -> str:
    """The model of a run of `critical_path.grid`: "task model seed", or "task weak strong method seed"."""
    parts = name.split()
    return parts[1] if len(parts) == 3 else parts[2]


class Wait(Idle):
    """A slot whose runs only wait: 1 s, or 1 to 3 s by their seed if their `timeout_seconds` is 3."""

    def run(self, job: Job) -> None:
        """Wait, and write the files of the run."""
        time.sleep(1 + job.spec.seed % job.resources.timeout_seconds)
        super().run(job)


class WaitTrial(tune.SlotTrial):
    """A trial with a slot that waits."""

    def setup(self, config: dict[str, Any], import_path: Sequence[str]) -> None:  # type: ignore[override]
        self._slot = Wait()  # type: ignore[assignment]


class FirstFit(ClusterCapacity):
    """A capacity without the rule: any run that fits may start, whichever waits."""

    def choose(self, candidates: Sequence[PlannedRun]) -> PlannedRun | None:
        for run in candidates:
            shape = run.resources
            if not self._short_of(shape):
                return run
        return None


def sweep(num_seeds: int, resources: Callable[[RunSpec], Resources]) -> Sweep:
    """A supervisor, a ceiling and a student per seed, after two pretrainings."""
    return Sweep(
        name="packing",
        tasks=[small_task()],
        pairs=grid([model(2)], [model(6)]),
        methods=["naive"],
        seeds=range(num_seeds),
        resources=resources,
    )


def run(swept: Sweep) -> list[tuple[int, float]]:
    """(number of narrow runs that started, seconds) while each whole-device run was ready and waited."""
    ready: dict[str, float] = {}
    started: dict[str, float] = {}

    def changed(entry: QueuedRun) -> None:
        now = time.monotonic()
        if entry.status is RunStatus.RUNNING:
            started[entry.run.id] = now
        if entry.status is RunStatus.DONE:
            ready.update({item.id: now for item in queue.ready() if item.id not in ready})

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        plan = make_plan(swept, store)
        queue = RunQueue(plan, store, changed)
        queue.order_by({item.id: item.resources.num_gpus for item in plan.runs.values()})
        begun = time.monotonic()
        ready.update({item.id: begun for item in queue.ready()})
        runner = tune.RayRunner()
        runner.nodes()  # connects to the cluster
        runner.run(queue, Jobs(store, {}))
        assert queue.count(RunStatus.DONE) == len(plan.runs), queue.failures[:1]
        wide = [item.id for item in plan.runs.values() if item.resources.num_gpus == 1]
        narrow = [moment for item, moment in started.items() if item not in wide]
        before = {item: sum(ready[item] < moment < started[item] for moment in narrow) for item in wide}
        return [(before[item], started[item] - ready[item]) for item in wide]


def waited() -> None:
    """Record how long whole-device runs wait, on a cluster with a GPU that only exists in its resources."""
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parent))
    tune.SlotTrial = WaitTrial
    ray.init(num_cpus=9, num_gpus=1, include_dashboard=False, object_store_memory=10**8, log_to_driver=False)

    def mixed(spec: RunSpec) -> Resources:
        is_ceiling = spec.train_split == "transfer" and isinstance(spec.labels, GroundTruth)
        is_wide = is_ceiling and spec.seed in WIDE_SEEDS
        return Resources(gpus_per_worker=1 if is_wide else 1 / 8, timeout_seconds=1 if is_wide else 3)

    waits = {}
    for name, capacity in (("rule", ClusterCapacity), ("none", FirstFit)):
        searcher.ClusterCapacity = tune.ClusterCapacity = capacity
        waits[name] = max(run(sweep(24, mixed)))
    what = "narrow runs that start while a whole-device run waits, at most, with Ray Tune"
    ours = waits["rule"]
    others = waits["none"]
    measured = f"{ours[0]}, {ours[1]:.0f} s; {others[0]}, {others[1]:.0f} s without the rule"
    record(Row(item="Packing", what=what, goal=f"≤ {GOAL}", measured=measured, is_met=ours[0] <= GOAL))


def main() -> None:
    """Record the simulated rows, then the measured one."""
    print(machine())
    simulated()
    waited()


if __name__ == "__main__":
    main()
