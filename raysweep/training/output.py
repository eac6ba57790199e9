"""What a run prints is kept in its folder, beside its result."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from raysweep.errors import is_interrupt, redacted
from raysweep.files import storage
from raysweep.store.logs import own_line

MOST_BYTES = 4 * 2**20
"""Of a log that was shortened; it may grow to twice as many before it is."""
_LEFT_OUT = b"[earlier output was left out]\n"


@contextmanager
def kept_output(log: Path, what: str, *, has_process: bool) -> Iterator[RunLog]:
    """Append what is written to standard output and standard error in the block to a file, after a line that
    says what runs where, and before the traceback if it raises.

    Args:
        log: the file. What earlier tries of the run printed stays in it.
        what: the run, for the first line.
        has_process: whether this process is there for runs alone. Then all that it and its children write
            goes into the file, whatever writes it; else what Python writes goes both there and where it went.
    """
    with storage(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    kept = RunLog(file)
    kept.say(f"{what}, in process {os.getpid()} on {platform.node()}")
    began = time.monotonic()
    try:
        with _descriptors_into(file) if has_process else _streams_into(file):
            yield kept
    except BaseException as error:
        if is_interrupt(error):
            kept.say("interrupted")
        else:
            kept.write(traceback.format_exc())
        raise
    else:
        kept.say(f"ended well after {time.monotonic() - began:.1f} s")
    finally:
        kept.close()


class RunLog:
    """The file of what a run prints."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def say(self, what: str) -> None:
        """Add a line of our own, with the time."""
        self.write(f"{own_line(what)}\n")

    def write(self, text: str) -> None:
        """Add what raysweep itself writes, without the secrets of addresses in it."""
        text = redacted(text)
        with contextlib.suppress(OSError):  # a full disk: what a run computes fails there, not what it says
            self._file.write(text)

    def shorten(self, sign: str = "") -> None:
        """Leave out what was printed first, if it has become too much; called at signs of life."""
        with contextlib.suppress(OSError):
            if os.fstat(self._file.fileno()).st_size <= 2 * MOST_BYTES:
                return
            with Path(self._file.name).open("rb+") as file:
                file.seek(-MOST_BYTES, os.SEEK_END)
                last = file.read().partition(b"\n")[2]
                file.truncate(0)  # those who append go on at its new end
                file.seek(0)
                file.write(_LEFT_OUT + last)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


@contextmanager
def _descriptors_into(file: TextIO) -> Iterator[None]:
    _flush()
    before = {number: os.dup(number) for number in (1, 2)}
    try:
        for number in before:
            os.dup2(file.fileno(), number)
        yield
    finally:
        _flush()
        for number, descriptor in before.items():
            os.dup2(descriptor, number)
            os.close(descriptor)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or there is none
            stream.flush()


@contextmanager
def _streams_into(file: TextIO) -> Iterator[None]:
    out, err = sys.stdout, sys.stderr
    with (
        contextlib.redirect_stdout(_Both(out, file)),  # type: ignore[type-var]  # a stream in all but its class
        contextlib.redirect_stderr(_Both(err, file)),  # type: ignore[type-var]
    ):
        yield


class _Both:
    """A stream whose text goes into a file too."""

    def __init__(self, stream: TextIO, file: TextIO) -> None:
        self._stream = stream
        self._file = file

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._file.write(text)
        return self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
