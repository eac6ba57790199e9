"""The chess family on a folder of games made here, and the experiment that uses it: planned, and one run of
it trained."""

from __future__ import annotations

import csv
import random
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

chess = pytest.importorskip("chess", reason="chess models need python-chess: pip install 'raysweep[chess]'")

from raysweep import InvalidInput, RunSpec, Sweep, TaskSpec  # noqa: E402
from raysweep.data.pinning import Pinner  # noqa: E402
from raysweep.models.chess import chess_family  # noqa: E402
from raysweep.planning.plan import make_plan  # noqa: E402
from raysweep.planning.sweep import load_sweep  # noqa: E402
from raysweep.store import Store  # noqa: E402

EXPERIMENT = str(Path(__file__).parents[2] / "experiments" / "chess_bootstrap.py")
NUM_GAMES = 40
NUM_PLIES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Games of moves drawn at random, and two puzzles out of each, rated by their ply."""
    folder = tmp_path_factory.mktemp("chess")
    rng = random.Random(0)
    games = []
    puzzles = []
    for _ in range(NUM_GAMES):
        position = chess.Board()
        words = []
        moves = []
        boards = []
        while len(moves) < NUM_PLIES and not position.is_game_over():
            move = rng.choice(sorted(position.legal_moves, key=str))
            boards.append(position.fen())
            words.append(position.san(move))
            moves.append(move.uci())
            position.push(move)
        games.append('[Event "?"]\n\n' + " ".join(words) + " *\n")
        puzzles += [
            (boards[ply], f"{moves[ply]} {moves[ply + 1]}", 1_000 + len(puzzles) + ply)
            for ply in (8, 20, 30)
            if ply + 1 < len(moves)
        ]
    (folder / "games").mkdir()
    (folder / "games" / "all.pgn").write_text("\n".join(games))
    with (folder / "puzzles.csv").open("w", newline="") as file:
        csv.writer(file).writerows(puzzles)
    return folder


@pytest.fixture
def small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """The experiment's small sweep, on the puzzles made here."""
    monkeypatch.setenv("RAYSWEEP_GAMES", str(folder / "games"))
    sweep = load_sweep(f"{EXPERIMENT}:small")
    params = {**sweep.tasks[0].params, "path": str(folder / "puzzles.csv")}
    return replace(
        sweep,
        tasks=[TaskSpec(name="chess_puzzles", params=params, num_train=32, num_validation=10, num_test=24)],
    )


def test_sizes_grow_and_share_their_games(folder: Path) -> None:
    family = chess_family(str(folder / "games"))
    bases = [model.spec.base for model in family.models]
    assert all(isinstance(base, RunSpec) and base.model.base.config["n_positions"] == 48 for base in bases)
    widths = [base.model.base.config["n_embd"] for base in bases]
    assert widths == sorted(set(widths)) and [model.name for model in family.models] == [
        f"chess-{width}" for width in widths
    ]
    assert len({base.task for base in bases}) == 1
    assert family["chess-64"] is family.models[2]


def test_a_pretrained_model_answers_puzzles_after_finetuning(small: Sweep, store: Store) -> None:
    [(weak, _)] = small.pairs
    pretraining = replace(weak.spec.base, optimization=replace(weak.spec.base.optimization, steps=60))
    preparation = Pinner(store)
    task = preparation.task(small.tasks[0])
    model = preparation.model(replace(weak.spec, base=pretraining))
    preparation.tokens(model.base.task, model.base.model)
    preparation.tokens(task, model)
    pretrained = tiny.train_run(model.base, store, save_weights=True, micro_batch_size=64)
    supervisor = RunSpec(task=task, model=model, optimization=weak.optimization, train_split="supervisor")

    trained = tiny.train_run(supervisor, store, micro_batch_size=32)

    metrics = {run: run.paths.read_result()["metrics"] for run in (pretrained, trained)}
    assert pretrained.losses[-10:].mean() < 0.8 * pretrained.losses[:10].mean()
    assert 0 <= metrics[pretrained]["validation_legality"] <= 1
    assert 0 <= metrics[trained]["test_accuracy"] <= metrics[trained]["test_legality"] <= 1
    assert "test_accuracy_in_difficulty_quarter_4" in metrics[trained]


def test_the_small_sweep_is_one_gap_with_chains_through_the_middle(small: Sweep, store: Store) -> None:
    [(weak, strong)] = small.pairs
    bootstrapping = [method for method in small.methods if not isinstance(method, str)]
    assert [method.params["data"] for method in bootstrapping] == ["same", "fresh"]
    chain = [weak.name, *(model.name for model in bootstrapping[0].params["middle"]), strong.name]
    assert chain == ["chess-16", "chess-32", "chess-64", "chess-128"]

    plan = make_plan(small, store)

    # For each seed: floor, ceiling, naive, and twice a chain of three.
    assert plan.num_pretrainings == 4 and plan.num_trainings == len(small.seeds) * (3 + 2 * 3)


def test_the_paper_s_sweep_has_the_paper_s_sizes() -> None:
    sweep = load_sweep(EXPERIMENT)
    [task] = sweep.tasks
    assert (task.num_train, task.num_test, len(sweep.pairs), len(sweep.seeds)) == (50_000, 5_000, 6, 3)
    for model in (model for pair in sweep.pairs for model in pair):
        assert (model.optimization.epochs, model.optimization.batch_size) == (5.0, 32)


def test_small_asks_for_games(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSWEEP_GAMES", raising=False)
    with pytest.raises(InvalidInput, match="set RAYSWEEP_GAMES to a folder of PGN files"):
        load_sweep(f"{EXPERIMENT}:small")
