"""The chess family: small GPT-2s pretrained on the games in a folder of PGN files. Larger ones know more
moves.

It is a function of the folder rather than a registered name, since there is no family without games. The
board notation is "pieces", which models this small can read (see `raysweep.tasks.chess.notation`).
Pretraining learns only the moves that were played, as answers to positions; it is a run of the plan and
cached like any other.

The learning rates of finetuning are those of 1e-3, 3e-3 and 1e-2 with the best accuracy as a supervisor on
chess_puzzles: each model was trained on ground truth of half A, never as a student, so nothing is tuned
towards a PGR, and on a seed and a split that no experiment reports (seed 100, split seed 1; 3,200 puzzles,
three epochs, `experiments/tune_learning_rates.py chess` on two CPU cores, 2026-11-27). Accuracies on 1,000
validation puzzles (standard error 0.4 to 1.0 points):

    width   1e-3     3e-3     1e-2
    16       2.0 %    1.6 %    3.3 %
    32       5.4 %    7.1 %    8.5 %
    64       7.6 %   10.0 %    5.6 %
    128     12.0 %   11.3 %    3.8 %

The best rates of widths 16, 32 and 128 are at an end of the range that was tried.
"""

from __future__ import annotations

from raysweep.models.families import Family, Model
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec

CONTEXT = 48
"""Room for the longest prompt in notation "pieces", 35 words, and for an answer of 10 tokens."""


def chess_family(games: str, num_positions: int = 50_000) -> Family:
    """The family of a folder of games.

    Args:
        games: a folder with PGN files (.pgn, .pgn.gz, .pgn.zst) at any depth; see task `chess_games`.
        num_positions: how many positions the models are pretrained on, the same for all sizes. A pretraining
            takes 64 positions per step for 1,000 to 1,300 steps, so more than 80,000 change little.
    """
    task = TaskSpec(
        name="chess_games", params={"path": games, "num_positions": num_positions, "board": "pieces"}
    )
    return Family(
        name="chess",
        summary=(
            "GPT-2s of width 16 to 128 for chess puzzles, pretrained on a folder of games by the sweep itself"
        ),
        models=(
            _model(task, width=16, steps=1_000, pretraining_rate=5e-3, learning_rate=1e-2),
            _model(task, width=32, steps=1_300, pretraining_rate=5e-3, learning_rate=1e-2),
            _model(task, width=64, steps=1_200, pretraining_rate=2e-3, learning_rate=3e-3),
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
        optimization=Optimization(
            learning_rate=pretraining_rate, batch_size=64, steps=steps, warmup_fraction=0.05
        ),
        train_split="train",
        evaluation=Evaluation(every=250, num_examples=200),
    )
    return Model(
        spec=ModelSpec(name=f"chess-{width}", base=pretraining),
        optimization=Optimization(learning_rate=learning_rate, batch_size=32, epochs=3.0),
    )
