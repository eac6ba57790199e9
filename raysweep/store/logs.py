"""What a run printed while it trained: `log.txt` in its folder, and how it is read."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from raysweep.store.run_folder import RunFolder

_TAIL_BYTES = 65_536


def log_of(run: RunFolder, rank: int = 0) -> Path:
    """The log of one of a run's processes. Each has a file of its own: on a network file system several can't
    append to one."""
    return run.folder / (f"log-{rank}.txt" if rank else "log.txt")


def logs_of(run: RunFolder) -> list[Path]:
    """The logs that there are, that of rank 0 first."""
    return sorted(run.folder.glob("log*.txt"), key=lambda path: (len(path.name), path.name))


def own_line(what: str) -> str:
    """A line that isn't the run's: the time, and what raysweep says."""
    return f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC] {what}"


def is_own_line(line: str) -> bool:
    """Whether `own_line` made it."""
    return re.match(r"\[[\d :-]{19} UTC\] ", line) is not None


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log, at most so many, without empty ones; none if it isn't there."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-count:]
