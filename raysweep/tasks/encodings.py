"""The text of a file's bytes, and which encoding they are likely to have if it isn't the one expected."""

from __future__ import annotations

import codecs

from raysweep.errors import InvalidInput
from raysweep.tasks.places import Fault

DEFAULT = "utf-8"
_MARKS = {  # of UTF-32 first: it begins as that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SAMPLE = 4096
"""So many bytes of a file are looked at."""


def require_encoding(task: str, encoding: object) -> None:
    """Check the argument `encoding` of a task.

    Raises:
        InvalidInput: it isn't the name of an encoding of text that Python knows.
    """
    try:
        if isinstance(encoding, str) and isinstance("".encode(encoding), bytes):
            return
    except (LookupError, ValueError):
        pass
    raise InvalidInput(
        f"task {task!r}: encoding is {encoding!r}; it must be one that Python knows, such as 'utf-8', "
        "'latin-1', 'cp1252' or 'utf-16'"
    )


def decoded(data: bytes, encoding: str = DEFAULT) -> str:
    """The text of bytes, without a byte order mark.

    Raises:
        Fault: the bytes aren't text in this encoding. The message has the line and the likely encoding.
    """
    is_default = codecs.lookup(encoding).name == DEFAULT
    wide = wide_encoding(data) if is_default else None
    if wide:
        raise Fault(f"the file isn't UTF-8, but {wide}, as it seems: give encoding={wide!r}", line=1)
    try:
        # Spreadsheets write a byte order mark before the name of the first column.
        return data.decode("utf-8-sig" if is_default else encoding)
    except UnicodeDecodeError as error:
        wrong = f"byte 0x{data[error.start]:02x} isn't {encoding.upper()} ({error.reason})"
        likely = _likely(data, error) if is_default else "it is another encoding, or the file is damaged"
        line = 1 + data.count(b"\n", 0, error.start)
        raise Fault(f"{wrong}; {likely}", line=None if wide_encoding(data) else line) from error


def wide_encoding(data: bytes) -> str | None:
    """The encoding of bytes with two or four bytes for each character, if they look like that."""
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            return name
    sample = data[:SAMPLE]
    zeros = [sample[start::2].count(0) for start in (0, 1)]
    if max(zeros) > 0.4 * len(sample) / 2 and len(sample) > 1:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    return None


def _likely(data: bytes, error: UnicodeDecodeError) -> str:
    if "unexpected end" in error.reason:
        return (
            "the file ends within a character, or has another encoding: copy it again, or give encoding=..."
        )
    try:
        data.decode("utf-8", "surrogatepass")
        return "it is a lone surrogate, half a character; write the whole character, or U+FFFD in its place"
    except UnicodeDecodeError:
        pass
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "if you know its encoding, give encoding=..."
    name = "cp1252" if any(0x80 <= byte < 0xA0 for byte in data) else "latin-1"
    return f"if it is {name}, as its bytes suggest, give encoding={name!r}"
