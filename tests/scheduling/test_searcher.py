"""What slots are told to do, step by step, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from grid_helpers import finish, small_sweep
from ray.experimental import internal_kv
from ray.tune.search import Searcher

from raysweep.errors import InvalidInput, NodesMissing
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import make_plan
from raysweep.scheduling import endings, searcher
from raysweep.scheduling.cluster_size import ClusterSize, NodeWait
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.searcher import QueueSearcher
from raysweep.scheduling.slot import JobBoard, read_job
from raysweep.spec import RunSpec
from raysweep.spec.resources import Resources
from raysweep.store import RunStatus, Store
from raysweep.training.run import Job

WIDE = Resources(cpus_per_worker=2)


@pytest.fixture(autouse=True)
def head(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What Ray's head keeps, without Ray."""
    kept: dict[str, bytes] = {}

    def put(key: str, value: bytes, *, namespace: bytes) -> None:
        kept[key] = value

    def delete(key: str, *, del_by_prefix: bool = False, namespace: bytes) -> None:
        for name in [name for name in kept if name == key or (del_by_prefix and name.startswith(key))]:
            del kept[name]

    monkeypatch.setattr(internal_kv, "_internal_kv_put", put)
    monkeypatch.setattr(internal_kv, "_internal_kv_del", delete)
    monkeypatch.setattr(internal_kv, "_internal_kv_get", lambda key, *, namespace: kept.get(key))
    return kept


class Stage:
    """The searcher on a queue of two pretrainings, a floor, a ceiling and a student, and what its slots
    do."""

    most: list[dict[str, float]] | None = None
    """The nodes that the cluster may have, if it may grow."""

    def __init__(self, store: Store, tmp_path: Path, cpus: float, **sweep: Any) -> None:
        self.store = store
        self.queue = RunQueue(make_plan(small_sweep(**sweep), store), store)
        self.nodes = [{"CPU": cpus}]
        self.searcher = QueueSearcher(
            self.queue, NodeWait(None, self.size), JobBoard(Jobs(store, {}), None, "test")
        )
        self.steps: dict[str, int] = {}

    def size(self) -> ClusterSize:
        return ClusterSize(self.nodes, self.most or self.nodes)

    def look(self) -> None:
        """Let the searcher see what the cluster is now, and be asked once."""
        self.searcher._wait._looked = float("-inf")
        self.searcher._look_at_cluster()

    def open(self, slot: str) -> str:
        """What a new slot is to do; it has started."""
        config = self.searcher.suggest(slot)
        assert isinstance(config, dict)
        self.config = config
        self.steps[slot] = 0
        self.searcher.on_start(slot)
        return self.told(slot)

    def told(self, slot: str) -> str:
        """What a slot does in the step that it is to take: the role of a run, "wait", or "end"."""
        what = read_job(self.searcher._jobs.key(slot), self.steps[slot])
        if not isinstance(what, Job):
            return "end" if what is None else "wait"
        assert self.queue.runs[what.spec.id].status is RunStatus.RUNNING
        return self.queue.runs[what.spec.id].run.role

    def running(self, slot: str) -> PlannedRun:
        return self.searcher._runs[slot]

    def step(self, slot: str) -> str:
        """A slot does what it was told to, and is told what to do next."""
        if slot in self.searcher._runs:
            finish(self.running(slot).spec, self.store)
        self.steps[slot] += 1
        self.searcher.on_trial_result(slot, {"training_iteration": self.steps[slot]})
        return self.told(slot)


def test_a_slot_goes_from_run_to_run_and_waits_until_one_is_ready(
    store: Store, tmp_path: Path, head: dict[str, bytes]
) -> None:
    stage = Stage(store, tmp_path, cpus=2)
    assert (stage.open("a"), stage.open("b")) == ("pretrain", "pretrain")
    assert stage.config["num_workers"] == 0 and (stage.config["cpus"], stage.config["gpus"]) == (1, 0)
    assert stage.searcher.suggest("c") is None  # two CPUs are taken
    assert stage.step("a") in ("supervisor", "ceiling")
    assert stage.step("b") in ("supervisor", "ceiling")
    supervisor, other = ("a", "b") if stage.running("a").role == "supervisor" else ("b", "a")
    assert (
        stage.step(other) == stage.step(other) == "wait"
    )  # only the supervisor runs, and the student needs it
    assert stage.searcher.suggest("c") is None
    assert stage.step(supervisor) == "student"
    assert stage.step(other) == "wait"
    assert stage.step(supervisor) == stage.step(other) == "end"
    assert stage.queue.count(RunStatus.DONE) == 5 and stage.searcher.suggest("c") == Searcher.FINISHED
    assert len(head) == 2  # of each slot only what it is to do now


def test_a_slot_that_waits_ends_after_a_while_and_gives_its_capacity_back(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(store, tmp_path, cpus=2, seeds=[0])
    for slot in "ab":
        stage.open(slot)
        stage.step(slot)
    ceiling = "a" if stage.running("a").role == "ceiling" else "b"
    assert stage.step(ceiling) == "wait"
    monkeypatch.setattr(searcher, "_PATIENCE_SECONDS", 0.0)
    assert stage.step(ceiling) == "end"
    stage.searcher.on_trial_complete(ceiling, {})
    supervisor = "b" if ceiling == "a" else "a"
    assert stage.step(supervisor) == "student"
    assert stage.searcher._capacity.choose([stage.running(supervisor)]) is not None  # the other CPU is free


def test_a_slot_ends_for_a_run_that_needs_other_resources(store: Store, tmp_path: Path) -> None:
    def resources(spec: RunSpec) -> Resources:
        return WIDE if spec.train_split == "supervisor" else Resources()

    stage = Stage(store, tmp_path, cpus=2, resources=resources)
    longest = {
        run.id: float(run.role in ("pretrain", "supervisor")) for run in stage.queue.plan.runs.values()
    }
    stage.queue.order_by(longest)
    for slot in "ab":
        stage.open(slot)
    first, second = sorted("ab", key=lambda slot: stage.running(slot).spec.model.name != "weak")
    # The floor, which is due, needs both CPUs; what is narrower may not go on in its way.
    assert stage.step(first) == "wait"
    for slot in (second, first):
        assert stage.step(slot) == "end"
        assert stage.searcher.suggest("c") is None
        stage.searcher.on_trial_complete(slot, {})
    assert stage.open("c") == "supervisor" and stage.config["cpus"] == 2
    assert stage.step("c") == "end"  # what is left is narrower


def test_a_run_that_fails_ends_its_lane_and_another_goes_on(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, tmp_path, cpus=1, seeds=[0, 1])
    stage.open("a")
    stage.step("a")
    while stage.running("a").role != "supervisor":
        stage.step("a")
    failed = stage.running("a")
    store.run(failed.id).tell_failure("ValueError: no luck")
    stage.searcher.on_trial_complete("a", error=True)
    stage.searcher.on_error("a", "RayTaskError(ValueError)")
    assert stage.queue.runs[failed.id].reason == "ValueError: no luck"
    stage.open("b")
    while stage.step("b") != "end":
        pass
    counts = stage.queue.count(RunStatus.DONE), stage.queue.count(RunStatus.FAILED)
    assert counts == (len(stage.queue.runs) - 2, 2)  # the floor, and its student


def test_a_run_whose_slot_dies_is_tried_again_with_what_is_known_of_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "_PAUSES_SECONDS", (0.0, 0.0))
    stage = Stage(store, tmp_path, cpus=1)
    for number, slot in enumerate(("a", "b", "c"), 1):
        stage.open(slot)
        lost = stage.running(slot)
        stage.searcher.on_trial_complete(slot, error=True)
        stage.searcher.on_error(slot, "its node 10.0.0.7 is gone")
        told = stage.queue.runs[lost.id]
        assert told.status is (RunStatus.FAILED if number == 3 else RunStatus.WAITING)
        assert f"try {number} of 3" in told.reason and "its node 10.0.0.7 is gone" in told.reason


def test_tune_ends_while_another_sweep_executes_what_is_left(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, tmp_path, cpus=2)
    other = RunQueue(stage.queue.plan, store)
    for run in other.ready():
        assert other.start(run)
    assert stage.searcher.suggest("a") is None  # it finds out
    assert stage.searcher.suggest("a") == Searcher.FINISHED and stage.searcher.has_finished
    assert not stage.queue.is_complete and stage.queue.is_held_up


def test_after_a_problem_slots_end(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, tmp_path, cpus=1)
    stage.open("a")
    stage.queue.close(InvalidInput("a suggestion can't be trained"))
    assert stage.step("a") == "end"
    assert stage.searcher.suggest("b") == Searcher.FINISHED


def test_the_head_keeps_one_step_of_each_slot_and_nothing_afterwards(
    store: Store, tmp_path: Path, head: dict[str, bytes]
) -> None:
    stage = Stage(store, tmp_path, cpus=2)
    stage.open("a")
    stage.open("b")
    stage.step("a")
    assert sorted(head) == ["test/a-1", "test/b-0"]
    stage.searcher._jobs.clear()
    assert not head
    with pytest.raises(RuntimeError, match="Ray's head has no test/a-1"):
        read_job("test/a", 1)


def test_a_slot_that_waits_takes_the_run_of_one_for_which_no_node_comes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(store, tmp_path, cpus=1)
    stage.most = [{"CPU": 2.0}]
    stage.look()
    stage.open("a")
    assert isinstance(stage.searcher.suggest("b"), dict)  # the demand for another node
    other = stage.running("b")
    assert stage.queue.runs[other.id].status is RunStatus.WAITING and stage.searcher.surplus() == []
    monkeypatch.setattr(searcher, "_PATIENCE_SECONDS", 0.0)
    while stage.running("a").id != other.id:
        stage.step("a")
    assert stage.queue.runs[other.id].status is RunStatus.RUNNING
    assert stage.searcher.surplus() == ["b"]
    stage.searcher.on_trial_complete("b", {})  # as Ray Tune does when it is stopped
    while stage.step("a") != "end":
        pass
    assert stage.queue.count(RunStatus.DONE) == 5 and stage.searcher.suggest("c") == Searcher.FINISHED


def test_nodes_that_join_are_used_and_without_any_tune_ends(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, tmp_path, cpus=0)
    assert stage.searcher.suggest("a") == Searcher.FINISHED and not stage.queue.is_complete
    stage.nodes = [{"CPU": 1.0}]
    stage.look()
    stage.open("a")
    assert stage.searcher.suggest("b") is None
    stage.nodes = [{"CPU": 1.0}] * 2
    stage.look()
    stage.open("b")


def test_slots_needn_t_start_when_nodes_were_waited_for_too_long(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, tmp_path, cpus=0)
    stage.searcher._wait._limit_minutes = 0.0
    stage.most = [{"CPU": 1.0}]
    stage.look()
    assert isinstance(stage.searcher.suggest("a"), dict)
    stage.look()
    stage.searcher.suggest("b")
    assert isinstance(stage.queue.problem, NodesMissing) and stage.searcher.surplus() == ["a"]
    stage.searcher.on_trial_complete("a", {})
    assert stage.queue.failures == []
