"""The chess family: small GPT-2s pretrained on the games of a folder of PGN files."""

from __future__ import annotations

from raysweep.models.families import Family, Model
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec

CONTEXT = 48


def chess_family(games: str, num_positions: int = 50_000) -> Family:
    """The family of a folder of games."""
    task = TaskSpec(name="chess_games", params={"path": games, "num_positions": num_positions, "board": "pieces"})
    return Family(
        name="chess",
        summary="x",
        models=(
            _model(task, width=16, steps=500, pretraining_rate=5e-3, learning_rate=3e-3),
            _model(task, width=32, steps=700, pretraining_rate=5e-3, learning_rate=3e-3),
            _model(task, width=64, steps=900, pretraining_rate=4e-3, learning_rate=1e-3),
            _model(task, width=128, steps=1_100, pretraining_rate=2e-3, learning_rate=1e-3),
        ),
    )


def _model(task: TaskSpec, width: int, steps: int, pretraining_rate: float, learning_rate: float) -> Model:
    config = {"n_embd": width, "n_layer": 2, "n_head": max(1, width // 16), "n_positions": CONTEXT}
    pretraining = RunSpec(
        task=task,
        model=ModelSpec(
            name=f"chess-{width}",
            base=Scratch(architecture="gpt2", config=config, tokenizer=Call("word_level")),
        ),
        optimization=Optimization(learning_rate=pretraining_rate, batch_size=64, steps=steps, warmup_fraction=0.05),
        train_split="train",
        evaluation=Evaluation(every=250, num_examples=200),
    )
    return Model(
        spec=ModelSpec(name=f"chess-{width}", base=pretraining),
        optimization=Optimization(learning_rate=learning_rate, batch_size=32, epochs=3.0),
    )
