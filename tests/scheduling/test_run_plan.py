"""`run_plan`: what is the same for every runner, shown with runners that train nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from grid_helpers import finish, small_sweep
from ray import tune

from raysweep import InvalidInput, Resources, Search, WeakLabels
from raysweep.errors import ForeignFolder
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan, make_plan
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import QueuedRun
from raysweep.scheduling.run import _num_at_once, run_plan
from raysweep.scheduling.runner import Runner
from raysweep.scheduling.runners import make_runner, runners
from raysweep.store import RunStatus, Store
from raysweep.training.run import Job


class Finisher(Runner):
    """Gives runs the files that training would give them, in up to three threads."""

    def __init__(
        self, nodes: Sequence[Mapping[str, float]] | None = None, gpu_bytes: int | None = None
    ) -> None:
        self._nodes = nodes
        self._gpu_bytes = gpu_bytes
        self.jobs: list[Job] = []

    def nodes(self) -> Sequence[Mapping[str, float]] | None:
        return self._nodes

    def smallest_gpu_bytes(self) -> int | None:
        return self._gpu_bytes

    def run(self, queue: RunQueue, jobs: Jobs) -> None:
        running: dict[Future[Any], PlannedRun] = {}
        with ThreadPoolExecutor(3) as pool:
            while running or not queue.is_complete:
                for run in queue.ready()[: 3 - len(running)]:
                    queue.start(run)
                    self.jobs.append(jobs.make(run))
                    running[pool.submit(finish, run.spec, queue.store)] = run
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    queue.end(running.pop(future))


SEARCHED = Search(
    supervisor={"optimization.learning_rate": tune.grid_search([1e-3, 1e-2])},
    student={"optimization.learning_rate": tune.grid_search([1e-3, 3e-3, 1e-2])},
    num_samples=1,
)


@pytest.mark.parametrize("runner", ["local", "threads"])
def test_a_searched_plan_grows_until_its_cells_are_trained(store: Store, runner: str) -> None:
    plan = make_plan(small_sweep(search=SEARCHED), store)
    assert plan.cells == () and plan.num_open_cells == 1
    changes: list[tuple[str, RunStatus]] = []

    def changed(queue: RunQueue, queued: QueuedRun) -> None:
        assert queued.run.id in queue.plan.runs
        changes.append((queued.run.id, queued.status))

    queue = run_plan(plan, store, Finisher() if runner == "threads" else runner, changed)
    assert queue.is_complete and queue.plan.num_open_cells == 0 and not queue.failures
    # One cell by each signal; two trials of the supervisor and three of the student, which the cells use
    # again.
    assert len(queue.plan.cells) == 2
    roles = [run.role for run in queue.plan.runs.values()]
    assert sorted(roles) == ["ceiling", "pretrain", "pretrain", *["student"] * 3, *["supervisor"] * 2]
    for run_id in queue.plan.runs:
        of_run = [status for changed_id, status in changes if changed_id == run_id]
        assert of_run == [RunStatus.RUNNING, RunStatus.DONE]


def test_the_longest_path_starts_first_and_jobs_say_what_was_planned(store: Store) -> None:
    plan = make_plan(small_sweep(seeds=[0, 1, 2]), store)
    runner = Finisher()
    run_plan(plan, store, runner, code={"commit": "c0ffee"})
    assert {job.spec.id for job in runner.jobs} == set(plan.runs) and len(runner.jobs) == len(plan.runs)
    # A student needs its supervisor, which needs the weak model's pretraining: that is the longest chain.
    assert runner.jobs[0].spec.model.name == "weak" and runner.jobs[0].spec.kind == "text"
    assert all(job.code == {"commit": "c0ffee"} and job.trial is None for job in runner.jobs)
    assert {job.spec.id for job in runner.jobs if job.save_weights} == {
        run.id for run in plan.runs.values() if run.role != "student"
    }


def test_what_can_never_fit_is_refused_before_anything_starts(store: Store) -> None:
    plan = make_plan(small_sweep(resources=Resources(cpus_per_worker=4)), store)
    with pytest.raises(
        InvalidInput,
        match=r"asks for 4 CPU .*; the cluster has at most 6 CPU, 0 GPU on 2 node\(s\) and can never",
    ):
        run_plan(plan, store, Finisher([{"CPU": 3}, {"CPU": 3}]))
    assert all(run.status(store) is RunStatus.MISSING for run in plan.runs.values())
    assert run_plan(plan, store, Finisher([{"CPU": 3}, {"CPU": 4}])).count(RunStatus.DONE) == len(plan.runs)


def test_a_trial_that_could_never_fit_is_told_and_what_runs_is_finished(store: Store) -> None:
    def resources(spec: Any) -> Resources:
        return Resources(
            cpus_per_worker=8 if spec.train_split == "transfer" and spec.labels.transforms == () else 1
        )

    plan = make_plan(small_sweep(search=SEARCHED, resources=resources, ceiling_split="supervisor"), store)
    with pytest.raises(InvalidInput, match="the student run of 'strong' asks for 8 CPU"):
        run_plan(plan, store, Finisher([{"CPU": 2}]))
    assert all(run.status(store) is RunStatus.DONE for run in plan.runs.values() if run.role == "supervisor")


@pytest.mark.parametrize(("gpu_bytes", "shares"), [(None, {1.0}), (64 * 2**30, {1 / 16})])
def test_open_gpus_are_settled_for_every_runner(
    store: Store, gpu_bytes: int | None, shares: set[float]
) -> None:
    plan = make_plan(small_sweep(resources=Resources(gpus_per_worker="auto")), store)
    runner = Finisher(gpu_bytes=gpu_bytes)
    run_plan(plan, store, runner)
    assert {job.resources.gpus_per_worker for job in runner.jobs} == shares


def test_open_gpus_of_runs_that_a_search_adds_are_settled_too(store: Store) -> None:
    def resources(spec: Any) -> Resources:
        return Resources(gpus_per_worker="auto" if isinstance(spec.labels, WeakLabels) else 0)

    runner = Finisher(gpu_bytes=64 * 2**30)
    run_plan(make_plan(small_sweep(search=SEARCHED, resources=resources), store), store, runner)
    shares = {job.resources.gpus_per_worker for job in runner.jobs if isinstance(job.spec.labels, WeakLabels)}
    assert shares == {1 / 16}


def test_a_plan_that_is_done_asks_nothing_of_a_runner(store: Store) -> None:
    class Unused(Finisher):
        def nodes(self) -> None:
            raise AssertionError

    plan = make_plan(small_sweep(), store)
    run_plan(plan, store, Finisher())
    queue = run_plan(plan, store, Unused())
    assert queue.count(RunStatus.CACHED) == len(plan.runs) == 5


def test_runners_are_named_and_may_be_ones_own(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [name for name, _ in runners] == ["local", "ray"]
    (tmp_path / "my_runner.py").write_text(
        "from raysweep.scheduling.local import LocalRunner\n"
        "class Mine(LocalRunner):\n    def prepare(self):\n        self.is_prepared = True\n"
        "def nothing():\n    return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mine = make_runner("my_runner:Mine")
    mine.prepare()
    assert isinstance(mine, Runner) and mine.is_prepared  # type: ignore[attr-defined]
    with pytest.raises(InvalidInput, match="runner 'my_runner:nothing' made a int; it must be a raysweep"):
        make_runner("my_runner:nothing")
    with pytest.raises(InvalidInput, match="unknown runner 'slurm'; known: local, ray"):
        make_runner("slurm")


def test_a_store_that_changes_under_a_run_ends_the_plan_with_its_error(store: Store) -> None:
    class Meddling(Finisher):
        def run(self, queue: RunQueue, jobs: Jobs) -> None:
            first, second = queue.ready()[:2]
            queue.start(first)
            finish(second.spec, store)
            shutil.rmtree(store.run(first.id).folder)
            store.run(second.id).folder.rename(store.run(first.id).folder)
            queue.end(first)
            assert queue.is_complete and queue.candidates() == []

    with pytest.raises(ForeignFolder, match="holds the spec of another run"):
        run_plan(make_plan(small_sweep(), store), store, Meddling())


def one_failure(plan: Plan) -> PlannedRun:
    return next(run for run in plan.runs.values() if run.role == "supervisor")


def test_a_failure_isn_t_raised_and_the_rest_is_executed(store: Store) -> None:
    class Failing(Finisher):
        def run(self, queue: RunQueue, jobs: Jobs) -> None:
            while candidates := queue.candidates():
                run = candidates[0]
                queue.start(run)
                if run.id != one_failure(plan).id:
                    finish(run.spec, store)
                else:
                    store.run(run.id).tell_failure("no luck")
                queue.end(run)

    plan = make_plan(small_sweep(), store)
    queue = run_plan(plan, store, Failing())
    assert [failed.run.role for failed in queue.failures] == ["supervisor", "student"]
    assert queue.count(RunStatus.DONE) == 3 and queue.runs[one_failure(plan).id].reason == "no luck"


@pytest.mark.parametrize(
    ("nodes", "resources", "count"),
    [
        (None, Resources(), 1),
        ([{"CPU": 4.0}, {"CPU": 2.0}], Resources(), 6),
        ([{"CPU": 64.0, "GPU": 8.0}], Resources(num_workers=2, gpus_per_worker=1), 4),
        ([{"CPU": 1.0}], Resources(cpus_per_worker=2), 1),
    ],
)
def test_how_many_runs_there_is_room_for(
    nodes: list[dict[str, float]] | None, resources: Resources, count: int, store: Store
) -> None:
    queue = RunQueue(make_plan(small_sweep(resources=resources), store), store)
    assert _num_at_once(queue, nodes) == count


def test_what_runs_are_expected_to_take_is_known_before_any_begins(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    seen: list[RunQueue] = []

    def begin(queue: RunQueue) -> None:
        seen.append(queue)
        assert queue.count(RunStatus.RUNNING) == 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, store, on_begin=begin)
    assert set(seen[0].expected_seconds) == set(plan.runs)
    assert all(seconds > 0 for seconds in seen[0].expected_seconds.values())
