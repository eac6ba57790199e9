"""Checks of the fields of specs: an invalid value is refused with the field's name, the value and what is
allowed."""

from __future__ import annotations

import math
from typing import get_args

from raysweep.errors import InvalidInput
from raysweep.spec.identity import canonical_json


def require(condition: bool, owner: object, field_name: str, allowed: str) -> None:
    """Refuse a field's value unless a condition holds.

    Raises:
        InvalidInput: it doesn't, as in all checks of this module.
    """
    if not condition:
        value = getattr(owner, field_name)
        raise InvalidInput(f"{type(owner).__name__}.{field_name} is {value!r}; it must be {allowed}")


def require_type(owner: object, field_name: str, types: type | tuple[type, ...], allowed: str) -> None:
    """Require a value of one of these types."""
    require(isinstance(getattr(owner, field_name), types), owner, field_name, allowed)


def require_name(owner: object, field_name: str, allowed: str) -> None:
    """Require a string that isn't empty."""
    value = getattr(owner, field_name)
    require(isinstance(value, str) and bool(value.strip()), owner, field_name, allowed)


def require_bool(owner: object, *field_names: str) -> None:
    """Require True or False."""
    for name in field_names:
        require_type(owner, name, bool, "True or False")


def require_number(
    owner: object, field_name: str, low: float, high: float = math.inf, *, above: bool = False
) -> None:
    """Require a finite number in [low, high], or (low, high] where `above` is set."""
    value = getattr(owner, field_name)
    bounds = f"a number {'above' if above else 'of at least'} {low:g}" + (
        f" and at most {high:g}" if high < math.inf else ""
    )
    require(is_number(value, low, high, above=above), owner, field_name, bounds)


def require_int(owner: object, field_name: str, low: int, *, optional: bool = False) -> None:
    """Require a whole number of at least `low`, or None where `optional` is set."""
    value = getattr(owner, field_name)
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
    allowed = f"a whole number of at least {low}" + (" or None" if optional else "")
    require(fits or (optional and value is None), owner, field_name, allowed)


def require_choice(owner: object, field_name: str, choices: object, *others: str) -> None:
    """Require one of the values of a `Literal`; `others` are told as allowed too."""
    allowed = get_args(choices)
    value = getattr(owner, field_name)
    fits = any(value == choice and type(value) is type(choice) for choice in allowed)
    require(fits, owner, field_name, f"one of {', '.join([*map(str, allowed), *others])}")


def require_stable(owner: object, field_name: str) -> None:
    """Require a value with a stable identity: numbers, strings, lists, dicts."""
    try:
        canonical_json(getattr(owner, field_name))
    except InvalidInput as error:
        raise InvalidInput(f"{type(owner).__name__}.{field_name}: {error}") from error


def is_number(value: object, low: float = -math.inf, high: float = math.inf, *, above: bool = False) -> bool:
    """Whether a value is a finite number in [low, high], or (low, high] where `above` is set."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return (value > low if above else value >= low) and value <= high
