"""Methods that combine runs, trained in the smallest world: neutral settings, killed and resumed, no truth of
half B, and what is refused when planning."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from grid_helpers import small_sweep, small_task

from raysweep import Call, InvalidInput, Method
from raysweep.data.inputs import RunInputs
from raysweep.planning.plan import Plan, make_plan
from raysweep.recipes import Cell, CellRuns
from raysweep.recipes.ensembles import recipes
from raysweep.scheduling.run import run_plan
from raysweep.spec import RunSpec, WeakLabels
from raysweep.store import RunStatus, Store

NEUTRAL: dict[str, dict[str, Any]] = {
    "several": {"members": 1},
    "agree": {"members": 1},
    "adaboost": {"members": 1},
    "two_stage": {"keep": 1.0},
    "co_supervised": {"members": 1},
    "selective": {"at_least": 2.0},
    "cross_fitted": {"folds": 1},
}
"""With which a method is naive finetuning."""


def methods(params: dict[str, dict[str, Any]]) -> list[Any]:
    return ["naive", *(Method(name=name, recipe=name, params=given) for name, given in params.items())]


def students(plan: Plan) -> dict[str, RunSpec]:
    return {cell.method: cell.runs.student for cell in plan.cells}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """All methods, as they are and in their neutral settings."""
    store = Store(tmp_path_factory.mktemp("ensembles") / "store")
    neutral = [Method(name=f"{name}, neutral", recipe=name, params=given) for name, given in NEUTRAL.items()]
    plan = make_plan(small_sweep(methods=[*methods({name: {} for name in NEUTRAL}), *neutral]), store)
    queue = run_plan(plan, store)
    assert not queue.failures, queue.failures[0].reason
    return plan, store


def test_every_method_of_the_module_is_tested() -> None:
    own = {name for name, recipe in recipes if recipe.__module__ == "raysweep.recipes.ensembles"}
    assert own == set(NEUTRAL)


@pytest.mark.parametrize("name", NEUTRAL)
def test_its_neutral_setting_is_naive_to_the_last_bit(name: str, trained: tuple[Plan, Store]) -> None:
    plan, store = trained
    found = students(plan)
    for split in ("test", "transfer", "validation"):
        naive, neutral, as_is = (
            store.run(found[method].id).read_predictions(split).probabilities
            for method in ("naive", f"{name}, neutral", name)
        )
        assert np.array_equal(neutral, naive)
        assert not np.array_equal(as_is, naive)  # else this test couldn't fail


def test_the_plan_knows_what_trains_and_who_reads_half_a(trained: tuple[Plan, Store]) -> None:
    plan, store = trained
    combinations = [run for run in plan.runs.values() if run.spec.combination]
    assert len(combinations) == plan.num_combinations > 10
    assert all(run.roles == ("combination",) and not run.save_weights for run in combinations)
    trainings = [run for run in plan.runs.values() if run.role != "pretrain" and not run.spec.combination]
    assert plan.num_trainings == len(trainings)
    for run in plan.runs.values():
        has_half_a = store.run(run.id).predictions("supervisor").exists()
        assert has_half_a == (run.also_predicts == {"supervisor"})
        assert not any(name.startswith("supervisor_") for name in store.run(run.id).read_result()["metrics"])


def test_out_of_fold_labels_are_of_students_that_have_not_seen_them(trained: tuple[Plan, Store]) -> None:
    plan, store = trained
    labels = students(plan)["cross_fitted"].labels
    assert isinstance(labels, WeakLabels) and labels.supervisor.combination is not None
    sources = labels.supervisor.combination.sources
    combined = store.run(labels.supervisor.id).read_predictions("transfer")
    assert combined.covered.all() and len(sources) == 2
    for source in sources:
        assert isinstance(source, WeakLabels)
        seen = RunInputs(source.supervisor, store).labels("transfer")
        says = store.run(source.supervisor.id).read_predictions("transfer").align(combined.ids)
        used = (says.probabilities == combined.probabilities).all(axis=1)
        assert used.sum() == 16 and not (used & seen.align(combined.ids).covered).any()


def test_the_two_stages_share_no_example(trained: tuple[Plan, Store]) -> None:
    plan, store = trained
    labels = students(plan)["two_stage"].labels
    assert isinstance(labels, WeakLabels) and labels.supervisor.combination is not None
    inputs = RunInputs(labels.supervisor, store)
    kept, rest = (inputs._labels_of(item, "transfer") for item in labels.supervisor.combination.sources)
    assert not (kept.covered & rest.align(kept.ids).covered).any()
    assert (kept.covered.sum(), rest.covered.sum()) == (22, 7)  # .7 of 32, and .7 of the other 10


def test_nothing_is_computed_twice_and_a_lost_combination_alone_again(trained: tuple[Plan, Store]) -> None:
    plan, store = trained
    again = run_plan(make_plan(plan.sweep, store), store)
    assert again.count(RunStatus.CACHED) == len(plan.runs)
    one = next(run for run in plan.runs.values() if run.spec.combination)
    before = store.run(one.id).read_predictions("test").probabilities
    store.run(one.id).result.unlink()
    mended = run_plan(make_plan(plan.sweep, store), store)
    assert mended.count(RunStatus.DONE) == 1
    assert np.array_equal(store.run(one.id).read_predictions("test").probabilities, before)


def test_half_a_is_predicted_later_without_another_id(store: Store) -> None:
    """A naive sweep's supervisor has no predictions of half A; boosting asks for them."""
    plan = make_plan(small_sweep(methods=["naive"]), store)
    run_plan(plan, store)
    naive = plan.cells[0].runs
    before = store.run(naive.supervisor.id).read_predictions("transfer").probabilities
    boosted = make_plan(
        small_sweep(methods=[Method(name="b", recipe="adaboost", params={"members": 1})]), store
    )
    assert boosted.cells[0].runs.supervisor.id == naive.supervisor.id
    assert boosted.runs[naive.supervisor.id].status(store) is RunStatus.MISSING
    assert not run_plan(boosted, store).failures
    assert boosted.runs[naive.supervisor.id].status(store) is RunStatus.DONE
    after = store.run(naive.supervisor.id).read_predictions("transfer").probabilities
    assert np.array_equal(before, after)


def test_no_student_depends_on_truth_of_half_b(
    trained: tuple[Plan, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, _ = trained
    honest = RunInputs.ground_truth
    read: list[tuple[str, str]] = []

    def watched(inputs: RunInputs, split: str) -> Any:
        read.append((inputs.spec.id, split))
        return honest(inputs, split)

    monkeypatch.setattr(RunInputs, "ground_truth", watched)
    for run in plan.runs.values():
        inputs = RunInputs(run.spec, trained[1])
        if run.spec.combination is not None:
            for split in inputs.evaluated_splits:
                inputs.combined(split)
        elif isinstance(run.spec.labels, WeakLabels):
            inputs.labels(run.spec.train_split)
    assert read and {split for _, split in read} == {"supervisor"}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = ModuleType("own_ensembles")
    monkeypatch.setitem(sys.modules, "own_ensembles", module)
    yield module


def planned(own: ModuleType, store: Store, recipe: Any) -> Plan:
    own.recipe = recipe  # type: ignore[attr-defined]
    return make_plan(small_sweep(methods=[Method(name="own", recipe="own_ensembles:recipe")]), store)


def test_what_does_not_go_together_is_refused_when_planning(own: ModuleType, store: Store) -> None:
    other = make_plan(small_sweep(tasks=[small_task("other", attribute=1)], methods=["naive"]), store)
    foreign = other.cells[0].runs.supervisor

    def circle(cell: Cell) -> CellRuns:
        node = cell.combine("mean", cell.supervisor())
        assert node.combination is not None
        object.__setattr__(node.combination, "sources", (cell.labels(node),))
        return cell.runs(cell.student(node))

    def parts(cell: Cell) -> CellRuns:
        sources = [
            cell.labels(cell.supervisor(), [Call("part", {"number": number, "of": 2})]) for number in (0, 1)
        ]
        return cell.runs(cell.student(cell.combine("agree", *sources)))

    def apart(cell: Cell) -> CellRuns:
        return cell.runs(cell.student(cell.combine("reweighted", cell.supervisor())))

    refused: list[tuple[Any, str]] = [
        (circle, "depends on itself"),
        (parts, "gives no example a label"),
        (apart, "'supervisor' only"),
        (lambda cell: cell.runs(cell.combine("mean", foreign)), "is on task 'other'"),
        (lambda cell: cell.runs(cell.combine("where", cell.supervisor())), "has 1 source"),
        (lambda cell: cell.runs(cell.combine("maen", cell.supervisor())), "mean"),
        (lambda cell: cell.runs(cell.student(cell.supervisor(), split="supervisor")), "'transfer' only"),
    ]
    for recipe, message in refused:
        with pytest.raises(InvalidInput, match=message):
            planned(own, store, recipe)


def test_a_combination_may_be_the_student(own: ModuleType, store: Store) -> None:
    def recipe(cell: Cell) -> CellRuns:
        return cell.runs(cell.combine("mean", cell.supervisor(), cell.ceiling(), name="both"))

    plan = planned(own, store, recipe)
    assert not run_plan(plan, store).failures
    runs = plan.cells[0].runs
    weak, strong, both = (
        store.run(run.id).read_predictions("test").probabilities
        for run in (runs.supervisor, runs.ceiling, runs.student)
    )
    np.testing.assert_allclose(both, (weak + strong) / 2, atol=1e-15)
    assert (
        plan.runs[runs.student.id].role == "student"
        and "test_accuracy" in store.run(runs.student.id).read_result()["metrics"]
    )
