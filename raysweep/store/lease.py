"""Leases: which process executes a run, of all sweeps that share a store, on one machine or on many.

A run's lease is a file in its folder, numbered: `.lease-1`, `.lease-2`, … The highest number holds. Whoever
takes over makes the next one, which the file system lets only one process do (O_EXCL), and so a number that
was passed over never holds again: it is a fencing number. It stands in `result.json`, and a result of a
number that was overtaken isn't taken.

Who holds leases has a file in `STORE/holders/` and touches it while it lives. It is dead if its process is,
where that can be seen, or else if its file is old by the store's own clock: the clocks of two machines may
differ by more than that.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import socket
import threading
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raysweep.errors import CorruptFile, RaysweepError
from raysweep.files import read_json, storage, write_json

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 120.0
"""A network file system may show an age that is a minute old."""
_PREFIX = ".lease-"


class Overtaken(RaysweepError):
    """Another process has taken the run over meanwhile, so this one may not write into its folder."""


class _State(enum.StrEnum):
    HELD = "held"
    RELEASED = "released"
    """What was written under it is whole, and nobody writes any more."""
    ABANDONED = "abandoned"
    """Somebody may still be writing."""


@dataclass(frozen=True)
class Fence:
    """One taking of a lease: what the processes that execute the run prove themselves by."""

    number: int
    nonce: str


@dataclass(frozen=True)
class Holder:
    """A process that holds leases."""

    name: str
    """Of its file in the store."""
    host: str
    process: int
    where: str
    """The boot of the machine, and the name space of process ids, in which `process` is its number."""
    began: str
    """When the process began, in ticks since the boot: a number alone may be another's by now."""

    @classmethod
    def this_process(cls) -> Holder:
        """This process, under a name of its own."""
        process = os.getpid()
        name = f"{socket.gethostname()}-{process}-{uuid.uuid4().hex[:12]}"
        return cls(name, socket.gethostname(), process, _where(), _began(process))

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


UNKNOWN = Holder("", "a machine that hasn't told its name yet", 0, "", "")


def _where() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no /proc: nobody can be seen, and every holder is judged by its file
        return uuid.uuid4().hex


def _began(process: int) -> str:
    """When a process began, as /proc has it; "" if there is none, or it has ended and only wasn't waited
    for."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


@dataclass(frozen=True)
class _Lease:
    """The content of a lease's file."""

    number: int
    state: _State
    nonce: str
    holder: Holder | None
    """None while the file is being written."""


def fresh_names(folder: Path) -> list[str]:
    """The names in a folder. To list it makes a network file system look again for files that it has
    remembered, for a minute, as not there."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except FileNotFoundError:
        return []


def _path(folder: Path, number: int) -> Path:
    return folder / f"{_PREFIX}{number}"


def _read(folder: Path, number: int) -> _Lease:
    try:
        content = read_json(_path(folder, number))
        return _Lease(number, _State(content["state"]), content["nonce"], Holder(**content["holder"]))
    except (CorruptFile, ValueError, TypeError, KeyError, OSError):
        return _Lease(number, _State.HELD, "", None)


def _newest(folder: Path) -> _Lease | None:
    numbers = [name.removeprefix(_PREFIX) for name in fresh_names(folder) if name.startswith(_PREFIX)]
    found = max((int(number) for number in numbers if number.isdecimal()), default=None)
    return None if found is None else _read(folder, found)


def require_current(folder: Path, fence: Fence | None) -> None:
    """Check that a run hasn't been taken over; without a fence, as where one process alone uses the store,
    there is nothing to check, nor in a folder that was deleted.

    Raises:
        Overtaken: it has.
    """
    if fence is None:
        return
    newest = _newest(folder)
    if newest and newest != _Lease(fence.number, _State.HELD, fence.nonce, newest.holder):
        by = f" by {newest.holder}" if newest.holder and newest.number > fence.number else ""
        raise Overtaken(
            f"{folder} was taken over{by}, since this process seemed to be dead; what it computed of the run "
            "isn't used"
        )


def is_overtaken(folder: Path, number: object) -> bool:
    """Whether what was written under a fencing number isn't to be taken: the lease of that number was passed
    over, and not released by its holder. None is of a time, or a use, without leases."""
    if not isinstance(number, int) or not _path(folder, number + 1).exists():
        return False
    return _read(folder, number).state is not _State.RELEASED


class Leases:
    """The leases that this process holds on the runs of a store. Use it as a context manager, or `close` it:
    what it holds then is given up."""

    def __init__(self, store_folder: Path) -> None:
        self._folder = store_folder / "holders"
        self._store_folder = store_folder
        self._holder = Holder.this_process()
        self._held: dict[Path, Fence] = {}
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._has_begun = False

    def __enter__(self) -> Leases:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def take(self, folder: Path) -> Fence | Holder:
        """Take a run's lease, from a holder that is dead too. Taken again by its own holder, it gets the next
        number: an earlier try of the run is shut out.

        Args:
            folder: the run's.

        Returns:
            The fence; or who holds the lease.

        Raises:
            StorageFailed: the store can't be written.
        """
        with self._lock, storage(folder / _PREFIX):
            self._begin()
            folder.mkdir(parents=True, exist_ok=True)
            newest = _newest(folder)
            if newest and (holder := self._holder_of(folder, newest)):
                return holder
            fence = Fence(newest.number + 1 if newest else 1, uuid.uuid4().hex[:12])
            try:
                with _path(folder, fence.number).open("x") as file:
                    json.dump(self._content(fence, _State.HELD), file)
            except FileExistsError:
                return _read(folder, fence.number).holder or UNKNOWN
            self._held[folder] = fence
            return fence

    def holder(self, folder: Path) -> Holder | None:
        """Which other process holds a run's lease and lives; None if the lease may be taken."""
        newest = _newest(folder)
        return self._holder_of(folder, newest) if newest else None

    def fence(self, folder: Path) -> Fence | None:
        """What this process holds a run by; None if it doesn't."""
        return self._held.get(folder)

    def forget(self, folder: Path) -> None:
        """Keep a lease from all others, but be without a fence until it is taken again, with the next
        number."""
        self._held.pop(folder, None)

    def release(self, folder: Path, *, is_over: bool = True) -> None:
        """Give a lease back, if it is held.

        Args:
            folder: the run's.
            is_over: whether nobody writes into the folder any more. If so the first number, which overtook
                nobody, leaves nothing.
        """
        with self._lock:
            fence = self._held.pop(folder, None)
            if fence is None:
                return
            with contextlib.suppress(Overtaken, RaysweepError, OSError):  # a holder that ends is dead
                require_current(folder, fence)
                if is_over and fence.number == 1:
                    _path(folder, 1).unlink()
                    with contextlib.suppress(OSError):  # it isn't empty
                        folder.rmdir()
                else:
                    state = _State.RELEASED if is_over else _State.ABANDONED
                    write_json(_path(folder, fence.number), self._content(fence, state))

    def close(self) -> None:
        """Give up all that is held: whoever wants it may take it over, though processes of this sweep may
        still be writing."""
        for folder in list(self._held):
            self.release(folder, is_over=False)
        with self._lock:
            self._ended.set()
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self._folder / self._holder.name

    def _content(self, fence: Fence, state: _State) -> dict[str, Any]:
        return {"state": state, "nonce": fence.nonce, "holder": asdict(self._holder)}

    def _begin(self) -> None:
        if self._has_begun or not self._store_folder.is_dir():
            return
        self._folder.mkdir(exist_ok=True)
        self._remove_dead()
        self._file.touch()
        self._has_begun = True
        threading.Thread(target=self._beat, name="raysweep-heartbeat", daemon=True).start()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):  # the store may be back the next time
                os.utime(self._file)

    def _remove_dead(self) -> None:
        """Remove the files of holders that were killed long ago; their leases tell that they are dead."""
        for path in self._folder.iterdir():
            if self._age(path) > 100 * STALE_SECONDS:
                path.unlink(missing_ok=True)

    def _holder_of(self, folder: Path, lease: _Lease) -> Holder | None:
        holder = lease.holder
        if lease.state is not _State.HELD or holder == self._holder:
            return None
        if holder is None:  # it is being written; or its writer was killed over it
            is_dead = self._age(_path(folder, lease.number)) > STALE_SECONDS
        elif holder.where == self._holder.where:
            is_dead = _began(holder.process) != holder.began
        else:
            is_dead = self._age(self._folder / holder.name) > STALE_SECONDS
        return None if is_dead else holder or UNKNOWN

    def _age(self, path: Path) -> float:
        """The seconds since a file was touched, by the clock of the store; infinite if there is none."""
        probe = self._folder / f".probe-{uuid.uuid4().hex}.tmp"  # of this look alone: threads look, too
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        try:
            with path.open("rb") as file:  # to open it has a network file system look anew
                return now - os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return float("inf")
