"""How long `make_plan` takes and how much memory it needs, for grids of up to 100,000 cells.

    .venv/bin/python benchmarks/planner.py

20 tasks × 20 pairs × 10 methods × seeds, over models that runs of the plan pretrain. Planned once before with
one seed, so that the tasks' examples and tokens are in the store: how long these take depends on the data,
not on the grid. Reading and checking them again is in the times. Seconds are those of the clock; on a busy
machine, look at those of the CPU. The goal is that of 100,000 cells; the ratio says whether the cost of a
cell grows with the grid.
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
    """A GPT-2 with a pretraining of its own."""
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


def sweep(num_seeds: int) -> Sweep:
    """20 tasks × (4 weak × 5 strong) × 10 methods × seeds: 4,000 cells a seed."""
    confidence = [
        Method(name=f"confidence {alpha / 10:g}", recipe="confidence", params={"alpha_max": alpha / 10})
        for alpha in range(1, 6)
    ]
    sizes = {"num_train": 32, "num_validation": 20, "num_test": 40}
    tasks = [
        TaskSpec(
            name="sandbox",
            label=f"task {seed}",
            params=WORDS | {"num_test_sentences": 150},
            split_seed=seed,
            **sizes,
        )
        for seed in range(20)
    ]
    return Sweep(
        name="planner",
        tasks=tasks,
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
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def main() -> None:
    """Plan ever larger grids and print a line for each."""
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
    what = "100,000 cells planned"
    memory = peak_mib()
    record(
        Row(
            item="The planner",
            what=what,
            goal=f"≤ {GOAL_SECONDS} s",
            measured=f"{clock:.1f} s",
            is_met=clock <= GOAL_SECONDS,
        )
    )
    what = "most memory of that process"
    met = memory <= GOAL_MIB
    record(
        Row(
            item="The planner",
            what=what,
            goal=f"≤ {GOAL_MIB:,} MiB",
            measured=f"{memory:,.0f} MiB",
            is_met=met,
        )
    )


if __name__ == "__main__":
    main()
