"""The interface of a tracking backend, and the choice of one by the tracking URI.

A further backend is one module: a class with the methods of `Backend`, a class with those of `Location`, and
a function that is registered in `backends` under the scheme of its URIs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from raysweep.errors import InvalidInput
from raysweep.registry import Registry, summary
from raysweep.tracking.entry import Entry, EntryKey

REPORT_FILE = "report.html"
"""The page among the files that `Backend.attach` puts on a sweep's entry."""
_MAX_CAUSE = 300


class Written(NamedTuple):
    """What `Backend.write` did."""

    id: str
    """The backend's id of the entry."""
    has_changed: bool
    """Whether anything was written; False if the backend had the entry already."""


class Backend(Protocol):
    """One sweep in a tracking system.

    Any method may raise the exceptions of `Location.errors`. A backend is then discarded and opened anew, so
    it may keep in memory what the tracking system has.
    """

    def find(self, key: EntryKey) -> str | None:
        """The backend's id of an entry; None if the backend doesn't have it."""

    def write(self, entry: Entry) -> Written:
        """Write an entry, unless the backend has one with this key and `Entry.content`.

        However often and by however many processes an entry is written, the backend shows one with its key.
        """

    def attach(self, entry_id: str, folder: Path) -> None:
        """Attach all that is in a folder to an entry, in place of the files and folders of the same names
        there."""

    def describe(self, varied: Sequence[str]) -> None:
        """Write what leads a reader to the sweep's results: a description, saved views, a link to an attached
        `REPORT_FILE`. A backend without such things does nothing.

        Args:
            varied: which of the params task, weak, strong, method and seed differ between its cells.
        """

    def link(self, entry_id: str) -> str:
        """The address of an entry for a Markdown link in the note of another entry."""


class Location(Protocol):
    """A tracking URI that has been checked."""

    @property
    def system(self) -> str:
        """Name of the tracking system."""

    @property
    def shown(self) -> str:
        """The URI as messages show it: without a user's name and password."""

    @property
    def ui_command(self) -> str:
        """The command that opens the tracking system's UI there, or the UI's address."""

    def open(self, sweep: str) -> Backend:
        """Open the sweep of that name, which is made if it isn't there. Any thread may call it; it raises the
        exceptions of `errors`."""

    def errors(self) -> tuple[type[Exception], ...]:
        """The exceptions that mean that the tracking system can't be reached, read or written, or refuses."""


backends: Registry[Callable[[str], Location]] = Registry("tracking backend", Callable)
"""Functions that check a tracking URI, by the URI's scheme. They raise `InvalidInput`. The first paragraph
of their docstring lists the URIs that they take."""


def locate(uri: str) -> Location:
    """Check a tracking URI.

    Raises:
        InvalidInput: no backend has this scheme, or the backend can't use the URI.
    """
    known = dict(backends)
    scheme = re.match(r"[\w-]*", uri)
    if scheme is None or scheme[0] not in known:
        lines = dict.fromkeys(summary(check) for check in known.values())
        raise InvalidInput(f"tracking URI {uri!r} can't be used; it must be of {'; or of '.join(lines)}")
    return known[scheme[0]](uri)


def one_line(error: BaseException) -> str:
    """An error in one line that fits a message; of a failed connection, only the root cause."""
    root = error
    while inner := root.__cause__ or root.__context__:
        root = inner
    shown = root if isinstance(root, OSError) else error
    line = " ".join(f"{type(shown).__name__}: {shown}".split())
    return line if len(line) <= _MAX_CAUSE else line[: _MAX_CAUSE - 1] + "…"
