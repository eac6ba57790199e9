"""Checks of the fields of specs: an invalid value is refused with the field's name, the value and what is
allowed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, get_args

from raysweep.errors import InvalidInput
from raysweep.spec.identity import canonical_json

MAX_NAME_LENGTH = 250
"""Characters of a name: of an experiment MLflow takes 500, of other things 250."""


def require(condition: bool, owner: object, field_name: str, allowed: str) -> None:
    """Refuse a field's value unless a condition holds.

    Raises:
        InvalidInput: it doesn't, as in all checks of this module.
    """
    if not condition:
        value = getattr(owner, field_name)
        raise InvalidInput(f"{type(owner).__name__}.{field_name} is {value!r:.200}; it must be {allowed}")


def require_type(owner: object, field_name: str, types: type | tuple[type, ...], allowed: str) -> None:
    """Require a value of one of these types."""
    require(isinstance(getattr(owner, field_name), types), owner, field_name, allowed)


def require_name(owner: object, field_name: str, allowed: str) -> None:
    """Require a string that isn't empty, of at most `MAX_NAME_LENGTH` characters."""
    value = getattr(owner, field_name)
    require(isinstance(value, str) and bool(value.strip()), owner, field_name, allowed)
    require_short(owner, field_name)


def require_short(owner: object, field_name: str) -> None:
    """Require a string of at most `MAX_NAME_LENGTH` characters, all of them whole."""
    value = getattr(owner, field_name)
    if len(value) > MAX_NAME_LENGTH:
        raise InvalidInput(
            f"{type(owner).__name__}.{field_name} has {len(value)} characters, {value[:40]!r}…; MLflow takes "
            f"names of at most {MAX_NAME_LENGTH}"
        )
    _require_unicode(owner, field_name, value)


def _require_unicode(owner: object, field_name: str, text: str) -> None:
    """Require a text that can be written as UTF-8, as the files of results and MLflow need it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"{type(owner).__name__}.{field_name} has the lone surrogate {ascii(text[error.start])[1:-1]}, "
            "which is half a character and no text; write the whole character, or U+FFFD in its place"
        ) from error


def require_bool(owner: object, *field_names: str) -> None:
    """Require True or False."""
    for name in field_names:
        _keep_plain(owner, name)
        require_type(owner, name, bool, "True or False")


def require_number(
    owner: object, field_name: str, low: float, high: float = math.inf, *, above: bool = False
) -> None:
    """Require a finite number in [low, high], or (low, high] where `above` is set."""
    value = _keep_plain(owner, field_name)
    bounds = f"a number {'above' if above else 'of at least'} {low:g}" + (
        f" and at most {high:g}" if high < math.inf else ""
    )
    require(is_number(value, low, high, above=above), owner, field_name, bounds)


def require_int(owner: object, field_name: str, low: int, *, optional: bool = False) -> None:
    """Require a whole number of at least `low`, or None where `optional` is set."""
    value = _keep_plain(owner, field_name)
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
    allowed = f"a whole number of at least {low}" + (" or None" if optional else "")
    require(fits or (optional and value is None), owner, field_name, allowed)


def require_choice(owner: object, field_name: str, choices: object, *others: str) -> None:
    """Require one of the values of a `Literal`; `others` are told as allowed too."""
    allowed = get_args(choices)
    value = _keep_plain(owner, field_name)
    fits = any(value == choice and type(value) is type(choice) for choice in allowed)
    require(fits, owner, field_name, f"one of {', '.join([*map(str, allowed), *others])}")


def require_stable(owner: object, field_name: str) -> None:
    """Require a value with a stable identity: numbers, strings, lists, dicts."""
    try:
        text = canonical_json(_keep_plain(owner, field_name))
    except RecursionError as error:
        raise InvalidInput(
            f"{type(owner).__name__}.{field_name} holds itself, or is nested too deeply; use a flat value"
        ) from error
    except InvalidInput as error:
        raise InvalidInput(f"{type(owner).__name__}.{field_name}: {error}") from error
    if "\\ud" in text:  # a character beyond the first 65,536, or half of one
        _require_unicode(owner, field_name, json.dumps(json.loads(text), ensure_ascii=False))


def plain(value: Any) -> Any:
    """A value with numpy's numbers as Python's, in lists, tuples and dicts too; all else as it is."""
    numpy = sys.modules.get("numpy")  # not imported here: none of its numbers is there before it is
    if numpy is not None and isinstance(value, numpy.generic):
        return value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if type(value) is tuple:
        return tuple(plain(item) for item in value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def _keep_plain(owner: object, field_name: str) -> Any:
    """Replace a field's value by `plain` of it, and return it."""
    value = plain(getattr(owner, field_name))
    object.__setattr__(owner, field_name, value)
    return value


def is_number(value: object, low: float = -math.inf, high: float = math.inf, *, above: bool = False) -> bool:
    """Whether a value is a finite number in [low, high], or (low, high] where `above` is set."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return (value > low if above else value >= low) and value <= high
