"""The board lets a run start when all it depends on is done, and fails with it what depends on one that failed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from grid_helpers import finish, finish_all, small_model, small_sweep

from raysweep import Method, Resources, RunSpec, grid
from raysweep.errors import ForeignFolder
from raysweep.plan import Plan, PlannedRun, make_plan
from raysweep.scheduling.board import Board, Entry, Standing
from raysweep.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def plan(store: Store) -> Plan:
    """2 floors, 1 ceiling, 4 students, over 3 pretrainings."""
    weak = [small_model("weak-2", 2), small_model("weak-4", 4)]
    return make_plan(small_sweep(pairs=grid(weak, [small_model("strong", 6)]), methods=["naive", "confidence"]), store)


def kinds(runs: list[PlannedRun]) -> list[str]:
    return sorted(f"{run.kind} {run.spec.model.name}" for run in runs)


def complete(board: Board, run: PlannedRun) -> None:
    board.start(run)
    finish(run.spec, board.store)
    board.end(run)


def find(plan: Plan, kind: str, model: str) -> PlannedRun:
    return next(run for run in plan.runs.values() if run.kind == kind and run.spec.model.name == model)


def test_runs_become_ready_without_barriers(plan: Plan, store: Store) -> None:
    board = Board(plan, store)
    assert kinds(board.ready()) == ["pretrain strong", "pretrain weak-2", "pretrain weak-4"]
    complete(board, find(plan, "pretrain", "weak-2"))
    assert kinds(board.ready()) == ["pretrain strong", "pretrain weak-4", "weak weak-2"]
    complete(board, find(plan, "weak", "weak-2"))
    complete(board, find(plan, "pretrain", "strong"))
    # The students of one supervisor are ready while the other supervisor isn't even pretrained.
    assert kinds(board.ready()) == ["ceiling strong", "pretrain weak-4", "student strong", "student strong"]
    assert not board.is_complete


def test_every_order_of_ready_runs_comes_to_an_end(plan: Plan, store: Store) -> None:
    for pick in (0, -1):
        own = Store(store.folder.parent / f"own {pick}")
        again = make_plan(plan.sweep, own)
        board, order = Board(again, own), []
        while ready := board.ready():
            run = ready[pick]
            assert {item.id for item in run.spec.dependencies} <= set(order)
            complete(board, run)
            order.append(run.id)
        assert board.is_complete and sorted(order) == sorted(again.runs)
        assert board.count(Standing.DONE) == len(again.runs) and board.failures == []


def test_what_is_done_already_is_cached_and_lets_others_start(plan: Plan, store: Store) -> None:
    for run in plan.runs.values():
        if run.kind in ("pretrain", "weak"):
            finish(run.spec, store)
    board = Board(plan, store)
    assert board.count(Standing.CACHED) == 5
    assert kinds(board.ready()) == ["ceiling strong", "student strong", "student strong", "student strong", "student strong"]
    finish_all(make_plan(small_sweep(), store), store)
    done = Board(make_plan(small_sweep(), store), store)
    assert done.is_complete and done.ready() == [] and done.count(Standing.CACHED) == 5


def test_a_failure_fails_what_depends_on_it_with_the_cause_and_nothing_else(plan: Plan, store: Store) -> None:
    changes: list[tuple[str, Standing]] = []
    board = Board(plan, store, lambda entry: changes.append((entry.run.id, entry.standing)))
    run = find(plan, "pretrain", "weak-2")
    board.start(run)
    store.run(run.id).error.parent.mkdir(parents=True, exist_ok=True)
    store.run(run.id).error.write_text("the loss became nan at step 3\n\nTraceback…")
    board.end(run, "a worker died")
    failed = {f"{entry.run.kind} {entry.run.spec.model.name}": entry.reason for entry in board.failures}
    because = f"run {run.id} (pretrain, weak-2), which it depends on, failed: the loss became nan at step 3"
    assert failed == {
        "pretrain weak-2": "the loss became nan at step 3",
        "weak weak-2": because,
        "student strong": because,
    }
    assert len(board.failures) == 4
    assert changes[:2] == [(run.id, Standing.RUNNING), (run.id, Standing.FAILED)] and len(changes) == 5
    while ready := board.ready():
        complete(board, ready[0])
    assert board.is_complete and board.count(Standing.DONE) == 6 and board.count(Standing.FAILED) == 4
    # Runs that never started have left nothing, and the next board tries all four again.
    again = Board(plan, store)
    assert again.count(Standing.WAITING) == 4 and kinds(again.ready()) == ["pretrain weak-2"]
    again.start(run)
    assert not store.run(run.id).error.exists()


@pytest.mark.parametrize(
    ("reason", "told"), [("the node is gone", "the node is gone"), ("", "the process that trained it died")]
)
def test_a_run_that_ends_without_result_or_error_has_failed(plan: Plan, store: Store, reason: str, told: str) -> None:
    board = Board(plan, store)
    run = board.ready()[0]
    board.start(run)
    board.end(run, reason)
    assert board.entries[run.id].standing is Standing.FAILED
    assert board.entries[run.id].reason.startswith(told) and store.run(run.id).failure().startswith(told)


def test_a_run_whose_files_are_damaged_at_its_end_has_failed(plan: Plan, store: Store) -> None:
    board = Board(plan, store)
    run = find(plan, "pretrain", "weak-2")
    board.start(run)
    finish(run.spec, store)
    (store.run(run.id).model / "weights").unlink()
    board.end(run)
    assert board.entries[run.id].standing is Standing.FAILED


def test_a_run_that_failed_after_its_sibling_does_not_undo_it(store: Store) -> None:
    methods = ["naive", Method(name="again", recipe="naive")]
    board = Board(plan := make_plan(small_sweep(methods=methods), store), store)
    assert len(plan.runs) == 5
    while ready := board.ready():
        complete(board, ready[0])
    assert board.failures == []


def test_a_store_that_holds_another_run_in_its_place_is_refused_before_anything_starts(plan: Plan, store: Store) -> None:
    one, other = list(plan.runs.values())[:2]
    finish(one.spec, store)
    store.run(one.id).folder.rename(store.run(other.id).folder)
    with pytest.raises(ForeignFolder, match="holds the spec of another run"):
        Board(plan, store)


def test_seconds_are_those_since_the_start(plan: Plan, store: Store) -> None:
    seen: list[Entry] = []
    observer: Callable[[Entry], None] = seen.append
    board = Board(plan, store, observer)
    complete(board, board.ready()[0])
    assert seen[-1].seconds is not None and 0 <= seen[-1].seconds < 30


def test_the_longest_remaining_path_comes_first_and_equal_ones_in_the_plans_order(plan: Plan, store: Store) -> None:
    board = Board(plan, store)
    in_plan = board.ready()
    assert [run.id for run in in_plan] == [run_id for run_id in plan.runs if run_id in {run.id for run in in_plan}]
    strong, weak_2, weak_4 = (find(plan, "pretrain", name) for name in ("strong", "weak-2", "weak-4"))
    floor = find(plan, "weak", "weak-4")
    board.order_by({strong.id: 9.0, weak_2.id: 5.0, weak_4.id: 5.0, floor.id: 7.0})
    tied = [run.id for run in in_plan if run.id != strong.id]
    assert [run.id for run in board.ready()] == [strong.id, *tied]
    complete(board, weak_4)  # what becomes ready later takes its place among those that wait
    assert [run.id for run in board.ready()] == [strong.id, floor.id, weak_2.id]
    board.order_by({weak_2.id: 1.0})
    assert board.ready()[0].id == weak_2.id


def test_a_run_is_given_away_once(plan: Plan, store: Store) -> None:
    board = Board(plan, store)
    first, second, third = board.ready()
    assert [run.id for run in board.heads()] == [first.id]  # all three ask for the same resources
    board.take(first)
    assert [run.id for run in board.ready()] == [second.id, third.id] and [run.id for run in board.heads()] == [second.id]
    board.order_by({first.id: 9.0, third.id: 1.0})
    assert [run.id for run in board.ready()] == [third.id, second.id]
    assert board.count(Standing.WAITING) == len(plan.runs)  # given away isn't started
    board.start(first)
    assert board.first(Standing.RUNNING, 5) == [board.entries[first.id]] and board.count(Standing.RUNNING) == 1
    assert [entry.run.id for entry in board.first(Standing.WAITING, 2)] == [
        run_id for run_id in plan.runs if run_id != first.id
    ][:2]


def test_the_heads_are_the_first_of_each_resources(store: Store) -> None:
    def choose(spec: RunSpec) -> Resources:
        return Resources(num_workers=2 if spec.model.name == "strong" else 0)

    weak = [small_model("weak-2", 2), small_model("weak-4", 4)]
    plan = make_plan(small_sweep(pairs=grid(weak, [small_model("strong", 6)]), resources=choose), store)
    board = Board(plan, store)
    strong, weak_2, weak_4 = (find(plan, "pretrain", name) for name in ("strong", "weak-2", "weak-4"))
    board.order_by({weak_4.id: 3.0, strong.id: 2.0, weak_2.id: 1.0})
    assert [run.id for run in board.heads()] == [weak_4.id, strong.id]
    board.take(weak_4)
    assert [run.id for run in board.heads()] == [strong.id, weak_2.id]


def test_failures_come_in_the_plans_order_whatever_failed_first(plan: Plan, store: Store) -> None:
    board = Board(plan, store)
    for run in reversed(board.ready()):
        board.start(run)
        board.end(run, "gone")
    assert [entry.run.id for entry in board.failures] == list(plan.runs) and board.is_complete


def test_resources_are_chosen_for_all_that_wait_and_for_all_that_are_added(plan: Plan, store: Store) -> None:
    first = find(plan, "pretrain", "weak-2")
    finish(first.spec, store)
    board = Board(plan, store)
    board.choose_resources(lambda run: Resources(cpus_per_worker=run.spec.seed + 2))
    assert {run.resources.cpus_per_worker for run in board.ready()} == {2}
    assert board.entries[first.id].run.resources == Resources()  # done with what it had
    board.grow(make_plan(small_sweep(pairs=plan.sweep.pairs, seeds=[0, 3]), store))
    assert {run.resources.cpus_per_worker for run in board.ready()} == {2, 5}
    assert len(board.heads()) == 2


def test_a_run_that_is_tried_again_has_not_failed_and_its_dependents_wait(plan: Plan, store: Store) -> None:
    board = Board(plan, store)
    run, larger = find(plan, "pretrain", "weak-2"), Resources(gpus_per_worker=0.5)
    board.take(run)
    board.start(run)
    board.try_again(run, larger)
    assert board.entries[run.id].standing is Standing.WAITING and board.failures == []
    again = next(item for item in board.ready() if item.id == run.id)
    assert again.resources == larger and [item.id for item in board.ready()].count(run.id) == 1
    assert len(board.heads()) == 2  # it has resources of its own now
    complete(board, again)
    assert find(plan, "weak", "weak-2") in board.ready()
