"""Values of tables: when there is none, and as texts, numbers and classes.

There is no value where there is None, NaN, NaT, `pandas.NA`, null, or a text that is blank. This is so in
every format, since CSV files can't tell an empty text from none, and pandas writes NaN for both.
"""

from __future__ import annotations

import datetime
import math
import numbers
import re
import uuid
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Any

from raysweep.errors import InvalidInput
from raysweep.tasks.places import Fault, brief

MAX_CLASSES = 10_000
_SCALARS = (str, numbers.Number, datetime.date, datetime.time, datetime.timedelta, uuid.UUID)
_WHOLE = re.compile(r"([+-]?\d+)\.0*")


def is_missing(value: Any) -> bool:
    """Whether there is no value."""
    if isinstance(value, str | bytes | bytearray):
        return not value.strip()
    if isinstance(value, Decimal):  # a signalling NaN can't be compared
        return value.is_nan()
    if isinstance(value, numbers.Number):
        return bool(value != value)
    if getattr(value, "ndim", None) == 0:
        return str(value) == "NaT"
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def text_of(value: Any, column: str | None = None) -> Any:
    """A value that has an unambiguous text: bytes are decoded, other single values are left as they are.

    Raises:
        Fault: the value is a list, an object or another thing that is no single value; or bytes aren't UTF-8.
    """
    if isinstance(value, bytes | bytearray):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise Fault(
                f"the value {brief(bytes(value))} is bytes that aren't UTF-8 ({error.reason}); give the "
                "table a column of texts",
                column=column,
            ) from error
    if isinstance(value, _SCALARS) or getattr(value, "ndim", None) == 0:
        return value
    raise Fault(
        f"the value {brief(value)} is of type {type(value).__name__}, which has no text of its own; name a "
        'part of it, as in "{column[0]}", or give a function that makes a text of the row',
        column=column,
    )


def require_unicode(text: str, argument: str, column: str | None = None) -> None:
    """Check that a text can be written as UTF-8.

    Raises:
        Fault: it has a lone surrogate, half of a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Fault(
            f"{argument} has the lone surrogate {ascii(text[error.start])[1:-1]} at character "
            f"{error.start + 1}, which is half a character and no text; write the whole character, or U+FFFD "
            "in its place",
            column=column,
        ) from error


def number_of(value: Any, column: str) -> float | None:
    """The number that a value is or, as a text, says; None if there is no value.

    Raises:
        Fault: it isn't a finite number.
    """
    if is_missing(value):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    # Of a complex number of numpy, `float` takes the real part.
    is_real = isinstance(value, numbers.Real) or not isinstance(value, numbers.Complex)
    if not is_real or not math.isfinite(number):
        raise Fault(f"the difficulty is {brief(value)}; it must be a finite number", column=column)
    return number


def whole(text: str) -> str:
    """The text of a value, of a whole number without the ".0" that pandas and Parquet write in a column of
    floats, so that it is the same in every table."""
    found = _WHOLE.fullmatch(text)
    return found[1] if found else text


class Classes:
    """The values of a label, and the number of the class that each stands for.

    Values are compared as texts, so 1 is equal to "1". A whole number may be written as 1.0, as pandas does
    in a column with missing values, and True as "true".
    """

    def __init__(self, task: str, argument: str, values: Sequence[Any]) -> None:
        """Take the values of an argument of a task, in the order of their classes.

        Raises:
            InvalidInput: the values have no order, or aren't different values.
        """
        if not isinstance(values, list | tuple | range):
            raise InvalidInput(
                f"task {task!r}: {argument} is {brief(values)}; it must be a list: its order numbers the "
                "classes"
            )
        if len(values) > MAX_CLASSES:
            raise InvalidInput(
                f"task {task!r}: {argument} has {len(values):,} values; at most {MAX_CLASSES:,} are possible"
            )
        for value in values:
            if is_missing(value) or not isinstance(value, _SCALARS):
                raise InvalidInput(
                    f"task {task!r}: {argument} has {brief(value)}; it must list texts or numbers"
                )
        self.values = values
        self.names = tuple(map(str, values))
        for name in self.names:
            try:
                require_unicode(name, argument)
            except Fault as fault:
                raise InvalidInput(f"task {task!r}: {fault}") from fault
        self._numbers = {name: number for number, name in enumerate(self.names)}
        if len(self._numbers) < len(values):
            raise InvalidInput(
                f"task {task!r}: {argument} is {brief(values)}; it must list different values of the label"
            )
        for number, value in enumerate(values):
            for form in _forms(value):
                self._numbers.setdefault(form, number)

    def number(self, value: Any) -> int | None:
        """The number of a value's class; None if it is none of the values."""
        if isinstance(value, bytes | bytearray):
            value = text_of(value)
        try:
            return next((self._numbers[form] for form in _forms(value) if form in self._numbers), None)
        except (ValueError, RecursionError):  # see `brief`
            return None

    def __contains__(self, value: Any) -> bool:
        return self.number(value) is not None

    def __str__(self) -> str:
        return listed(self.values)


def _forms(value: Any) -> Iterator[str]:
    """The texts as which a value may be written, from the most exact one on."""
    text = str(value)
    yield text
    if whole := _WHOLE.fullmatch(text):
        yield whole[1]
    elif isinstance(value, float) and value.is_integer():  # 1e+16
        yield str(int(value))
    elif text.casefold() in ("true", "false"):
        yield text.capitalize()


def listed(values: Collection[Any]) -> str:
    """Values for a message, not more than a line of them."""
    shown = ", ".join(brief(value) for _, value in zip(range(10), values, strict=False))
    return (f"{shown}, …" if len(values) > 10 else shown) or "nothing"
