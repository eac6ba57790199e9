"""A chess position as the prompt that a model reads, and a move as the answer that it writes.

    board        prompt                                            answer      for
    "fen"        r1bqkbnr/pppp1Qpp/2n5/4p3/… b kq - 0 4            e8f7        hub models
    "pieces"     - kq - ra8 bc8 qd8 ke8 bf8 … Pf2 Ra1 Ke1          Pe7 Qe8     small models: one token a word
    "moves"      1. e4 1... e5 2. Nf3 2...                         Nc6         hub models; as in Burns et al. 2023
    "uci_moves"  e2e4 e7e5 g1f3                                    b8c6        small models: one token a move

"pieces" is made for models of some 100,000 weights. It shows the board as its mover sees it: where black is
to move, ranks and colours are exchanged, in the answer too, so that the mover is always white, has capital
letters and plays up the board; that halves what there is to learn. A word is a piece with its square, so a
prompt has 5 to 35 words instead of the 67 of a board with its empty squares; first come the castling rights
of the mover and of the opponent, and the square for a capture in passing. An answer is always two words: the
word of the piece that moves, as the prompt has it, and the word that it becomes. Trained for the same 150 s
on one core, a GPT-2 of width 64 and two layers names 16 % of the moves of held-out games (70 % of its answers
are legal), with a word for each square and "e2 e4" as the answer 11 % (59 %).
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
"""A blank, at most eight characters ("exd8=Q+" and "Qa1xb2#" have seven) of a token each, and the end
token."""

_EMPTY = {ord(str(count)): "." * count for count in range(1, 9)}
_SQUARES = [file + rank for rank in "87654321" for file in "abcdefgh"]


def check_board(task: str, board: str, allowed: Sequence[str] = BOARDS) -> None:
    """Raise `InvalidInput` unless there is such a rendering, and python-chess to make it."""
    if not importlib.util.find_spec("chess"):
        raise InvalidInput(f"task {task!r} needs python-chess: pip install 'raysweep[chess]'")
    if board not in allowed:
        raise InvalidInput(
            f"task {task!r}: board is {board!r}; it must be one of {', '.join(map(repr, allowed))}"
        )


def pieces(position: chess.Board) -> str:
    """The board as its mover sees it. Positions that differ by colour alone, or by their counters, are the
    same."""
    placement, turn, castling, passing = position.epd().split()
    if turn == "b":
        placement = "/".join(reversed(placement.split("/"))).swapcase()
        castling = castling.swapcase()
        passing = passing.replace("3", "6")  # black captures in passing on rank 3 only
    mine = "".join(filter(str.isupper, castling)) or "-"
    theirs = "".join(filter(str.islower, castling)) or "-"
    board = zip(placement.translate(_EMPTY).replace("/", ""), _SQUARES, strict=True)
    return " ".join([mine, theirs, passing, *(piece + square for piece, square in board if piece != ".")])


def identifier(position: chess.Board) -> str:
    """An identity of a position: the same in all renderings, so that they give the same division into
    splits."""
    return digest(pieces(position))


def prompt(board: str, position: chess.Board, history: Sequence[str]) -> str:
    """The prompt for a position; `history` are the moves that led to it, in the board's notation."""
    if board == "fen":
        return position.fen()
    if board == "pieces":
        return pieces(position)
    return move_text(board, history, 0, upcoming=True)


def move_text(board: str, history: Sequence[str], first: int, *, upcoming: bool = False) -> str:
    """Consecutive moves as text: numbered as in the figure of Burns et al. 2023 with board "moves", plain
    with "uci_moves".

    Args:
        first: the ply of the first of them, from 0.
        upcoming: whether to end with the number of the next move.
    """
    if board == "uci_moves":
        return " ".join(history)
    numbered = [f"{_number(ply)} {move}" for ply, move in enumerate(history, first)]
    return " ".join([*numbered, _number(first + len(history))] if upcoming else numbered)


def _number(ply: int) -> str:
    return f"{ply // 2 + 1}{'...' if ply % 2 else '.'}"


def answer(board: str, position: chess.Board, move: chess.Move) -> str:
    """A legal move as an answer. Equal answers are one object: there are millions of legal moves in a data
    set."""
    if board == "moves":
        return sys.intern(position.san(move))
    if board != "pieces":
        return sys.intern(move.uci())
    # Squares are numbered a1, b1, … h8, colours are 1 (white) and 0: the exclusive or with 56 exchanges the
    # ranks.
    turned = 0 if position.turn else 56
    piece = position.piece_type_at(move.from_square) or 0
    became = move.promotion or piece
    return sys.intern(f"{_word(piece, move.from_square ^ turned)} {_word(became, move.to_square ^ turned)}")


def _word(piece: int, square: int) -> str:
    return " PNBRQK"[piece] + _SQUARES[square ^ 56]


def answers(board: str, position: chess.Board) -> tuple[str, ...]:
    """All legal moves as answers, sorted."""
    return tuple(sorted(answer(board, position, move) for move in position.legal_moves))
