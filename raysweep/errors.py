"""What can go wrong, as the user meets it.

Every error that a user can cause or must act upon is a `RaysweepError`: the command line prints its message without a
traceback. A message says what is wrong, where, what is allowed, and what to do.
"""

from collections.abc import Iterable


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


def unknown(what: str, name: object, known: Iterable[object], hint: str = "") -> InvalidInput:
    """The error for a name that isn't in a fixed set; lists what is allowed."""
    listed = ", ".join(sorted(str(item) for item in known)) or "none"
    return InvalidInput(f"unknown {what} {name!r}; known: {listed}{'. ' + hint if hint else ''}")
