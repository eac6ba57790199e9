"""The interface of a tracking backend, and the choice of one by the tracking URI.

A further backend is one module: a class with the methods of `Backend`, a class with those of `Location`, and
a function that is registered in `backends` under the scheme of its URIs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from raysweep.errors import InvalidInput, redacted, shown_address
from raysweep.registry import Registry, summary
from raysweep.tracking.curves import Point
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
    replaced: str = ""
    """Which params and tags differ from those of the entry of the same key that was deleted for this one; ""
    if none was, or if none differ."""


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

    def append(self, key: EntryKey, points: Sequence[Point]) -> None:
        """Add points to an entry that was written and whose run is being trained. However often and by
        however many backends of one process a point is added, the entry has it once; also when the entry of
        the run's end, which has them all, is written later."""

    def attach(self, key: EntryKey, folder: Path, content: str) -> None:
        """Attach all that is in a folder to an entry that was written, in place of the files and folders of
        the same names there.

        Args:
            key: of the entry.
            folder: the files.
            content: what `attached` tells from now on, until the entry is written anew.
        """

    def attached(self, key: EntryKey) -> str:
        """The `content` that was given with what is attached to an entry; "" if nothing is, or if the entry
        was written since."""

    def describe(self, varied: Sequence[str]) -> None:
        """Write what leads a reader to the sweep's results: a description, saved views, a link to an attached
        `REPORT_FILE`. A backend without such things does nothing.

        Args:
            varied: which of the params task, weak, strong, method and seed differ between its cells.
        """

    def link(self, entry_id: str) -> str:
        """The address of an entry for a Markdown link in the note of another entry."""


class Location(Protocol):
    """A tracking URI that a backend takes."""

    @property
    def system(self) -> str:
        """Name of the tracking system."""

    @property
    def shown(self) -> str:
        """The URI as messages show it: without what may be secret."""

    @property
    def ui_command(self) -> str:
        """The command that opens the tracking system's UI there, or the UI's address."""

    def check(self) -> None:
        """Check that a sweep can be kept there now; called in the main thread, before anything trains.

        Raises:
            InvalidInput: the tracking system can't be reached, read or written.
        """

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
        raise InvalidInput(
            f"tracking URI {shown_address(uri)!r} can't be used; it must be of {'; or of '.join(lines)}"
        )
    return known[scheme[0]](uri)


def one_line(error: BaseException, *addresses: str) -> str:
    """An error in one line that fits a message; of a failed connection, only the root cause.

    Args:
        error: the error.
        addresses: the tracking URI; secrets in it are hidden.
    """
    root = error
    while inner := root.__cause__ or root.__context__:
        root = inner
    shown = root if isinstance(root, OSError) else error
    line = redacted(" ".join(f"{type(shown).__name__}: {shown}".split()), *addresses)
    return line if len(line) <= _MAX_CAUSE else line[: _MAX_CAUSE - 1] + "…"
