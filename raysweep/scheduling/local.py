"""The local runner: one run after another in this process, without Ray. For debugging and for most tests."""

from __future__ import annotations

from raysweep.errors import RaysweepError
from raysweep.planning.graph import PlannedRun
from raysweep.scheduling.claim import claimed
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.runner import Runner
from raysweep.scheduling.stopper import make_stopper
from raysweep.training.process import ProcessNotClean, clean_process
from raysweep.training.run import Job, execute


class LocalRunner(Runner):
    """Executes runs in the queue's order. Whatever `Resources.num_workers` says, one process trains; results
    don't depend on it."""

    def nodes(self) -> None:
        """There is no limit: one run after another has all of the machine."""

    def run(self, queue: RunQueue, jobs: Jobs) -> None:
        """See `Runner.run`."""
        stopper = make_stopper(queue.plan)
        while not queue.is_complete:
            queue.wait()
            for run in queue.candidates()[:1]:
                if queue.start(run):
                    self._execute(run, queue, jobs.make(run, stopper, num_workers=0))

    @staticmethod
    def _execute(run: PlannedRun, queue: RunQueue, job: Job) -> None:
        try:
            with claimed(job) as is_open, clean_process():
                if is_open:
                    execute(job)
        except ProcessNotClean as error:
            queue.end(run)
            queue.close(
                RaysweepError(
                    f"run {run.id} ({run.role}, {run.spec.model.name}) left something behind in this "
                    f"process: {error}. It is finished, but with --local the others would share it; run "
                    "the same command again to go on, or without --local"
                )
            )
        except Exception as error:  # the run's boundary: its error.txt holds the traceback
            queue.end(run, f"{type(error).__name__}: {error}")
        else:
            queue.end(run)
