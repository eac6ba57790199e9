"""What holds of every rule: a new one is tested here by being registered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.registry import summary
from raysweep.rules import HalfA, RuleContext, combine, rules
from raysweep.spec import Call

SIZE = 40
PARAMS: dict[str, dict[str, Any]] = {"weighted": {"weights": [1.0, 2.0, 0.5]}}
every = pytest.mark.parametrize("name", [name for name, _ in rules])


def source(seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = Predictions.of([f"id {row}" for row in range(SIZE)], rng.dirichlet([0.5] * 3, SIZE), f"w{seed}")
    return replace(labels, covered=rng.random(SIZE) < 0.8, weight=rng.uniform(0.5, 2, SIZE)).read_only()


def sources_of(name: str) -> list[Predictions]:
    return [source(seed) for seed in range(min(3, rules.get(name).most or 3))]


def half_a(sources: list[Predictions]) -> HalfA:
    # Of the same ids, and the first source is right in most, so that it is better than chance.
    classes = np.where(np.arange(SIZE) % 4 > 0, sources[0].classes, (sources[0].classes + 1) % 3)
    truth = Predictions.one_hot(sources[0].ids.tolist(), classes, 3)
    ids = np.sort(truth.ids)
    return HalfA([item.align(ids) for item in sources], truth.align(ids))


def combined(name: str, sources: list[Predictions], half: HalfA) -> Predictions:
    return combine(Call(name, PARAMS.get(name, {})), sources, RuleContext(0, lambda: half))


def content(labels: Predictions) -> list[Any]:
    return [
        labels.ids.tolist(),
        labels.probabilities.tolist(),
        labels.weight.tolist(),
        labels.covered.tolist(),
    ]


@every
def test_it_gives_labels_over_the_ids_of_its_sources_and_says_what_it_is(name: str) -> None:
    sources = sources_of(name)
    found = combined(name, sources, half_a(sources))
    assert found.ids.tolist() == sources[0].ids.tolist() and found.covered.any()
    if not rules.get(name).only_half_a:  # no id is invented, and none covered that no source covers
        assert not (found.covered & ~np.any([item.covered for item in sources], axis=0)).any()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-9)
    assert summary(rules.get(name).apply).endswith(".")


@every
def test_the_order_of_the_rows_is_nothing(name: str) -> None:
    sources = sources_of(name)
    expected = combined(name, sources, half_a(sources))
    orders = [np.random.default_rng(9 + number).permutation(SIZE) for number in range(len(sources))]
    mixed = [item.rows(order) for item, order in zip(sources, orders, strict=True)]
    assert content(combined(name, mixed, half_a(sources)).align(expected.ids)) == content(expected)


@every
def test_the_order_of_the_sources_is_nothing_to_those_that_say_so(name: str) -> None:
    sources = sources_of(name)
    if not rules.get(name).is_symmetric:
        return
    expected = content(combined(name, sources, half_a(sources)))
    for order in ([1, 0, 2], [2, 1, 0], [1, 2, 0]):
        assert content(combined(name, [sources[place] for place in order], half_a(sources))) == expected


@every
def test_only_those_that_say_so_read_half_a(name: str) -> None:
    def forbidden() -> HalfA:
        raise InvalidInput("half A was read")

    sources, call = sources_of(name), Call(name, PARAMS.get(name, {}))
    if rules.get(name).reads_half_a:
        with pytest.raises(InvalidInput, match="half A was read"):
            combine(call, sources, RuleContext(0, forbidden))
    else:
        combine(call, sources, RuleContext(0, forbidden))


@pytest.mark.parametrize("name", ["mean", "log_mean", "agree", "first", "weighted"])
def test_of_one_source_it_is_that_source_to_the_last_bit(name: str) -> None:
    only = source(5)
    params = {"weights": [0.3]} if name == "weighted" else {}
    found = combine(Call(name, params), [only], RuleContext(0, lambda: half_a([only])))
    assert content(found) == content(only)
