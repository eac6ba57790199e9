"""What a run costs is counted before it trains, and said to be measured, scaled or assumed; the longest path
goes first."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grid_helpers import small_model, small_sweep

from raysweep import HeadOnly, Method, Resources, RunSpec, grid
from raysweep.cli.exit_codes import BAD_INPUT, SUCCESS
from raysweep.cli.main import main
from raysweep.data.examples import read_split
from raysweep.estimates.forecast import forecast
from raysweep.estimates.runtime import RunCost, estimate_costs, remaining_seconds
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan, make_plan
from raysweep.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def plan(store: Store) -> Plan:
    """Two pretrainings; for each of two seeds a supervisor, a ceiling and a student."""
    return make_plan(small_sweep(seeds=[0, 1]), store)


def find(plan: Plan, kind: str, seed: int = 0, model: str = "") -> PlannedRun:
    found = (run for run in plan.runs.values() if run.role == kind and run.spec.seed == seed)
    return next(run for run in found if model in run.spec.model.name)


def num_words(spec: RunSpec, split: str, store: Store, count: int | None = None) -> int:
    """Words of a split's first texts; a word is a token of the sandbox's models."""
    texts = read_split(spec.task, split, store, ["texts"])["texts"].tolist()
    return sum(len(text.split()) for row in texts[:count] for text in row)


def finish(run: PlannedRun, store: Store, **info: Any) -> None:
    """Let a run be done, in 2 s of training, 1 s of evaluation and half a second of the rest, unless `info`
    says otherwise."""
    took = {"seconds_training": 2.0, "seconds_evaluation": 1.0, "seconds_total": 3.5, "resumed_at_step": 0}
    resources = {"cpus_per_worker": 1, "gpus_per_worker": run.resources.gpus_per_worker}
    paths = store.run(run.id)
    paths.claim(run.spec)
    paths.model.mkdir(exist_ok=True)
    (paths.model / "weights").write_text("weights")
    paths.finish(run.spec, {}, took | {"num_steps": 4, "num_tokens": 0, "resources": resources} | info)


def test_tokens_are_those_of_the_steps_the_curves_and_the_splits(plan: Plan, store: Store) -> None:
    cost = estimate_costs(plan, store)[find(plan, "supervisor").id]
    spec = find(plan, "supervisor").spec
    # 4 steps of 16 are twice all 32 examples. One point of the curves at step 2, with 10 examples of each
    # split.
    assert cost.tokens_trained == 2 * num_words(spec, "supervisor", store)
    whole = {split: num_words(spec, split, store) for split in ("transfer", "validation", "test")}
    at_point = (
        whole["validation"] * 10 / 20 + whole["test"] * 10 / 40
    )  # by the mean: which texts come first isn't asked
    assert cost.tokens_evaluated == round(sum(whole.values()) + at_point)
    assert cost.flops == 2 * cost.num_parameters * (3 * cost.tokens_trained + cost.tokens_evaluated)

    pretraining = find(plan, "pretrain", model="weak")
    cost = estimate_costs(plan, store)[pretraining.id]
    mean = num_words(pretraining.spec, "train", store) / 128
    assert cost.tokens_trained == round(3 * 16 * mean)
    assert cost.tokens_evaluated == num_words(pretraining.spec, "validation", store)


def test_a_linear_probe_is_not_trained_backwards_through_its_model(store: Store) -> None:
    plan = make_plan(small_sweep(methods=["naive", Method(name="probe", recipe="linear_probe")]), store)
    costs = {
        type(run.spec.model.tuning): costs
        for run in plan.runs.values()
        for costs in [estimate_costs(plan, store)[run.id]]
    }
    probe = costs[HeadOnly]
    assert probe.flops == 2 * probe.num_parameters * (probe.tokens_trained + probe.tokens_evaluated)


def in_bfloat16(run: PlannedRun) -> PlannedRun:
    optimization = replace(run.spec.optimization, precision="bfloat16")
    return replace(run, spec=replace(run.spec, optimization=optimization))


def test_without_a_measurement_seconds_are_assumed(plan: Plan, store: Store) -> None:
    for cost in estimate_costs(plan, store).values():
        assert cost.basis == "assumed"
        assert cost.seconds == pytest.approx(cost.flops / 10e9 + 1.0)
    wide = make_plan(small_sweep(resources=Resources(num_workers=2, gpus_per_worker=1)), store)
    cost = estimate_costs(wide, store)[find(wide, "supervisor").id]
    assert cost.seconds == pytest.approx(cost.flops / (2 * 0.9 * 67e12) + 1.0)
    low = find(wide, "supervisor")
    low = replace(
        low, spec=replace(low.spec, optimization=replace(low.spec.optimization, precision="bfloat16"))
    )
    cost = estimate_costs(replace(wide, runs={low.id: low}), store)[low.id]
    assert cost.seconds == pytest.approx(cost.flops / (2 * 0.4 * 989e12) + 1.0)


def test_seconds_follow_from_finished_runs_of_the_same_model_else_of_the_nearest(
    plan: Plan, store: Store
) -> None:
    floor = find(plan, "supervisor", 0)
    other = find(plan, "supervisor", 1)
    before = estimate_costs(plan, store)[floor.id]
    # It trained half as many tokens in its 2 s as the other run will.
    finish(floor, store, num_tokens=before.tokens_trained // 2, num_parameters=before.num_parameters)
    costs = estimate_costs(plan, store)
    measured = costs[other.id]
    assert measured.basis == "measured" and measured.seconds == pytest.approx(2 * 2.0 + 1.0 + 0.5)
    # Of the strong model nothing is known but what the weak one's FLOPs say: 6·N·tokens in 2 s.
    speed = 6 * before.num_parameters * (before.tokens_trained // 2) / 2.0
    student = costs[find(plan, "student").id]
    low = find(plan, "student")
    low = replace(
        low, spec=replace(low.spec, optimization=replace(low.spec.optimization, precision="bfloat16"))
    )
    assert estimate_costs(replace(plan, runs={low.id: low}), store)[low.id].basis == "assumed"
    assert student.basis == "scaled" and student.seconds == pytest.approx(student.flops / speed + 0.5)


@pytest.mark.parametrize("info", [{"resumed_at_step": 2}, {"resources": {"gpus_per_worker": 1}}])
def test_a_resumed_run_and_one_on_another_device_say_nothing(
    plan: Plan, store: Store, info: dict[str, Any]
) -> None:
    finish(find(plan, "supervisor", 0), store, **{"num_tokens": 100, "num_parameters": 1_000} | info)
    assert {cost.basis for cost in estimate_costs(plan, store).values()} == {"assumed"}


def test_what_cannot_be_read_of_a_store_is_not_used(plan: Plan, store: Store) -> None:
    finish(find(plan, "supervisor", 0), store, num_tokens=100)
    store.run(find(plan, "supervisor", 0).id).spec.write_text("{")
    (store.folder / "runs" / "stray").mkdir()
    assert {cost.basis for cost in estimate_costs(plan, store).values()} == {"assumed"}


def test_the_remaining_path_is_the_longest_of_those_that_wait(store: Store) -> None:
    plan = make_plan(small_sweep(methods=["naive", "confidence"]), store)
    seconds = {"pretrain": 10.0, "supervisor": 5.0, "ceiling": 20.0, "student": 7.0}
    empty = {
        "num_parameters": 1,
        "tokens_trained": 1,
        "tokens_evaluated": 1,
        "flops": 1.0,
        "basis": "assumed",
    }
    costs = {run.id: RunCost(seconds=seconds[run.role], **empty) for run in plan.runs.values()}  # type: ignore[arg-type]
    costs[find(plan, "student").id] = RunCost(seconds=9.0, **empty)  # type: ignore[arg-type]
    remaining = remaining_seconds(plan, costs)
    assert remaining[find(plan, "pretrain", model="weak").id] == 10 + 5 + 9
    assert remaining[find(plan, "pretrain", model="strong").id] == 10 + 20
    assert remaining[find(plan, "supervisor").id] == 5 + 9
    assert [remaining[run.id] for run in plan.runs.values() if run.role == "student"] == [9, 7]


def test_a_forecast_is_of_what_is_left(plan: Plan, store: Store) -> None:
    costs = estimate_costs(plan, store)
    one = forecast(plan, store, 1)
    total = sum(cost.seconds for cost in costs.values())
    assert one.device == "CPU" and one.bases == {"assumed": 8}
    assert one.simulation.makespan == pytest.approx(total) and one.simulation.idle_share == pytest.approx(0)
    path = [find(plan, "pretrain", model="weak"), find(plan, "supervisor"), find(plan, "student")]
    assert one.critical_path_seconds == pytest.approx(sum(costs[run.id].seconds for run in path))
    many = forecast(plan, store, 100)
    assert many.simulation.makespan == pytest.approx(one.critical_path_seconds)
    assert many.simulation.idle_share == pytest.approx(1 - total / (100 * one.critical_path_seconds))
    assert (
        "8 runs on 100 CPU cores: about 3 s" in many.lines()
        and "8 assumed, at 10 GFLOP/s a core" in many.lines()
    )
    for run in plan.runs.values():
        finish(run, store)
    assert forecast(plan, store, 1).lines() == "Nothing is left to be computed."


def test_runs_without_a_gpu_cost_none_of_a_sweep_with_some(store: Store) -> None:
    def choose(spec: RunSpec) -> Resources:
        return Resources(gpus_per_worker=0.5 if spec.model.name == "strong" else 0)

    plan = make_plan(
        small_sweep(pairs=grid([small_model("weak", 4)], [small_model("strong", 6)]), resources=choose), store
    )
    found = forecast(plan, store, 2)
    costs = estimate_costs(plan, store)
    strong = sum(costs[run.id].seconds for run in plan.runs.values() if run.spec.model.name == "strong")
    assert found.device == "GPU" and found.simulation.device_seconds == pytest.approx(0.5 * strong)
    assert "2 GPUs" in found.lines() and "40 % of the 989 TFLOP/s of an H100" in found.lines()


EXPERIMENT = "from grid_helpers import small_sweep\n\ndef sweep():\n    return small_sweep()\n"


def test_the_command_line_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "experiment.py"
    file.write_text(EXPERIMENT)
    command = ["plan", str(file), "--store", str(tmp_path / "store")]
    assert main([*command, "--gpus", "2"]) == SUCCESS
    assert "5 runs on 2 CPU cores: about 3 s, 0.00139 CPU core hours" in capsys.readouterr().out
    assert main([*command, "--gpus", "2", "--json"]) == SUCCESS
    told = json.loads(capsys.readouterr().out)["forecast"]
    assert (
        told["num_devices"] == 2 and told["device"] == "CPU" and told["num_runs_by_basis"] == {"assumed": 5}
    )
    assert told["idle_share"] == pytest.approx(1 - told["device_hours"] * 3600 / (2 * told["seconds"]))
    assert main([*command, "--json"]) == SUCCESS
    assert "forecast" not in json.loads(capsys.readouterr().out)
    assert main([*command, "--gpus", "0"]) == BAD_INPUT
    assert "isn't a whole number of at least 1" in capsys.readouterr().err
