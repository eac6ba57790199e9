"""Parameters that a signature doesn't allow are refused when a sweep is planned, before anything trains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from grid_helpers import small_sweep

from raysweep import Call, InvalidInput, Method
from raysweep.objectives import objectives
from raysweep.planning.plan import Plan, make_plan
from raysweep.spec.parameters import Bounds, Parameters
from raysweep.store import Store
from raysweep.transforms import transforms

REQUIRED: dict[str, dict[str, Any]] = {
    "temperature": {"t": 1.0},
    "constant": {"class_index": 0},
    "mix_ground_truth": {"share": 0.5},
    "errors": {"rate": 0.5},
    "part": {"number": 0, "of": 1},
    "complement": {"of": []},
}
"""Of the transforms that have parameters without a default."""


def bounds(annotation: Any) -> Iterator[tuple[type, Bounds]]:
    """The bounded numbers in an annotation."""
    arguments = get_args(annotation)
    for argument in arguments:
        if isinstance(argument, Bounds):
            yield arguments[0], argument
        else:
            yield from bounds(argument)


def ends(kind: type, interval: Bounds) -> Iterator[tuple[float, bool]]:
    """Numbers at and just beyond the ends of an interval, and whether they are allowed."""
    step = 1 if kind is int else 0.001
    yield interval.low, interval.includes_low
    yield interval.low - step, False
    if interval.high < float("inf"):
        yield interval.high, True
        yield interval.high + step, False


REGISTERED: list[tuple[str, str, Parameters]] = [
    *(("objective", name, entry.parameters) for name, entry in objectives),
    *(("transform", name, entry.parameters) for name, entry in transforms),
]
CASES = [
    pytest.param(what, name, parameter, value, is_allowed, id=f"{name}-{parameter}={value}")
    for what, name, parameters in REGISTERED
    for parameter, annotation in parameters.annotations.items()
    for kind, interval in bounds(annotation)
    for value, is_allowed in ends(kind, interval)
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("validate") / "store")


def planned(store: Store, what: str, call: Call) -> Plan:
    params: dict[str, Any] = {"objective": call} if what == "objective" else {"transforms": [call]}
    return make_plan(small_sweep(methods=[Method(name="mine", recipe="transfer", params=params)]), store)


@pytest.mark.parametrize(("what", "name", "parameter", "value", "is_allowed"), CASES)
def test_every_declared_bound_holds(
    store: Store, what: str, name: str, parameter: str, value: float, is_allowed: bool
) -> None:
    call = Call(name, {**REQUIRED.get(name, {}), parameter: value})
    if is_allowed:
        assert planned(store, what, call).num_trainings == 3
        return
    with pytest.raises(InvalidInput) as refused:
        planned(store, what, call)
    told = f"method 'mine': Call(\"{name}\"): {parameter} is {value!r}; it must be a "
    assert str(refused.value).startswith(told)


def test_the_bounds_are_those_that_the_losses_and_transforms_are_defined_for() -> None:
    """By hand, so that a bound can't be lost from a signature with its test."""
    found = {
        (name, parameter): [f"{kind.__name__}{interval}" for kind, interval in bounds(annotation)]
        for _, name, parameters in REGISTERED
        for parameter, annotation in parameters.annotations.items()
        if list(bounds(annotation))
    }
    assert found == {
        ("adaptive_confidence", "sharpness"): ["float above 0"],
        ("adaptive_confidence", "temperature"): ["float above 0"],
        ("adaptive_confidence", "warmup_fraction"): ["float in [0, 1]"],
        ("confidence", "alpha_max"): ["float in [0, 1]"],
        ("confidence", "warmup_fraction"): ["float in [0, 1]"],
        ("confidence_adaptive_cross_entropy", "threshold"): ["float in [0, 0.5]"],
        ("confidence_adaptive_cross_entropy", "quantile"): ["float in [0, 1]"],
        ("confidence_adaptive_cross_entropy", "epsilon"): ["float in [0, 1]"],
        ("confidence_eleuther", "alpha_max"): ["float in [0, 1]"],
        ("confidence_eleuther", "warmup_steps"): ["int of at least 0"],
        ("confidence_openai", "alpha_max"): ["float in [0, 1]"],
        ("confidence_openai", "warmup_fraction"): ["float in [0, 1]"],
        ("confidence_window", "radius"): ["float in (0, 1]"],
        ("entropy", "alpha_max"): ["float in [0, 1]"],
        ("entropy", "warmup_steps"): ["int of at least 0"],
        ("entropy_regularization", "alpha_max"): ["float in [-1, 1]"],
        ("entropy_regularization", "warmup_fraction"): ["float in [0, 1]"],
        ("product", "alpha"): ["float of at least 0"],
        ("product", "beta"): ["float of at least 0"],
        ("reverse_cross_entropy", "epsilon"): ["float in [0, 1]"],
        ("reverse_kl", "epsilon"): ["float in [0, 1]"],
        ("symmetric_cross_entropy", "forward"): ["float of at least 0"],
        ("symmetric_cross_entropy", "reverse"): ["float of at least 0"],
        ("symmetric_cross_entropy", "epsilon"): ["float in [0, 1]"],
        ("constant", "class_index"): ["int of at least 0"],
        ("easiest", "share"): ["float in (0, 1]"],
        ("errors", "rate"): ["float in [0, 1]"],
        ("filter_confidence", "keep"): ["float in (0, 1]"],
        ("filter_confidence", "at_least"): ["float in [0, 1]"],
        ("mix_ground_truth", "share"): ["float in [0, 1]"],
        ("part", "number"): ["int of at least 0"],
        ("part", "of"): ["int of at least 1"],
        ("temperature", "t"): ["float above 0"],
    }


@pytest.mark.parametrize(
    ("what", "call", "told"),
    [
        (
            "objective",
            Call("confidence", {"alpha_max": 2}),
            "alpha_max is 2; it must be a number in [0, 1]",
        ),
        (
            "objective",
            Call("confidence", {"alpha": 0.5}),
            "got an unexpected keyword argument 'alpha' (did you mean 'alpha_max'?); its parameters: "
            "alpha_max, warmup_fraction, threshold",
        ),
        (
            "objective",
            Call("validate_mine:OBJECTIVE", {"low": 3}),
            "low is 3, above high, 2",
        ),
        (
            "transform",
            Call("part", {"number": 2, "of": 2}),
            "number is 2; with of=2 it must be one of 0 to 1",
        ),
        ("transform", Call("easiest"), "give exactly one of share and at_most"),
        (
            "transform",
            Call("constant"),
            "missing a required argument: 'class_index'; its parameters: class_index",
        ),
    ],
)
def test_the_whole_message(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, call: Call, told: str
) -> None:
    (tmp_path / "validate_mine.py").write_text(
        "from raysweep import InvalidInput\n"
        "from raysweep.objectives import Objective\n"
        "def check(*, low, high):\n"
        "    if low > high:\n        raise InvalidInput(f'low is {low}, above high, {high}')\n"
        "def loss(logits, labels, context, *, low: int = 1, high: int = 2):\n    return logits.sum(dim=-1)\n"
        "OBJECTIVE = Objective(loss, check=check)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidInput) as refused:
        planned(store, what, call)
    assert str(refused.value) == f"method 'mine': Call(\"{call.name}\"): {told}"
