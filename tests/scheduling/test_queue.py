"""The queue lets a run start when all it depends on is done, and fails with it what depends on one that
failed."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from grid_helpers import finish, finish_all, small_model, small_sweep

from raysweep import Method, Resources, RunSpec, grid
from raysweep.errors import ClusterLost, ForeignFolder, StorageFailed
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan, make_plan
from raysweep.scheduling import endings
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import QueuedRun
from raysweep.store import RunStatus, Store
from raysweep.store.lease import Overtaken


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def plan(store: Store) -> Plan:
    """2 floors, 1 ceiling, 4 students, over 3 pretrainings."""
    weak = [small_model("weak-2", 2), small_model("weak-4", 4)]
    return make_plan(
        small_sweep(pairs=grid(weak, [small_model("strong", 6)]), methods=["naive", "confidence"]), store
    )


def kinds(runs: list[PlannedRun]) -> list[str]:
    return sorted(f"{run.role} {run.spec.model.name}" for run in runs)


def complete(queue: RunQueue, run: PlannedRun) -> None:
    queue.start(run)
    finish(run.spec, queue.store)
    queue.end(run)


def find(plan: Plan, kind: str, model: str) -> PlannedRun:
    return next(run for run in plan.runs.values() if run.role == kind and run.spec.model.name == model)


def lose(queue: RunQueue, run: PlannedRun, reason: str) -> None:
    """A run's process dies, in every try."""
    for _ in range(endings.MOST_TRIES):
        assert run.id in [item.id for item in queue.ready()]
        queue.start(run)
        queue.end(run, reason)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "_PAUSES_SECONDS", (0.0, 0.0))


def test_runs_become_ready_without_barriers(plan: Plan, store: Store) -> None:
    queue = RunQueue(plan, store)
    assert kinds(queue.ready()) == ["pretrain strong", "pretrain weak-2", "pretrain weak-4"]
    complete(queue, find(plan, "pretrain", "weak-2"))
    assert kinds(queue.ready()) == ["pretrain strong", "pretrain weak-4", "supervisor weak-2"]
    complete(queue, find(plan, "supervisor", "weak-2"))
    complete(queue, find(plan, "pretrain", "strong"))
    # The students of one supervisor are ready while the other supervisor isn't even pretrained.
    assert kinds(queue.ready()) == ["ceiling strong", "pretrain weak-4", "student strong", "student strong"]
    assert not queue.is_complete


def test_every_order_of_ready_runs_comes_to_an_end(plan: Plan, store: Store) -> None:
    for pick in (0, -1):
        own = Store(store.folder.parent / f"own {pick}")
        again = make_plan(plan.sweep, own)
        queue = RunQueue(again, own)
        order = []
        while ready := queue.ready():
            run = ready[pick]
            assert {item.id for item in run.spec.dependencies} <= set(order)
            complete(queue, run)
            order.append(run.id)
        assert queue.is_complete and sorted(order) == sorted(again.runs)
        assert queue.count(RunStatus.DONE) == len(again.runs) and queue.failures == []


def test_what_is_done_already_is_cached_and_lets_others_start(plan: Plan, store: Store) -> None:
    for run in plan.runs.values():
        if run.role in ("pretrain", "supervisor"):
            finish(run.spec, store)
    queue = RunQueue(plan, store)
    assert queue.count(RunStatus.CACHED) == 5
    assert kinds(queue.ready()) == [
        "ceiling strong",
        "student strong",
        "student strong",
        "student strong",
        "student strong",
    ]
    finish_all(make_plan(small_sweep(), store), store)
    done = RunQueue(make_plan(small_sweep(), store), store)
    assert done.is_complete and done.ready() == [] and done.count(RunStatus.CACHED) == 5


def test_a_failure_fails_what_depends_on_it_with_the_cause_and_nothing_else(plan: Plan, store: Store) -> None:
    changes: list[tuple[str, RunStatus]] = []
    queue = RunQueue(plan, store, lambda entry: changes.append((entry.run.id, entry.status)))
    run = find(plan, "pretrain", "weak-2")
    queue.start(run)
    store.run(run.id).error.parent.mkdir(parents=True, exist_ok=True)
    store.run(run.id).error.write_text("the loss became nan at step 3\n\nTraceback…")
    queue.end(run, "a worker died")
    failed = {f"{entry.run.role} {entry.run.spec.model.name}": entry.reason for entry in queue.failures}
    because = f"run {run.id} (pretrain, weak-2), which it depends on, failed: the loss became nan at step 3"
    assert failed == {
        "pretrain weak-2": "the loss became nan at step 3",
        "supervisor weak-2": because,
        "student strong": because,
    }
    assert len(queue.failures) == 4
    assert changes[:2] == [(run.id, RunStatus.RUNNING), (run.id, RunStatus.FAILED)] and len(changes) == 5
    while ready := queue.ready():
        complete(queue, ready[0])
    assert queue.is_complete and queue.count(RunStatus.DONE) == 6 and queue.count(RunStatus.FAILED) == 4
    # Runs that never started have left nothing, and the next queue tries all four again.
    again = RunQueue(plan, store)
    assert again.count(RunStatus.WAITING) == 4 and kinds(again.ready()) == ["pretrain weak-2"]
    again.start(run)
    assert not store.run(run.id).error.exists()


@pytest.mark.parametrize(
    ("reason", "told"), [("the node is gone", "the node is gone"), ("", "the process that trained it died")]
)
def test_a_run_that_ends_without_result_or_error_has_failed(
    plan: Plan, store: Store, reason: str, told: str
) -> None:
    queue = RunQueue(plan, store)
    run = queue.ready()[0]
    lose(queue, run, reason)
    assert queue.runs[run.id].status is RunStatus.FAILED
    assert queue.runs[run.id].reason.endswith("(try 3 of 3)")
    assert queue.runs[run.id].reason.startswith(told) and store.run(run.id).failure().startswith(told)


def test_a_run_whose_files_are_damaged_at_its_end_has_failed(plan: Plan, store: Store) -> None:
    queue = RunQueue(plan, store)
    run = find(plan, "pretrain", "weak-2")
    queue.start(run)
    finish(run.spec, store)
    (store.run(run.id).model / "weights").unlink()
    queue.end(run)
    assert queue.runs[run.id].status is RunStatus.WAITING  # it is trained again


def test_a_run_that_failed_after_its_sibling_does_not_undo_it(store: Store) -> None:
    methods = ["naive", Method(name="again", recipe="naive")]
    queue = RunQueue(plan := make_plan(small_sweep(methods=methods), store), store)
    assert len(plan.runs) == 5
    while ready := queue.ready():
        complete(queue, ready[0])
    assert queue.failures == []


def test_a_store_that_holds_another_run_in_its_place_is_refused_before_anything_starts(
    plan: Plan, store: Store
) -> None:
    one, other = list(plan.runs.values())[:2]
    finish(one.spec, store)
    store.run(one.id).folder.rename(store.run(other.id).folder)
    with pytest.raises(ForeignFolder, match="holds the spec of another run"):
        RunQueue(plan, store)


def test_seconds_are_those_since_the_start(plan: Plan, store: Store) -> None:
    seen: list[QueuedRun] = []
    observer: Callable[[QueuedRun], None] = seen.append
    queue = RunQueue(plan, store, observer)
    complete(queue, queue.ready()[0])
    assert seen[-1].seconds is not None and 0 <= seen[-1].seconds < 30


def test_the_longest_remaining_path_comes_first_and_equal_ones_in_the_plans_order(
    plan: Plan, store: Store
) -> None:
    queue = RunQueue(plan, store)
    in_plan = queue.ready()
    assert [run.id for run in in_plan] == [
        run_id for run_id in plan.runs if run_id in {run.id for run in in_plan}
    ]
    strong, weak_2, weak_4 = (find(plan, "pretrain", name) for name in ("strong", "weak-2", "weak-4"))
    floor = find(plan, "supervisor", "weak-4")
    queue.order_by({strong.id: 9.0, weak_2.id: 5.0, weak_4.id: 5.0, floor.id: 7.0})
    tied = [run.id for run in in_plan if run.id != strong.id]
    assert [run.id for run in queue.ready()] == [strong.id, *tied]
    complete(queue, weak_4)  # what becomes ready later takes its place among those that wait
    assert [run.id for run in queue.ready()] == [strong.id, floor.id, weak_2.id]
    queue.order_by({weak_2.id: 1.0})
    assert queue.ready()[0].id == weak_2.id


def test_a_run_is_reserved_once(plan: Plan, store: Store) -> None:
    queue = RunQueue(plan, store)
    first, second, third = queue.ready()
    assert [run.id for run in queue.candidates()] == [first.id]  # all three ask for the same resources
    assert queue.reserve(first)
    assert [run.id for run in queue.ready()] == [second.id, third.id] and [
        run.id for run in queue.candidates()
    ] == [second.id]
    queue.order_by({first.id: 9.0, third.id: 1.0})
    assert [run.id for run in queue.ready()] == [third.id, second.id]
    assert queue.count(RunStatus.WAITING) == len(plan.runs)  # reserved isn't started
    queue.start(first)
    assert queue.first(RunStatus.RUNNING, 5) == [queue.runs[first.id]] and queue.count(RunStatus.RUNNING) == 1
    assert [entry.run.id for entry in queue.first(RunStatus.WAITING, 2)] == [
        run_id for run_id in plan.runs if run_id != first.id
    ][:2]


def test_the_candidates_are_the_first_of_each_resources(store: Store) -> None:
    def choose(spec: RunSpec) -> Resources:
        return Resources(num_workers=2 if spec.model.name == "strong" else 0)

    weak = [small_model("weak-2", 2), small_model("weak-4", 4)]
    plan = make_plan(small_sweep(pairs=grid(weak, [small_model("strong", 6)]), resources=choose), store)
    queue = RunQueue(plan, store)
    strong, weak_2, weak_4 = (find(plan, "pretrain", name) for name in ("strong", "weak-2", "weak-4"))
    queue.order_by({weak_4.id: 3.0, strong.id: 2.0, weak_2.id: 1.0})
    assert [run.id for run in queue.candidates()] == [weak_4.id, strong.id]
    queue.reserve(weak_4)
    assert [run.id for run in queue.candidates()] == [strong.id, weak_2.id]


def test_failures_come_in_the_plans_order_whatever_failed_first(plan: Plan, store: Store) -> None:
    queue = RunQueue(plan, store)
    for run in reversed(queue.ready()):
        lose(queue, run, "gone")
    assert [entry.run.id for entry in queue.failures] == list(plan.runs) and queue.is_complete


def test_resources_are_chosen_for_all_that_wait_and_for_all_that_are_added(plan: Plan, store: Store) -> None:
    first = find(plan, "pretrain", "weak-2")
    finish(first.spec, store)
    queue = RunQueue(plan, store)
    queue.choose_resources(lambda run: Resources(cpus_per_worker=run.spec.seed + 2))
    assert {run.resources.cpus_per_worker for run in queue.ready()} == {2}
    assert queue.runs[first.id].run.resources == Resources()  # done with what it had
    queue.extend(make_plan(small_sweep(pairs=plan.sweep.pairs, seeds=[0, 3]), store))
    assert {run.resources.cpus_per_worker for run in queue.ready()} == {2, 5}
    assert len(queue.candidates()) == 2


def test_a_run_that_is_tried_again_has_not_failed_and_its_dependents_wait(plan: Plan, store: Store) -> None:
    queue = RunQueue(plan, store)
    run = find(plan, "pretrain", "weak-2")
    queue.choose_resources(lambda run: Resources(gpus_per_worker=0.25))
    run = queue.runs[run.id].run
    larger = Resources(gpus_per_worker=0.5)
    queue.reserve(run)
    queue.start(run)
    # As `execute` leaves it.
    store.run(run.id).error.write_text("OutOfMemoryError: CUDA out of memory\n")
    queue.end(run)
    assert queue.runs[run.id].status is RunStatus.WAITING and queue.failures == []
    again = next(item for item in queue.ready() if item.id == run.id)
    assert again.resources == larger and [item.id for item in queue.ready()].count(run.id) == 1
    assert len(queue.candidates()) == 2  # it has resources of its own now
    complete(queue, again)
    assert find(plan, "supervisor", "weak-2").id in [item.id for item in queue.ready()]


def test_a_store_that_is_deleted_meanwhile_ends_the_plan(plan: Plan, store: Store) -> None:
    queue = RunQueue(plan, store)
    first, second, *_ = queue.ready()
    queue.start(first)
    shutil.rmtree(store.folder)
    queue.end(first, "its process died")
    assert isinstance(queue.problem, StorageFailed) and f"the store {store.folder} was deleted" in str(
        queue.problem
    )
    assert queue.ready() == [] and queue.is_complete and not store.folder.exists()
    other = RunQueue(plan, store)
    other.start(second)
    assert isinstance(other.problem, StorageFailed) and not store.folder.exists()


@pytest.mark.parametrize(
    ("cause", "is_tried_again"),
    [
        ("ActorDiedError: The actor died unexpectedly before finishing this task.", True),
        ("DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:2021, remote process exited", True),
        ("RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.7]:40018", True),
        ("no sign of life for 1800 s (Resources.timeout_seconds): the last one, …", True),
        ("OSError: [Errno 116] Stale file handle: 'store/runs/0/checkpoints'", True),
        ("x can't be written: the disk at / is gone; mount it again", True),
        ("ValueError: shapes (2, 3) and (2,) differ", False),
        ("the loss became nan at step 3", False),
        ("CUDA error: device-side assert triggered", False),
    ],
)
def test_what_the_machine_did_is_tried_again_and_the_run_s_own_error_is_final(
    plan: Plan, store: Store, cause: str, is_tried_again: bool
) -> None:
    queue = RunQueue(plan, store)
    run = find(plan, "pretrain", "weak-2")
    queue.start(run)
    store.run(run.id).tell_failure(cause)
    queue.end(run)
    if not is_tried_again:
        assert queue.runs[run.id].status is RunStatus.FAILED and queue.runs[run.id].reason == cause
        return
    assert queue.runs[run.id].reason == f"try 1 of 3 was lost, another follows: {cause}"
    assert not store.run(run.id).error.exists()  # for whoever looks meanwhile, it hasn't failed
    assert find(plan, "supervisor", "weak-2").id not in [failed.run.id for failed in queue.failures]
    complete(queue, queue.runs[run.id].run)
    assert queue.runs[run.id].status is RunStatus.DONE and not store.run(run.id).error.exists()


def test_no_run_of_a_lost_cluster_fails(plan: Plan, store: Store) -> None:
    queue = RunQueue(plan, store)
    run = find(plan, "pretrain", "weak-2")
    queue.start(run)
    queue.close(ClusterLost("the cluster is lost"))
    for _ in range(4):  # however often it was lost before
        queue._tries.again(run.id)
    queue.end(run, "its worker died")
    assert queue.is_complete and not queue.failures and run.status(store) is RunStatus.MISSING


def test_a_lost_run_pauses_and_what_is_left_of_its_try_is_shut_out(
    plan: Plan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "_PAUSES_SECONDS", (1_000.0, 0.0))
    queue = RunQueue(plan, store)
    for run in queue.ready():
        if run.spec.model.name != "weak-2":
            complete(queue, run)
    while others := queue.ready()[1:]:
        complete(queue, others[0])
    run = queue.ready()[0]
    queue.start(run)
    lost = store.run(run.id, queue.ownership.fence(run.id))
    queue.end(run, "its node is gone")
    assert queue.ready() == [] and queue.is_held_up
    queue._tries._due[run.id] = 0.0
    queue.wait()
    assert queue.start(run)
    with pytest.raises(Overtaken, match="was taken over"):
        lost.claim(run.spec)
    again = store.run(run.id, queue.ownership.fence(run.id))
    again.claim(run.spec)
    again.finish(run.spec, {}, {})
    assert again.read_result()["fence"] == 2
    with pytest.raises(Overtaken):
        lost.finish(run.spec, {}, {})


def test_what_another_sweep_executes_is_left_to_it(plan: Plan, store: Store) -> None:
    one, other = RunQueue(plan, store), RunQueue(plan, store)
    mine, theirs = one.ready()[:2]
    assert one.start(mine) and other.start(theirs)
    assert not other.start(mine) and not one.start(theirs)
    here = other.runs[mine.id]
    assert here.status is RunStatus.WAITING
    assert here.reason.startswith("another sweep executes it: process ")
    assert mine.id not in [run.id for run in other.ready()] and not other.is_complete
    finish(mine.spec, store)
    one.end(mine)
    look_again(other)
    assert other.runs[mine.id].status is RunStatus.CACHED
    assert find(plan, "supervisor", mine.spec.model.name).id in [run.id for run in other.ready()]
    store.run(theirs.id).tell_failure("ValueError: no such luck")
    other.end(theirs)
    look_again(one)
    assert one.runs[theirs.id].reason == "in another sweep, which executed it: ValueError: no such luck"


def test_what_a_sweep_that_seems_dead_left_is_executed_here(
    plan: Plan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = RunQueue(plan, store), RunQueue(plan, store)
    run = one.ready()[0]
    assert one.start(run) and not other.start(run)
    look_again(other)
    assert run.id not in [item.id for item in other.ready()]
    with monkeypatch.context() as patch:
        patch.setattr("raysweep.store.lease._began", lambda process: "another process")
        look_again(other)
        assert other.start(run)
    one.end(run)  # too late: it was taken over
    assert one.runs[run.id].status is RunStatus.WAITING and not store.run(run.id).error.exists()
    done = other.ready()[0]
    finish(done.spec, store)
    assert not other.start(done) and other.runs[done.id].status is RunStatus.CACHED


def test_a_result_that_a_file_system_shows_late_is_waited_for(
    plan: Plan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raysweep.scheduling.ownership._LOOK_SECONDS", 0.01)
    queue = RunQueue(plan, store)
    run = queue.ready()[0]
    queue.start(run)
    timer = threading.Timer(0.1, finish, (run.spec, store))
    timer.start()
    queue.end(run, has_succeeded=True)
    timer.join()
    assert queue.runs[run.id].status is RunStatus.DONE


def look_again(queue: RunQueue) -> None:
    queue.ownership._looked = 0.0
    queue.candidates()


def test_a_failure_is_lost_with_its_dependents_only_where_the_machine_failed(
    plan: Plan, store: Store
) -> None:
    queue = RunQueue(plan, store)
    lose(queue, find(plan, "pretrain", "weak-2"), "its node is gone")
    assert len(queue.failures) == 4 and all(failed.is_lost for failed in queue.failures)
    final = find(plan, "pretrain", "weak-4")
    queue.start(final)
    store.run(final.id).tell_failure("ValueError: shapes differ")
    queue.end(final)
    assert {failed.is_lost for failed in queue.failures if "shapes differ" in failed.reason} == {False}
