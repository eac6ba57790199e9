"""A run in the queue."""

from __future__ import annotations

from dataclasses import dataclass, field

from raysweep.planning.graph import PlannedRun
from raysweep.store import RunStatus


@dataclass
class QueuedRun:
    """A run in the queue."""

    run: PlannedRun
    status: RunStatus
    """WAITING, RUNNING, CACHED, DONE, STOPPED or FAILED."""
    reason: str = ""
    """Why it failed or was stopped."""
    started: float | None = None
    """By the monotonic clock."""
    seconds: float | None = None
    """How long it took here."""
    is_dependent: bool = False
    """Whether it failed only since a run that it depends on did."""
    is_lost: bool = False
    """Whether it, or the run that it depends on, failed since processes, nodes, the network or a disk were
    lost in all of its tries: the same run may succeed later."""
    waits_for: set[str] = field(default_factory=set)
    """Ids of the runs it depends on that aren't finished."""


ENDED = (RunStatus.DONE, RunStatus.CACHED, RunStatus.STOPPED, RunStatus.FAILED)
"""Statuses of a run that has ended; what is told of one that is cached is that another sweep has ended it
meanwhile."""
