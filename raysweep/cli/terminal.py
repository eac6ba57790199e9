"""The process around a command: output in any encoding, a reader that goes away, and the request to end."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Any, NoReturn

from rich.console import Console

from raysweep.errors import redacted

_PATIENCE_SECONDS = 5.0
"""How long threads have to end after the command has."""


class OutputClosed(BaseException):
    """Nobody reads the output any more, as after `raysweep … | head -1`. Not an error, so that nothing takes
    it for one of a run."""


class OutputConsole(Console):
    """Standard output. A file or a pipe gets whole lines, however long."""

    def __init__(self) -> None:
        super().__init__(highlight=False, width=None if sys.stdout.isatty() else 100_000)

    def on_broken_pipe(self) -> NoReturn:
        """See `rich.console.Console.on_broken_pipe`."""
        raise OutputClosed


_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """A context in which what is told isn't printed but put into the list, for callers in Python."""
    messages: list[str] = []
    token = _heard.set(messages)
    try:
        yield messages
    finally:
        _heard.reset(token)


def tell(message: str) -> None:
    """Say something on standard error, if anybody listens."""
    heard = _heard.get()
    if heard is not None:
        heard.append(redacted(message))
        return
    with contextlib.suppress(OSError):
        print(f"raysweep: {redacted(message)}", file=sys.stderr, flush=True)


def show_all_characters() -> None:
    """Let what the terminal's encoding lacks be replaced instead of ending the command: an arrow in a Latin-1
    locale, or half a character in a name."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before Python started
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for as long as the process lives)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if name == "stdout" else "backslashreplace")


def flush_output() -> bool:
    """Write what is left of the output. Returns whether that was possible; if not, Python says nothing of it
    when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return False
    return True


def end_process(code: int) -> NoReturn:
    """End this process with an exit code, also if a thread of the user's own code never ends: Python would
    wait for it."""
    threading.Thread(target=_end_without_threads, args=(code,), name="end", daemon=True).start()
    sys.exit(code)


def _end_without_threads(code: int) -> None:
    time.sleep(_PATIENCE_SECONDS)
    left = [thread.name for thread in threading.enumerate() if not thread.daemon and not _is_main(thread)]
    if left:
        tell(f"threads are still running: {', '.join(sorted(left))}; the process ends without them")
        os._exit(code)


def _is_main(thread: threading.Thread) -> bool:
    return thread is threading.main_thread()


class Termination:
    """A context in which SIGTERM interrupts as Ctrl-C does, also where Ray Tune has put its own handler."""

    def __init__(self) -> None:
        self.happened = False
        """Whether an interrupt was a SIGTERM."""
        self._earlier: Any = None

    def __enter__(self) -> Termination:
        if threading.current_thread() is threading.main_thread():
            self._earlier = signal.signal(signal.SIGTERM, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._earlier is not None:
            signal.signal(signal.SIGTERM, self._earlier)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.happened:  # sent twice, as by timeout(1): to this process and to its group
            return
        self.happened = True
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # ignored, as in the background of a script
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)


def path(text: str) -> str:
    """An option that is a path or an address, with `~` expanded: for `argparse`."""
    expanded = os.path.expanduser(text)
    why = ""
    if not text:
        why = "is empty"
    elif "\0" in text:
        why = "has a NUL"
    elif expanded.startswith("~"):
        why = "begins with the name of no user; if it is a file's own name, write ./~…"
    try:
        text.encode()
    except UnicodeEncodeError:
        why = "isn't UTF-8; rename it"
    if why:
        raise argparse.ArgumentTypeError(f"{text!r} {why}")
    return expanded
