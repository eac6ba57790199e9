"""Checkpoints that a killed run resumes from.

`checkpoints/<ranks>-zero<stage>/step-<n>/` holds DeepSpeed's state, the curves so far, and a manifest with
the checksums of all files, written last: a checkpoint without a valid manifest doesn't exist. A run that is
resumed with other resources than it was started with begins anew, since DeepSpeed divides states by rank and
stage.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raysweep.errors import CorruptFile, TrainingDiverged
from raysweep.files import read_json, write_json
from raysweep.spec.identity import file_checksum
from raysweep.spec.resources import Resources
from raysweep.store.run_folder import RunFolder
from raysweep.training.engine import Engine
from raysweep.training.history import History

logger = logging.getLogger(__name__)
_MANIFEST = "manifest.json"


class Checkpoints:
    """The checkpoints of one run under one division of its state."""

    def __init__(self, paths: RunFolder, resources: Resources) -> None:
        self._all = paths.checkpoints
        self._folder = paths.checkpoints / f"{resources.world_size}-zero{resources.zero_stage}"

    def save(self, step: int, engine: Engine, records: History) -> None:
        """Write a checkpoint after `step` steps and drop the one before the last; all ranks call it."""
        folder = self._folder / f"step-{step:08d}"
        if engine.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        engine.barrier()
        engine.save_checkpoint(folder / "engine")
        engine.barrier()
        if engine.rank == 0:
            records.save(RunFolder(folder))
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            checksums = {path.relative_to(folder).as_posix(): file_checksum(path) for path in files}
            write_json(folder / _MANIFEST, {"step": step, "seconds": records.seconds, "files": checksums})
            for older in sorted(self._folder.glob("step-*"))[:-2]:
                shutil.rmtree(older, ignore_errors=True)
        engine.barrier()

    def latest(self, before: int | None = None) -> Path | None:
        """The newest checkpoint (of those written before a step) whose files are all as they were written."""
        for folder in sorted(self._folder.glob("step-*"), reverse=True):
            if before is not None and int(folder.name.removeprefix("step-")) >= before:
                continue
            if _is_valid(folder):
                return folder
            logger.warning("%s is incomplete or damaged and isn't used", folder)
        return None

    def require_finite(self, values: npt.ArrayLike, what: str, step: int) -> None:
        """Refuse what was computed with the weights of a step, if it isn't finite; a checkpoint of that step
        is no good either.

        Raises:
            TrainingDiverged: a value is NaN or infinite; names the step and the last good checkpoint.
        """
        wrong = np.asarray(values)[~np.isfinite(values)]
        if wrong.size:
            good = self.latest(before=step) or "none was written before"
            raise TrainingDiverged(
                f"{what} became {wrong[0]} at step {step}; last good checkpoint: {good}. Lower the "
                "learning_rate, add warmup_fraction or gradient_clipping, or look at the labels"
            )

    def restore(self, engine: Engine, splits: Sequence[str]) -> tuple[int, History]:
        """Load the newest valid checkpoint: the number of steps done and the records; (0, empty) without
        one."""
        folder = self.latest()
        if folder is None:
            return 0, History()
        manifest = read_json(folder / _MANIFEST)
        engine.load_checkpoint(folder / "engine")
        logger.info("resuming from %s", folder)
        return int(manifest["step"]), History.load(RunFolder(folder), splits, manifest["seconds"])

    def remove(self) -> None:
        """Delete all checkpoints: the run is done."""
        shutil.rmtree(self._all, ignore_errors=True)


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
