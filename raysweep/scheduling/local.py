"""The local runner: a plan in this process, one run after another, without Ray. For debugging and for most
tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raysweep.planning.search.stopping import EarlyStopper
from raysweep.planning.search.studies import signal_histories
from raysweep.scheduling.queue import RunQueue
from raysweep.training.process import ProcessNotClean, clean_process
from raysweep.training.run import Job, execute


def run_locally(queue: RunQueue, code: Mapping[str, Any]) -> None:
    """Execute every run of the queue that isn't done, in the queue's order.

    Whatever `Resources.num_workers` says, one process trains: by the design a result doesn't depend on it.
    """
    stopper = None
    if queue.plan.driver is not None and queue.plan.driver.studies.search.stopping_call is not None:
        studies = queue.plan.driver.studies
        stopper = EarlyStopper(studies.search, signal_histories(studies))
    while heads := queue.candidates():
        run = heads[0]
        queue.start(run)
        job = Job.of(run, queue.store, code, stopper, in_process=True)
        try:
            with clean_process():
                execute(job)
        except ProcessNotClean:
            queue.end(run)
            raise
        except Exception as error:  # the trial's boundary: the run's error.txt holds the traceback
            queue.end(run, f"{type(error).__name__}: {error}")
        else:
            queue.end(run)
