"""What killed processes leave behind in a store, and how it is told from what live ones are writing.

A folder that is written for a while is made by `owned_folder`, whose lock ends with its process. Temporary
files and checkpoints in a run's folder belong to whoever holds the run's lock. Other temporary files are
written within moments, so an old one belongs to nobody.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raysweep.files import FileLock, is_temporary
from raysweep.store.run_folder import RunFolder

_OLD_SECONDS = 24 * 3600.0
_LOCK = ".lock-"


@contextmanager
def owned_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Have a new empty folder in the block, named `prefix` and some letters. Only this user may enter it, and
    no other process removes it."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{prefix}{uuid.uuid4().hex[:12]}"
    with _lock_of(folder, wait=True) or contextlib.nullcontext():
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_unowned_folders(parent: Path, prefix: str) -> None:
    """Remove the folders that `owned_folder` made and whose processes have ended, and their locks."""
    names = {path.name for path in parent.glob(f"{prefix}*") if path.is_dir()}
    names |= {path.name.removeprefix(_LOCK) for path in parent.glob(f"{_LOCK}{prefix}*")}
    for name in names:
        if lock := _lock_of(parent / name, wait=False):
            with lock:
                if lock.is_sure:
                    shutil.rmtree(parent / name, ignore_errors=True)


def remove_old_files(parent: Path) -> None:
    """Remove the temporary files of `raysweep.files.written_atomically` in a folder that are a day old."""
    for path in parent.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD_SECONDS:
                path.unlink()


def remove_leftovers_of_run(run: RunFolder) -> None:
    """Remove a run's temporary files, and the checkpoints of one that is done, unless it is being trained."""
    names = {entry.name for entry in os.scandir(run.folder)}
    if not any(map(is_temporary, names)) and not {run.result.name, run.checkpoints.name} <= names:
        return
    if lock := run.lock(wait=False):
        with lock:
            if lock.is_sure:
                run.remove_temporary_files()
                if run.result.exists():
                    shutil.rmtree(run.checkpoints, ignore_errors=True)


def _lock_of(folder: Path, *, wait: bool) -> FileLock | None:
    return FileLock.take(folder.with_name(f"{_LOCK}{folder.name}"), wait=wait)
