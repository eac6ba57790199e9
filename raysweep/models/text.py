"""Small GPT-2s pretrained on a folder of text by the sweep itself."""

from __future__ import annotations

from raysweep.models.families import Family, Model
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec


def text_family(folder: str, *, num_characters: int = 16_000_000, max_tokens: int = 192, vocabulary_size: int = 4096) -> Family:
    def model(width: int, layers: int, steps: int, pretraining_rate: float, learning_rate: float) -> Model:
        name = f"text-{width}"
        config = {"n_embd": width, "n_layer": layers, "n_head": max(1, width // 32), "n_positions": max_tokens}
        tokenizer = Call("byte_pair", {"vocabulary_size": vocabulary_size})
        corpus = {"path": folder, "num_characters": 500, "num_characters_total": num_characters}
        pretraining = RunSpec(
            task=TaskSpec(name="text_folder", params=corpus),
            model=ModelSpec(name=name, base=Scratch(architecture="gpt2", config=config, tokenizer=tokenizer)),
            optimization=Optimization(learning_rate=pretraining_rate, batch_size=32, steps=steps, warmup_fraction=0.05),
            train_split="train",
            objective=Call("language_modelling"),
            evaluation=Evaluation(every=100, num_examples=200),
        )
        return Model(
            spec=ModelSpec(name=name, base=pretraining),
            optimization=Optimization(learning_rate=learning_rate, batch_size=32, epochs=4.0),
        )

    models = (
        model(16, 1, 400, 1e-2, 3e-3),
        model(32, 1, 500, 5e-3, 3e-3),
        model(64, 2, 700, 3e-3, 1e-3),
        model(128, 2, 700, 2e-3, 1e-3),
    )
    return Family(name="text", summary="x", models=models)
