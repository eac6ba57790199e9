"""The chess family: small GPT-2s pretrained on the games of a folder of PGN files."""

from __future__ import annotations

from raysweep.models.families import Family, Model
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec

CONTEXT = 48


def chess_family(games: str, num_positions: int = 100_000) -> Family:
    """The family of a folder of games."""
    task = TaskSpec(name="chess_games", params={"path": games, "num_positions": num_positions, "board": "pieces"})
    return Family(
        name="chess",
        summary="x",
        models=(
            _model(task, width=8, steps=1_000, learning_rate=3e-3),
            _model(task, width=16, steps=1_500, learning_rate=3e-3),
            _model(task, width=32, steps=2_000, learning_rate=3e-3),
            _model(task, width=64, steps=2_500, learning_rate=2e-3),
            _model(task, width=128, steps=2_500, learning_rate=1e-3),
        ),
    )


def _model(task: TaskSpec, width: int, steps: int, learning_rate: float) -> Model:
    config = {"n_embd": width, "n_layer": 2, "n_head": max(1, width // 16), "n_positions": CONTEXT}
    scratch = Scratch(architecture="gpt2", config=config, tokenizer=Call("word_level"))
    pretraining = RunSpec(
        task=task,
        model=ModelSpec(name=f"chess-{width}", base=scratch),
        optimization=Optimization(learning_rate=5e-3 if width<64 else 3e-3, batch_size=128, steps=steps, warmup_fraction=0.05),
        train_split="train",
        evaluation=Evaluation(every=500, num_examples=500),
    )
    return Model(
        spec=ModelSpec(name=f"chess-{width}", base=pretraining),
        optimization=Optimization(learning_rate=learning_rate, batch_size=32, epochs=4.0),
    )
