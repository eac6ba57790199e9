"""What holds of every transform: a new one is tested here by being registered."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from label_tables import context, forbidden, names

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.registry import summary
from raysweep.spec import Call
from raysweep.transforms import TransformContext, transforms

CALLS: dict[str, list[dict[str, Any]]] = {
    "harden": [{}],
    "temperature": [{"t": 2.0}, {"t": 0.5}],
    "filter_confidence": [{"keep": 0.4}, {"keep": 0.4, "balanced": True}, {"at_least": 0.6}],
    "shuffle": [{}],
    "random_labels": [{}],
    "constant": [{"class_index": 1}],
    "mix_ground_truth": [{"share": 0.3}],
    "errors": [{"rate": 0.3}, {"rate": 0.3, "where": "hard"}],
    "simulated_supervisor": [{}, {"where": "hard"}],
    "easiest": [{"share": 0.5}, {"at_most": 2.0}],
    "part": [{"number": 1, "of": 3}, {"number": 1, "of": 3, "complement": True}],
    "complement": [{"of": [Call("part", {"number": 1, "of": 3}), Call("harden")]}],
}
RANDOM = {"shuffle", "random_labels", "mix_ground_truth", "errors", "simulated_supervisor"}
SIZE = 60

CASES = [
    pytest.param(
        name, params, answers, id=f"{name}-{'-'.join(f'{k}={v}' for k, v in params.items())}-{answers}"
    )
    for name, transform in transforms
    for params in CALLS[name]
    for answers in ("probabilities", "answers")
    if answers == "probabilities" or not transform.needs_probabilities
]
every = pytest.mark.parametrize(("name", "params", "kind"), CASES)


def table(kind: str, source: str, seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    if kind == "answers":
        labels = Predictions.of_answers(
            names(SIZE), [f"{number} is it" for number in rng.integers(0, 12, SIZE)], source
        )
    else:
        labels = Predictions.of(names(SIZE), rng.dirichlet(np.ones(3), SIZE), source)
    labels = replace(labels, weight=rng.uniform(0.5, 2, SIZE), covered=rng.random(SIZE) < 0.8)
    for column in (labels.probabilities, labels.weight, labels.covered, labels.ids):
        column.flags.writeable = False  # a transform that writes into what it is given fails
    return labels


def world(kind: str, seed: int = 0) -> tuple[Predictions, TransformContext]:
    labels = table(kind, "weak", 1)
    truth = table(kind, "ground truth", 2)
    difficulty = np.random.default_rng(3).integers(0, 5, SIZE).astype(float)
    return labels, context(labels, seed, difficulty.tolist(), truth)


def content(labels: Predictions, order: np.ndarray | None = None) -> list[Any]:
    rows = labels if order is None else labels.rows(order)
    says = rows.probabilities if rows.answers is None else rows.answers
    return [rows.ids.tolist(), says.tolist(), rows.weight.tolist(), rows.covered.tolist()]


@every
def test_the_ids_weights_and_what_is_not_covered_stay(name: str, params: dict[str, Any], kind: str) -> None:
    labels, within = world(kind)
    found = transforms.get(name).apply(labels, within, **params)
    assert found.ids.tolist() == labels.ids.tolist() and found.weight.tolist() == labels.weight.tolist()
    assert not (found.covered & ~labels.covered).any() and found.covered.any()
    gone = np.flatnonzero(~labels.covered)
    assert len(gone) and content(found, gone) == content(labels, gone)
    assert found.source == f"{name}(weak)"


@every
def test_the_order_of_the_rows_is_nothing(name: str, params: dict[str, Any], kind: str) -> None:
    labels, within = world(kind)
    order = np.random.default_rng(4).permutation(SIZE)
    other = TransformContext(within.seed, within.difficulty[order], lambda: within.truth().rows(order))
    found = transforms.get(name).apply(labels.rows(order), other, **params)
    assert content(found, np.argsort(order)) == content(transforms.get(name).apply(labels, within, **params))


@every
def test_the_seed_decides_what_is_drawn_and_nothing_else(
    name: str, params: dict[str, Any], kind: str
) -> None:
    found = []
    for seed in (0, 0, 1):
        labels, within = world(kind, seed)
        found.append(content(transforms.get(name).apply(labels, within, **params)))
    assert found[0] == found[1]
    assert (found[0] != found[2]) is (name in RANDOM)


@every
def test_only_those_that_say_so_read_ground_truth(name: str, params: dict[str, Any], kind: str) -> None:
    labels, within = world(kind)
    blind = replace(within, truth=forbidden)
    if transforms.get(name).reads_ground_truth:
        with pytest.raises(AssertionError, match="ground truth was read"):
            transforms.get(name).apply(labels, blind, **params)
    else:
        found = transforms.get(name).apply(labels, blind, **params)
        assert content(found) == content(transforms.get(name).apply(labels, within, **params))


@every
def test_it_changes_something(name: str, params: dict[str, Any], kind: str) -> None:
    labels, within = world(kind)
    found = transforms.get(name).apply(labels, within, **params)
    assert (content(found) == content(labels)) is (name == "harden" and kind == "answers")


@every
def test_nothing_covered_stays_nothing_covered(name: str, params: dict[str, Any], kind: str) -> None:
    labels, within = world(kind)
    nothing = replace(labels, covered=np.zeros(SIZE, dtype=bool))
    if name == "random_labels" and kind == "answers":
        with pytest.raises(InvalidInput, match="weak answers 0 examples; it needs two"):
            transforms.get(name).apply(nothing, within, **params)
    else:
        assert not transforms.get(name).apply(nothing, within, **params).covered.any()


@pytest.mark.parametrize("name", [name for name, transform in transforms if transform.needs_probabilities])
def test_those_that_need_probabilities_refuse_answers(name: str) -> None:
    labels, within = world("answers")
    for params in CALLS[name]:
        with pytest.raises(
            InvalidInput, match=f"transform '{name}' needs class probabilities; weak gives answers"
        ):
            transforms.get(name).apply(labels, within, **params)


@pytest.mark.parametrize("name", [name for name, _ in transforms])
def test_every_parameter_is_declared_so_that_it_is_checked(name: str) -> None:
    parameters = transforms.get(name).parameters
    for params in CALLS[name]:
        parameters.check(params, name)
    assert set(parameters.names) == {parameter for params in CALLS[name] for parameter in params}
    for parameter in parameters.names:
        with pytest.raises(InvalidInput, match=f"{name}: {parameter} is <object.*; it must be "):
            parameters.check({**CALLS[name][0], parameter: object()}, name)


@pytest.mark.parametrize("name", [name for name, _ in transforms])
def test_it_says_in_one_line_what_it_is(name: str) -> None:
    line = summary(transforms.get(name).apply)
    assert 20 < len(line) <= 110 and line.endswith(".")


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("temperature", {"t": 0}, "t is 0; it must be a finite number above 0"),
        ("temperature", {"t": "hot"}, "t is 'hot'; it must be a finite number above 0"),
        ("filter_confidence", {}, "give exactly one of keep and at_least"),
        ("filter_confidence", {"keep": 0.5, "at_least": 0.9}, "give exactly one of keep and at_least"),
        ("filter_confidence", {"keep": 0}, r"keep is 0; it must be a number in \(0, 1\]"),
        ("filter_confidence", {"keep": 50}, r"keep is 50; it must be a number in \(0, 1\]"),
        ("filter_confidence", {"at_least": -0.1}, r"at_least is -0.1; it must be a number in \[0, 1\]"),
        (
            "filter_confidence",
            {"keep": 0.5, "balanced": "yes"},
            "balanced is 'yes'; it must be True or False",
        ),
        (
            "filter_confidence",
            {"at_least": 0.9, "balanced": True},
            "balanced keeps .* give keep instead of at_least",
        ),
        ("constant", {"class_index": -1}, "class_index is -1; it must be a whole number of at least 0"),
        ("constant", {"class_index": True}, "class_index is True"),
        ("mix_ground_truth", {"share": 1.5}, r"share is 1.5; it must be a number in \[0, 1\]"),
        ("errors", {"rate": float("nan")}, r"rate is nan; it must be a number in \[0, 1\]"),
        ("errors", {"rate": 0.1, "where": "easy"}, "where is 'easy'; it must be 'uniform' or 'hard'"),
        ("simulated_supervisor", {"where": None}, "where is None; it must be 'uniform' or 'hard'"),
        ("easiest", {}, "give exactly one of share and at_most"),
        ("easiest", {"share": 0.0}, r"share is 0.0; it must be a number in \(0, 1\]"),
        ("easiest", {"at_most": float("inf")}, "at_most is inf; it must be a finite number"),
        ("part", {"number": 3, "of": 3}, "number is 3; with of=3 it must be one of 0 to 2"),
        ("part", {"number": -1, "of": 3}, "number is -1; it must be a whole number of at least 0"),
        ("part", {"number": 0, "of": 0}, "of is 0; it must be a whole number of at least 1"),
        ("part", {"number": 0.5, "of": 2}, "number is 0.5; it must be a whole number of at least 0"),
    ],
)
def test_parameters_out_of_range_are_refused(name: str, params: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=f"transform '{name}': {told}"):
        transforms.get(name).parameters.check(params, f"transform '{name}'")
