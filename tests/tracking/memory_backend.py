"""A tracking backend in this process's memory, at the tracking URI `memory:`: the least that a backend is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raysweep.errors import InvalidInput
from raysweep.tracking.backend import Written, backends
from raysweep.tracking.curves import Point
from raysweep.tracking.entry import Entry, EntryKey


class MemoryIsDown(Exception):
    """What this backend raises when it is out of order."""


@dataclass
class MemoryBackend:
    """Holds entries; it fails as a test wants it to."""

    entries: dict[EntryKey, Entry] = field(default_factory=dict)
    points: dict[EntryKey, list[Point]] = field(default_factory=dict)
    ids: dict[EntryKey, str] = field(default_factory=dict)
    files: dict[EntryKey, set[str]] = field(default_factory=dict)
    contents: dict[EntryKey, str] = field(default_factory=dict)
    described: tuple[str, ...] | None = None
    is_unusable: bool = False
    is_down: bool = False
    refused: frozenset[EntryKey] = frozenset()
    num_opened: int = 0

    def clear(self) -> None:
        """Make it as new."""
        self.__dict__.update(vars(MemoryBackend()))

    def of_kind(self, kind: str) -> list[Entry]:
        """The entries of one kind."""
        return [entry for key, entry in self.entries.items() if key.kind == kind]

    def require_order(self) -> None:
        """Fail if it is out of order."""
        if self.is_down:
            raise MemoryIsDown("the memory is\ndown")

    def find(self, key: EntryKey) -> str | None:
        self.require_order()
        return self.ids.get(key)

    def write(self, entry: Entry) -> Written:
        self.require_order()
        if entry.key in self.refused:
            raise MemoryIsDown(f"{entry.name} isn't wanted")
        if entry.key in self.entries and self.entries[entry.key].content == entry.content:
            return Written(self.ids[entry.key], False)
        self.contents.pop(entry.key, None)
        self.points[entry.key] = list(entry.points())
        self.entries[entry.key] = entry
        return Written(self.ids.setdefault(entry.key, f"id-{len(self.ids)}"), True)

    def append(self, key: EntryKey, points: Sequence[Point]) -> None:
        self.require_order()
        there = self.points[key]
        there += [point for point in points if point not in there]

    def attach(self, key: EntryKey, folder: Path, content: str) -> None:
        self.require_order()
        self.files.setdefault(key, set()).update(path.name for path in folder.iterdir())
        self.contents[key] = content

    def attached(self, key: EntryKey) -> str:
        return self.contents.get(key, "")

    def describe(self, varied: Sequence[str]) -> None:
        self.require_order()
        self.described = tuple(varied)

    def link(self, entry_id: str) -> str:
        return f"memory:{entry_id}"


memory = MemoryBackend()


@dataclass(frozen=True)
class MemoryLocation:
    system: str = "The memory"
    shown: str = "memory:"
    ui_command: str = "none"

    def check(self) -> None:
        if memory.is_unusable:
            raise InvalidInput("the memory is full")

    def open(self, sweep: str) -> MemoryBackend:
        memory.require_order()
        memory.num_opened += 1
        return memory

    def errors(self) -> tuple[type[Exception], ...]:
        return (MemoryIsDown,)


@backends.register("memory")
def locate_memory(uri: str) -> MemoryLocation:
    """memory: for tests"""
    return MemoryLocation()
