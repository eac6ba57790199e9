"""Real models on real sentences: MiniLM and SmolLM2 on sentiment that people have rated, on two CPU cores.

Hypothesis (Burns et al. 2023, sections 4.2 and 4.3): naive students recover part of the gap to their ceiling,
the less the larger it is, and agree with their supervisor's errors. The confidence loss makes them agree less
with these, and recovers most where the gap is large.

`make real` makes the models and sentences (real/__main__.py says how; real/LICENCES.md whose they are, and
what the models may have read before) and runs small() and finetuned().

small(): 3 tasks × 3 pairs × 5 methods × 5 seeds = 225 cells. Heads on features of frozen models, which are
    computed once for each text.
finetuned(): one of its pairs with all weights trained: 1 task × 1 pair × 2 methods × 2 seeds = 4 cells.
choices(): which layer and pooling a head should read, by ground truth on validation, on fewer sentences of
    another division. Those of small() were chosen in this way on its own validation split.
sweep(): the same sentences with Qwen2.5 of 0.5 to 7 billion parameters as frozen students, on GPUs: 3 tasks ×
    4 pairs × 5 methods × 5 seeds = 300 cells.

Both halves have as many positive as negative sentences, and so have validation and test. The seeds of a cell
share the halves: intervals hold the noise of training and of the choice of test sentences, not that of the
halves. Features are standardized by mean and deviation over the training split of each run, without labels.
"""

import os
from dataclasses import replace
from pathlib import Path

from ray import tune

from raysweep import (
    Call,
    Evaluation,
    Folder,
    HeadOnly,
    Hub,
    Method,
    Model,
    ModelSpec,
    Optimization,
    Resources,
    Search,
    Sweep,
    TaskSpec,
    families,
    grid,
)
from raysweep.tasks import Task, classification_task

REAL = Path(os.environ.get("RAYSWEEP_REAL", "real"))
"""What `make real` made."""
MAX_TOKENS = 64
TWO_CORES = Resources(num_workers=0, cpus_per_worker=1)
# (Each half, validation, test): about what there is of the rarer class.
SIZES = {"movies": (1_000, 400, 1_500), "tweets": (500, 300, 800), "products": (700, 300, 700)}


def sentences(name: str, group: str | None = None) -> Task:
    """A table of rated sentences, positive or negative."""
    return classification_task(
        str(REAL / f"{name}.jsonl"),
        text="{text}",
        label="label",
        classes=[0, 1],
        difficulty="difficulty",
        group=group,
        name=name,
    )


movies = sentences("movies")
tweets = sentences("tweets")
products = sentences("products", group="review")


def task(name: str, split_seed: int = 0) -> TaskSpec:
    """A table with its largest balanced splits."""
    half, validation, test = SIZES[name]
    return TaskSpec(
        name=f"real_models:{name}",
        label=name,
        num_train=half,
        num_validation=validation,
        num_test=test,
        split_seed=split_seed,
    )


def head(name: str, base: Folder | Hub, layer: int | str, pooling: str) -> Model:
    """A linear head on one layer of a frozen model."""
    return Model(
        spec=ModelSpec(
            name=name, base=base, tuning=HeadOnly(layer=layer, pooling=pooling), max_tokens=MAX_TOKENS
        ),
        optimization=Optimization(learning_rate=1e-3, batch_size=100, steps=150),
    )


def whole(name: str, learning_rate: float) -> Model:
    """A model of which all weights are trained."""
    return Model(
        spec=ModelSpec(name=name, base=Folder(path=str(REAL / name)), max_tokens=MAX_TOKENS),
        optimization=Optimization(
            learning_rate=learning_rate, batch_size=32, epochs=2.0, warmup_fraction=0.1
        ),
    )


def base(folder: str, hub: Hub) -> Folder | Hub:
    """A model that `make real` made, or where it isn't, the whole model of the hub."""
    path = REAL / folder
    return Folder(path=str(path)) if path.is_dir() else hub


MINILM = base(
    "minilm-6",
    Hub(
        id="sentence-transformers/all-MiniLM-L6-v2",
        revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    ),
)
SMOLLM2 = base("smollm2-20", Hub(id="HuggingFaceTB/SmolLM2-135M-Instruct"))
# The weak model is what a BERT's first layer says at its first token.
minilm_1 = head("minilm-1", MINILM, 1, "first")
minilm_4 = head("minilm-4", MINILM, 4, "mean")
smollm2_20 = head("smollm2-20", SMOLLM2, 20, "last")

METHODS = [
    "naive",
    Method(name="hard labels", recipe="transfer", params={"transforms": [Call("harden")]}),
    "confidence",
    Method(name="confidence, long warm-up", recipe="confidence", params={"warmup_fraction": 1.0}),
    Method(name="adaptive_confidence", recipe="transfer", params={"objective": Call("adaptive_confidence")}),
]


def small() -> Sweep:
    """Three gaps: from MiniLM's first layer to its fourth, from there to SmolLM2, and from first to last."""
    return Sweep(
        name="real_models_small",
        tasks=[task(name) for name in SIZES],
        pairs=[(minilm_1, minilm_4), (minilm_4, smollm2_20), (minilm_1, smollm2_20)],
        methods=METHODS,
        seeds=range(5),
        evaluation=Evaluation(every=0),
        resources=TWO_CORES,
    )


def finetuned() -> Sweep:
    """All weights of a BERT of one layer and of the six that it is cut from."""
    return Sweep(
        name="real_models_finetuned",
        tasks=[replace(task("movies"), num_train=640, num_validation=200, num_test=800)],
        pairs=[(whole("minilm-1", 1e-3), whole("minilm-6", 1e-4))],
        methods=["naive", METHODS[3]],
        seeds=[0, 1],
        evaluation=Evaluation(every=0),
        resources=TWO_CORES,
    )


def choices() -> Sweep:
    """Layers and poolings of both models, on fewer sentences of another division."""
    return Sweep(
        name="real_models_choices",
        tasks=[
            replace(task(name, split_seed=1), num_train=400, num_validation=300, num_test=40)
            for name in SIZES
        ],
        pairs=[(minilm_4, smollm2_20)],
        methods=[Method(name="ground truth", recipe="ground_truth_half_a")],
        seeds=[100, 101],
        evaluation=Evaluation(every=0),
        resources=TWO_CORES,
        search=Search(
            supervisor={
                "model.tuning.layer": tune.grid_search(list(range(1, 7))),
                "model.tuning.pooling": tune.grid_search(["first", "mean"]),
            },
            ceiling={
                "model.tuning.layer": tune.grid_search([9, 12, 15, 18, 20]),
                "model.tuning.pooling": tune.grid_search(["mean", "last"]),
            },
            num_samples=1,
            num_seeds=2,
            select_by="ground_truth_validation",
        ),
    )


def sweep() -> Sweep:
    """MiniLM's fourth layer supervises frozen Qwen2.5s of 0.5 to 7 billion parameters, half way up."""
    return Sweep(
        name="real_models",
        tasks=[task(name) for name in SIZES],
        pairs=grid(weak=[minilm_4], strong=map(frozen, families.get("qwen2.5").models[:4])),
        methods=METHODS,
        seeds=range(5),
        evaluation=Evaluation(every=0),
        resources=Resources(num_workers=0, gpus_per_worker=1, evaluation_batch_size=64),
    )


def frozen(model: Model) -> Model:
    """A head on the middle layer of a model."""
    assert isinstance(model.spec.base, Hub)
    return head(model.name, model.spec.base, "middle", "last")
