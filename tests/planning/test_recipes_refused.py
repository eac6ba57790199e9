"""Recipes of a user's own whose runs can't be trained are refused when they are planned, in one message."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from grid_helpers import pinned_run, small_model, small_sweep, small_task

from raysweep import Call, InvalidInput, Method, ModelSpec, TaskSpec, WeakLabels
from raysweep.planning.plan import make_plan
from raysweep.recipes import Cell, CellRuns, recipes
from raysweep.spec.chains import LONGEST_CHAIN, check_chain
from raysweep.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("recipes") / "store")


def chain(cell: Cell, length: int) -> CellRuns:
    run = cell.supervisor()
    for _ in range(length - 2):  # after the supervisor and the pretraining of its model
        run = cell.student(run)
    return cell.runs(run)


def circle(cell: Cell) -> CellRuns:
    first = cell.student(cell.supervisor())
    second = cell.student(first)
    object.__setattr__(first.labels, "supervisor", second)
    return cell.runs(second)


def parts(**changed: Any) -> Callable[[Cell], CellRuns]:
    def recipe(cell: Cell) -> CellRuns:
        runs = {"supervisor": cell.supervisor(), "student": cell.ceiling(), "ceiling": cell.ceiling()}
        return CellRuns(**runs | changed)

    return recipe


def trained_on(split: str) -> Callable[[Cell], CellRuns]:
    return lambda cell: cell.runs(cell.on_ground_truth(cell.strong, split))


REFUSED: dict[str, tuple[Callable[[Cell], CellRuns], str]] = {
    "a student that is text": (
        parts(student="strong"),
        r"the student of its CellRuns is 'strong' of type str; it must be a RunSpec, such as cell.student",
    ),
    "no supervisor": (parts(supervisor=None), "the supervisor of its CellRuns is None of type NoneType"),
    "a model": (parts(ceiling=small_model("m")), r"the ceiling of its CellRuns is Model\(.* of type Model;"),
    "a circle": (circle, "run of 'strong' on split 'transfer' depends on itself, through its supervisor"),
    "a chain without end": (
        lambda cell: chain(cell, 10_000),
        "a run of 'strong' depends on a chain of more than 50 runs",
    ),
    "trained on test": (
        trained_on("test"),
        "would be trained on 'test', .* train on supervisor or transfer$",
    ),
    "trained on validation": (
        trained_on("validation"),
        "would be trained on 'validation', which is there to",
    ),
    "texts of test": (
        lambda cell: cell.runs(
            cell.student(
                cell.supervisor(),
                model=replace(
                    cell.strong,
                    spec=replace(
                        cell.strong.spec, base=cell.language_modelling(cell.strong, "test", 1, None)
                    ),
                ),
            )
        ),
        "^pretrain run of 'strong' on task 'sandbox': it would be trained on 'test'",
    ),
}


@pytest.mark.parametrize(("recipe", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_recipe_may_not_return(
    recipe: Callable[[Cell], CellRuns], told: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recipes._entries, "own", recipe)
    with pytest.raises(InvalidInput, match=told) as refused:
        make_plan(small_sweep(methods=[Method(name="mine", recipe="own")]), store)
    assert "\n" not in str(refused.value)


def test_the_longest_chain_can_be_planned(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes._entries, "own", lambda cell: chain(cell, LONGEST_CHAIN))
    plan = make_plan(small_sweep(methods=[Method(name="mine", recipe="own")]), store)
    assert len(plan.runs) == LONGEST_CHAIN + 2  # the pretraining of the strong model, and the ceiling


def test_a_model_that_starts_from_a_chain_without_end(store: Store) -> None:
    model = small_model("deep")
    run = model.spec.base
    for _ in range(2_000):
        run = pinned_run(model=ModelSpec(name="deep", base=run))
    deep = replace(model, spec=ModelSpec(name="deep", base=run))
    with pytest.raises(
        InvalidInput, match="model 'deep': a run of 'deep' depends on a chain of more than 50"
    ):
        make_plan(small_sweep(pairs=[(deep, small_model("strong", 6))]), store)


def test_runs_that_many_share_are_looked_at_once() -> None:
    run = pinned_run()
    for _ in range(LONGEST_CHAIN - 1):  # 2^49 ways lead to the first one
        model = ModelSpec(name="m", base=run)
        run = pinned_run(labels=WeakLabels(supervisor=run), model=model, train_split="transfer")
    check_chain(run, "here")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda name: small_sweep(name=name), "Sweep.name"),
        (lambda name: Method(name=name, recipe="naive"), "Method.name"),
        (lambda name: small_task(label=name), "TaskSpec.label"),
        (lambda name: TaskSpec(name=name), "TaskSpec.name"),
        (lambda name: replace(small_model("m").spec, name=name), "ModelSpec.name"),
    ],
)
def test_a_name_that_is_too_long_for_mlflow(make: Callable[[str], object], told: str) -> None:
    make("x" * 250)
    with pytest.raises(InvalidInput, match=rf"^{told} has 500 characters, 'x{{40}}'…; MLflow takes names of"):
        make("x" * 500)
    with pytest.raises(InvalidInput, match=rf"^{told} has the lone surrogate .ud83d, which is half a char"):
        make("half \ud83d")
    make("whole 😀")


@pytest.mark.parametrize("text", ["half \ud83d", "\udc80", ["a", {"b": "\ude00\ud83d"}]])
def test_half_a_character_in_a_parameter(text: object) -> None:
    for make in (
        lambda: Call("cross_entropy", {"text": text}),
        lambda: TaskSpec(name="sandbox", params={"text": text}),
    ):
        with pytest.raises(InvalidInput, match=r"\.params has the lone surrogate .ud[8ce]"):
            make()
    Call("cross_entropy", {"text": "whole 😀 and \\ud83d in letters"})
