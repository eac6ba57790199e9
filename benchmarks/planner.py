"""Time and memory of `make_plan` for grids of up to 100,000 cells.

    .venv/bin/python benchmarks/planner.py

20 tasks × 20 pairs × 10 methods × seeds, with models that runs of the plan pretrain. One seed is planned
first, so that examples and tokens of the tasks are in the store: their cost depends on the data, not on the
grid. Reading and checking them again is part of the times. Seconds are those of the clock; on a busy machine,
use those of the CPU. The goal is for 100,000 cells. The ratio shows whether the cost of a cell grows with the
grid.
"""

from __future__ import annotations

import resource
import tempfile
import time

from common import Row, machine, record

from raysweep import (
    Call,
    Evaluation,
    Method,
    Model,
    ModelSpec,
    Optimization,
    RunSpec,
    Scratch,
    Sweep,
    TaskSpec,
    grid,
)
from raysweep.planning.plan import make_plan
from raysweep.store import Store

WORDS = {
    "num_words": 40,
    "num_attributes": 2,
    "share_loaded": 0.6,
    "sentence_length": 8,
    "num_sentences": 300,
}
GOAL_SECONDS = 10
GOAL_MIB = 1_024


def model(width: int) -> Model:
    """A GPT-2 with its own pretraining."""
    scratch = Scratch(
        architecture="gpt2",
        config={"n_embd": width, "n_layer": 1, "n_head": 1, "n_positions": 16},
        tokenizer=Call("word_level"),
    )
    pretraining = RunSpec(
        task=TaskSpec(name="sandbox_corpus", params=WORDS, num_train=128, num_validation=16),
        model=ModelSpec(name=f"model-{width}", base=scratch),
        optimization=Optimization(learning_rate=1e-2, batch_size=16, steps=3),
        train_split="train",
        objective=Call("language_modelling"),
    )
    optimization = Optimization(learning_rate=1e-2, batch_size=16, epochs=1.0)
    return Model(spec=ModelSpec(name=f"model-{width}", base=pretraining), optimization=optimization)


def small_task(label: str = "", split_seed: int = 0) -> TaskSpec:
    """A task of the sandbox with few examples."""
    return TaskSpec(
        name="sandbox",
        label=label,
        params=WORDS | {"num_test_sentences": 150},
        split_seed=split_seed,
        num_train=32,
        num_validation=20,
        num_test=40,
    )


def sweep(num_seeds: int) -> Sweep:
    """20 tasks × (4 weak × 5 strong) × 10 methods × seeds: 4,000 cells per seed."""
    confidence = [
        Method(name=f"confidence {alpha / 10:g}", recipe="confidence", params={"alpha_max": alpha / 10})
        for alpha in range(1, 6)
    ]
    return Sweep(
        name="planner",
        tasks=[small_task(f"task {seed}", seed) for seed in range(20)],
        pairs=grid([model(width) for width in range(2, 6)], [model(width) for width in range(6, 11)]),
        methods=[
            "naive",
            "confidence_openai",
            "confidence_eleuther",
            "shuffled_labels",
            "random_labels",
            *confidence,
        ],
        seeds=range(num_seeds),
        evaluation=Evaluation(every=2, num_examples=10),
    )


def peak_mib() -> float:
    """The peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def main() -> None:
    """Plan grids of growing size and print a line for each."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        make_plan(sweep(1), store)
        print(f"{'cells':>8} {'runs':>8} {'seconds':>8} {'CPU s':>6} {'µs/cell':>8} {'peak MiB':>9}")
        costs = []
        for num_seeds in (1, 5, 25):
            clock = time.perf_counter()
            cpu = time.process_time()
            plan = make_plan(sweep(num_seeds), store)
            clock = time.perf_counter() - clock
            cpu = time.process_time() - cpu
            costs.append(1e6 * cpu / len(plan.cells))
            print(
                f"{len(plan.cells):8} {len(plan.runs):8} {clock:8.2f} {cpu:6.2f} {costs[-1]:8.0f} "
                f"{peak_mib():9.0f}"
            )
            del plan
    print(f"a cell of the largest grid costs {costs[-1] / costs[0]:.2f} times one of the smallest")
    record(
        Row(
            item="The planner",
            what="100,000 cells planned",
            goal=f"≤ {GOAL_SECONDS} s",
            measured=f"{clock:.1f} s",
            is_met=clock <= GOAL_SECONDS,
        )
    )
    memory = peak_mib()
    record(
        Row(
            item="The planner",
            what="peak memory of that process",
            goal=f"≤ {GOAL_MIB:,} MiB",
            measured=f"{memory:,.0f} MiB",
            is_met=memory <= GOAL_MIB,
        )
    )


if __name__ == "__main__":
    main()
