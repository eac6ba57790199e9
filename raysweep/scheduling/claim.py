"""The claim of a process on the run that it is to execute, or to have executed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from raysweep.store import RunStatus, Store
from raysweep.training.run import Job


@contextmanager
def claimed(job: Job) -> Iterator[bool]:
    """Hold a run's lock in the block: wait until no process of an earlier try, whose sweep was killed, is
    left.

    Yields:
        Whether the run is still to be executed: False if it is done.
    """
    store = Store(job.store_folder)
    paths = store.run(job.spec.id)
    lock = paths.lock()
    assert lock is not None
    with lock:
        is_done = store.status(job.spec) is RunStatus.DONE
        has_all = (paths.has_model or not job.save_weights) if is_done else False
        yield not (has_all and (not job.features or paths.has_features(job.features)))
