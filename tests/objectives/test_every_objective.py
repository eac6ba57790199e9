"""What holds of every objective for labels: a new one is tested here by being registered."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from losses import gradient, loss, per_example, random_batch

from raysweep.errors import InvalidInput
from raysweep.objectives import BatchContext, Objective, objectives
from raysweep.registry import summary

FOR_LABELS = {name: objective for name, objective in objectives if objective.kinds != ("text",)}

# Parameters that take another way through an objective than its defaults.
OTHER_WAYS: dict[str, list[dict[str, Any]]] = {
    "confidence": [{"threshold": "balanced"}],
    "confidence_adaptive_cross_entropy": [{"quantile": 0.5}],
    "confidence_eleuther": [{"prior": "labels"}, {"balance_batch": True}],
    "confidence_window": [{"radius": "midweak"}],
    "adaptive_confidence": [{"temperature": 2.0}],
    "entropy_regularization": [{"alpha_max": -0.5}],
}

CASES = [
    pytest.param(
        name,
        num_classes,
        params,
        id=f"{name}-{num_classes}-{'-'.join(f'{k}={v}' for k, v in params.items())}",
    )
    for name, objective in FOR_LABELS.items()
    for num_classes in ([objective.num_classes] if objective.num_classes else [2, 5])
    for params in [{}, *OTHER_WAYS.get(name, [])]
]
every = pytest.mark.parametrize(("name", "num_classes", "params"), CASES)


@every
def test_a_micro_batch_costs_what_it_costs_in_its_global_batch(
    name: str, num_classes: int, params: dict[str, Any]
) -> None:
    logits, labels = random_batch(1, 32, num_classes, 2.0)
    _, everything = random_batch(2, 200, num_classes)
    context = {"params": params, "all_labels": everything, "prior": everything.mean(axis=0)}
    whole = loss(name, logits, labels, **context)
    assert whole.shape == (32,)
    for cuts in ([16], [1, 5, 20], range(1, 32)):
        parts = np.split(np.arange(32), cuts)
        found = [per_example(name, logits[rows], labels[rows], logits, labels, **context) for rows in parts]
        assert np.concatenate(found) == pytest.approx(whole, rel=1e-12)


@every
def test_the_order_of_the_batch_is_nothing(name: str, num_classes: int, params: dict[str, Any]) -> None:
    logits, labels = random_batch(3, 32, num_classes, 2.0)
    order = np.random.default_rng(0).permutation(32)
    shuffled = per_example(
        name, logits, labels, logits[order], labels[order], params=params, prior=labels.mean(axis=0)
    )
    assert shuffled == pytest.approx(loss(name, logits, labels, params=params), rel=1e-12)


@every
def test_only_differences_of_logits_count(name: str, num_classes: int, params: dict[str, Any]) -> None:
    logits, labels = random_batch(4, 16, num_classes, 2.0)
    shift = np.random.default_rng(0).normal(0, 3, (16, 1))
    assert loss(name, logits + shift, labels, params=params) == pytest.approx(
        loss(name, logits, labels, params=params)
    )
    assert gradient(name, logits, labels, params=params).sum(axis=1) == pytest.approx(0, abs=1e-9)


@every
def test_classes_are_equal_before_it(name: str, num_classes: int, params: dict[str, Any]) -> None:
    logits, labels = random_batch(5, 30, num_classes, 2.0)  # equal shares are whole numbers of examples
    order = np.random.default_rng(1).permutation(num_classes) if num_classes > 2 else np.array([1, 0])
    found = loss(name, logits[:, order], labels[:, order], params=params)
    if FOR_LABELS[name].num_classes is None:
        assert found == pytest.approx(loss(name, logits, labels, params=params), rel=1e-9)
    else:  # those with a published threshold: an interpolated quantile may cut one example elsewhere
        assert (~np.isclose(found, loss(name, logits, labels, params=params))).sum() <= 1


@every
@pytest.mark.parametrize("kind", ["hard labels", "certain student", "certain and wrong"])
def test_losses_and_gradients_are_finite_at_the_edges(
    name: str, num_classes: int, params: dict[str, Any], kind: str
) -> None:
    logits, labels = random_batch(6, 16, num_classes)
    hard = np.eye(num_classes)[labels.argmax(axis=1)]
    if kind != "hard labels":
        logits = 1e4 * (hard if kind == "certain student" else hard[:, ::-1].copy())
    variable = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    fixed = torch.tensor(hard, dtype=torch.float32)
    context = BatchContext(0.5, 50, fixed.mean(dim=0), variable.detach(), fixed, fixed)
    losses = FOR_LABELS[name].loss(variable, fixed, context, **params)
    losses.sum().backward()
    assert losses.dtype == torch.float32 and losses.isfinite().all()
    assert variable.grad is not None and variable.grad.isfinite().all()


@every
def test_it_changes_none_of_its_arguments(name: str, num_classes: int, params: dict[str, Any]) -> None:
    logits, labels = (torch.tensor(values) for values in random_batch(7, 16, num_classes))
    before = logits.clone(), labels.clone()
    FOR_LABELS[name].loss(
        logits, labels, BatchContext(0.5, 50, labels.mean(dim=0), logits, labels, labels), **params
    )
    assert torch.equal(logits, before[0]) and torch.equal(labels, before[1])


@every
def test_it_can_be_learnt_from(name: str, num_classes: int, params: dict[str, Any]) -> None:
    """Gradient descent on free logits brings them to the labels' classes while own predictions don't count
    yet."""
    params = params | ({"warmup_fraction": 1.0} if name == "adaptive_confidence" else {})
    _, labels = random_batch(8, 32, num_classes)
    labels = 0.7 * np.eye(num_classes)[labels.argmax(axis=1)] + 0.3 / num_classes
    logits = np.random.default_rng(2).normal(0, 0.01, labels.shape)
    for _ in range(200):
        logits -= 0.5 * gradient(name, logits, labels, step_fraction=0.0, step=0, params=params)
    assert (logits.argmax(axis=1) == labels.argmax(axis=1)).all()


@pytest.mark.parametrize("name", [name for name, _ in objectives])
def test_every_parameter_is_declared_so_that_it_is_checked(name: str) -> None:
    parameters = objectives.get(name).parameters
    for params in [{}, *OTHER_WAYS.get(name, [])]:
        parameters.check(params, name)
    defaults = {
        parameter.name: parameter.default
        for parameter in inspect.signature(objectives.get(name).loss).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert list(defaults) == list(parameters.names)
    parameters.check(defaults, name)
    for parameter in parameters.names:
        with pytest.raises(InvalidInput, match=f"{name}: {parameter} is <object.*; it must be "):
            parameters.check({parameter: object()}, name)


@pytest.mark.parametrize("name", [name for name, _ in objectives])
def test_it_says_in_one_line_what_it_is(name: str) -> None:
    line = summary(objectives.get(name).loss)
    assert 20 < len(line) <= 110 and line.endswith(".")


@pytest.mark.parametrize("name", [name for name in FOR_LABELS if FOR_LABELS[name].needs_global_batch])
def test_those_that_look_at_the_batch_say_so(name: str) -> None:
    assert reads_the_batch(name, FOR_LABELS[name])


@pytest.mark.parametrize("name", [name for name in FOR_LABELS if not FOR_LABELS[name].needs_global_batch])
def test_those_that_do_not_say_so_work_without(name: str) -> None:
    assert not reads_the_batch(name, FOR_LABELS[name])


def reads_the_batch(name: str, objective: Objective) -> bool:
    logits, labels = (torch.tensor(values) for values in random_batch(9, 16, 2))
    context = BatchContext(0.5, 50, labels.mean(dim=0), None, None, labels)
    try:
        for params in [{}, *OTHER_WAYS.get(name, [])]:
            objective.loss(logits, labels, context, **params)
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("name", ["confidence", "confidence_openai"])
@pytest.mark.parametrize(
    "params",
    [
        {"alpha_max": 1.5},
        {"alpha_max": -0.1},
        {"alpha_max": float("nan")},
        {"alpha_max": "a"},
        {"warmup_fraction": 2},
    ],
)
def test_parameters_out_of_range_are_refused(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(
        InvalidInput,
        match=rf"objective '{name}': {next(iter(params))} is .*; it must be a number in \[0, 1\]",
    ):
        objectives.get(name).parameters.check(params, f"objective '{name}'")


def test_other_wrong_uses_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^x: threshold is 'median'; it must be 'balanced' or 'prior'$"):
        objectives.get("confidence").parameters.check({"threshold": "median"}, "x")
    with pytest.raises(
        InvalidInput,
        match=r"unknown objective 'crossentropy' .*'cross_entropy'.*; known: adaptive_confidence, ",
    ):
        objectives.get("crossentropy")
    with pytest.raises(InvalidInput, match="is of type str; it must be "):
        objectives.get("raysweep:__version__")
