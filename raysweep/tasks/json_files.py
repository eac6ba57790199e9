"""JSON and JSON Lines, read by the standard library, which keeps every value as it is."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any, cast

from raysweep.tasks.examples import Row
from raysweep.tasks.places import Fault, brief

_BLANK = re.compile(r"[ \t\r\n]*")
_NEEDED = "an object of columns and values"


class _Repeated(ValueError):
    """An object with the same key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise _Repeated(f"column {twice!r} occurs twice; each column needs a name of its own")
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def read_json_lines(text: str) -> Iterator[tuple[int, Row]]:
    """The rows of a file with one object in each line, each with its line.

    Raises:
        Fault: a line isn't an object.
    """
    for number, ended in enumerate(io.StringIO(text, newline=""), start=1):
        line = ended.strip()
        if line.startswith("["):
            raise Fault(
                f"there is {brief(line)} where {_NEEDED} must be; if the file is one list, call it *.json",
                line=number,
            )
        if line:
            row, end = _decoded(line, 0, number)
            if line[end:]:
                raise Fault(f"there is more after the end of the object: {brief(line[end:])}", line=number)
            yield number, _row(row, number)


def read_json_list(text: str) -> Iterator[tuple[int, Row]]:
    """The rows of a file with a list of objects, each with the line in which it begins.

    Raises:
        Fault: it isn't such a list.
    """
    position = _after_blanks(text, 0)
    if not text.startswith("[", position):
        raise Fault(_not_a_list(text, position), line=1 + text.count("\n", 0, position))
    position = _after_blanks(text, position + 1)
    line, counted = 1, 0
    while not text.startswith("]", position):
        line, counted = line + text.count("\n", counted, position), position
        row, end = _decoded(text, position, line)
        yield line, _row(row, line)
        position = _after_blanks(text, end)
        if text.startswith(",", position):
            position = _after_blanks(text, position + 1)
        elif not text.startswith("]", position):
            line += text.count("\n", counted, position)
            found = brief(text[position : position + 20]) if text[position:] else "the end of the file"
            raise Fault(f"after an object there must be ',' or ']', not {found}", line=line)
    rest = _after_blanks(text, position + 1)
    if text[rest:]:
        line = 1 + text.count("\n", 0, rest)
        raise Fault(f"there is more after the end of the list: {brief(text[rest : rest + 80])}", line=line)


def _not_a_list(text: str, position: int) -> str:
    """What a file that isn't a list holds, and what to do."""
    needed = "it must hold a list of objects of columns and values"
    if not text[position:]:
        return f"the file is empty; {needed}"
    try:
        value, end = _decoded(text, position, 1)
    except Fault as fault:
        return f"{needed}; {fault}"
    if isinstance(value, dict) and text[end:].strip():
        return f"{needed}; if it holds an object in each line, call it *.jsonl"
    return (
        f"{needed}; it is {brief(value)}. pandas writes such lists with "
        "DataFrame.to_json(path, orient='records')"
    )


def _after_blanks(text: str, position: int) -> int:
    return cast("re.Match[str]", _BLANK.match(text, position)).end()


def _decoded(text: str, position: int, line: int) -> tuple[Any, int]:
    """The value at a position of a text, which is in this line of the file, and the position after it."""
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        where = line + text.count("\n", position, error.pos)
        raise Fault(f"{error.msg} (character {error.colno})", line=where) from error
    except RecursionError as error:
        raise Fault("lists or objects are nested too deeply", line=line) from error
    except ValueError as error:  # a repeated key, a whole number of thousands of digits
        raise Fault(str(error), line=line) from error


def _row(value: Any, line: int) -> Row:
    if not isinstance(value, dict):
        raise Fault(f"there is {brief(value)} where {_NEEDED} must be", line=line)
    return value
