"""NLP: weak-to-strong generalization on the 22 tasks of Burns et al. 2023 (arXiv 2312.09390), open models.

Hypothesis: naive students recover part of the gap on most tasks, more so the larger they are. The confidence
loss adds to that for the largest students and takes from it for small ones (as in figure 3 of the paper and
in the code of openai/weak-to-strong).

sweep(): 22 tasks × 16 pairs (four GPT-2 → Qwen2.5 of 0.5 to 7 billion parameters) × 4 methods × 3 seeds =
    4,224 cells: 4,752 trainings. About 105 H100 hours.
baselines(): other ways to the accuracy of the students, four pairs × 6 methods: 1,584 cells. About 40 H100
    hours more.
small(): the 17 tasks that a small mirror has, 1 pair, 2 methods, 5 seeds = 170 cells. Heads on frozen
    features of real models: of MiniLM's first layer, and of layer 20 of SmolLM2. Where a frozen model says
    nothing about the label, as on most questions, both ends of the gap are at chance and PGR is undefined.

H100 hours are 6·N·tokens of training and 2·N·tokens of evaluation (N parameters; on test, validation and half
B) at 40 % of the 989 TFLOP/s of bfloat16. With both epochs, one run of each of the 22 tasks trains on 29
million tokens in total and is evaluated on 23 million, estimated from the sizes of the hub's data sets and
the lengths of the mirror's texts.

Data and models of small() come from:
    RAYSWEEP_DATASETS=<folder>: a local mirror of the hub (<org>/<name>/<config>/<split>.parquet); by default
        the hub itself
    RAYSWEEP_REAL=<folder>: what `make real` made, by default real/; where it isn't, models of the hub
Instead, all weights are trained of the models that one of these names:
    RAYSWEEP_MODELS=<weak>,<strong>: two hub ids or model folders
    RAYSWEEP_TEXT=<folder>: .txt and .md files, on which two GPT-2s are pretrained; they are at chance on most
"""

import os
from dataclasses import replace
from pathlib import Path

import real_models  # the neighbouring experiment: its models

from raysweep import (
    Evaluation,
    Folder,
    Hub,
    Method,
    Model,
    ModelSpec,
    Optimization,
    Prompting,
    Resources,
    RunSpec,
    Sweep,
    TaskSpec,
    families,
    grid,
)
from raysweep.models.text import text_family

TASKS = [
    "boolq",
    "cosmos_qa",
    "dream",
    "ethics_justice",
    "ethics_deontology",
    "ethics_virtue",
    "ethics_utilitarianism",
    "anli_r2",
    "cola",
    "sst2",
    "hellaswag",
    "mc_taco",
    "openbookqa",
    "paws",
    "quail",
    "piqa",
    "quartz",
    "sciq",
    "social_i_qa",
    "multirc",
    "wic",
    "twitter_sentiment",
]
# (Each half, test): what a small local mirror has, and less where texts are long.
SIZES = {
    "boolq": (160, 200),
    "cosmos_qa": (300, 300),
    "ethics_justice": (700, 600),
    "ethics_deontology": (1_000, 800),
    "ethics_virtue": (720, 600),
    "anli_r2": (128, 40),
    "cola": (1_000, 640),
    "sst2": (1_720, 850),
    "hellaswag": (300, 300),
    "openbookqa": (800, 600),
    "paws": (500, 500),
    "quail": (160, 200),
    "piqa": (600, 500),
    "sciq": (800, 800),
    "social_i_qa": (600, 500),
    "wic": (800, 320),
    "twitter_sentiment": (950, 650),
}
MAX_TOKENS = 1_024


def sweep() -> Sweep:
    """The 22 tasks, with GPT-2 as supervisors and Qwen2.5 as students."""
    return Sweep(
        name="nlp",
        tasks=TASKS,
        pairs=grid(weak=families.get("gpt2").models, strong=students()),
        methods=[
            "naive",
            Method(name="confidence 0.5", recipe="confidence", params={"alpha_max": 0.5}),
            # The paper's value for its largest models.
            Method(name="confidence 0.75", recipe="confidence", params={"alpha_max": 0.75}),
            # The paper hardens half of each batch to each class; this takes the shares of the weak labels.
            Method(name="confidence 0.5, prior", recipe="confidence", params={"threshold": "prior"}),
        ],
        seeds=[0, 1, 2],
        resources=resources,
    )


def baselines() -> Sweep:
    """Other ways to the same accuracy. In the store of `sweep`, its supervisors and ceilings aren't trained
    again."""
    shots = {"num_examples": 4}
    return Sweep(
        name="nlp_baselines",
        tasks=TASKS,
        pairs=grid(weak=families.get("gpt2").models[:1], strong=students()),
        methods=[
            "ground_truth_half_a",
            Method(name="zero-shot", recipe="prompting"),
            Method(name="few-shot", recipe="prompting", params=shots),
            Method(name="few-shot, weak labels", recipe="prompting", params=shots | {"labels": "weak"}),
            Method(name="probe, weak labels", recipe="linear_probe"),
            Method(name="probe, ground truth", recipe="linear_probe", params={"labels": "ground_truth"}),
        ],
        seeds=[0, 1, 2],
        resources=resources,
    )


def students() -> list[Model]:
    """Qwen2.5 of 0.5 to 7 billion parameters, all in bfloat16 and with the context of GPT-2, so that they
    differ only in size."""
    return [
        replace(
            model,
            spec=replace(model.spec, max_tokens=MAX_TOKENS),
            optimization=replace(model.optimization, precision="bfloat16"),
        )
        for model in families.get("qwen2.5").models[:4]
    ]


def resources(spec: RunSpec) -> Resources:
    """GPUs of 80 GB by model size: one up to 1.5 billion parameters, two with ZeRO-2 for 3 billion, four with
    ZeRO-3 for 7 billion.

    In bfloat16 a parameter takes 18 bytes in training (weights in bfloat16; gradients, Adam's states and its
    copy of the weights in float32). GPT-2 XL, in float32, is estimated at 118 GB with micro batches of 8
    texts of 1,024 tokens, and at 73 GB with 4; `raysweep plan` warns of runs that don't fit.
    """
    # A prompted model computes logits of the whole vocabulary at every token.
    evaluation_batch_size = 4 if isinstance(spec.model.tuning, Prompting) else 64
    if spec.model.name == "qwen2.5-7b":
        workers = 4
        stage = 3
        micro_batch = 4
    elif spec.model.name == "qwen2.5-3b":
        workers = 2
        stage = 2
        micro_batch = 8
    else:
        workers = 0
        stage = 0
        micro_batch = 4 if spec.model.name == "gpt2-xl" else 8
    return Resources(
        num_workers=workers,
        gpus_per_worker=1,
        cpus_per_worker=2,
        zero_stage=stage,
        micro_batch_size=micro_batch,
        activation_checkpointing=workers > 0,
        evaluation_batch_size=evaluation_batch_size,
    )


def small() -> Sweep:
    """17 tasks at the sizes of a small mirror, with one weak and one strong model for two CPU cores."""
    return Sweep(
        name="nlp_small",
        tasks=[
            TaskSpec(name=name, num_train=half, num_validation=40, num_test=test)
            for name, (half, test) in SIZES.items()
        ],
        pairs=[small_models()],
        methods=["naive", "confidence"],
        seeds=range(5),
        evaluation=Evaluation(every=0),
        resources=Resources(num_workers=0, cpus_per_worker=1, micro_batch_size=32),
    )


def small_models() -> tuple[Model, Model]:
    """The weak and the strong model that the environment variables ask for."""
    named = os.environ.get("RAYSWEEP_MODELS")
    folder = os.environ.get("RAYSWEEP_TEXT")
    if named:
        weak, strong = named.split(",")
        return pretrained(weak), pretrained(strong)
    if folder:
        text = text_family(folder)
        return text["text-16"], text["text-64"]
    weak, strong = real_models.minilm_1, real_models.smollm2_20
    return with_longer_texts(weak), with_longer_texts(strong)


def with_longer_texts(model: Model) -> Model:
    """The model, with room for questions and passages."""
    return replace(model, spec=replace(model.spec, max_tokens=128))


def pretrained(location: str) -> Model:
    """A model by its hub id, or in a folder that `save_pretrained` wrote."""
    base = Folder(path=location) if Path(location).is_dir() else Hub(id=location)
    name = location.rstrip("/").rpartition("/")[2]
    return Model(
        spec=ModelSpec(name=name, base=base, max_tokens=192),
        optimization=Optimization(learning_rate=1e-4, batch_size=32, epochs=2.0),
    )
