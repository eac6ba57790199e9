"""What a runner is: it executes the runs of a queue, in this process, on a cluster, or wherever else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raysweep.scheduling.jobs import Jobs
    from raysweep.scheduling.queue import RunQueue


class Runner(ABC):
    """Executes runs. `raysweep.scheduling.run.run_plan` does what is the same for all runners.

    A runner takes the first of `queue.candidates()` that it has room for. If `queue.start(run)` says that it
    may, it has `raysweep.training.run.execute(jobs.make(run))` called in a process of its choice, and tells
    `queue.end(run)`; else another sweep executes the run. So until the queue is complete, with `queue.wait()`
    while nothing can start. What became of a run is in the store, so nothing needs to be returned.
    """

    def check(self) -> None:  # noqa: B027 (most runners can always run)
        """Refuse at once what can't work, before anything is planned.

        Raises:
            InvalidInput: the runner can't execute anything here and now.
        """

    def prepare(self) -> None:  # noqa: B027 (most runners have nothing to start)
        """Begin to start in the background; called while the sweep is still being planned."""

    @abstractmethod
    def nodes(self) -> Sequence[Mapping[str, float]] | None:
        """What each node has of "CPU" and "GPU"; None if there is no limit, as where one run after another is
        executed."""

    def smallest_gpu_bytes(self) -> int | None:
        """Memory of the smallest GPU, asked for only if runs may share one; None if each gets a whole one.

        Raises:
            InvalidInput: it can't be found out.
        """
        return None

    @abstractmethod
    def run(self, queue: RunQueue, jobs: Jobs) -> None:
        """Execute runs until the queue is complete.

        Raises:
            KeyboardInterrupt: the user interrupted it.
        """
