"""Real text: five real tasks through the whole pipeline, with models that fit two CPU cores.

Hypothesis: none about PGR. With models this small the gap between floor and ceiling is a few points at best, so most PGRs
should come out undefined; what this shows is that real rows, real tokenizers and long texts go through.
Grid: 5 tasks × 1 pair × 2 methods × 2 seeds = 20 cells: 40 trainings, and 2 pretrainings where there is no model hub.
Cost: about 15 minutes on two CPU cores.

Where data and models come from:
    RAYSWEEP_DATASETS=<folder>   rows from a local mirror of the hub (<org>/<name>/<config>/<split>.parquet), else the hub
    RAYSWEEP_MODELS=<weak>,<strong>   two hub ids or model folders; without it and without RAYSWEEP_TEXT: Pythia 14M, 70M
    RAYSWEEP_TEXT=<folder>       pretrain a small byte-pair-encoding family on a folder of .txt and .md files
"""

import os
from pathlib import Path

from raysweep import (
    Call,
    Evaluation,
    Folder,
    Hub,
    Model,
    ModelSpec,
    Optimization,
    Resources,
    RunSpec,
    Scratch,
    Sweep,
    TaskSpec,
    families,
    grid,
)

MAX_TOKENS = 192
# Within what a small local mirror holds; (each half, test).
SIZES = {"sciq": (800, 600), "boolq": (500, 340), "cosmos_qa": (800, 600), "sst2": (800, 800), "anthropic_hh": (480, 360)}


def sweep() -> Sweep:
    """Five tasks, one weak and one strong model."""
    weak, strong = models()
    return Sweep(
        name="real_text",
        tasks=[TaskSpec(name=name, num_train=half, num_validation=100, num_test=test) for name, (half, test) in SIZES.items()],
        pairs=grid(weak=[weak], strong=[strong]),
        methods=["naive", "confidence"],
        seeds=[0, 1],
        evaluation=Evaluation(every=20, num_examples=100),
        resources=Resources(num_workers=0, cpus_per_worker=1, micro_batch_size=8),
    )


def models() -> tuple[Model, Model]:
    """The weak and the strong model, from wherever the environment says."""
    named = os.environ.get("RAYSWEEP_MODELS")
    folder = os.environ.get("RAYSWEEP_TEXT")
    if named:
        weak, strong = named.split(",")
        return pretrained(weak), pretrained(strong)
    if folder:
        return from_text(folder, width=32, layers=1, steps=200), from_text(folder, width=128, layers=2, steps=400)
    pythia = families.get("pythia")
    return pythia["pythia-14m"], pythia["pythia-70m"]


def pretrained(location: str) -> Model:
    """A hub id, or a folder that `save_pretrained` wrote."""
    base = Folder(path=location) if Path(location).is_dir() else Hub(id=location)
    name = location.rstrip("/").rpartition("/")[2]
    return Model(
        spec=ModelSpec(name=name, base=base, max_tokens=MAX_TOKENS),
        optimization=Optimization(learning_rate=1e-4, batch_size=32, epochs=2.0),
    )


def from_text(folder: str, width: int, layers: int, steps: int) -> Model:
    """A GPT-2 with a byte-pair encoding of 2,048 tokens, pretrained on the folder's text in the sweep itself."""
    pretraining = RunSpec(
        task=TaskSpec(name="text_folder", params={"path": folder, "num_characters_total": 16_000_000}),
        model=ModelSpec(
            name=f"text-{width}",
            base=Scratch(
                architecture="gpt2",
                config={"n_embd": width, "n_layer": layers, "n_head": width // 32, "n_positions": MAX_TOKENS},
                tokenizer=Call("byte_pair", {"vocabulary_size": 2_048}),
            ),
        ),
        optimization=Optimization(learning_rate=2e-3, batch_size=32, steps=steps, warmup_fraction=0.05),
        train_split="train",
        objective=Call("language_modelling"),
        evaluation=Evaluation(every=100, num_examples=200),
    )
    return Model(
        spec=ModelSpec(name=f"text-{width}", base=pretraining),
        optimization=Optimization(learning_rate=5e-4, batch_size=32, epochs=2.0),
    )
