"""Chess puzzles and bootstrapping: does a chain of students of growing size recover more than one large step?

Hypothesis (Burns et al. 2023, sections 4.2 and 4.3.1): naive finetuning recovers almost nothing of the
largest gaps and more than 40 % of small ones, so a chain of small steps, weak → middle → … → strong, recovers
more than one large step.

sweep(): the experiment of the paper, with models of the hub instead of the GPT-4 family, and the board
    instead of the moves of the game, which few puzzles come with. For "fresh", half B is cut into three
    parts; the paper drew 50,000 new puzzles for each step. Grid: 1 task × 6 pairs × 3 methods × 3 seeds = 54
    cells: 105 trainings. Cost: 12 GPU hours of an H100 for the training steps, if they reach 40 % of its
    bfloat16 peak of 989 TFLOP/s: 6·N FLOPs per token, 50,000 puzzles × 45 tokens (an estimate) × 5 epochs per
    training (a third of it for "fresh"). This is a lower bound: steps of 1,440 tokens won't reach 40 % with
    the small models, and each run also writes answers to the 56,000 puzzles of half B, validation and test.
small(): needs RAYSWEEP_GAMES=<folder of PGN files>, and the puzzles from the hub or from
    RAYSWEEP_DATASETS=<local mirror>. Grid: 1 task × 1 pair × 3 methods × 2 seeds = 6 cells: 18 trainings and
    4 pretrainings of GPT-2s of width 16 to 128. It took 360 s on two CPU cores, half of it for pretraining.

README.md has the results of small().
"""

import os
from dataclasses import replace

from raysweep import (
    Evaluation,
    InvalidInput,
    Method,
    Model,
    Resources,
    RunSpec,
    Sweep,
    TaskSpec,
    families,
    grid,
)
from raysweep.models.chess import chess_family


def sweep() -> Sweep:
    """50,000 puzzles in each half, three weak and two strong Pythias."""
    pythia = families.get("pythia")
    models = {model.name: _as_in_the_paper(model) for model in pythia.models}
    middle = [models["pythia-410m"], models["pythia-1.4b"]]
    return Sweep(
        name="chess_bootstrap",
        tasks=[
            TaskSpec(
                name="chess_puzzles",
                params={"board": "fen"},
                num_train=50_000,
                num_validation=1_000,
                num_test=5_000,
            )
        ],
        pairs=grid(
            weak=[models["pythia-14m"], models["pythia-70m"], models["pythia-160m"]],
            strong=[models["pythia-2.8b"], models["pythia-6.9b"]],
        ),
        methods=["naive", *_bootstrapping(middle)],
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=500, num_examples=500),
        resources=_resources,
    )


def small() -> Sweep:
    """The same with GPT-2s of width 16 to 128, pretrained on games, and 3,200 puzzles in each half."""
    games = os.environ.get("RAYSWEEP_GAMES")
    if not games:
        raise InvalidInput(
            "small() pretrains its models on chess games: set RAYSWEEP_GAMES to a folder of PGN files "
            "(.pgn, .pgn.gz, .pgn.zst)"
        )
    weak, *middle, strong = chess_family(games).models
    return Sweep(
        name="chess_bootstrap_small",
        tasks=[
            TaskSpec(
                name="chess_puzzles",
                params={"board": "pieces"},
                num_train=3_200,
                num_validation=300,
                num_test=2_000,
            )
        ],
        pairs=grid(weak=[weak], strong=[strong]),
        methods=["naive", *_bootstrapping(middle)],
        seeds=[0, 1],
        evaluation=Evaluation(every=100, num_examples=200),
        resources=_two_cores,
    )


def _bootstrapping(middle: list[Model]) -> list[Method]:
    """A chain through the middle models, with the whole of half B at each step, and with a new part of it at
    each step."""
    return [
        Method(name=f"bootstrapping {data}", recipe="bootstrapping", params={"middle": middle, "data": data})
        for data in ("same", "fresh")
    ]


def _as_in_the_paper(model: Model) -> Model:
    """Five epochs and batches of 32, with all sizes in bfloat16, so that no gap is due to precision."""
    return replace(
        model, optimization=replace(model.optimization, batch_size=32, epochs=5.0, precision="bfloat16")
    )


def _resources(spec: RunSpec) -> Resources:
    """Four GPUs of 80 GB for the largest model, at 18 bytes per parameter; the small models share one."""
    if spec.model.name == "pythia-6.9b":
        return Resources(num_workers=4, gpus_per_worker=1, zero_stage=3, micro_batch_size=8)
    large = spec.model.name in ("pythia-1.4b", "pythia-2.8b")
    return Resources(gpus_per_worker=1 if large else 0.25, micro_batch_size=32, evaluation_batch_size=256)


def _two_cores(spec: RunSpec) -> Resources:
    """One core per run and whole batches at once, which is faster for models this small."""
    return Resources(micro_batch_size=spec.optimization.batch_size, evaluation_batch_size=256)
