"""What lanes are told to do, step by step, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from grid_helpers import finish, small_sweep
from ray import cloudpickle
from ray.tune.search import Searcher

from raysweep.errors import InvalidInput
from raysweep.plan import PlannedRun, make_plan
from raysweep.resources import Resources
from raysweep.scheduling import lanes
from raysweep.scheduling.board import Board, Standing
from raysweep.scheduling.lanes import GraphSearcher, Jobs
from raysweep.scheduling.room import Room
from raysweep.spec import RunSpec
from raysweep.store import Store
from raysweep.training.execute import Job

WIDE = Resources(cpus_per_worker=2)


class Stage:
    """The searcher on a board of two pretrainings, a floor, a ceiling and a student, and what its lanes do."""

    def __init__(self, store: Store, tmp_path: Path, cpus: float, **sweep: Any) -> None:
        self.store = store
        self.board = Board(make_plan(small_sweep(**sweep), store), store)
        self.searcher = GraphSearcher(self.board, Room({"CPU": cpus}), Jobs(self.board, {}, None, tmp_path / "jobs"))
        self.steps: dict[str, int] = {}

    def open(self, lane: str) -> str:
        """What a new lane is to do; it has started."""
        config = self.searcher.suggest(lane)
        assert isinstance(config, dict)
        self.config = config
        self.steps[lane] = 0
        self.searcher.on_start(lane)
        return self.told(lane)

    def told(self, lane: str) -> str:
        """What a lane does in the step that it is to take: the kind of a run, "wait", or "end"."""
        path = Path(f"{self.searcher._jobs.path(lane)}-{self.steps[lane]}")
        what = cloudpickle.loads(path.read_bytes())
        if not isinstance(what, Job):
            return "end" if what is None else "wait"
        assert self.board.entries[what.spec.id].standing is Standing.RUNNING
        return self.board.entries[what.spec.id].run.kind

    def running(self, lane: str) -> PlannedRun:
        return self.searcher._runs[lane]

    def step(self, lane: str) -> str:
        """A lane does what it was told to, and is told what to do next."""
        if lane in self.searcher._runs:
            finish(self.running(lane).spec, self.store)
        self.steps[lane] += 1
        self.searcher.on_trial_result(lane, {"training_iteration": self.steps[lane]})
        return self.told(lane)


def test_a_lane_goes_from_run_to_run_and_waits_until_one_is_ready(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, tmp_path, cpus=2)
    assert (stage.open("a"), stage.open("b")) == ("pretrain", "pretrain")
    assert stage.config["num_workers"] == 0 and (stage.config["cpus"], stage.config["gpus"]) == (1, 0)
    assert stage.searcher.suggest("c") is None  # two CPUs are taken
    assert stage.step("a") in ("weak", "ceiling")
    assert stage.step("b") in ("weak", "ceiling")
    floor, other = ("a", "b") if stage.running("a").kind == "weak" else ("b", "a")
    assert stage.step(other) == stage.step(other) == "wait"  # only the floor runs, and the student needs it
    assert stage.searcher.suggest("c") is None
    assert stage.step(floor) == "student"
    assert stage.step(other) == "wait"
    assert stage.step(floor) == stage.step(other) == "end"
    assert stage.board.count(Standing.DONE) == 5 and stage.searcher.suggest("c") == Searcher.FINISHED
    assert len([*(tmp_path / "jobs").iterdir()]) == 2  # of each lane only what it is to do now


def test_a_lane_that_waits_ends_after_a_while_and_gives_its_room_back(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(store, tmp_path, cpus=2, seeds=[0])
    for lane in "ab":
        stage.open(lane)
        stage.step(lane)
    ceiling = "a" if stage.running("a").kind == "ceiling" else "b"
    assert stage.step(ceiling) == "wait"
    monkeypatch.setattr(lanes, "_PATIENCE_SECONDS", 0.0)
    assert stage.step(ceiling) == "end"
    stage.searcher.on_trial_complete(ceiling, {})
    floor = "b" if ceiling == "a" else "a"
    assert stage.step(floor) == "student"
    assert stage.searcher._room.choose([stage.running(floor)]) is not None  # the other CPU is free


def test_a_lane_ends_for_a_run_that_needs_other_resources(store: Store, tmp_path: Path) -> None:
    def resources(spec: RunSpec) -> Resources:
        return WIDE if spec.train_split == "supervisor" else Resources()

    stage = Stage(store, tmp_path, cpus=2, resources=resources)
    longest = {run.id: float(run.kind in ("pretrain", "weak")) for run in stage.board.plan.runs.values()}
    stage.board.order_by(longest)
    for lane in "ab":
        stage.open(lane)
    first, second = sorted("ab", key=lambda lane: stage.running(lane).spec.model.name != "weak")
    # The floor, which is due, needs both CPUs; what is narrower may not go on in its way.
    assert stage.step(first) == "wait"
    for lane in (second, first):
        assert stage.step(lane) == "end"
        assert stage.searcher.suggest("c") is None
        stage.searcher.on_trial_complete(lane, {})
    assert stage.open("c") == "weak" and stage.config["cpus"] == 2
    assert stage.step("c") == "end"  # what is left is narrower


def test_a_run_that_fails_ends_its_lane_and_another_goes_on(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, tmp_path, cpus=1, seeds=[0, 1])
    stage.open("a")
    stage.step("a")
    while stage.running("a").kind != "weak":
        stage.step("a")
    lost = stage.running("a")
    stage.searcher.on_trial_complete("a", error=True)
    assert "may have run out of memory" in stage.board.entries[lost.id].reason
    stage.open("b")
    while stage.step("b") != "end":
        pass
    counts = stage.board.count(Standing.DONE), stage.board.count(Standing.FAILED)
    assert counts == (len(stage.board.entries) - 2, 2)  # the floor, and its student


def test_after_a_problem_lanes_end(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, tmp_path, cpus=1)
    stage.open("a")
    stage.searcher.problem = InvalidInput("a suggestion can't be trained")
    assert stage.step("a") == "end"
    assert stage.searcher.suggest("b") == Searcher.FINISHED
