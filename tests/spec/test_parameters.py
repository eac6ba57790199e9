"""Parameters are checked from the signature that declares them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest

from raysweep import Call, Evaluation
from raysweep.errors import InvalidInput
from raysweep.spec.parameters import Above, AtLeast, Between, Parameters

if TYPE_CHECKING:
    from elsewhere import Tensor


def loss(
    logits: Tensor,
    labels: Tensor,
    *,
    required: float,
    share: Annotated[float, Between(0, 1)] = 0.5,
    rate: Annotated[float, Above(0, 1)] = 1,
    weight: Annotated[float, AtLeast(-2)] = 0,
    scale: Annotated[float, Above(0)] = 1.0,
    steps: Annotated[int, AtLeast(1)] = 1,
    level: Annotated[int, Between(0, 3)] = 0,
    count: int = 0,
    is_fast: bool = False,
    name: str = "",
    mode: Literal["a", "b", 3] = "a",
    quantile: Annotated[float, Between(0, 1)] | None = None,
    outer: Annotated[float | None, AtLeast(0)] = None,
    radius: Annotated[float, Above(0, 1)] | Literal["midweak"] = "midweak",
    call: Call | None = None,
    looks: Evaluation | None = None,
    calls: Sequence[Call] = (),
    words: tuple[str, ...] = (),
    sizes: list[Annotated[int, AtLeast(1)] | None] = [],  # noqa: B006 - only its annotation is used
) -> Tensor: ...


PARAMETERS = Parameters(loss, num_leading=2)
INFINITE = [math.inf, -math.inf, math.nan]

ALLOWED: dict[str, list[Any]] = {
    "required": [0, -1.5, 10**9],
    "share": [0, 1, 0.5, 1.0],
    "rate": [1e-9, 1],
    "weight": [-2, 0, 1e300],
    "scale": [1e-300, 5],
    "steps": [1, 10**12],
    "level": [0, 3],
    "count": [-5, 0],
    "is_fast": [True, False],
    "name": ["", "x"],
    "mode": ["a", "b", 3],
    "quantile": [None, 0, 0.3],
    "outer": [None, 0],
    "radius": ["midweak", 0.1, 1],
    "call": [None, Call("x")],
    "looks": [None, Evaluation()],
    "calls": [(), [], [Call("x")], (Call("x"), Call("y"))],
    "words": [(), ["no", "yes"], ("no",)],
    "sizes": [[], [1, None, 2], (3,)],
}
REFUSED: list[tuple[str, list[Any], str]] = [
    ("required", [*INFINITE, True, None, "1", [1]], "a finite number"),
    ("share", [-1e-9, 1.001, math.nan, True, "a", None], "a number in [0, 1]"),
    ("rate", [0, 0.0, 1.1, -1, math.nan], "a number in (0, 1]"),
    ("weight", [-2.1, *INFINITE], "a finite number of at least -2"),
    ("scale", [0, -1, *INFINITE], "a finite number above 0"),
    ("steps", [0, 1.0, True, "1", None], "a whole number of at least 1"),
    ("level", [-1, 4, 1.5, False], "a whole number in [0, 3]"),
    ("count", [0.5, 1.0, True, None], "a whole number"),
    ("is_fast", [1, 0, None, "yes"], "True or False"),
    ("name", [None, 3, b"x"], "a string"),
    ("mode", ["c", None, 3.0, True, ["a"]], "'a', 'b' or 3"),
    ("quantile", [-0.1, 50, math.nan, "half"], "a number in [0, 1] or None"),
    ("outer", [-1, math.inf], "a finite number of at least 0 or None"),
    ("radius", [0, 2, "wide", None], "a number in (0, 1] or 'midweak'"),
    ("call", ["x", Evaluation(), Call], "a Call or None"),
    ("looks", [Call("x"), 3], "an Evaluation or None"),
    ("calls", [None, "x", Call("x"), {}], "a list, each item a Call"),
    ("words", ["no", None, 3], "a list, each item a string"),
    ("sizes", [None, 3], "a list, each item a whole number of at least 1 or None"),
]


@pytest.mark.parametrize("name", ALLOWED)
def test_what_an_annotation_allows_passes(name: str) -> None:
    for value in ALLOWED[name]:
        PARAMETERS.check({"required": 0, name: value}, "loss")


@pytest.mark.parametrize(("name", "values", "allowed"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_it_does_not_allow_is_refused_with_what_it_does(
    name: str, values: list[Any], allowed: str
) -> None:
    for value in values:
        with pytest.raises(InvalidInput) as refused:
            PARAMETERS.check({"required": 0, name: value}, "objective 'mine'")
        assert str(refused.value) == f"objective 'mine': {name} is {value!r}; it must be {allowed}"


def test_every_parameter_of_the_example_has_both_kinds_of_case() -> None:
    assert PARAMETERS.names == tuple(ALLOWED) == tuple(case[0] for case in REFUSED)


def refusal(parameters: Parameters, **params: Any) -> str:
    with pytest.raises(InvalidInput) as refused:
        parameters.check(params, "loss")
    return str(refused.value)


def test_the_item_of_a_list_that_does_not_fit_is_told() -> None:
    assert refusal(PARAMETERS, required=0, calls=[Call("x"), "y"]) == (
        "loss: calls holds 'y'; each item must be a Call"
    )
    assert refusal(PARAMETERS, required=0, sizes=[1, 0]) == (
        "loss: sizes holds 0; each item must be a whole number of at least 1 or None"
    )


def test_a_long_value_is_cut() -> None:
    assert refusal(PARAMETERS, required=0, share="x" * 500) == (
        f"loss: share is '{'x' * 78}…; it must be a number in [0, 1]"
    )


def test_unknown_and_missing_names_are_refused_with_those_that_there_are() -> None:
    listed = ", ".join(PARAMETERS.names)
    assert refusal(PARAMETERS, required=0, shares=1) == (
        f"loss: got an unexpected keyword argument 'shares' (did you mean 'share'?); its parameters: {listed}"
    )
    assert refusal(PARAMETERS) == f"loss: missing a required argument: 'required'; its parameters: {listed}"
    assert "multiple values for argument 'labels'" in refusal(PARAMETERS, required=0, labels=0)
    assert refusal(Parameters(lambda logits: None, num_leading=1), a=1).endswith("its parameters: none")


# A user's own functions
# ------------------------------------------------------------------------------------------------------------


def half_annotated(  # type: ignore[no-untyped-def]
    cell: Any,
    one,
    two: int = 1,
    *,
    three: Tensor | None = None,
    four: dict[str, int] | None = None,
    **more: int,
) -> None: ...


class Callee:
    def __call__(self, logits: Tensor, *, share: float = 0) -> None: ...

    def method(self, logits: Tensor, *, share: Annotated[float, Between(0, 1)] = 0) -> None: ...


def test_what_is_not_annotated_or_not_understood_is_checked_for_its_name_only() -> None:
    parameters = Parameters(half_annotated, num_leading=1)
    assert parameters.names == ("one", "two", "three", "four")
    parameters.check({"one": object(), "three": object(), "four": object(), "five": object()}, "recipe")
    assert refusal(parameters, one=1, two="x") == "loss: two is 'x'; it must be a whole number"
    assert "missing a required argument: 'one'" in refusal(parameters)


@pytest.mark.parametrize(
    ("function", "num_leading"),
    [
        pytest.param(functools.wraps(loss)(lambda *args, **params: None), 2, id="wrapped"),
        pytest.param(Callee().method, 1, id="method"),
    ],
)
def test_a_wrapped_function_and_a_method_are_checked_as_what_they_call(
    function: Callable[..., object], num_leading: int
) -> None:
    parameters = Parameters(function, num_leading)
    params = {name: 0 for name in parameters.names if name == "required"}
    parameters.check({**params, "share": 0.5}, "loss")
    assert refusal(parameters, **params, share=2) == "loss: share is 2; it must be a number in [0, 1]"
    assert "unexpected keyword argument 'shares'" in refusal(parameters, **params, shares=0)


@pytest.mark.parametrize(
    ("function", "num_leading"),
    [
        pytest.param(Callee(), 1, id="callable"),
        pytest.param(functools.partial(loss, required=0), 2, id="partial"),
    ],
)
def test_other_callables_are_checked_for_names(function: Callable[..., object], num_leading: int) -> None:
    parameters = Parameters(function, num_leading)
    parameters.check({"share": 0.5}, "loss")
    assert "unexpected keyword argument 'shares'" in refusal(parameters, shares=0)


# Rules that bind several parameters
# ------------------------------------------------------------------------------------------------------------


def ordered(*, low: int, high: int, **others: int) -> None:
    if low > high:
        raise InvalidInput(f"low is {low}, above high, {high}")
    if others:
        others["absent"]


def between(logits: Tensor, *, low: int = 0, high: int = 10, **others: int) -> None: ...


def test_a_rule_sees_all_parameters_once_each_has_passed_alone() -> None:
    parameters = Parameters(between, num_leading=1, rule=ordered)
    for params in ({}, {"low": 10}, {"high": 0}, {"low": -3, "high": -3}):
        parameters.check(params, "loss")
    assert refusal(parameters, low=11) == "loss: low is 11, above high, 10"
    assert refusal(parameters, high=-1) == "loss: low is 0, above high, -1"
    assert refusal(parameters, low="x") == "loss: low is 'x'; it must be a whole number"


def test_an_error_in_a_rule_is_told_with_its_traceback() -> None:
    told = refusal(Parameters(between, num_leading=1, rule=ordered), other=1)
    assert told.startswith("loss failed:\nTraceback") and "KeyError: 'absent'" in told
