"""Two sweeps at once on one store: each run is executed by one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from raysweep.errors import RaysweepError
from raysweep.store import RunStatus, Store
from raysweep.training.run import Job


class FailedElsewhere(RaysweepError):
    """Another sweep on the same store executed the run meanwhile, and it failed there."""


@contextmanager
def claimed(job: Job) -> Iterator[bool]:
    """Hold a run's lock in the block, after waiting for another sweep that executes the run.

    Yields:
        Whether the run is still to be executed: False if it is done, or the other sweep's search ended it.

    Raises:
        FailedElsewhere: the run has failed while this waited; it isn't tried at once again.
    """
    store = Store(job.store_folder)
    paths = store.run(job.spec.id)
    lock = paths.lock(wait=False)
    has_waited = lock is None
    lock = lock or paths.lock()
    assert lock is not None
    with lock:
        status = store.status(job.spec)
        if has_waited and status is RunStatus.FAILED:
            raise FailedElsewhere(paths.failure())
        is_done = status is RunStatus.DONE and (paths.has_model or not job.save_weights)
        yield not (is_done or (has_waited and status is RunStatus.STOPPED and job.trial is not None))
