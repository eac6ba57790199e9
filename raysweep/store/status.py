"""The status of a run."""

from __future__ import annotations

import enum


class RunStatus(enum.StrEnum):
    """The status of a run. Its files tell missing, failed, stopped and done; the other three are known only
    to the process that executes a plan."""

    MISSING = "missing"
    WAITING = "waiting"
    """To be executed by this process."""
    RUNNING = "running"
    CACHED = "cached"
    """Done before this process began."""
    DONE = "done"
    STOPPED = "stopped"
    """Ended early by a search."""
    FAILED = "failed"

    @property
    def is_finished(self) -> bool:
        """Whether the run has a result."""
        return self in (RunStatus.DONE, RunStatus.CACHED)
