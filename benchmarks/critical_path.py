"""The idle share of a cluster on the paper's grid with two orders of ready runs, simulated.

    .venv/bin/python benchmarks/critical_path.py

Ready runs start by the longest remaining path, or first come, first served. The simulation takes seconds and
no GPU.

The grid has the shape of experiments/nlp.py: 22 tasks × (4 weak × 4 strong) × 3 methods × 3 seeds, 3,696
runs, with the sizes of its models and its GPUs per run. The token counts of the tasks are synthetic: in total
29 million trained on and 23 million evaluated, as in that file, from small tasks to tasks fifteen times as
large. Seconds are FLOPs at the speed that raysweep.estimates.runtime assumes. "Bound" is a lower bound for
any order: all work spread evenly, or the longest path. "Plan's order", the order in which the plan has the
runs, is what raysweep used before."""

from __future__ import annotations

from common import Row, record

from raysweep.estimates.runtime import ASSUMED_FLOPS, ASSUMED_OVERHEAD_SECONDS
from raysweep.estimates.simulation import SimulatedRun, simulate

WEAK = {"gpt2": 124e6, "gpt2-medium": 355e6, "gpt2-large": 774e6, "gpt2-xl": 1.56e9}
STRONG = {"qwen2.5-0.5b": 0.49e9, "qwen2.5-1.5b": 1.54e9, "qwen2.5-3b": 3.09e9, "qwen2.5-7b": 7.62e9}
GPUS = {"qwen2.5-3b": 2, "qwen2.5-7b": 4}
NUM_TASKS = 22
METHODS = ("naive", "confidence 0.5", "confidence 0.75")
SEEDS = range(3)
TOKENS_TRAINED = 29e6
TOKENS_EVALUATED = 23e6


def run(model: str, share: float, depends_on: tuple[str, ...] = ()) -> SimulatedRun:
    """A finetuning of a model on a task with this share of all tokens."""
    gpus = GPUS.get(model, 1)
    size = (WEAK | STRONG)[model]
    flops = 6 * size * share * TOKENS_TRAINED + 2 * size * share * TOKENS_EVALUATED
    seconds = flops / ASSUMED_FLOPS["GPU", "bfloat16"] / gpus + ASSUMED_OVERHEAD_SECONDS
    return SimulatedRun(seconds=seconds, devices=gpus, depends_on=depends_on)


def grid() -> dict[str, SimulatedRun]:
    """All runs, in the order of a plan."""
    sizes = [15 ** (task / (NUM_TASKS - 1)) for task in range(NUM_TASKS)]
    sizes = [sizes[task * 7 % NUM_TASKS] for task in range(NUM_TASKS)]  # large and small ones in turn
    runs: dict[str, SimulatedRun] = {}
    for task, size in enumerate(sizes):
        share = size / sum(sizes)
        for weak in WEAK:
            for strong in STRONG:
                for method in METHODS:
                    for seed in SEEDS:
                        supervisor = f"{task} {weak} {seed}"
                        student = f"{task} {weak} {strong} {method} {seed}"
                        runs.setdefault(supervisor, run(weak, share))
                        runs.setdefault(f"{task} {strong} {seed}", run(strong, share))
                        runs[student] = run(strong, share, (supervisor,))
    return runs


def remaining(runs: dict[str, SimulatedRun]) -> dict[str, float]:
    """The longest path from each run to the end, in seconds."""
    after: dict[str, float] = {}
    found = {}
    for name, item in reversed(runs.items()):
        found[name] = item.seconds + after.get(name, 0.0)
        for dependency in item.depends_on:
            after[dependency] = max(after.get(dependency, 0.0), found[name])
    return found


def main() -> None:
    """Print a line for each size of the cluster."""
    runs = grid()
    longest = remaining(runs)
    plan_order = {name: -float(number) for number, name in enumerate(runs)}
    orders = {"first come": None, "plan's order": plan_order, "critical path": longest}
    work = sum(item.seconds * item.devices for item in runs.values())
    print(
        f"{len(runs)} runs, {work / 3600:.1f} GPU hours; "
        f"the longest path takes {max(longest.values()) / 60:.1f} min"
    )
    columns = "".join(f"  {name:>22}" for name in orders)
    print(f"{'GPUs':>5}  {'bound':>8}{columns}  critical path / first come")
    for num_gpus in (8, 32, 128, 512):
        found = {name: simulate(runs, num_gpus, order) for name, order in orders.items()}
        bound = max(work / num_gpus, max(longest.values()))
        shown = "".join(
            f"  {item.makespan / 60:8.1f} min {item.idle_share:5.1%} idle" for item in found.values()
        )
        ratio = found["critical path"].makespan / found["first come"].makespan
        print(f"{num_gpus:5}  {bound / 60:4.1f} min{shown}  {ratio:.3f}")
        ours = found["critical path"].idle_share
        theirs = found["first come"].idle_share
        what = (
            f"idle share of {num_gpus} GPUs on the paper's grid, simulated, against first come, first served"
        )
        measured = f"{ours:.1%} for {theirs:.1%}"
        record(Row(item="Critical path", what=what, goal="less", measured=measured, is_met=ours < theirs))


if __name__ == "__main__":
    main()
