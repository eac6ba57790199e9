"""The best learning rate and number of epochs for each size of a family, by accuracy on ground truth.

    .venv/bin/python experiments/tune_learning_rates.py small

trains a grid of both for every model, on ground truth of half A, and prints for each size the values with the
best mean accuracy on validation, beside those that the family has now. Nothing is tuned towards a PGR, and
nothing on what tables report: seeds start at 100 and the split seed is 1, where experiments have seeds from 0
and the split seed 0. (Test pools of a task are the same; they aren't looked at.) `sandbox`, `text`, `chess`,
`gpt2` and `qwen` are larger grids, and `own` is for models of no family. Options of `raysweep run` (--store,
--tracking-uri, --local) may follow. `raysweep run experiments/tune_learning_rates.py:small` trains the same
without the table.

Each model is both weak and strong in its own cell, and the student also trains on ground truth of half A, so
the supervisor, the ceiling and the student of a cell are the same run.

small(): 1 task × 2 models × 3 rates × 2 seeds = 12 trainings.
sandbox(): 1 task × 4 models × 12 values × 5 seeds = 240 trainings, 10 minutes on two CPU cores.
text(): 2 tasks × 4 models × 4 rates × 1 seed = 32 trainings. Needs RAYSWEEP_TEXT, see nlp.py.
chess(): 1 task × 4 models × 3 rates × 1 seed = 12 trainings. Needs RAYSWEEP_GAMES, see chess_bootstrap.py.
own(): 1 task × the models of RAYSWEEP_MODELS (hub ids or folders, with commas between) × 5 rates × 1 seed:
    film reviews of real_models.py, or another task in RAYSWEEP_TASK. For the MiniLMs of 1 and 6 layers that
    it names by default, these are 10 trainings.
gpt2(): 4 tasks × 4 models × 6 rates × 3 seeds = 288 trainings, about 1.2 GPU hours on H100s.
qwen(): 4 tasks × 3 models × 6 rates × 3 seeds = 216 trainings, about 2.2 GPU hours on H100s.

GPU hours are computed from FLOPs as in losses.py (21 s per billion parameters).
"""

import os
import sys
from collections.abc import Mapping, Sequence

import nlp  # the neighbouring experiments: models by their location, and rated sentences
import real_models
from ray import tune

from raysweep import Evaluation, InvalidInput, Method, Resources, Search, Sweep, TaskSpec, families
from raysweep.cli.main import main as raysweep
from raysweep.models.chess import chess_family
from raysweep.models.families import Family
from raysweep.models.text import text_family
from raysweep.planning.plan import make_plan
from raysweep.store import Store

RATE = "optimization.learning_rate"
EPOCHS = "optimization.epochs"
FIRST_SEED = 100
SPLIT_SEED = 1
HUB_TASKS = [
    TaskSpec(name=name, split_seed=SPLIT_SEED) for name in ("sciq", "boolq", "sst2", "twitter_sentiment")
]
ONE_GPU = Resources(gpus_per_worker=1)
ONE_CORE = Resources(num_workers=0, cpus_per_worker=1, micro_batch_size=32)


def small() -> Sweep:
    """Two sizes of the sandbox family, in a minute."""
    return _supervisors(
        families.get("sandbox"), ["sandbox-6", "sandbox-12"], [_sandbox_task()], [1e-3, 1e-2, 1e-1], 2
    )


def sandbox() -> Sweep:
    """The sandbox family on attribute 0."""
    return _supervisors(
        families.get("sandbox"), None, [_sandbox_task()], [1e-3, 3e-3, 1e-2, 3e-2], 5, epochs=[2.0, 4.0, 6.0]
    )


def text() -> Sweep:
    """The family that a folder of text gives, on two tasks that models this small can learn."""
    sizes = {"sst2": 1_700, "twitter_sentiment": 900}
    tasks = [
        TaskSpec(name=name, num_train=size, num_test=40, split_seed=SPLIT_SEED)
        for name, size in sizes.items()
    ]
    family = text_family(_folder("RAYSWEEP_TEXT", "text"))
    return _supervisors(family, None, tasks, [1e-3, 3e-3, 1e-2, 3e-2], 1, ONE_CORE)


def chess() -> Sweep:
    """The family that a folder of games gives, on puzzles."""
    task = TaskSpec(
        name="chess_puzzles",
        params={"board": "pieces"},
        num_train=3_200,
        num_validation=1_000,
        num_test=40,
        split_seed=SPLIT_SEED,
    )
    family = chess_family(_folder("RAYSWEEP_GAMES", "games in PGN files"))
    return _supervisors(family, None, [task], [1e-3, 3e-3, 1e-2], 1, ONE_CORE)


def own() -> Sweep:
    """Models of no family, whose names in the table are the last parts of their ids or paths."""
    named = os.environ.get("RAYSWEEP_MODELS", f"{real_models.REAL}/minilm-1,{real_models.REAL}/minilm-6")
    models = [nlp.pretrained(location) for location in named.split(",")]
    task = TaskSpec(
        name=os.environ.get("RAYSWEEP_TASK", "real_models:movies"),
        num_train=1_000,
        num_validation=400,
        num_test=40,
        split_seed=SPLIT_SEED,
    )
    family = Family(name="own", summary="", models=tuple(models))
    return _supervisors(family, None, [task], [3e-5, 1e-4, 3e-4, 1e-3, 3e-3], 1, ONE_CORE)


def gpt2() -> Sweep:
    """GPT-2, one GPU per run."""
    rates = [3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3]
    return _supervisors(families.get("gpt2"), None, HUB_TASKS, rates, 3, ONE_GPU)


def qwen() -> Sweep:
    """The three smallest Qwen2.5, one GPU per run."""
    names = ["qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b"]
    rates = [1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4]
    return _supervisors(families.get("qwen2.5"), names, HUB_TASKS, rates, 3, ONE_GPU)


def _sandbox_task() -> TaskSpec:
    return TaskSpec(
        name="sandbox",
        params={"attribute": 0},
        num_train=1_000,
        num_validation=2_000,
        num_test=500,
        split_seed=SPLIT_SEED,
    )


def _folder(variable: str, what: str) -> str:
    folder = os.environ.get(variable)
    if not folder:
        raise InvalidInput(
            f"{variable} isn't set; it names the folder with {what} that this family is made from"
        )
    return folder


def _supervisors(
    family: Family,
    names: Sequence[str] | None,
    tasks: Sequence[TaskSpec],
    rates: Sequence[float],
    num_seeds: int,
    resources: Resources | None = None,
    epochs: Sequence[float] = (),
) -> Sweep:
    models = [model for model in family.models if names is None or model.name in names]
    space = {RATE: tune.grid_search(list(rates))} | (
        {EPOCHS: tune.grid_search(list(epochs))} if epochs else {}
    )
    return Sweep(
        name=f"learning rates of {family.name}" + (f" ({', '.join(names)})" if names else ""),
        tasks=tasks,
        pairs=[(model, model) for model in models],
        methods=[Method(name="ground truth", recipe="ground_truth_half_a")],
        seeds=range(FIRST_SEED, FIRST_SEED + num_seeds),
        ceiling_split="supervisor",
        evaluation=Evaluation(every=0),
        resources=resources or Resources(num_workers=0, cpus_per_worker=1),
        search=Search(supervisor=space, num_samples=1, num_seeds=num_seeds),
    )


def table(sweep: Sweep, store: Store) -> list[str]:
    """One line per model: the best values over all tasks, those of each task, and the family's own."""
    driver = make_plan(sweep, store).driver
    assert driver is not None
    by_model: dict[str, list[dict[str, float]]] = {}
    for study in driver.studies.by_key.values():
        signal = driver.studies.search.select_by
        scores = {
            _words(found.trial.values): found.signals[signal]
            for found in study.ended
            if signal in found.signals
        }
        by_model.setdefault(study.scope.model, []).append(scores)
    values = {RATE, EPOCHS} & set(driver.studies.search.supervisor)
    own = {
        model.name: _words(
            {path: getattr(model.optimization, path.removeprefix("optimization.")) for path in values}
        )
        for model, _ in sweep.pairs
    }
    lines = [f"{'model':<16} {'best':<22} {'accuracy':>8}  {'now':<22} best of each task"]
    for model, tasks in by_model.items():
        tried = [value for value in tasks[0] if all(value in scores for scores in tasks)]
        if not tried:
            lines.append(f"{model:<16} no value has a finished run on every task")
            continue
        mean = {value: sum(scores[value] for scores in tasks) / len(tasks) for value in tried}
        best = max(mean, key=mean.__getitem__)
        of_tasks = "; ".join(max(scores, key=scores.__getitem__) for scores in tasks)
        lines.append(f"{model:<16} {best:<22} {mean[best]:>8.3f}  {own[model]:<22} {of_tasks}")
    return lines


def _words(values: Mapping[str, float]) -> str:
    rate = f"{values[RATE]:g}"
    return rate if EPOCHS not in values else f"{rate}, {values[EPOCHS]:g} epochs"


EXPERIMENTS = ("small", "sandbox", "text", "chess", "own", "gpt2", "qwen")

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in EXPERIMENTS:
        sys.exit(f"usage: python {sys.argv[0]} {'|'.join(EXPERIMENTS)} [options of raysweep run]")
    options = sys.argv[2:]
    code = raysweep(["run", f"{__file__}:{sys.argv[1]}", *options])
    folder = options[options.index("--store") + 1] if "--store" in options else "raysweep-store"
    print("\n".join(table(globals()[sys.argv[1]](), Store(folder))))
    sys.exit(code)
