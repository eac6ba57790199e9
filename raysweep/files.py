"""Atomic writes, so that readers never see a half-written file, JSON files, locks between processes, and what
is told of a disk that fails."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from raysweep.errors import CorruptFile, InvalidInput, StorageFailed

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system without locks answers."""
_FAULTS = {
    errno.ENOSPC: "is full; free some space",
    errno.EDQUOT: "has a quota for you, which is used up; free some space",
    errno.EROFS: "is read-only; make it writable",
    errno.EACCES: "doesn't let you write there; see to its permissions",
    errno.EPERM: "doesn't let you write there; see to its permissions",
    errno.EIO: "fails; see to it",
    errno.ESTALE: "is gone; mount it again",
    errno.ENODEV: "is gone; mount it again",
    errno.ENXIO: "is gone; mount it again",
    errno.ENOTCONN: "is gone; mount it again",
    errno.ENOENT: "has lost a folder that was deleted meanwhile",
    errno.ENOTDIR: "has a file in place of a folder; move it away",
}
"""What is wrong with a disk, by the error of the operating system, and what to do."""


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, and rename it to `path` if the block succeeds.

    A file or folder that is already there is replaced. If the block raises, it stays as it is.

    Raises:
        StorageFailed: see `storage`.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    with storage(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if path.is_dir():
                shutil.rmtree(path)
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):  # what failed before is what is told
                remove(temporary)


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Tell the user of a disk that fails while the block writes at `path`.

    Raises:
        StorageFailed: the operating system refused with an error of the disk, or the block raised another
            exception and the disk is full: libraries have exceptions of their own for that.
    """
    try:
        yield
    except StorageFailed:
        raise
    except Exception as error:
        fault = _lack(path) or (_fault(error, path.parent) if isinstance(error, OSError) else None)
        if fault is None:
            raise
        raise StorageFailed(
            f"{path} can't be written: the disk at {_mount_of(path)} {fault}, and run the same command "
            "again, or name another folder; what is done is kept"
        ) from error


def _fault(error: OSError, folder: Path) -> str | None:
    """What is wrong with the disk of a folder; None if the error is of something else."""
    if isinstance(error.filename, str) and not Path(error.filename).is_relative_to(folder):
        return None
    if error.filename is None and error.errno in (errno.ENOENT, errno.ENOTDIR):
        return None
    return _FAULTS.get(error.errno or 0)


def _lack(path: Path) -> str | None:
    """What the disk of a path has no more of; None if it has room for more."""
    try:
        room = os.statvfs(_mount_of(path))
    except OSError:
        return None
    if not room.f_bavail:
        return _FAULTS[errno.ENOSPC]
    has_inodes = room.f_favail or not room.f_files  # some file systems don't count them
    return None if has_inodes else "has no inodes left for more files; delete some"


def _mount_of(path: Path) -> Path:
    """Where the file system of a path is mounted."""
    return next(folder for folder in path.absolute().parents if os.path.ismount(folder))


def remove(path: Path) -> None:
    """Delete a file, or a folder with all in it, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def in_package(path: Path) -> bool:
    """Whether a path is in a folder into which Ray unpacks what is submitted with a job, and which it deletes
    at a time of its own choice."""
    return any(part.startswith("_ray_pkg_") for part in path.absolute().parts)


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is one that `written_atomically` hasn't renamed yet."""
    return name.startswith(".") and name.endswith(".tmp")


def require_private(folder: Path) -> None:
    """Check that nobody but this user can have written what is in a folder; called before something in it is
    unpickled, which runs whatever code it names.

    Raises:
        InvalidInput: the folder isn't this user's, or others may enter or write it.
    """
    status = folder.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid():
        raise InvalidInput(
            f"{folder} belongs to user {status.st_uid} and not to you, and reading it could run that user's "
            "code; use a store of your own (--store), or delete the folder"
        )
    if mode & 0o077:
        raise InvalidInput(
            f"{folder} has mode {mode:04o}, so that others may have put code into it; if all that is in it "
            f"is yours: chmod 700 {folder}; else delete it. A store must be on a file system that keeps modes"
        )


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically. NaN and infinity raise: a missing number is an error."""
    with written_atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON, without NaN and infinity, as `write_json` writes it.

    Raises:
        CorruptFile: there is no such file, or it isn't such JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise CorruptFile(f"{path} is missing; run the same command again") from error
    except (ValueError, RecursionError) as error:
        raise CorruptFile(
            f"{path} isn't valid JSON ({error}); delete it and run the same command again"
        ) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


class FileLock:
    """An exclusive lock between processes, and between threads, on a file that is made for it and is removed
    when it is released. However its process dies, the lock ends with it; a file that stays is taken over.

    On a file system without locks, as some parallel ones are mounted, everybody gets it: nobody is kept apart
    there. Make one with `take`, and use it as a context manager.
    """

    def __init__(self, path: Path, descriptor: int, *, is_sure: bool) -> None:
        self.path = path
        self.is_sure = is_sure
        """Whether the file system has locks, so that nobody else holds this one."""
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, wait: bool = True) -> FileLock | None:
        """Take the lock. None if another holds it and `wait` is off.

        Raises:
            OSError: the file can't be made.
        """
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                is_sure = _lock(descriptor, wait)
                # Its last holder may have removed the file between our opening and locking it.
                if _is_at(path, descriptor):
                    return cls(path, descriptor, is_sure=is_sure)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def release(self) -> None:
        """Give the lock back."""
        with contextlib.suppress(OSError):  # gone already, or its disk is read-only by now
            self.path.unlink()  # before it is unlocked: whoever opens it from now on makes a new one
        os.close(self._descriptor)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(descriptor: int, wait: bool) -> bool:
    """Lock an open file. Returns whether its file system has locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True
