"""Chess puzzles of lichess: from the position, write the first move of the solution (Burns et al. 2023).

Rows come from the hub (`Lichess/chess-puzzles`) or from a file of lichess's puzzle database. The FEN of a row
is the position before the opponent's last move. The first of its Moves leads to the position to be solved,
the second is the solution. The difficulty is the puzzle's rating. The data set has millions of rows, so they
are sampled by their hashes before any is parsed; the same rows in another order give the same sample.

Only the solution counts as right, although some positions have a second mate, as in Burns et al.
"""

from __future__ import annotations

import csv
import hashlib
import heapq
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from raysweep.errors import InvalidInput
from raysweep.tasks.base import Example, Task, require_count, tasks
from raysweep.tasks.chess.games import LICHESS_GAME, Game, lines_of, read_games
from raysweep.tasks.chess.notation import (
    MAX_ANSWER_TOKENS,
    NEEDS_GAME,
    answer,
    answers,
    check_board,
    identifier,
    prompt,
)
from raysweep.tasks.hub import load_rows, require_columns
from raysweep.tasks.places import Fault, place, require_once, user_path

if TYPE_CHECKING:
    import chess

NAME = "chess_puzzles"
HUB_ID = "Lichess/chess-puzzles"
REVISION = "479ea9bc9f681385f5adb23fa27a96c2dc8ae599"
_COLUMNS = ("FEN", "Moves", "Rating")
_ROWS_AT_ONCE = 10_000


class _Row(NamedTuple):
    """A row of the database. Rows are ordered by their rank, a hash of their content."""

    rank: bytes
    fen: str
    moves: str
    rating: str
    game: str
    """The game's id at lichess, or "" if it isn't known."""
    where: str
    """The source of the row, for error messages."""


def load_puzzles(
    *,
    path: str | None = None,
    board: str = "fen",
    games: str | None = None,
    min_rating: float | None = None,
    max_rating: float | None = None,
    max_rows: int = 150_000,
) -> dict[str, list[Example]]:
    """Puzzles with distinct positions. Positions with two solutions have no ground truth and are left out.

    Args:
        path: a CSV file of lichess's puzzle database, plain, .gz or .zst, with its header, or without a
            header and with the columns FEN, Moves and Rating. By default rows come from the hub or its
            mirror.
        board: the rendering of positions and moves; see `raysweep.tasks.chess.notation`.
        games: a folder of PGN files with the puzzles' games, which the boards "moves" and "uci_moves" need.
            Puzzles without a game there are left out.
        min_rating, max_rating: leave out easier and harder puzzles.
        max_rows: the largest number of puzzles.

    Raises:
        InvalidInput: a parameter is out of range, a file or a column is missing, a row isn't a puzzle, or no
            puzzle is left.
    """
    check_board(NAME, board)
    require_count(NAME, "max_rows", max_rows)
    if (board in NEEDS_GAME) != (games is not None):
        raise InvalidInput(
            f"task {NAME!r}: games is {games!r} with board {board!r}; boards {' and '.join(NEEDS_GAME)} need "
            "a folder of PGN files with the puzzles' games, and the others can't use one"
        )
    played = None if games is None else {game.id: game for game in read_games(NAME, games)}
    rows = (row for row in _rows(path) if _is_wanted(row, played, min_rating, max_rating))
    examples: dict[str, Example] = {}
    solutions: dict[str, set[str]] = {}
    for row in heapq.nsmallest(max_rows, rows):
        example, solution = _example(row, board, played)
        examples.setdefault(example.id, example)
        solutions.setdefault(example.id, set()).add(solution)
    if not examples:
        raise InvalidInput(
            f"task {NAME!r}: no puzzle is left of {path or HUB_ID} with min_rating={min_rating}, "
            f"max_rating={max_rating}" + (f" and a game in {games}" if games else "")
        )
    return {"train": [example for example in examples.values() if len(solutions[example.id]) == 1]}


def _rows(path: str | None) -> Iterator[_Row]:
    for where, fields in _hub_rows() if path is None else _file_rows(path):
        fen, moves, rating = (fields[name] for name in _COLUMNS)
        site = LICHESS_GAME.match(fields.get("GameUrl") or "")
        rank = hashlib.blake2b(f"{fen} {moves}".encode(), digest_size=8).digest()
        yield _Row(rank, fen, moves, str(rating), site[1] if site else fields.get("GameId") or "", where)


def _hub_rows() -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = load_rows(HUB_ID, None, "train", REVISION)
    require_columns(rows, _COLUMNS, HUB_ID)
    wanted = [name for name in (*_COLUMNS, "GameId") if name in rows.column_names]
    numbers = itertools.count()
    for batch in rows.select_columns(wanted).iter(_ROWS_AT_ONCE):
        for values in zip(*(batch[name] for name in wanted), strict=True):  # type: ignore[call-overload]
            yield place(f"data set {HUB_ID}", row=next(numbers)), dict(zip(wanted, values, strict=True))


def _file_rows(path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    file = user_path(f"task {NAME!r}", path)
    if not file.is_file():
        raise InvalidInput(
            f"task {NAME!r}: path is {path!r}; it must be an existing CSV file of lichess's puzzle database"
        )
    lines = csv.reader(lines_of(NAME, file), strict=True)
    try:
        first = next(lines, [])
        names = first if "FEN" in first else list(_COLUMNS)
        require_once(names, 1)
        if not set(_COLUMNS) <= set(names) or len(first) != len(names):
            raise InvalidInput(
                f"task {NAME!r}: {path} begins with the columns {first!r:.200}; it needs lichess's "
                f"header, or no header and the columns {', '.join(_COLUMNS)}"
            )
        before = lines.line_num if first is names else lines.line_num - 1
        for values in lines if first is names else itertools.chain([first], lines):
            if lines.line_num - before > 1:
                raise Fault("a value goes over several lines; is there a stray quote?", line=before + 1)
            before = lines.line_num
            if values and len(values) != len(names):
                raise Fault(
                    f"there are {len(values)} values instead of {len(names)}: {values!r:.200}",
                    line=lines.line_num,
                )
            if values:  # else the line is blank
                yield place(path, line=lines.line_num), dict(zip(names, values, strict=True))
    except (Fault, csv.Error) as error:
        line = error.line if isinstance(error, Fault) else lines.line_num
        raise InvalidInput(f"task {NAME!r}: {place(path, line=line)} can't be read: {error}") from error


def _is_wanted(row: _Row, played: Mapping[str, Game] | None, low: float | None, high: float | None) -> bool:
    if played is not None and row.game not in played:
        return False
    if low is None and high is None:
        return True
    rating = _rating(row)
    return (low is None or rating >= low) and (high is None or rating <= high)


def _rating(row: _Row) -> float:
    try:
        rating = float(row.rating)
    except ValueError:
        rating = math.nan
    if not math.isfinite(rating):
        raise InvalidInput(f"task {NAME!r}: {row.where}: the rating {row.rating!r} isn't a number")
    return rating


def _example(row: _Row, board: str, played: Mapping[str, Game] | None) -> tuple[Example, str]:
    """The example of a row, and its solution in a rendering in which mirrored positions are equal."""
    before, position, solution = _solve(row)
    history = [] if played is None else _history(row, played[row.game], board, before, position.peek())
    identity = identifier(position)
    example = Example(
        id=identity,
        group=row.game or identity,
        texts=(prompt(board, position, history),),
        target=answer(board, position, solution),
        allowed=answers(board, position),
        difficulty=_rating(row),
    )
    return example, answer("pieces", position, solution)


def _solve(row: _Row) -> tuple[chess.Board, chess.Board, chess.Move]:
    """The position of a row, the position to be solved, and the solution."""
    import chess

    try:
        before = chess.Board(row.fen)
        if not before.is_valid():
            raise ValueError(f"it isn't a possible position ({before.status()!r})")
        opponent, solution, *_ = row.moves.split()
        position = before.copy()
        position.push(_legal(position, opponent))
        return before, position, _legal(position, solution)
    except ValueError as error:
        raise InvalidInput(
            f"task {NAME!r}: {row.where} isn't a puzzle: {error}; FEN is {row.fen!r:.100} and Moves "
            f"{row.moves!r:.100}. A puzzle needs a position and at least two moves from there, the "
            "opponent's and the solution"
        ) from error


def _legal(position: chess.Board, text: str) -> chess.Move:
    move = position.parse_uci(text)
    if not move:
        raise ValueError("a null move")
    return move


def _history(row: _Row, game: Game, board: str, before: chess.Board, opponent: chess.Move) -> list[str]:
    """The moves of a row's game up to the opponent's last one, in the notation of `board`."""
    history: list[str] = []
    for position, move, name in game.moves():
        history.append(move.uci() if board == "uci_moves" else name)
        if len(history) > before.ply():
            if position.epd() == before.epd() and move == opponent:
                return history
            break
    raise InvalidInput(
        f"task {NAME!r}: {row.where}: {game.where} doesn't have the puzzle's position and move, {row.fen!r} "
        f"and {opponent}, at ply {before.ply()}"
    )


tasks.add(
    NAME,
    Task(
        name=NAME,
        summary="Chess: the best move in a puzzle of lichess (Burns et al. 2023; params: board, path, …)",
        kind="generative",
        num_classes=0,
        load=load_puzzles,
        max_answer_tokens=MAX_ANSWER_TOKENS,
        num_train=50_000,  # sizes of Burns et al. 2023
        balanced=False,
    ),
)
