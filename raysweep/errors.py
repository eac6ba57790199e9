"""Errors whose messages are written for the user.

Every error that a user can cause or must act on is a `RaysweepError`: the command line prints its message
without a traceback. A message says what is wrong, where, what is allowed, and what to do.
"""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

_PACKAGE = str(Path(__file__).parent)
_MOST_FRAMES = 20
"""Of a traceback in a message; endless recursion has a thousand."""


class RaysweepError(Exception):
    """Base of all errors whose message is written for the user."""


class InvalidInput(RaysweepError, ValueError):
    """A spec, a sweep or a data set that can't be used; refused before anything trains."""


class CorruptFile(RaysweepError):
    """A file of the store whose content isn't what was written to it; such a file is never used."""


class ForeignFolder(RaysweepError):
    """A run folder that holds the spec of another run."""


class TrainingDiverged(RaysweepError):
    """The loss became NaN or infinite."""


class StoppedEarly(RaysweepError):
    """A search stopped the run early, since other trials of its study are better."""


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is a request from outside to end the process, not an error of what it does:
    Ctrl-C, or the `SystemExit` by which Ray ends a worker."""
    return isinstance(error, KeyboardInterrupt) or hasattr(error, "ray_terminate_msg")


def unknown(what: str, name: object, known: Iterable[object], hint: str = "") -> InvalidInput:
    """The error for a name outside a fixed set; it lists the known names."""
    listed = ", ".join(sorted(str(item) for item in known)) or "none"
    return InvalidInput(f"unknown {what} {name!r}; known: {listed}{'. ' + hint if hint else ''}")


@contextmanager
def user_code(what: str) -> Iterator[None]:
    """Turn an exception of the user's own code in the block into an `InvalidInput`: any but an interrupt, so
    that code which calls `sys.exit(0)` can't end a command as if it had succeeded.

    Its message has the traceback, from the first frame of the user's code on, of a deep one its end.

    Args:
        what: the code that runs, which begins the message: "experiments/mine.py", "the loader of task
            'mine:TASK'".

    Raises:
        InvalidInput: the block raised an exception. A `RaysweepError` and an interrupt pass unchanged.
    """
    try:
        yield
    except RaysweepError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        trace = _without_our_frames(error.__traceback__)
        lines = traceback.format_exception(type(error), error, trace, limit=-_MOST_FRAMES, chain=False)
        details = "".join(lines).rstrip()
        separator = "\n" if "\n" in details else " "
        raise InvalidInput(f"{what} failed:{separator}{details}") from error


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is neither in raysweep nor in Python's import machinery."""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<frozen importlib")) and not file.endswith(
            "importlib/__init__.py"
        ):
            break
        trace = trace.tb_next
    return trace
