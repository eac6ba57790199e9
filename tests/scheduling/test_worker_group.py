"""What a worker group is told and counts, without Ray's processes."""

import asyncio

import pytest
from grid_helpers import finish, small_sweep

from raysweep.planning.plan import make_plan
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.ownership import Ownership
from raysweep.scheduling.worker_group import _JobQueue, _no_retries
from raysweep.store import Store
from raysweep.training.run import Job, execute


@pytest.fixture
def job(store: Store) -> Job:
    run = next(iter(make_plan(small_sweep(), store).runs.values()))
    ownership = Ownership(store)
    ownership.take(run)
    return Jobs(store, {}, ownership).make(run)


def test_ranks_are_counted_once_however_often_they_say_so(job: Job) -> None:
    async def serve() -> list[bool]:
        jobs = _JobQueue(2)
        number = await jobs.put(job)
        await jobs.done(number, 0)
        await jobs.done(number, 0)  # its worker was started again
        is_early = await jobs.is_done(number, 0.01)
        await jobs.done(number, 1)
        return [is_early, await jobs.is_done(number, 0.01)]

    assert asyncio.run(serve()) == [False, True]


def test_a_job_that_is_done_is_left_as_it_is(job: Job, store: Store) -> None:
    assert not job.is_done
    finish(job.spec, store)  # by another sweep, before: this job is to replace it
    assert not job.is_done
    job.folder.claim(job.spec)
    job.folder.finish(job.spec, {}, {})
    assert job.is_done
    written = job.folder.result.stat().st_mtime_ns
    execute(job)
    assert job.folder.result.stat().st_mtime_ns == written


def test_ray_train_never_starts_a_group_again() -> None:
    retries = _no_retries()
    assert (retries.max_failures, retries.max_preemption_failures) == (0, 0)
