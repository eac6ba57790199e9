"""Chess: hand-worked positions in every rendering, puzzles from files and the hub, games from PGN files."""

import csv
import gzip
import io
import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import chess
import chess.pgn
import pytest
from datasets import Dataset, disable_progress_bars

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks import load_task
from raysweep.tasks.base import Example
from raysweep.tasks.chess.games import load_move_text, load_positions, read_games
from raysweep.tasks.chess.notation import BOARDS, NEEDS_GAME, answer, answers, pieces
from raysweep.tasks.chess.puzzles import load_puzzles

DATA = Path(__file__).parents[3] / "shared/data"
real_rows = pytest.mark.skipif(not DATA.is_dir(), reason=f"there are no real rows: {DATA} doesn't exist")

HEADER = ["PuzzleId", "FEN", "Moves", "Rating", "GameUrl"]
PROMOTION = ("7k/p3P1pp/8/8/8/8/6PP/6K1 b - - 0 1", "a7a6 e7e8q")
PROMOTION_OF_BLACK = ("6k1/6pp/8/8/8/8/P3p1PP/7K w - - 0 1", "a2a3 e2e1q")
PASSING = ("4k3/3p4/8/4P3/8/8/8/4K3 b - - 0 1", "d7d5 e5d6")
PASSING_OF_BLACK = ("4k3/8/8/8/4p3/8/3P4/4K3 w - - 0 1", "d2d4 e4d3")
CASTLING = ("r1bqkbnr/pppp1ppp/2n5/4p3/2B1P3/5N2/PPPP1PPP/RNBQK2R b KQkq - 3 3", "f8c5 e1g1")
LONG_CASTLING_OF_BLACK = ("r3k3/8/8/8/8/8/7P/R3K3 w Qq - 0 20", "h2h3 e8c8")
MANY = [PROMOTION, PASSING, CASTLING, LONG_CASTLING_OF_BLACK]

GAME = """[Event "Rated Blitz game"]
[Site "https://lichess.org/abcdEFG1"]
[Variant "Standard"]

1. e4 { [%eval 0.3] [%clk 0:01:00] } 1... e5?! $6 2. Nf3 (2. f4 exf4 (2... d5)
3. Nf3) 2... Nc6 ; the Italian game { follows
3. Bc4 { a comment; of
[%clk 0:00:55] two lines } 3... Bc5 4. O-O Nf6 5. d3 O-O 1-0
"""
WORDS = ["e4", "e5", "Nf3", "Nc6", "Bc4", "Bc5", "O-O", "Nf6", "d3", "O-O"]
UCI = ["e2e4", "e7e5", "g1f3", "b8c6", "f1c4", "f8c5", "e1g1", "g8f6", "d2d3", "e8g8"]


def write_csv(path: Path, rows: Sequence[Sequence[Any]], header: list[str] | None = None) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows] if header else rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def write_games(folder: Path, *games: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "games.pgn").write_text("\n\n".join(games))
    return str(folder)


def puzzle(tmp_path: Path, row: tuple[str, str], board: str, **params: Any) -> Example:
    path = write_csv(tmp_path / "one.csv", [(*row, 1500)])
    [example] = load_puzzles(path=path, board=board, **params)["train"]
    return example


def random_positions(num_games: int, seed: int = 0) -> Iterator[chess.Board]:
    """Positions of games with random moves; most games have promotions and captures en passant."""
    rng = random.Random(seed)
    for _ in range(num_games):
        position = chess.Board()
        while not position.is_game_over() and position.ply() < 240:
            yield position
            position.push(rng.choice(sorted(position.legal_moves, key=str)))


@pytest.mark.parametrize(
    ("row", "prompt", "target"),
    [
        (PROMOTION, "7k/4P1pp/p7/8/8/8/6PP/6K1 w - - 0 2", "e7e8q"),
        (PROMOTION_OF_BLACK, "6k1/6pp/8/8/8/P7/4p1PP/7K b - - 0 1", "e2e1q"),
        (PASSING, "4k3/8/8/3pP3/8/8/8/4K3 w - d6 0 2", "e5d6"),
        (CASTLING, "r1bqk1nr/pppp1ppp/2n5/2b1p3/2B1P3/5N2/PPPP1PPP/RNBQK2R w KQkq - 4 4", "e1g1"),
    ],
)
def test_board_fen(row: tuple[str, str], prompt: str, target: str, tmp_path: Path) -> None:
    example = puzzle(tmp_path, row, "fen")
    assert (example.texts, example.target, example.label, example.difficulty) == (
        (prompt,),
        target,
        None,
        1500.0,
    )


@pytest.mark.parametrize(
    ("row", "prompt", "target"),
    [
        (PROMOTION, "- - - kh8 Pe7 pg7 ph7 pa6 Pg2 Ph2 Kg1", "Pe7 Qe8"),
        (PROMOTION_OF_BLACK, "- - - kh8 Pe7 pg7 ph7 pa6 Pg2 Ph2 Kg1", "Pe7 Qe8"),
        (PASSING, "- - d6 ke8 pd5 Pe5 Ke1", "Pe5 Pd6"),
        (PASSING_OF_BLACK, "- - d6 ke8 pd5 Pe5 Ke1", "Pe5 Pd6"),
        (LONG_CASTLING_OF_BLACK, "Q q - ra8 ke8 ph6 Ra1 Ke1", "Ke1 Kc1"),
    ],
)
def test_board_pieces_is_seen_from_the_side_to_move(
    row: tuple[str, str], prompt: str, target: str, tmp_path: Path
) -> None:
    example = puzzle(tmp_path, row, "pieces")
    assert (example.texts, example.target) == ((prompt,), target)
    assert example.id == puzzle(tmp_path, row, "fen").id, "renderings must give the same splits"


def test_all_legal_moves_are_allowed_answers(tmp_path: Path) -> None:
    kings_and_pawns = ["g1f1", "g1f2", "g1h1", "g2g3", "g2g4", "h2h3", "h2h4"]
    example = puzzle(tmp_path, PROMOTION, "fen")
    assert example.allowed == ("e7e8b", "e7e8n", "e7e8q", "e7e8r", *kings_and_pawns)
    assert puzzle(tmp_path, PROMOTION, "pieces").allowed[-4:] == ("Pg2 Pg3", "Pg2 Pg4", "Ph2 Ph3", "Ph2 Ph4")
    assert {"Pe7 Be8", "Pe7 Ne8", "Pe7 Qe8", "Pe7 Re8"} < set(
        puzzle(tmp_path, PROMOTION_OF_BLACK, "pieces").allowed
    )


def test_board_pieces_determines_the_legal_moves() -> None:
    seen = Counter[str]()
    for position in random_positions(14):
        mine, theirs, passing, *words = pieces(position).split()
        rebuilt = chess.Board(None)
        for word in words:
            rebuilt.set_piece_at(chess.parse_square(word[1:]), chess.Piece.from_symbol(word[0]))
        rebuilt.set_castling_fen((mine + theirs).replace("-", "") or "-")
        rebuilt.ep_square = None if passing == "-" else chess.parse_square(passing)
        assert answers("pieces", rebuilt) == answers("pieces", position)
        assert pieces(rebuilt) == pieces(position) == pieces(position.mirror())
        seen.update(passing=passing != "-", castling=mine + theirs != "--", black=not position.turn)
    assert min(seen.values()) > 3


@pytest.mark.parametrize("board", BOARDS)
def test_every_legal_move_has_its_own_answer(board: str) -> None:
    for position in random_positions(3, seed=1):
        allowed = answers(board, position)
        assert len(set(allowed)) == len(allowed) == position.legal_moves.count()
        assert all(answer(board, position, move) in allowed for move in position.legal_moves)


def test_a_file_with_and_without_header_plain_and_compressed(tmp_path: Path) -> None:
    short = [(*row, 900 + number) for number, row in enumerate(MANY)]
    full = [("id", *row, "") for row in short]
    plain = load_puzzles(path=write_csv(tmp_path / "short.csv", short))["train"]
    assert sorted(example.difficulty or 0 for example in plain) == [900.0, 901.0, 902.0, 903.0]
    assert load_puzzles(path=write_csv(tmp_path / "short.csv.gz", short))["train"] == plain
    assert load_puzzles(path=write_csv(tmp_path / "full.csv", full, HEADER))["train"] == plain
    assert load_puzzles(path=write_csv(tmp_path / "turned.csv", short[::-1]))["train"] == plain


def test_puzzles_of_one_game_are_one_group(tmp_path: Path) -> None:
    addresses = ["abcdEFG1/black#48", "abcdEFG1#2", "xyzXYZ12#7", ""]
    rows = [
        ("id", *row, 1, url and f"https://lichess.org/{url}")
        for row, url in zip(MANY, addresses, strict=True)
    ]
    examples = load_puzzles(path=write_csv(tmp_path / "full.csv", rows, HEADER))["train"]
    assert sorted(Counter(example.group for example in examples).values()) == [1, 1, 2]


def test_repeated_positions_are_kept_once_and_contradictory_ones_dropped(tmp_path: Path) -> None:
    other_solution = (PASSING_OF_BLACK[0], "d2d4 e8e7")  # the position of PASSING in the other colour
    rows = [(*row, 1000) for row in (PROMOTION, PROMOTION_OF_BLACK, PASSING, other_solution, CASTLING)]
    examples = load_puzzles(path=write_csv(tmp_path / "a.csv", rows), board="pieces")["train"]
    assert sorted(example.target or "" for example in examples) == ["Ke1 Kg1", "Pe7 Qe8"]


def test_ratings_and_the_number_of_rows_can_be_limited(tmp_path: Path) -> None:
    positions = [position.copy(stack=False) for position in random_positions(4)]
    rows = []
    for rating, before in enumerate(positions):
        first = min(before.legal_moves, key=str)
        before_text = before.fen()
        before.push(first)
        if any(before.legal_moves):
            rows.append((before_text, f"{first} {min(before.legal_moves, key=str)}", rating))
    path = write_csv(tmp_path / "a.csv", rows)
    some = load_puzzles(path=path, min_rating=100, max_rating=199)["train"]
    assert {example.difficulty for example in some} <= set(range(100, 200)) and len(some) > 90
    few = load_puzzles(path=path, max_rows=50)["train"]
    assert len(few) == 50
    assert load_puzzles(path=write_csv(tmp_path / "b.csv", rows[::-1]), max_rows=50)["train"] == few
    assert {example.id for example in few} < {
        example.id for example in load_puzzles(path=path, max_rows=80)["train"]
    }
    with pytest.raises(InvalidInput, match=r"no puzzle is left of .* with min_rating=9999"):
        load_puzzles(path=path, min_rating=9999)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("7k/p3P1pp/8/8/8/8/6PP b - - 0 1", "a7a6 e7e8q", 1), r"expected 8 rows in position part of fen"),
        (("8/8/8/8/8/8/8/8 w - - 0 1", "a7a6 e7e8q", 1), r"isn't a possible position \(.*NO_WHITE_KING"),
        ((PROMOTION[0], "a7a6 e7e9q", 1), "'e7e9q'"),
        ((PROMOTION[0], "a7a4 e7e8q", 1), "illegal uci: 'a7a4'"),
        ((PROMOTION[0], "a7a6 e7e8", 1), "illegal uci: 'e7e8'"),
        ((PROMOTION[0], "a7a6 0000", 1), "a null move"),
        ((PROMOTION[0], "a7a6", 1), "at least two moves"),
        ((*PROMOTION, "hard"), "the rating 'hard' isn't a number"),
        ((PROMOTION[0], PROMOTION[1]), "there are 2 values instead of 3"),
    ],
)
def test_a_row_that_is_no_puzzle_is_named(row: tuple[Any, ...], message: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "bad.csv", [(*CASTLING, 1), row])
    with pytest.raises(InvalidInput, match=rf"task 'chess_puzzles': .*bad\.csv, line 2.*{message}"):
        load_puzzles(path=path)


def test_files_and_parameters_that_cannot_be_used(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "good.csv", [(*CASTLING, 1)])
    for params, message in [
        ({"board": "square"}, "board is 'square'; it must be one of 'fen', 'pieces', 'moves', 'uci_moves'"),
        ({"max_rows": 0}, "max_rows is 0; it must be a whole number of at least 1"),
        ({"board": "moves"}, "games is None with board 'moves'; boards moves and uci_moves need a folder"),
        ({"games": str(tmp_path)}, "with board 'fen'; .* the others can't use one"),
        ({"path": str(tmp_path / "none.csv")}, r"none\.csv'; it must be an existing CSV file"),
        (
            {"path": write_csv(tmp_path / "wide.csv", [range(5)])},
            r"begins with the columns \['0', .* it needs lichess's header",
        ),
        ({"path": write_csv(tmp_path / "empty.csv", [])}, r"begins with the columns \[\]"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            load_puzzles(**({"path": path} | params))
    (tmp_path / "cut.csv.gz").write_bytes((tmp_path / "good.csv").read_bytes())
    with pytest.raises(InvalidInput, match=r"cut\.csv\.gz can't be read"):
        load_puzzles(path=str(tmp_path / "cut.csv.gz"))


@pytest.mark.parametrize(
    ("board", "prompt", "target"),
    [
        ("moves", "1. e4 1... e5 2. Nf3 2... Nc6 3. Bc4 3... Bc5 4.", "O-O"),
        ("uci_moves", "e2e4 e7e5 g1f3 b8c6 f1c4 f8c5", "e1g1"),
    ],
)
def test_boards_with_the_moves_of_the_game(board: str, prompt: str, target: str, tmp_path: Path) -> None:
    rows = [
        ("id", *CASTLING, 1, "https://lichess.org/abcdEFG1#6"),
        ("id", *PASSING, 1, "https://lichess.org/unknown1#6"),
    ]
    path = write_csv(tmp_path / "full.csv", rows, HEADER)
    games = write_games(tmp_path / "games", GAME)
    [example] = load_puzzles(path=path, board=board, games=games)["train"]
    assert (example.texts, example.target, example.group) == ((prompt,), target, "abcdEFG1")
    assert target in example.allowed and example.id == puzzle(tmp_path, CASTLING, "fen").id


def test_games_that_do_not_fit_the_puzzles(tmp_path: Path) -> None:
    games = write_games(tmp_path / "games", GAME)
    late = (CASTLING[0].replace("3 3", "3 30"), CASTLING[1])
    other = (CASTLING[0], "g8f6 e1g1")  # not the move that was played
    for row in (late, other):
        path = write_csv(tmp_path / "full.csv", [("id", *row, 1, "https://lichess.org/abcdEFG1#6")], HEADER)
        with pytest.raises(
            InvalidInput,
            match=r"full\.csv, line 2: .*lichess\.org/abcdEFG1\) doesn't have the puzzle's position",
        ):
            load_puzzles(path=path, board="moves", games=games)
    path = write_csv(tmp_path / "full.csv", [("id", *CASTLING, 1, "https://lichess.org/unknown1#6")], HEADER)
    with pytest.raises(InvalidInput, match=r"no puzzle is left of .* and a game in"):
        load_puzzles(path=path, board="moves", games=games)


def test_games_are_read_without_comments_variations_and_marks(tmp_path: Path) -> None:
    nothing = '[Event "?"]\n[Site "https://lichess.org/emptyone"]\n\n0-1\n'
    headers_only = '[Event "?"]\n[Site "https://lichess.org/nothing1"]\n'
    other_rules = GAME.replace("Standard", "Atomic").replace("abcdEFG1", "atomicAA")
    mid_game = '[Event "?"]\n[FEN "4k3/8/8/8/8/8/8/4K3 w - - 0 1"]\n\n1. Kd1 *\n'
    elsewhere = '[Event "?"]\n[Site "London"]\n\n1.e4 e5 2.Bc4 Nc6 3.Qh5 Nf6?? 4.Qxf7# 1-0\n'
    folder = write_games(
        tmp_path / "games", headers_only, GAME, nothing, other_rules, mid_game, elsewhere, GAME
    )
    first, second = read_games("t", folder)
    assert (first.id, first.text.split()) == ("abcdEFG1", WORDS)
    assert first.where.endswith("games.pgn, line 5, game 2 (https://lichess.org/abcdEFG1)")
    assert second.text == "e4 e5 Bc4 Nc6 Qh5 Nf6 Qxf7#"
    assert [move.uci() for _, move, _ in first.moves()] == UCI


def test_positions_of_games(tmp_path: Path) -> None:
    folder = write_games(tmp_path / "games", GAME)
    by_board = {
        board: load_positions(path=folder, num_positions=99, board=board)["train"] for board in BOARDS
    }
    # All positions but the first, whose prompt could be blank.
    assert all(len(examples) == 9 for examples in by_board.values())
    assert [example.target for example in by_board["moves"]] == WORDS[1:]
    assert [example.target for example in by_board["uci_moves"]] == UCI[1:]
    assert [example.texts[0].split() for example in by_board["uci_moves"]] == [
        UCI[:ply] for ply in range(1, 10)
    ]
    assert by_board["moves"][3].texts == ("1. e4 1... e5 2. Nf3 2... Nc6 3.",)
    assert by_board["pieces"][-1].target == "Ke1 Kg1"
    assert by_board["pieces"][-1].texts[0].startswith("KQ - - ")
    position = chess.Board()
    for ply, example in enumerate(by_board["fen"]):
        position.push_uci(UCI[ply])
        assert example.texts == (position.fen(),)
    assert len({tuple(example.id for example in examples) for examples in by_board.values()}) == 1
    assert all(example.target in example.allowed for examples in by_board.values() for example in examples)


def test_positions_are_spread_evenly_over_games_and_within_them(tmp_path: Path) -> None:
    folder = tmp_path / "games"
    folder.mkdir()
    for number in range(20):
        *_, position = random_positions(1, seed=number)
        (folder / f"{number:02}.pgn").write_text(str(chess.pgn.Game.from_board(position)) + "\n")
    examples = load_positions(path=str(folder), num_positions=90, board="uci_moves")["train"]
    assert set(Counter(example.group for example in examples).values()) == {4, 5}
    shares = Counter(min(int(len(example.texts[0].split()) / 60), 3) for example in examples)
    assert len(examples) == 90 and min(shares.values()) > 15
    assert len(load_positions(path=str(folder), num_positions=7)["train"]) == 7


def test_games_as_text(tmp_path: Path) -> None:
    folder = write_games(tmp_path / "games", GAME)
    chunks = load_move_text(path=folder, num_moves=4)["train"]
    assert [chunk.texts[0].split() for chunk in chunks] == [UCI[:4], UCI[4:8], UCI[8:]]
    assert {chunk.group for chunk in chunks} == {"abcdEFG1"}
    [_, second, _] = load_move_text(path=folder, num_moves=4, board="moves")["train"]
    assert second.texts == ("3. Bc4 3... Bc5 4. O-O 4... Nf6",)


def test_games_that_cannot_be_used(tmp_path: Path) -> None:
    illegal = GAME.replace("4. O-O", "4. Kg3")
    folder = write_games(tmp_path / "games", GAME.replace("abcdEFG1", "zzzzzzzz"), illegal)
    for load in (load_positions, load_move_text):
        with pytest.raises(
            InvalidInput, match=r"game 2 \(.*abcdEFG1\): move 4 of white can't be played: illegal san: 'Kg3'"
        ):
            load(path=folder)
        with pytest.raises(InvalidInput, match="'nowhere' must be an existing folder of PGN files"):
            load(path="nowhere")
        with pytest.raises(InvalidInput, match=r"has no chess game; .* and has 1 such files"):
            load(path=write_games(tmp_path / "no games"))
    with pytest.raises(InvalidInput, match="num_positions is 0"):
        load_positions(path=folder, num_positions=0)
    with pytest.raises(InvalidInput, match="board is 'fen'; it must be one of 'moves', 'uci_moves'"):
        load_move_text(path=folder, board="fen")
    (tmp_path / "games/games.pgn.gz").write_text(GAME)
    with pytest.raises(InvalidInput, match=r"games\.pgn\.gz can't be read"):
        read_games("t", folder)


@real_rows
def test_real_puzzles_of_the_hub_and_of_files_are_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = load_puzzles(path=str(DATA / "chess_puzzles/lichess_db_puzzle.csv"))["train"]
    rows = Dataset.from_parquet(
        str(DATA / "hub/Lichess/chess-puzzles/default/train.parquet"), cache_dir=str(tmp_path)
    )
    disable_progress_bars()
    (tmp_path / "Lichess/chess-puzzles/default").mkdir(parents=True)
    rows.select(range(1000)).to_parquet(tmp_path / "Lichess/chess-puzzles/default/train.parquet")
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(tmp_path))
    assert load_puzzles()["train"] == full
    assert len(full) > 990 and len({example.group for example in full}) > 900
    short = load_puzzles(path=str(DATA / "chess_puzzles/lichess_puzzles.csv"))["train"]
    assert len(short) > 7900


@real_rows
def test_real_puzzles_are_divided_without_a_shared_game_or_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(DATA / "hub"))
    data = load_task(TaskSpec(name="chess_puzzles", params={"board": "pieces", "max_rows": 3000}))
    assert {name: len(examples) for name, examples in data.splits.items()} == {
        "supervisor": 1050,
        "transfer": 1050,
        "validation": 300,
        "test": 600,
    }
    for one, other in itertools.combinations(data.splits.values(), 2):
        assert not {example.group for example in one} & {example.group for example in other}
        assert not {example.texts for example in one} & {example.texts for example in other}
    for example in itertools.chain(*data.splits.values()):
        assert example.target in example.allowed and 300 < (example.difficulty or 0) < 3500
        assert len((example.target or "").split()) == 2 and len(example.texts[0].split()) <= 35


@real_rows
def test_real_games_are_read_as_python_chess_reads_them(tmp_path: Path) -> None:
    with gzip.open(DATA / "chess_pgn/magnus.pgn.gz", "rt") as file:
        text = file.read(400_000)
    text = text[: text.rindex("[Event ")]
    (tmp_path / "real.pgn").write_text(text)
    stream = io.StringIO(text)
    theirs = [
        [move.uci() for move in game.mainline_moves()]
        for game in iter(lambda: chess.pgn.read_game(stream), None)
    ]
    ours = [[move.uci() for _, move, _ in game.moves()] for game in read_games("t", str(tmp_path))]
    assert ours == [moves for moves in theirs if moves] and len(ours) > 50


@real_rows
@pytest.mark.parametrize("board", sorted({*BOARDS} - {*NEEDS_GAME}))
def test_real_games_give_positions_to_pretrain_on(board: str) -> None:
    spec = TaskSpec(
        name="chess_games", params={"path": str(DATA / "chess_pgn"), "board": board, "num_positions": 200}
    )
    data = load_task(spec)
    assert set(data.splits) == {"train", "validation"}
    assert len(data.split("train")) > 180 and len(data.split("validation")) == 4
