"""What a worker group is told and counts, and who ends when a run leaves something behind in a worker.

Without Ray's processes; with them: tests/ray/test_real_path.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from grid_helpers import finish, small_sweep

from raysweep.planning.plan import make_plan
from raysweep.scheduling import slot, worker_group
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.ownership import Ownership
from raysweep.scheduling.worker_group import _JobQueue, _no_retries
from raysweep.store import Store
from raysweep.store.lease import Fence
from raysweep.training.process import ProcessNotClean
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
    assert job.fence is not None
    later = replace(job, fence=Fence(job.fence.number, "another taking of a lease that left nothing"))
    assert not later.is_done
    written = job.folder.result.stat().st_mtime_ns
    execute(job)
    assert job.folder.result.stat().st_mtime_ns == written


def test_ray_train_never_starts_a_group_again() -> None:
    retries = _no_retries()
    assert (retries.max_failures, retries.max_preemption_failures) == (0, 0)


class FakeActor:
    """An actor of one event loop: `method.remote(…)` returns a future, as Ray's returns a reference."""

    def __init__(self, actor: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._actor = actor
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._actor, name)
        return SimpleNamespace(
            remote=lambda *given: asyncio.run_coroutine_threadsafe(method(*given), self._loop)
        )


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeActor]:
    """The job queue of two workers."""
    monkeypatch.setattr(worker_group.ray, "get", lambda reference: reference.result(timeout=30))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield FakeActor(worker_group._JobQueue(2), loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_an_unclean_worker_waits_for_the_one_that_still_writes(
    queue: FakeActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rank = threading.local()
    is_unclean, written = threading.Event(), []

    @contextmanager
    def clean_process(*, keeps_group: bool) -> Iterator[None]:
        yield
        if rank.number == 1:
            is_unclean.set()
            raise ProcessNotClean("65 MiB of GPU memory are still held")

    def execute(job: Any) -> None:
        if rank.number == 0:
            assert is_unclean.wait(30)
            written.append(job)

    def serve(number: int) -> None:
        rank.number = number
        worker_group._serve({"job_queue": queue, "import_path": ()})

    monkeypatch.setattr(worker_group, "clean_process", clean_process)
    monkeypatch.setattr(worker_group, "execute", execute)
    monkeypatch.setattr(worker_group, "watched", contextlib.nullcontext)
    context = SimpleNamespace(get_world_rank=lambda: rank.number)
    monkeypatch.setattr("ray.train.get_context", lambda: context)
    job = SimpleNamespace(watch=None)
    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(serve, number) for number in range(2)]
        number = worker_group.ray.get(queue.put.remote(job))
        assert worker_group.ray.get(queue.is_done.remote(number, 30.0)) and written == [job]
        assert worker_group.ray.get(queue.is_unclean.remote())
        worker_group.ray.get(queue.put.remote(None))
        assert [worker.result(timeout=30) for worker in workers] == [None, None]  # neither raised


def test_a_slot_starts_another_group_once_one_is_worn(monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[Any] = []

    class Group:
        is_worn = False
        is_closed = False

        def __init__(self, *_: object) -> None:
            groups.append(self)

        def run(self, job: Any) -> None:
            self.is_worn = job.wears

        def close(self) -> None:
            self.is_closed = True

    monkeypatch.setattr(slot, "WorkerGroup", Group)
    used = slot.Slot((), Path("unused"))
    for wears in (False, True, False):
        used._train(SimpleNamespace(resources=SimpleNamespace(num_workers=2), wears=wears))
    assert [group.is_closed for group in groups] == [True, False]
