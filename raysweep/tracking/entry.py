"""An entry: the metadata, numbers and files of one sweep, run, cell or cell group, as every tracking
backend takes them.

Entries are independent of the backend. They hold no id, tag name, limit or address of a tracking system, with
one exception: `parent` and the links within `note` were made by the backend that the entry is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from raysweep.spec.identity import digest
from raysweep.store import RunStatus
from raysweep.tracking.curves import Point

_FORMAT = 7
"""Raised by one whenever equal results are to be shown in another way. Every entry that a backend has is then
out of date and written again."""


EntryKind = Literal["sweep", "run", "cell", "group"]


class EntryKey(NamedTuple):
    """The key by which a backend finds an entry again."""

    kind: EntryKind
    identity: str
    """Unique among a sweep's entries of this kind."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The data set that a run reads."""

    name: str
    digest: str
    source: Mapping[str, Any]
    num_examples: Mapping[str, int]
    """By split."""
    context: str
    """The split that the entry is about."""


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """Weights that a run kept in the store. A backend refers to them and gets no copy."""

    name: str
    role: str
    """The run's role, see `raysweep.planning.graph.PlannedRun.role`."""
    params: Mapping[str, str]
    """Includes the folder of the weights."""


@dataclass(frozen=True, kw_only=True)
class MadeFile:
    """A file that is made for the backend and isn't in a run's folder."""

    name: str
    """Its path among the entry's files."""
    write: Callable[[Path], None]
    digest: str = ""
    """Digest of the content; "" if the content follows from the rest of the entry."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Metadata, numbers and files of one sweep, run, cell or cell group."""

    key: EntryKey
    name: str
    """The title. Trials of a search may share one."""
    status: RunStatus
    """RUNNING, DONE, STOPPED or FAILED."""
    start: float
    """Seconds since 1970."""
    end: float
    """Seconds since 1970; of an entry whose status is RUNNING, the time of the last change."""
    parent: str = ""
    """The backend's id of the entry that this one is nested below; "" if there is none."""
    note: str = ""
    """Free text in Markdown."""
    commit: str = ""
    """Git commit of the user's code; "" if unknown."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What was asked for: it doesn't change once the run is done. No value is empty."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What people filter by, and what may change. No value is empty."""
    result: str = ""
    """Digest of the results that the points are computed from; "" if there are none."""
    points: Callable[[], Iterator[Point]] = lambda: iter(())
    dataset: Dataset | None = None
    artifacts: tuple[Path, ...] = ()
    """Files that are attached under their own names."""
    made: tuple[MadeFile, ...] = ()
    model: SavedModel | None = None

    @property
    def content(self) -> str:
        """Digest of everything that the entry shows. Computing it reads neither curves nor files, so it is a
        cheap test of whether a backend has the entry already."""
        texts = [self.name, str(self.status), self.parent, self.note, self.commit, self.params, self.tags]
        return digest([_FORMAT, *texts, self.result, [item.digest for item in self.made]])
