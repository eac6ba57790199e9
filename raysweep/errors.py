"""What can go wrong, as the user meets it.

Every error that a user can cause or must act upon is a `RaysweepError`: the command line prints its message
without a traceback. A message says what is wrong, where, what is allowed, and what to do.
"""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

_PACKAGE = str(Path(__file__).parent)


class RaysweepError(Exception):
    """Base of all errors whose message is written for the user."""


class InvalidInput(RaysweepError, ValueError):
    """A spec, a sweep or a data set that can't be used: refused before anything trains."""


class CorruptFile(RaysweepError):
    """A file of the store whose content isn't what was written there: never used."""


class ForeignFolder(RaysweepError):
    """A run's folder that holds another run's spec."""


class TrainingDiverged(RaysweepError):
    """The loss became NaN or infinite."""


class StoppedEarly(RaysweepError):
    """A search has ended the run: others of its study are better."""


def unknown(what: str, name: object, known: Iterable[object], hint: str = "") -> InvalidInput:
    """The error for a name that isn't in a fixed set; lists what is allowed."""
    listed = ", ".join(sorted(str(item) for item in known)) or "none"
    return InvalidInput(f"unknown {what} {name!r}; known: {listed}{'. ' + hint if hint else ''}")


@contextmanager
def user_code(what: str) -> Iterator[None]:
    """Turn what the user's own code raises in the block into an `InvalidInput` with the traceback of that
    code.

    Args:
        what: begins the message: "experiments/mine.py", "the loader of task 'mine:TASK'".

    Raises:
        InvalidInput: the block raised something other than a `RaysweepError`, which passes unchanged.
    """
    try:
        yield
    except RaysweepError:
        raise
    except Exception as error:
        theirs = _without_our_frames(error.__traceback__)
        told = "".join(traceback.format_exception(type(error), error, theirs, chain=False)).rstrip()
        raise InvalidInput(f"{what} failed:{chr(10) if chr(10) in told else ' '}{told}") from error


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the first frame that is neither raysweep's nor the import machinery's."""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<frozen importlib")) and not file.endswith(
            "importlib/__init__.py"
        ):
            break
        trace = trace.tb_next
    return trace
