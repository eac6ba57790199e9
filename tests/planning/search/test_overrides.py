"""Fields by path, and what may be searched."""

from dataclasses import replace

import pytest
from grid_helpers import pinned_run
from ray import tune

from raysweep import Call, InvalidInput, Lora, Prompting, Search, WeakLabels
from raysweep.planning.search.overrides import has_field, with_overrides


def test_a_path_names_a_field_a_tuning_a_parameter_of_the_loss_or_of_a_transform() -> None:
    spec = pinned_run()
    student = replace(
        spec,
        model=replace(spec.model, tuning=Lora(rank=4)),
        objective=Call("confidence", {"alpha_max": 0.5}),
        labels=WeakLabels(supervisor=spec, transforms=(Call("temperature", {"t": 2.0}), Call("harden"))),
    )
    found = with_overrides(
        student,
        {
            "optimization.learning_rate": 0.01,
            "model.tuning.rank": 16,
            "objective.alpha_max": 0.75,
            "labels.transforms.temperature.t": 0.5,
        },
    )
    assert found.optimization == replace(student.optimization, learning_rate=0.01)
    assert found.model.tuning == replace(student.model.tuning, rank=16)
    assert found.objective == Call("confidence", {"alpha_max": 0.75})
    assert isinstance(found.labels, WeakLabels) and found.labels.supervisor == spec
    assert found.labels.transforms == (Call("temperature", {"t": 0.5}), Call("harden"))
    assert with_overrides(found, {}) is found and found.id != student.id
    assert student.optimization.learning_rate == 1e-3  # untouched


def test_a_method_has_a_field_or_has_it_not() -> None:
    spec = pinned_run()
    assert has_field(spec, "optimization.learning_rate") and has_field(spec, "model.max_tokens")
    for path in (
        "objective.alpha_max",
        "model.tuning.rank",
        "labels.transforms.temperature.t",
        "optimization.lr",
    ):
        assert not has_field(spec, path)
    prompted = replace(spec, model=replace(spec.model, tuning=Prompting(words=("no", "yes"))))
    assert not has_field(prompted, "optimization.learning_rate")  # nothing is trained
    with pytest.raises(
        InvalidInput, match=r"objective.alpha_max: 'cross_entropy' has no parameter 'alpha_max'"
    ):
        with_overrides(spec, {"objective.alpha_max": 0.5})
    with pytest.raises(InvalidInput, match=r"Optimization.learning_rate is -1; it must be a number above 0"):
        with_overrides(spec, {"optimization.learning_rate": -1})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "nothing to search"),
        (
            {"student": {"seed": tune.choice([1, 2])}},
            "Search.student names 'seed'; a path begins with one of optimization, model",
        ),
        ({"student": {"model.name": tune.choice(["a"])}}, "but not model.name or model.base"),
        (
            {"student": {"optimization.epochs": 3}},
            r"Search.student\['optimization.epochs'\] is 3; it must be a space of Ray Tune",
        ),
        (
            {"searcher": "hyperopt"},
            "Search.searcher is 'hyperopt'; it must be random, optuna or module:object",
        ),
        ({"stopping": "pbt"}, "Search.stopping is 'pbt'; it must be asha, median"),
        ({"select_by": "test"}, "it must be one of weak_validation, ground_truth_validation"),
        ({"num_samples": 0}, "Search.num_samples is 0"),
        (
            {"student": {"optimization.epochs": tune.grid_search([1, 2])}, "searcher": "optuna"},
            "tune.grid_search goes with searcher 'random'",
        ),
    ],
)
def test_a_search_that_cant_be_is_refused(fields: dict[str, object], message: str) -> None:
    space = (
        {}
        if fields == {} or "student" in fields
        else {"student": {"optimization.epochs": tune.uniform(1, 2)}}
    )
    with pytest.raises(InvalidInput, match=message):
        Search(**space | fields)  # type: ignore[arg-type]
