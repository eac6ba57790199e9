"""What a run tells of itself while it trains: lines of JSON that its process appends to `progress.jsonl`, and
that whoever sees the store reads.

Each line has `at` (seconds since 1970) and `step` of `num_steps`. A line of training has the last `loss`, one
of a point of the evaluation curves the metrics there. A line that is being written has no end yet, and is
left for the next reader.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysweep.files import storage

SILENT_SECONDS = 120.0
"""Without a line, before a run that was begun is thought to be trained no longer. A run that is writes one at
least every quarter of a minute, unless a step takes longer."""
_TAIL_BYTES = 16_384


def append_line(path: Path, content: Mapping[str, Any]) -> None:
    """Append a line, with the time, in one write.

    Raises:
        StorageFailed: the file can't be written.
    """
    line = json.dumps({"at": round(time.time(), 3), **content}, allow_nan=False) + "\n"
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def read_on(path: Path, offset: int) -> tuple[bytes, int]:
    """The whole lines of a growing file from an offset on, and the offset after them; none if there is no
    such file. A file that has become shorter is another one, and read from its beginning."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            offset = offset if offset <= end else 0
            file.seek(offset)
            whole, newline, _ = file.read().rpartition(b"\n")
    except OSError:  # not there yet, or not any more
        return b"", 0
    return whole, offset + len(whole) + len(newline)


def read_lines(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The content of the lines of `read_on`, and the offset after them."""
    whole, offset = read_on(path, offset)
    return _parsed(whole), offset


def latest(path: Path) -> dict[str, Any]:
    """What the last lines tell, put together: of each number the newest. {} if there is no line yet."""
    try:
        size = path.stat().st_size
    except OSError:
        return {}
    lines, _ = read_lines(path, max(0, size - _TAIL_BYTES))
    return {name: value for line in lines for name, value in line.items()}


def _parsed(lines: bytes) -> list[dict[str, Any]]:
    found = []
    for line in lines.split(b"\n"):
        try:
            content = json.loads(line)
        except ValueError:  # cut at its beginning, or the disk was full
            continue
        if isinstance(content, dict):
            found.append(content)
    return found
