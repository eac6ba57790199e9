"""Where an input is, for messages: paths as users write them, and places in files.

A reader or a renderer that meets something wrong raises a `Fault`, which says what is wrong; whoever knows
the file makes an `InvalidInput` of it, in which `place` says where.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from raysweep.errors import InvalidInput

_LONGEST = 80


class Fault(ValueError):
    """What is wrong with a value, a row or a line."""

    def __init__(
        self, what: str, *, line: int | None = None, column: str | None = None, missing: bool = False
    ) -> None:
        """Say what is wrong.

        Args:
            what: the fault in words, such as "the label has no value".
            line: the line of the file, from 1 as in editors.
            column: the column, if it is the fault of one.
            missing: whether there is no value where there must be one.
        """
        super().__init__(what)
        self.line = line
        self.column = column
        self.missing = missing


def place(
    where: object, *, line: int | None = None, row: int | None = None, column: str | None = None
) -> str:
    """A place in words: "reviews.csv, line 3, column 'title'".

    Args:
        where: the file or data set.
        line: from 1, as editors count.
        row: the number of a row of what has no lines, from 0 as in pandas and datasets.
        column: the name of the column.
    """
    parts = [str(where)]
    if line is not None:
        parts.append(f"line {line}")
    elif row is not None:
        parts.append(f"row {row} (counted from 0)")
    if column is not None:
        parts.append(f"column {column!r}")
    return ", ".join(parts)


def brief(value: object) -> str:
    """The representation of a value, cut to one short line; a value without one is named by its type."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # whole numbers of thousands of digits, lists in lists in lists
        return f"a value of type {type(value).__name__} that is too large to be shown"
    text = text.replace("\n", " ")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def user_path(owner: str, path: str | Path) -> Path:
    """A path in which `~` is the user's home.

    Args:
        owner: what the path is of, for messages: "task 'mine'".
        path: as the user wrote it.

    Raises:
        InvalidInput: the path begins with the home of a user who doesn't exist, is too long, or is in a
            folder that the user may not read. Whether there is something at it isn't checked.
    """
    try:
        expanded = Path(path).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):  # of a NUL in it
            expanded.stat()
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{owner}: the path {brief(str(path))} can't be used: {why}") from error
    return expanded


def require_once(columns: Sequence[str], line: int | None = None) -> None:
    """Check that no column occurs twice. Columns without a name may, since nobody can refer to them.

    Raises:
        Fault: one does.
    """
    seen: set[str] = set()
    for column in columns:
        if column and column in seen:
            raise Fault(f"column {column!r} occurs twice; each column needs a name of its own", line=line)
        seen.add(column)
