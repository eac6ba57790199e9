"""Ends a process that stands still while it executes a run: stopped, deadlocked, or waiting for ever.

Such a process can't say so itself. A small process beside it hears its signs of life (a step, a batch of an
evaluation) and, if none comes for too long, writes the run's error.txt and kills it: Ray then sees that a
worker has died. It is this file, executed: all that it imports is Python's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_TELL_SECONDS = 0.5
"""The least time between two signs that are told."""
_SLACK_SECONDS = 5.0


@dataclass(frozen=True)
class Watch:
    """What is watched, and what happens when no sign of life comes."""

    run: str
    seconds: float
    """How long there may be none."""
    error: str
    """The file to write the cause into."""
    may_kill: bool
    """Whether the process may be killed; if not, as where it has other work too, it is only told of."""


class _Watchdog:
    """The process beside this one, which lives as long as it."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", __file__]
        self._pipe = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True).stdin
        assert self._pipe is not None
        os.set_blocking(self._pipe.fileno(), False)
        self._told = 0.0

    def begin(self, watch: Watch) -> None:
        self._write(asdict(watch))

    def sign(self, what: str) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            self._write({"sign": what})

    def end(self) -> None:
        self._write({})

    def _write(self, message: dict[str, Any]) -> None:
        assert self._pipe is not None
        # A pipe that is full, or whose reader is gone: nothing that a run could fail of.
        with contextlib.suppress(OSError):
            os.write(self._pipe.fileno(), json.dumps(message).encode() + b"\n")


_watchdog: _Watchdog | None = None
_is_watching = False
_listeners: tuple[Callable[[str], None], ...] = ()


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Watch this process in the block, in which `alive` is to be called at least every `watch.seconds`."""
    global _watchdog, _is_watching
    _watchdog = _watchdog or _Watchdog()
    _watchdog.begin(watch)
    _is_watching = True
    try:
        yield
    finally:
        _is_watching = False
        _watchdog.end()


@contextmanager
def heard(*listeners: Callable[[str], None]) -> Iterator[None]:
    """Tell signs of life to functions too, in the block."""
    global _listeners
    _listeners = listeners
    try:
        yield
    finally:
        _listeners = ()


def alive(what: str) -> None:
    """Give a sign of life, in a few words that complete "the last one was"."""
    for listener in _listeners:
        listener(what)
    if _is_watching and _watchdog is not None:
        _watchdog.sign(what)


def _watch_parent() -> None:
    """The loop of the watching process, until the watched one has ended."""
    parent = os.getppid()
    watch: Watch | None = None
    sign, last, unread = "its start", (time.monotonic(), time.time()), b""
    while True:
        left = None if watch is None else max(0.0, last[0] + watch.seconds - time.monotonic())
        began = time.monotonic()
        if select.select([0], [], [], left)[0]:
            received = os.read(0, 65_536)
            if not received:
                return
            *lines, unread = (unread + received).split(b"\n")
            last = (time.monotonic(), time.time())
            for message in map(json.loads, lines):
                if "sign" in message:
                    sign = message["sign"]
                else:
                    watch, sign = Watch(**message) if message else None, "its start"
        elif watch is not None and left is not None:
            if time.monotonic() - began > left + _SLACK_SECONDS:  # this process, too, had been stopped
                last = (time.monotonic(), time.time())
                continue
            _tell(watch, parent, sign, last[1])
            if watch.may_kill and os.getppid() == parent:
                os.kill(parent, signal.SIGKILL)
            watch = None


def _tell(watch: Watch, process: int, sign: str, at: float) -> None:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))
    cause = (
        f"no sign of life for {watch.seconds:g} s (Resources.timeout_seconds): the last one, at {when} UTC, "
        f"was {sign}, in process {process} on {socket.gethostname()}"
    )
    if not watch.may_kill:
        print(f"raysweep: run {watch.run}: {cause}; Ctrl-C ends it", file=sys.stderr, flush=True)
        return
    cause += ", which was killed. Run the same command again to go on from the last checkpoint\n"
    with contextlib.suppress(OSError):
        Path(watch.error).parent.mkdir(parents=True, exist_ok=True)
        with Path(watch.error).open("x", encoding="utf-8") as file:
            file.write(cause)


if __name__ == "__main__":
    _watch_parent()
