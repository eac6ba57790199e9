"""Layers, poolings and parameters of probes are searched; features are computed once for all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from grid_helpers import small_model, small_sweep
from ray import tune

from raysweep import Call, HeadOnly, InvalidInput, Model, Probe, Search
from raysweep.planning.plan import make_plan
from raysweep.planning.search.overrides import has_field
from raysweep.scheduling.run import run_plan
from raysweep.store import RunStatus, Store


def tuned(name: str, tuning: Any, width: int) -> Model:
    model = small_model(name, width)
    return replace(model, spec=replace(model.spec, tuning=tuning))


def searched(layers: list[int]) -> Any:
    search = Search(
        student={
            "model.tuning.layer": tune.grid_search(layers),
            "model.tuning.pooling": tune.grid_search(["mean", "last"]),
        },
        num_samples=1,
    )
    pair = (tuned("weak", Probe(Call("ridge")), 4), tuned("strong", HeadOnly(layer=1), 6))
    return small_sweep(pairs=[pair], search=search)


def test_a_search_of_layers_computes_features_once(store: Store) -> None:
    plan = make_plan(searched([0, 1]), store)
    queue = run_plan(plan, store)
    assert not queue.failures
    runs = queue.plan.runs
    assert sum(run.roles == ("features",) for run in runs.values()) == 2
    trials = {
        (run.spec.model.tuning.layer, run.spec.model.tuning.pooling)  # type: ignore[union-attr]
        for run in runs.values()
        if run.study is not None
    }
    assert trials == {(0, "mean"), (0, "last"), (1, "mean"), (1, "last")}
    assert len(queue.plan.cells) >= 1
    assert all(run.status(store) is RunStatus.DONE for run in runs.values())


def test_a_layer_that_is_not_there_is_refused_before_the_search(store: Store) -> None:
    with pytest.raises(InvalidInput, match=r"Search\.student suggests .*has no layer 5; it has 0"):
        make_plan(searched([1, 5]), store)


def test_a_probe_has_the_fields_of_its_model_alone(store: Store) -> None:
    run = next(run for run in make_plan(searched([1]), store).runs.values() if "supervisor" in run.roles)
    assert has_field(run.spec, "model.tuning.call.l2")
    assert has_field(run.spec, "model.tuning.layer")
    assert not has_field(run.spec, "model.tuning.call.k")
    assert not has_field(run.spec, "optimization.learning_rate")


def test_only_a_search_of_layers_or_poolings_keeps_them_all(store: Store) -> None:
    rates = Search(student={"optimization.learning_rate": tune.grid_search([1e-3, 1e-2])}, num_samples=1)
    plan = make_plan(replace(searched([0, 1]), search=rates), store)
    (kept,) = {run.features for run in plan.runs.values() if run.spec.model.name == "strong" and run.features}
    assert {(item.layer, item.pooling) for item in kept} == {(1, "mean")}
