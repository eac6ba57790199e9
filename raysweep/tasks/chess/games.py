"""Chess games in PGN files, to pretrain on: as positions with the move that was played, or as text.

Files are read by a short parser of our own, which drops comments and variations; with that of python-chess,
which keeps them, a folder takes twice as long. Moves are replayed by python-chess, which finds illegal ones.
Chess variants, games that don't begin with the usual position, and repeated games are left out.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raysweep.errors import InvalidInput
from raysweep.spec.identity import digest
from raysweep.tasks.base import Example, Task, require_count, tasks
from raysweep.tasks.chess.notation import (
    BOARDS,
    MAX_ANSWER_TOKENS,
    NEEDS_GAME,
    answer,
    answers,
    check_board,
    identifier,
    move_text,
    prompt,
)
from raysweep.tasks.places import place, user_path

if TYPE_CHECKING:
    import chess

SUFFIXES = (".pgn", ".pgn.gz", ".pgn.zst")
LICHESS_GAME = re.compile(r"https?://lichess\.org/(\w{8})")
_HEADER = re.compile(r'\s*\[(\w+)\s+"(.*)"\]\s*$')
_COMMENT = re.compile(r"\{[^}]*\}|;[^\n]*")
_VARIATION = re.compile(r"\([^()]*\)")
_NUMBER_OR_GLYPH = re.compile(r"\b\d+\.+|\$\d+|[!?]+")
_RESULTS = {"1-0", "0-1", "1/2-1/2", "*"}


@dataclass(frozen=True, slots=True)
class Game:
    """A game of a PGN file."""

    id: str
    """The game's id at lichess if the header Site has it, else a digest of its moves."""
    where: str
    """The file, the line in which the game begins and its number, for error messages."""
    text: str
    """The moves in standard algebraic notation, separated by spaces."""

    def moves(self) -> Iterator[tuple[chess.Board, chess.Move, str]]:
        """Each move, as (position before it, move, move as the file writes it).

        The position is always the same object, which the next move changes.

        Raises:
            InvalidInput: a move isn't legal.
        """
        import chess

        position = chess.Board()
        for ply, name in enumerate(self.text.split()):
            try:
                move = position.parse_san(name)
            except ValueError as error:
                side = "black" if ply % 2 else "white"
                raise InvalidInput(
                    f"{self.where}: move {ply // 2 + 1} of {side} can't be played: {error}. "
                    "Correct the game or remove it from the file"
                ) from error
            yield position, move, name
            position.push(move)


def read_games(task: str, path: str) -> list[Game]:
    """The distinct games of all PGN files below a folder, in the order of their paths.

    Raises:
        InvalidInput: the folder doesn't exist or has no game, or a file can't be read.
    """
    folder = user_path(f"task {task!r}", path) if isinstance(path, str) else path
    if not isinstance(folder, Path) or not folder.is_dir():
        raise InvalidInput(
            f"task {task!r}: {path!r} must be an existing folder of PGN files ({', '.join(SUFFIXES)})"
        )
    names = sorted(
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.name.endswith(SUFFIXES) and file.is_file()
    )
    games: dict[str, Game] = {}
    for name in names:
        for number, (line, headers, body) in enumerate(_records(task, folder / name), 1):
            text = _moves_of(body)
            if text and headers.get("Variant", "Standard") == "Standard" and "FEN" not in headers:
                site = LICHESS_GAME.match(headers.get("Site", ""))
                game = f"game {number}{f' ({site[0]})' if site else ''}"
                where = f"task {task!r}: {place(folder / name, line=line)}, {game}"
                identity = site[1] if site else digest(text)
                games.setdefault(identity, Game(identity, where, text))
    if not games:
        raise InvalidInput(
            f"task {task!r}: {path!r} has no chess game; it needs files {', '.join(SUFFIXES)} with games of "
            f"standard chess, and has {len(names)} such files"
        )
    return list(games.values())


def lines_of(task: str, file: Path) -> Iterator[str]:
    """The lines of a text file, which is compressed if its name ends in .gz or .zst (lichess publishes .zst).
    Bytes that aren't UTF-8 are replaced: they are in comments and names only.

    Raises:
        InvalidInput: the file can't be read, or is UTF-16.
    """
    import pyarrow

    try:
        stream = pyarrow.input_stream(str(file))
        with io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="") as lines:
            for number, line in enumerate(lines, 1):
                if "\0" in line:
                    raise InvalidInput(
                        f"task {task!r}: {place(file, line=number)} has NUL characters, as in UTF-16; write "
                        "the file again as UTF-8"
                    )
                yield line
    except (OSError, EOFError, pyarrow.ArrowException) as error:
        raise InvalidInput(f"task {task!r}: {file} can't be read: {error}. Copy the file again") from error


def _records(task: str, file: Path) -> Iterator[tuple[int, dict[str, str], str]]:
    """The first line, the headers and the body of each game of a file."""
    first = 1
    headers: dict[str, str] = {}
    body: list[str] = []
    for number, line in enumerate(lines_of(task, file), 1):
        header = _HEADER.match(line)
        if header and (body or header[1] in headers):
            yield first, headers, "".join(body)
            first = number
            headers = {}
            body = []
        if header:
            headers[header[1]] = header[2]
        elif line.strip() and not line.startswith("%"):
            body.append(line)
    if body:
        yield first, headers, "".join(body)


def _moves_of(body: str) -> str:
    """The moves of a game without comments, variations, move numbers, annotations and the result."""
    text = _COMMENT.sub(" ", body)
    while "(" in text and (shorter := _VARIATION.sub(" ", text)) != text:  # innermost variations first
        text = shorter
    return " ".join(word for word in _NUMBER_OR_GLYPH.sub(" ", text).split() if word not in _RESULTS)


def load_positions(
    *, path: str, num_positions: int = 100_000, board: str = "pieces"
) -> dict[str, list[Example]]:
    """Positions of games, and the moves that were played in them.

    Each game gives equally many positions, spread over its length. There are fewer than `num_positions` if
    games are shorter than their share, or the same move was played in the same position twice.

    Raises:
        InvalidInput: a parameter is out of range, there are no games, or one has an illegal move.
    """
    check_board("chess_games", board)
    require_count("chess_games", "num_positions", num_positions)
    games = read_games("chess_games", path)
    examples: dict[str, Example] = {}
    for number, game in enumerate(games):
        share = (number + 1) * num_positions // len(games) - number * num_positions // len(games)
        for example in _examples(game, share, board):
            examples.setdefault(example.id, example)
    return {"train": list(examples.values())}


def _examples(game: Game, share: int, board: str) -> Iterator[Example]:
    chosen = _plies(game, share)
    history: list[str] = []
    for ply, (position, move, name) in enumerate(game.moves() if chosen else ()):
        if ply in chosen:
            yield Example(
                # The position and the move in one rendering, so that all have the same ids.
                id=digest([identifier(position), answer("pieces", position, move)]),
                group=game.id,
                texts=(prompt(board, position, history),),
                target=answer(board, position, move),
                allowed=answers(board, position),
            )
        if ply >= max(chosen):
            break
        history.append(move.uci() if board == "uci_moves" else name)


def _plies(game: Game, share: int) -> set[int]:
    """The plies that are used: a pseudo-random one of each of `share` equal parts of the game.

    Never the first ply, whose prompt would be blank with "uci_moves".
    """
    available = game.text.count(" ")
    share = min(share, available)
    edges = [1 + number * available // share for number in range(share)] + [1 + available]
    draw = int(digest(game.id), 16)
    return {low + draw % (high - low) for low, high in itertools.pairwise(edges)}


def load_move_text(*, path: str, num_moves: int = 80, board: str = "uci_moves") -> dict[str, list[Example]]:
    """Games as text in the notation of `board`, in chunks of `num_moves` plies.

    Raises:
        InvalidInput: a parameter is out of range, there are no games, or one has an illegal move.
    """
    check_board("chess_move_text", board, NEEDS_GAME)
    require_count("chess_move_text", "num_moves", num_moves)
    examples: dict[str, Example] = {}
    for game in read_games("chess_move_text", path):
        words = [move.uci() if board == "uci_moves" else name for _, move, name in game.moves()]
        for first in range(0, len(words), num_moves):
            text = move_text(board, words[first : first + num_moves], first)
            examples.setdefault(digest(text), Example(id=digest(text), group=game.id, texts=(text,)))
    return {"train": list(examples.values())}


tasks.add(
    "chess_games",
    Task(
        name="chess_games",
        summary=(
            "Chess: the move played in a position of a game in PGN files "
            f"(params: path, board: {', '.join(BOARDS)})"
        ),
        kind="generative",
        num_classes=0,
        load=load_positions,
        max_answer_tokens=MAX_ANSWER_TOKENS,
        for_pretraining=True,
        num_train=1_000_000,  # in effect all positions: num_positions limits their number
        balanced=False,
    ),
)
tasks.add(
    "chess_move_text",
    Task(
        name="chess_move_text",
        summary="Chess: whole games in PGN files as text, to pretrain a model on (params: path)",
        kind="text",
        num_classes=0,
        load=load_move_text,
        num_train=1_000_000,
        balanced=False,
    ),
)
