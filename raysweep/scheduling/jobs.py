"""TODO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import cloudpickle

from raysweep.planning.graph import PlannedRun
from raysweep.scheduling.queue import RunQueue
from raysweep.training.early_stopping import Stopper
from raysweep.training.run import Job


class JobFiles:
    """Files that say what a slot does in each of its steps, written before Ray Tune has it take the step.

    A step has a file of its own: one that was written anew could be read as it was before, on a network's
    file system.
    """

    def __init__(
        self, queue: RunQueue, code: Mapping[str, Any], stopper: Stopper | None, folder: Path
    ) -> None:
        self._queue = queue
        self._code = code
        self._stopper = stopper
        self._folder = folder
        folder.mkdir(parents=True)

    def path(self, slot: str) -> str:
        """Where a slot's files are, less the number of the step."""
        return str(self._folder / slot)

    def write(self, slot: str, step: int, what: PlannedRun | float | None) -> None:
        """What a slot does in a step: a run, or wait for so many seconds; None is its end."""
        job = (
            Job.of(what, self._queue.store, self._code, self._stopper)
            if isinstance(what, PlannedRun)
            else what
        )
        Path(f"{self.path(slot)}-{step - 1}").unlink(missing_ok=True)
        Path(f"{self.path(slot)}-{step}").write_bytes(cloudpickle.dumps(job))
