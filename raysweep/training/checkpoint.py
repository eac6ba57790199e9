"""Checkpoints, from which a killed run resumes.

`checkpoints/<ranks>-zero<stage>/step-<n>/` contains the state of DeepSpeed, the curves so far, and a manifest
with the checksums of all files, which each rank computes while it writes its own. Parameters that aren't
trained are left out: the model is built with them. The manifest is written last: a checkpoint without a valid
one doesn't count.
A run that is started again with another number of ranks or ZeRO stage begins anew, since DeepSpeed divides
its state by these.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from raysweep.errors import CorruptFile
from raysweep.files import read_json, require_private, write_json
from raysweep.spec.identity import file_checksum
from raysweep.spec.resources import Resources
from raysweep.store.run_folder import RunFolder
from raysweep.training.engine import Engine
from raysweep.training.history import History

logger = logging.getLogger(__name__)
_MANIFEST = "manifest.json"
_WRITTEN = "written-"
"""Begins the names of files with the checksums of what each rank has written, until the manifest has them."""
_LEAST_INTERVAL = 20
"""The least time between two checkpoints by time, in times that one takes to be written: at most a twentieth
of a run goes into them."""


class Checkpoints:
    """The checkpoints of one run that are divided as its resources say."""

    def __init__(self, paths: RunFolder, resources: Resources) -> None:
        self._all = paths.checkpoints
        self._folder = paths.checkpoints / f"{resources.world_size}-zero{resources.zero_stage}"
        self._every = resources.checkpoint_every
        self._seconds = resources.checkpoint_seconds
        self._wait = self._seconds
        self._last = time.monotonic()

    def is_due(self, step: int, engine: Engine, *, meets: bool) -> bool:
        """Whether one is to be written after `step` steps, by their number or by the time since the last one.
        All ranks get the same answer.

        Args:
            step: steps done.
            engine: the engine.
            meets: whether the ranks exchange losses after this step. Clocks differ, so several ranks ask each
                other, which costs them little only then.
        """
        if self._every and step % self._every == 0:
            return True
        if not self._seconds or not (meets or engine.world_size == 1):
            return False
        is_late = time.monotonic() - self._last >= self._wait
        return is_late if engine.world_size == 1 else engine.any(is_late)

    def save(self, step: int, engine: Engine, history: History) -> None:
        """Write a checkpoint after `step` steps and keep only the one before it; all ranks call it."""
        began = time.monotonic()
        folder = self._folder / f"step-{step:08d}"
        if engine.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
            self._all.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(parents=True)
        engine.barrier()
        written = engine.save_checkpoint(folder / "engine")
        write_json(folder / f"{_WRITTEN}{engine.rank}.json", _by_name(written, folder))
        engine.barrier()
        if engine.rank == 0:
            history.save(RunFolder(folder))
            curves = {path: file_checksum(path) for path in folder.rglob("*.parquet")}
            checksums = _by_name(curves, folder)
            for part in sorted(folder.glob(f"{_WRITTEN}*.json")):
                checksums |= read_json(part)
                part.unlink()
            write_json(folder / _MANIFEST, {"step": step, "seconds": history.seconds, "files": checksums})
            for older in sorted(self._folder.glob("step-*"))[:-2]:
                shutil.rmtree(older, ignore_errors=True)
        engine.barrier()
        self._last = time.monotonic()
        self._wait = max(self._seconds, _LEAST_INTERVAL * (self._last - began))

    def latest(self, before: int | None = None) -> Path | None:
        """The newest checkpoint whose files are all as they were written; None without one.

        Args:
            before: consider only checkpoints written before this step.
        """
        for folder in sorted(self._folder.glob("step-*"), reverse=True):
            if before is not None and int(folder.name.removeprefix("step-")) >= before:
                continue
            if _is_valid(folder):
                return folder
            logger.warning("%s is incomplete or damaged and isn't used", folder)
        return None

    def restore(self, engine: Engine, splits: Sequence[str]) -> tuple[int, History]:
        """Load the newest valid checkpoint into the engine.

        Args:
            engine: the engine.
            splits: those with evaluation curves.

        Returns:
            The number of steps done and the history; (0, an empty one) without a checkpoint.

        Raises:
            InvalidInput: others may have written the checkpoint. It is read without running code that it
                names, but its numbers are trusted.
        """
        folder = self.latest()
        if folder is None:
            return 0, History()
        require_private(self._all)
        manifest = read_json(folder / _MANIFEST)
        engine.load_checkpoint(folder / "engine")
        logger.info("resuming from %s", folder)
        return int(manifest["step"]), History.load(RunFolder(folder), splits, manifest["seconds"])

    def remove(self) -> None:
        """Delete all checkpoints of the run, once it is done."""
        shutil.rmtree(self._all, ignore_errors=True)


def _by_name(checksums: Mapping[Path, str], folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): checksum for path, checksum in checksums.items()}


def _is_valid(folder: Path) -> bool:
    manifest = folder / _MANIFEST
    if not manifest.exists():
        return False
    try:
        files = read_json(manifest)["files"]
    except (CorruptFile, KeyError):
        return False
    return all(
        (folder / name).exists() and file_checksum(folder / name) == checksum
        for name, checksum in files.items()
    )
