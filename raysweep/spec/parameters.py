"""Parameters of registered functions: declared once, in the signature, and checked from it.

    def loss(logits, labels, context, *,
             alpha_max: Annotated[float, Between(0, 1)] = 0.5,
             threshold: Literal["balanced", "prior"] = "balanced") -> Tensor: ...

`Parameters(loss, num_leading=3).check({"alpha_max": 2}, "objective 'mine'")` refuses the value before
anything trains. These annotations are understood:

- `float` (a finite number, so an `int` too, but no `bool`) and `int` (no `bool`), either one with bounds:
  `Annotated[float, Between(0, 1)]`;
- `bool`, `str`, `None`, `Literal[...]`, and dataclasses such as `Call` or `Model`;
- `Sequence[X]`, `list[X]` and `tuple[X, ...]` of these, each of which takes a list or a tuple;
- unions of these.

A parameter with any other annotation, or with none, is checked for its name only.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from raysweep.errors import InvalidInput, did_you_mean, user_code
from raysweep.spec.validation import is_number

_MAX_SHOWN = 80
"""Characters of a refused value in a message."""


class Bounds:
    """An interval of numbers, for the metadata of `Annotated`. Unbounded unless a subclass says otherwise."""

    low: float = -math.inf
    high: float = math.inf
    includes_low: ClassVar[bool] = True

    def __contains__(self, number: float) -> bool:
        reaches_low = number >= self.low if self.includes_low else number > self.low
        return reaches_low and number <= self.high

    def __str__(self) -> str:
        if math.isfinite(self.high):
            return f" in {'[' if self.includes_low else '('}{self.low:g}, {self.high:g}]"
        if math.isfinite(self.low):
            return f" {'of at least' if self.includes_low else 'above'} {self.low:g}"
        return ""


@dataclass(frozen=True)
class Between(Bounds):
    """Numbers in [low, high]."""

    low: float
    high: float


@dataclass(frozen=True)
class AtLeast(Bounds):
    """Numbers in [low, ∞)."""

    low: float


@dataclass(frozen=True)
class Above(Bounds):
    """Numbers in (low, high]; by default, without an upper bound."""

    low: float
    high: float = math.inf
    includes_low: ClassVar[bool] = False


@dataclass(frozen=True)
class Parameters:
    """The parameters of a function beyond its leading arguments."""

    function: Callable[..., object]
    num_leading: int
    """Number of arguments that the caller passes by position: 3 for a loss, called as `loss(logits, labels,
    context, **params)`."""
    rule: Callable[..., None] | None = None
    """Checks what a signature can't say, since it binds several parameters. It is called with all of them by
    name, defaults included, once each has passed alone, and raises `InvalidInput`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the declared parameters, in the order of the signature."""
        return tuple(self._declared())

    @property
    def annotations(self) -> Mapping[str, Any]:
        """Annotations by name, `Annotated` kept. Those that can't be resolved at run time are left out."""
        namespace = getattr(inspect.unwrap(self.function), "__globals__", {})
        found: dict[str, Any] = {}
        for name, parameter in self._declared().items():
            # One by one: a name that is imported for type checking only leaves the others resolvable.
            alone = SimpleNamespace(__annotations__={name: parameter.annotation})
            with suppress(Exception):
                found |= get_type_hints(alone, namespace, include_extras=True)
        return found

    def described(self) -> dict[str, dict[str, str]]:
        """By name, the "default" of each parameter, "" of one that must be given, and what is "allowed", ""
        of one that is checked for its name only."""
        annotations = self.annotations
        return {
            name: {
                "default": "" if parameter.default is parameter.empty else repr(parameter.default),
                "allowed": _text(kinds) if (kinds := _kinds(annotations.get(name))) else "",
            }
            for name, parameter in self._declared().items()
        }

    def check(self, params: Mapping[str, Any], what: str) -> None:
        """Refuse parameters that the function can't be called with.

        Args:
            params: values by name.
            what: what is called, at the beginning of the message: "objective 'confidence'".

        Raises:
            InvalidInput: a name is unknown or missing, or a value breaks its annotation or the rule.
        """
        declared = self._declared()
        try:
            inspect.signature(self.function).bind(*[None] * self.num_leading, **params)
        except TypeError as error:
            wrong = next((name for name in params if name not in declared), "")
            listed = ", ".join(declared) or "none"
            near = did_you_mean(wrong, declared)
            raise InvalidInput(f"{what}: {error}{near}; its parameters: {listed}") from error
        for name, annotation in self.annotations.items():
            if name in params:
                _require(params[name], annotation, f"{what}: {name}")
        if self.rule is not None:
            defaults = {
                name: parameter.default
                for name, parameter in declared.items()
                if parameter.default is not parameter.empty
            }
            _apply(self.rule, {**defaults, **params}, what)

    def _declared(self) -> dict[str, inspect.Parameter]:
        parameters = list(inspect.signature(self.function).parameters.values())[self.num_leading :]
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return {parameter.name: parameter for parameter in parameters if parameter.kind not in variadic}


def _apply(rule: Callable[..., None], values: Mapping[str, Any], what: str) -> None:
    with user_code(what):
        try:
            rule(**values)
        except InvalidInput as error:
            raise InvalidInput(f"{what}: {error}") from error


@dataclass(frozen=True)
class _Kind:
    """A kind of value that an annotation allows."""

    text: str
    """In a message, after "it must be"."""
    fits: Callable[[Any], bool]
    items: tuple[_Kind, ...] = ()
    """Of a list: the kinds that its items may be of; empty for any."""


def _require(value: object, annotation: Any, where: str) -> None:
    kinds = _kinds(annotation)
    if not kinds or _fits(value, kinds):
        return
    for kind in kinds:
        if kind.items and isinstance(value, list | tuple):
            wrong = next(item for item in value if not _fits(item, kind.items))
            raise InvalidInput(f"{where} holds {_shown(wrong)}; each item must be {_text(kind.items)}")
    raise InvalidInput(f"{where} is {_shown(value)}; it must be {_text(kinds)}")


def _kinds(annotation: Any, bounds: Bounds | None = None) -> tuple[_Kind, ...]:
    """The kinds of value that an annotation allows; empty if it isn't understood, which allows any."""
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        marks = (mark for mark in arguments[1:] if isinstance(mark, Bounds))
        return _kinds(arguments[0], next(marks, bounds))
    if origin in (Union, UnionType):
        members = [_kinds(member, bounds) for member in arguments]
        return tuple(kind for kinds in members for kind in kinds) if all(members) else ()
    if origin is Literal:
        return tuple(_choice(value) for value in arguments)
    if origin in (Sequence, list) or (origin is tuple and arguments[1:] == (...,)):
        return (_list_of(_kinds(arguments[0])),)
    if annotation in (float, int):
        return (_number(annotation, bounds or Bounds()),)
    if annotation in (None, NoneType):
        return (_choice(None),)
    if annotation is bool:
        return (_Kind("True or False", lambda value: isinstance(value, bool)),)
    if annotation is str:
        return (_Kind("a string", lambda value: isinstance(value, str)),)
    if isinstance(annotation, type) and is_dataclass(annotation):
        article = "an" if annotation.__name__[0] in "AEIOU" else "a"
        return (_Kind(f"{article} {annotation.__name__}", lambda value: isinstance(value, annotation)),)
    return ()


def _number(kind: type[float] | type[int], bounds: Bounds) -> _Kind:
    if kind is int:
        return _Kind(
            f"a whole number{bounds}",
            lambda value: isinstance(value, int) and not isinstance(value, bool) and value in bounds,
        )
    noun = "number" if math.isfinite(bounds.high) else "finite number"
    return _Kind(f"a {noun}{bounds}", lambda value: is_number(value) and value in bounds)


def _choice(choice: object) -> _Kind:
    return _Kind(repr(choice), lambda value: type(value) is type(choice) and value == choice)


def _list_of(items: tuple[_Kind, ...]) -> _Kind:
    return _Kind(
        f"a list, each item {_text(items)}" if items else "a list",
        lambda value: (
            isinstance(value, list | tuple) and (not items or all(_fits(item, items) for item in value))
        ),
        items,
    )


def _fits(value: object, kinds: Iterable[_Kind]) -> bool:
    return any(kind.fits(value) for kind in kinds)


def _text(kinds: Sequence[_Kind]) -> str:
    *others, last = [kind.text for kind in kinds]
    return f"{', '.join(others)} or {last}" if others else last


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
