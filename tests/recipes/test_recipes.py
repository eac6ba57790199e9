"""Recipes: which runs they make of a cell. Nothing is trained."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest
from grid_helpers import small_model, small_sweep, small_task

from raysweep import (
    Call,
    GroundTruth,
    HeadOnly,
    InvalidInput,
    Method,
    Model,
    Probe,
    Prompting,
    RunSpec,
    Unlabelled,
    WeakLabels,
    grid,
)
from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import Sweep
from raysweep.recipes import CellRuns, recipes
from raysweep.registry import summary
from raysweep.spec.parameters import Parameters
from raysweep.store import Store
from raysweep.tasks.base import tasks


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("recipes") / "store")


WEAK = small_model("weak", 4)
MIDDLE = small_model("middle", 5)
STRONG = small_model("strong", 6)


def planned(store: Store, recipe: str, params: dict[str, Any] | None = None, **fields: Any) -> Plan:
    method = Method(name="method", recipe=recipe, params=params or {})
    return make_plan(small_sweep(pairs=grid([WEAK], [STRONG]), methods=[method], **fields), store)


def runs(store: Store, recipe: str, **params: Any) -> CellRuns:
    (cell,) = planned(store, recipe, params).cells
    return cell.runs


def supervisor(run: RunSpec) -> RunSpec:
    assert isinstance(run.labels, WeakLabels)
    return run.labels.supervisor


def applied(run: RunSpec) -> list[str]:
    assert not isinstance(run.labels, Unlabelled)
    return [str(call) for call in run.labels.transforms]


def test_a_chain_of_one_link_is_naive_finetuning_to_the_last_bit(store: Store) -> None:
    for data in ("same", "fresh"):
        assert runs(store, "bootstrapping", data=data) == runs(store, "naive")
        assert runs(store, "bootstrapping", data=data).student.id == runs(store, "naive").student.id


def test_each_link_of_a_chain_is_taught_by_the_one_before(store: Store) -> None:
    plan = planned(store, "bootstrapping", {"middle": [WEAK, MIDDLE]})
    (cell,) = plan.cells
    links = [cell.runs.student]
    while isinstance(links[-1].labels, WeakLabels):
        links.append(supervisor(links[-1]))
    assert [run.model.name for run in links] == ["strong", "middle", "weak", "weak"]
    assert [run.train_split for run in links] == ["transfer"] * 3 + ["supervisor"]
    assert links[-1] == cell.runs.supervisor
    assert all(applied(run) == [] for run in links)
    kinds = {run.spec.model.name: run.role for run in plan.runs.values() if run.spec in links[:3]}
    assert kinds == {"strong": "student", "middle": "intermediate", "weak": "intermediate"}
    assert plan.num_trainings == 5


def test_a_chain_with_fresh_data_cuts_half_b_into_parts(store: Store) -> None:
    student = runs(store, "bootstrapping", middle=[MIDDLE], data="fresh").student
    assert applied(student) == ["part(number=1, of=2)"]
    assert applied(supervisor(student)) == ["part(number=0, of=2)"]


def test_generative_finetuning_comes_before_student_and_ceiling(store: Store) -> None:
    plan = planned(store, "generative_finetuning", {"epochs": 2.0, "learning_rate": 3e-4})
    (cell,) = plan.cells
    base = cell.runs.student.model.base
    assert isinstance(base, RunSpec) and base == cell.runs.ceiling.model.base
    assert (base.labels, base.train_split, base.objective.name) == (
        Unlabelled(),
        "transfer",
        "language_modelling",
    )
    assert (base.optimization.epochs, base.optimization.learning_rate) == (2.0, 3e-4)
    assert base.model.base == cell.runs.supervisor.model.base or base.model.base.model.name == "strong"  # type: ignore[union-attr]
    planned_run = plan.runs[base.id]
    assert planned_run.role == "pretrain" and planned_run.needs_model
    plain = runs(store, "generative_finetuning", ceiling_too=False).ceiling
    assert plain == runs(store, "naive").ceiling


def test_baselines(store: Store) -> None:
    naive = runs(store, "naive")
    half_a = runs(store, "ground_truth_half_a")
    assert (half_a.student.train_split, half_a.student.labels) == ("supervisor", GroundTruth())
    assert (half_a.supervisor, half_a.ceiling) == (naive.supervisor, naive.ceiling)

    probe = runs(store, "linear_probe", learning_rate=1e-2)
    assert probe.student.model.tuning == HeadOnly() and supervisor(probe.student) == naive.supervisor
    assert probe.student.optimization.learning_rate == 1e-2
    assert isinstance(runs(store, "linear_probe", labels="ground_truth").student.labels, GroundTruth)

    zero_shot = runs(store, "prompting")
    assert zero_shot.student.model.tuning == Prompting(words=("no", "yes"), question="\nAnswer:")
    weak_shots = runs(store, "prompting", num_examples=4, labels="weak", words=("bad", "good"))
    assert weak_shots.student.model.tuning == Prompting(
        num_examples=4, words=("bad", "good"), question="\nAnswer:"
    )
    assert supervisor(weak_shots.student) == naive.supervisor and weak_shots.student.train_split == "transfer"


def test_trust_and_overlap_choose_among_weak_labels_by_features(store: Store) -> None:
    found = runs(store, "trust", keep=0.25, layer=1, folds=3)
    trusted = supervisor(found.student)
    tunings = [run.model.tuning for run in (found.supervisor, trusted)]
    logistic = Call("logistic")
    judged = Call("correctness", {"of": logistic, "folds": 3})
    assert tunings == [Probe(logistic, layer=1), Probe(judged, layer=1)]
    assert {run.model.name for run in (found.supervisor, trusted)} == {"weak"}
    assert {run.train_split for run in (found.supervisor, trusted)} == {"supervisor"}
    assert applied(found.student) == ["filter_confidence(keep=0.25)"]
    assert applied(runs(store, "trust", keep=1.0).student) == []

    naive = runs(store, "naive")
    kept = runs(store, "overlap_density", part="easy")
    chosen = supervisor(kept.student)
    assert chosen.model.tuning == Probe(Call("overlap", {"part": "easy"}))
    assert supervisor(chosen) == kept.supervisor == naive.supervisor
    assert chosen.train_split == "transfer" and chosen.model.name == "strong"
    assert applied(kept.student) == ["filter_confidence(at_least=0.500001)"]


def test_controls(store: Store) -> None:
    naive = runs(store, "naive")
    for recipe, transforms in {
        "shuffled_labels": ["shuffle"],
        "random_labels": ["random_labels"],
        "constant_labels": ["constant(class_index=0)"],
        "simulated_supervisor": ["simulated_supervisor(where=uniform)"],
    }.items():
        found = runs(store, recipe)
        assert applied(found.student) == transforms
        assert supervisor(found.student) == found.supervisor == naive.supervisor
    found = runs(store, "ceiling_labels")
    assert supervisor(found.student) == found.ceiling == naive.ceiling


def test_easy_to_hard_supervises_from_the_easy_part(store: Store) -> None:
    found = runs(store, "easy_to_hard", share=0.25)
    assert applied(found.supervisor) == applied(found.student) == ["easiest(share=0.25)"]
    assert applied(found.ceiling) == [] and isinstance(found.student.labels, GroundTruth)
    weak = runs(store, "easy_to_hard", labels="weak").student
    assert applied(supervisor(weak)) == applied(weak) == ["easiest(share=0.5)"]


def test_the_presets_of_the_confidence_loss_have_the_defaults_of_their_sources(store: Store) -> None:
    presets = {
        name: runs(store, name).student.objective
        for name in ("confidence", "confidence_openai", "confidence_eleuther")
    }
    assert {name: call.name for name, call in presets.items()} == {name: name for name in presets}
    assert presets["confidence"].params == {"alpha_max": 0.5, "warmup_fraction": 0.2, "threshold": "balanced"}
    assert presets["confidence_openai"].params == {"alpha_max": 0.5, "warmup_fraction": 0.1}
    published = {"alpha_max": 0.5, "warmup_steps": 100, "prior": "half", "balance_batch": False}
    assert presets["confidence_eleuther"].params == published


UNBALANCED = replace(tasks.get("sandbox"), name="unbalanced", balanced=False)


@pytest.mark.parametrize("task", ["sandbox", "test_recipes:UNBALANCED"])
def test_half_of_each_batch_is_positive_only_where_classes_are_balanced(store: Store, task: str) -> None:
    expected = "balanced" if task == "sandbox" else "prior"
    for params, threshold in (({}, expected), ({"threshold": "prior"}, "prior")):
        (cell,) = planned(store, "confidence", params, tasks=[replace(small_task(), name=task)]).cells
        assert cell.runs.student.objective.params["threshold"] == threshold


def test_transfer_takes_any_objective_and_transforms(store: Store) -> None:
    params = {"objective": Call("confidence", {"alpha_max": 0.1}), "transforms": [Call("harden")]}
    student = runs(store, "transfer", **params).student
    assert str(student.objective) == "confidence(alpha_max=0.1)" and applied(student) == ["harden"]


@pytest.mark.parametrize(
    ("recipe", "params", "told"),
    [
        ("bootstrapping", {"middle": ["gpt2"]}, "middle holds 'gpt2'; each item must be a Model"),
        ("bootstrapping", {"middle": "gpt2"}, "middle is 'gpt2'; it must be a list, each item a Model"),
        ("bootstrapping", {"data": "new"}, "data is 'new'; it must be 'same' or 'fresh'"),
        ("easy_to_hard", {"labels": "none"}, "labels is 'none'; it must be 'ground_truth' or 'weak'"),
        ("trust", {"keep": 0}, "keep is 0; it must be a number in (0, 1]"),
        ("overlap_density", {"part": "hard"}, "part is 'hard'; it must be 'overlap' or 'easy'"),
        ("linear_probe", {"labels": None}, "labels is None; it must be 'ground_truth' or 'weak'"),
        ("prompting", {"labels": "strong"}, "labels is 'strong'; it must be 'ground_truth' or 'weak'"),
        ("prompting", {"words": "no yes"}, "words is 'no yes'; it must be a list, each item a string"),
        ("simulated_supervisor", {"where": "easy"}, "where is 'easy'; it must be 'uniform' or 'hard'"),
        ("confidence", {"threshold": 0.5}, "threshold is 0.5; it must be 'balanced', 'prior' or None"),
        ("confidence_eleuther", {"prior": "weak"}, "prior is 'weak'; it must be 'half' or 'labels'"),
        ("confidence", {"alpha_max": "much"}, "alpha_max is 'much'; it must be a finite number"),
        ("generative_finetuning", {"ceiling_too": 0}, "ceiling_too is 0; it must be True or False"),
        (
            "generative_finetuning",
            {"learning_rate": True},
            "learning_rate is True; it must be a finite number or None",
        ),
        ("transfer", {"objective": "kl"}, "objective is 'kl'; it must be a Call or None"),
        ("transfer", {"transforms": ["harden"]}, "transforms holds 'harden'; each item must be a Call"),
        (
            "prompting",
            {"words": ("no", "maybe", "yes")},
            "the words 'no', 'maybe', 'yes' for the 2 classes of the task",
        ),
        ("transfer", {"transforms": [Call("shufle")]}, "unknown transform 'shufle'"),
        ("transfer", {"transforms": [Call("harden", {"at": 1})]}, "its parameters: none"),
        ("easy_to_hard", {"share": 2.0}, "share is 2.0"),
    ],
)
def test_what_a_recipe_can_t_take_is_refused(
    store: Store, recipe: str, params: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        planned(store, recipe, params)
    assert told in str(refused.value)


def test_a_refused_parameter_is_told_with_its_method_and_recipe(store: Store) -> None:
    with pytest.raises(InvalidInput) as refused:
        planned(store, "bootstrapping", {"data": "new"})
    assert str(refused.value) == (
        "method 'method': recipe 'bootstrapping': data is 'new'; it must be 'same' or 'fresh'"
    )


@pytest.mark.parametrize("name", [name for name, _ in recipes])
def test_every_parameter_is_declared_so_that_it_is_checked(name: str) -> None:
    parameters = Parameters(recipes.get(name), num_leading=1)
    declared = list(inspect.signature(recipes.get(name)).parameters.values())[1:]
    assert [parameter.name for parameter in declared] == list(parameters.names)
    parameters.check({parameter.name: parameter.default for parameter in declared}, name)
    for parameter in parameters.names:
        with pytest.raises(InvalidInput, match=f"{name}: {parameter} is <object.*; it must be "):
            parameters.check({parameter: object()}, name)


def test_a_middle_model_that_isn_t_there_is_refused_when_planning(store: Store) -> None:
    from raysweep import Folder, ModelSpec, Optimization

    absent = Model(
        spec=ModelSpec(name="absent", base=Folder(path="nowhere")),
        optimization=Optimization(learning_rate=1e-3),
    )
    with pytest.raises(InvalidInput, match="nowhere can't be used: there is no such folder"):
        planned(store, "bootstrapping", {"middle": [absent]})


def test_every_recipe_says_what_it_is_and_where_it_comes_from() -> None:
    for name, recipe in recipes:
        line = summary(recipe)
        assert 30 < len(line) <= 110 and line.endswith("."), name


def test_methods_of_one_sweep_share_their_ends(store: Store) -> None:
    sweep: Sweep = small_sweep(
        tasks=[small_task()], methods=["naive", "shuffled_labels", "ceiling_labels", "ground_truth_half_a"]
    )
    plan = make_plan(sweep, store)
    assert plan.num_trainings == 2 + 4
