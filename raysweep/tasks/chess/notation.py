"""Renderings of a chess position as a prompt, and of a move as an answer.

    board        prompt                                      answer   for
    "fen"        r1bqkbnr/pppp1Qpp/2n5/4p3/… b kq - 0 4      e8f7     hub models
    "pieces"     - kq - ra8 bc8 qd8 ke8 bf8 … Pf2 Ra1 Ke1    Pe7 Qe8  small models, one token per word
    "moves"      1. e4 1... e5 2. Nf3 2...                   Nc6      hub models, as in Burns et al. 2023
    "uci_moves"  e2e4 e7e5 g1f3                              b8c6     small models, one token per move

"pieces" is meant for models of about 100,000 parameters. It shows the board from the side to move: if black
is to move, ranks and colours are swapped, in the answer too, so that the side to move is always white, has
capital letters and plays up the board. This halves what there is to learn. A prompt begins with the castling
rights of the side to move and of the opponent, and the square for a capture en passant. One word per piece
with its square follows, so a prompt has 5 to 35 words instead of the 67 of a board with its empty squares. An
answer always has two words: that of the piece that moves, as in the prompt, and that of the piece after the
move. Trained for 150 s on one core, a GPT-2 of width 64 with two layers finds 16 % of the moves of held-out
games (70 % of its answers are legal). With one word per square and answers like "e2 e4", trained for as long,
it finds 11 % (59 %).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from raysweep.errors import InvalidInput
from raysweep.spec.identity import digest

if TYPE_CHECKING:
    import chess

BOARDS = ("fen", "pieces", "moves", "uci_moves")
NEEDS_GAME = ("moves", "uci_moves")
"""Renderings that need the moves that led to the position."""

MAX_ANSWER_TOKENS = 10
"""A space, at most eight characters of one token each ("exd8=Q+" and "Qa1xb2#" have seven), and the end
token."""

_EMPTY = {ord(str(count)): "." * count for count in range(1, 9)}
_SQUARES = [file + rank for rank in "87654321" for file in "abcdefgh"]


def check_board(task: str, board: str, allowed: Sequence[str] = BOARDS) -> None:
    """Check that a rendering exists and python-chess is installed.

    Raises:
        InvalidInput: `board` isn't one of `allowed`, or python-chess is missing.
    """
    if not importlib.util.find_spec("chess"):
        raise InvalidInput(f"task {task!r} needs python-chess: pip install 'raysweep[chess]'")
    if board not in allowed:
        raise InvalidInput(
            f"task {task!r}: board is {board!r}; it must be one of {', '.join(map(repr, allowed))}"
        )


def pieces(position: chess.Board) -> str:
    """A position rendered as "pieces": the same for positions that differ only in colours or counters."""
    placement, turn, castling, passing = position.epd().split()
    if turn == "b":
        placement = "/".join(reversed(placement.split("/"))).swapcase()
        castling = castling.swapcase()
        passing = passing.replace("3", "6")  # black captures en passant on rank 3 only
    mine = "".join(filter(str.isupper, castling)) or "-"
    theirs = "".join(filter(str.islower, castling)) or "-"
    board = zip(placement.translate(_EMPTY).replace("/", ""), _SQUARES, strict=True)
    return " ".join([mine, theirs, passing, *(piece + square for piece, square in board if piece != ".")])


def identifier(position: chess.Board) -> str:
    """The identity of a position, the same in all renderings, so that all give the same splits."""
    return digest(pieces(position))


def prompt(board: str, position: chess.Board, history: Sequence[str]) -> str:
    """The prompt for a position. `history` has the moves that led to it, in the notation of `board`."""
    if board == "fen":
        return position.fen()
    if board == "pieces":
        return pieces(position)
    return move_text(board, history, 0, upcoming=True)


def move_text(board: str, history: Sequence[str], first: int, *, upcoming: bool = False) -> str:
    """Consecutive moves as text, with board "moves" numbered as in the figure of Burns et al. 2023.

    Args:
        first: the ply of the first of the moves, from 0.
        upcoming: whether the text ends with the number of the next move.
    """
    if board == "uci_moves":
        return " ".join(history)
    numbered = [f"{_number(ply)} {move}" for ply, move in enumerate(history, first)]
    return " ".join([*numbered, _number(first + len(history))] if upcoming else numbered)


def _number(ply: int) -> str:
    return f"{ply // 2 + 1}{'...' if ply % 2 else '.'}"


def answer(board: str, position: chess.Board, move: chess.Move) -> str:
    """A legal move as an answer. Equal answers are the same object, since a data set has millions of legal
    moves."""
    if board == "moves":
        return sys.intern(position.san(move))
    if board != "pieces":
        return sys.intern(move.uci())
    # Squares are numbered a1, b1, …, h8. The exclusive or with 56 swaps the ranks, if black is to move.
    swap = 0 if position.turn else 56
    before = position.piece_type_at(move.from_square) or 0
    after = move.promotion or before
    return sys.intern(f"{_word(before, move.from_square ^ swap)} {_word(after, move.to_square ^ swap)}")


def _word(piece: int, square: int) -> str:
    return " PNBRQK"[piece] + _SQUARES[square ^ 56]


def answers(board: str, position: chess.Board) -> tuple[str, ...]:
    """All legal moves as answers, sorted."""
    return tuple(sorted(answer(board, position, move) for move in position.legal_moves))
