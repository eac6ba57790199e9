"""The best learning rate for each size of a family, by accuracy on ground truth.

    .venv/bin/python experiments/tune_learning_rates.py small

trains a grid of learning rates for every model, on ground truth of half A, and prints for each size the rate
with the best mean accuracy on validation, beside the rate that the family has now. Nothing is tuned towards a
PGR. `sandbox`, `gpt2` and `qwen` are larger grids. Options of `raysweep run` (--store, --tracking-uri,
--local) may follow. `raysweep run experiments/tune_learning_rates.py:small` trains the same without the
table.

Each model is both weak and strong in its own cell, and the student also trains on ground truth of half A, so
the supervisor, the ceiling and the student of a cell are the same run.

sandbox(): 1 task × 4 models × 7 rates × 3 seeds = 84 trainings.
small(): 1 task × 2 models × 3 rates × 2 seeds = 12 trainings.
gpt2(): 4 tasks × 4 models × 6 rates × 3 seeds = 288 trainings, about 1.2 GPU hours on H100s.
qwen(): 4 tasks × 3 models × 6 rates × 3 seeds = 216 trainings, about 2.2 GPU hours on H100s.

GPU hours are computed from FLOPs as in losses.py (21 s per billion parameters).
"""

import sys
from collections.abc import Sequence

from ray import tune

from raysweep import Evaluation, Method, Resources, Search, Sweep, TaskSpec, families
from raysweep.cli.main import main as raysweep
from raysweep.planning.plan import make_plan
from raysweep.store import Store

PATH = "optimization.learning_rate"
TASKS = ["sciq", "boolq", "sst2", "twitter_sentiment"]


def sandbox() -> Sweep:
    """The sandbox family on attribute 0."""
    return _supervisors(
        "sandbox", None, [_sandbox_task()], [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1], 3, Resources()
    )


def small() -> Sweep:
    """Two sizes of the sandbox family, in a minute."""
    return _supervisors(
        "sandbox", ["sandbox-6", "sandbox-12"], [_sandbox_task()], [1e-3, 1e-2, 1e-1], 2, Resources()
    )


def gpt2() -> Sweep:
    """GPT-2, one GPU per run."""
    return _supervisors(
        "gpt2", None, TASKS, [3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3], 3, Resources(gpus_per_worker=1)
    )


def qwen() -> Sweep:
    """The three smallest Qwen2.5, one GPU per run."""
    names = ["qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b"]
    return _supervisors(
        "qwen2.5", names, TASKS, [1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4], 3, Resources(gpus_per_worker=1)
    )


def _sandbox_task() -> TaskSpec:
    return TaskSpec(
        name="sandbox", params={"attribute": 0}, num_train=1_000, num_validation=500, num_test=2_000
    )


def _supervisors(
    family: str,
    names: Sequence[str] | None,
    tasks: Sequence[TaskSpec | str],
    rates: Sequence[float],
    num_seeds: int,
    resources: Resources,
) -> Sweep:
    models = [model for model in families.get(family).models if names is None or model.name in names]
    return Sweep(
        name=f"learning rates of {family}" + (f" ({', '.join(names)})" if names else ""),
        tasks=tasks,
        pairs=[(model, model) for model in models],
        methods=[Method(name="ground truth", recipe="ground_truth_half_a")],
        seeds=range(num_seeds),
        ceiling_split="supervisor",
        evaluation=Evaluation(every=0),
        resources=resources,
        search=Search(supervisor={PATH: tune.grid_search(list(rates))}, num_samples=1, num_seeds=num_seeds),
    )


def table(sweep: Sweep, store: Store) -> list[str]:
    """One line per model: the best rate over all tasks, that of each task, and the family's own."""
    driver = make_plan(sweep, store).driver
    assert driver is not None
    by_model: dict[str, list[dict[float, float]]] = {}
    for study in driver.studies.by_key.values():
        signal = driver.studies.search.select_by
        scores = {
            found.trial.values[PATH]: found.signals[signal]
            for found in study.ended
            if signal in found.signals
        }
        by_model.setdefault(study.scope.model, []).append(scores)
    own = {model.name: model.optimization.learning_rate for model, _ in sweep.pairs}
    lines = [f"{'model':<16} {'learning_rate':>13} {'accuracy':>9} {'now':>9}  best of each task"]
    for model, tasks in by_model.items():
        rates = [rate for rate in tasks[0] if all(rate in scores for scores in tasks)]
        if not rates:
            lines.append(f"{model:<16} no rate has a finished run on every task")
            continue
        mean = {rate: sum(scores[rate] for scores in tasks) / len(tasks) for rate in rates}
        best = max(mean, key=mean.__getitem__)
        of_tasks = " ".join(f"{max(scores, key=scores.__getitem__):g}" for scores in tasks)
        lines.append(f"{model:<16} {best:>13g} {mean[best]:>9.3f} {own[model]:>9g}  {of_tasks}")
    return lines


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("sandbox", "small", "gpt2", "qwen"):
        sys.exit(
            "usage: python experiments/tune_learning_rates.py sandbox|small|gpt2|qwen "
            "[options of raysweep run]"
        )
    options = sys.argv[2:]
    code = raysweep(["run", f"{__file__}:{sys.argv[1]}", *options])
    folder = options[options.index("--store") + 1] if "--store" in options else "raysweep-store"
    print("\n".join(table(globals()[sys.argv[1]](), Store(folder))))
    sys.exit(code)
