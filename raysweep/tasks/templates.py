"""Templates: texts with the names of columns, "{title}: {body}", which the values of a row replace.

They are written as those of `str.format`. What a column is called comes before what its value consists of:
"{review.text}" is the column "review.text" if there is one, else the attribute of the column "review", and
"{0}" is a column that is called "0".
"""

from __future__ import annotations

import re
from collections.abc import Collection
from string import Formatter
from typing import Any

from raysweep.errors import InvalidInput
from raysweep.tasks.examples import Row
from raysweep.tasks.places import Fault, brief
from raysweep.tasks.values import is_missing, require_unicode, text_of

_WIDEST = 10_000
"""Characters that the format of a field may ask for; a slip would fill the memory."""


class _Parts(Formatter):
    """Finds the part of a value that a field names, "{body[0]}", in a row."""

    def get_value(self, key: int | str, args: Any, kwargs: Any) -> Any:
        return kwargs[str(key)]


class Template:
    """A text with the names of columns."""

    def __init__(self, task: str, argument: str, text: str) -> None:
        """Take the template of an argument of a task.

        Raises:
            InvalidInput: it isn't a template, or names no column.
        """
        self._argument = argument
        try:
            self._pieces = list(Formatter().parse(text))
        except ValueError as error:
            raise InvalidInput(
                f"task {task!r}: {argument} is {text!r}: {error}; write {{{{ or }}}} for a brace"
            ) from error
        self.fields = [field for _, field, _, _ in self._pieces if field is not None]
        if not self.fields or not all(map(_root, self.fields)):
            raise InvalidInput(
                f"task {task!r}: {argument} is {text!r}; it must name columns, as in '{{title}}: {{body}}'"
            )

    def __call__(self, row: Row) -> str:
        """The text of a row. A column without a value is replaced by nothing, as an empty text is.

        Raises:
            Fault: no column has a value, or one has a value without a text.
        """
        shown = []
        has_value = False
        for literal, field, spec, conversion in self._pieces:
            shown.append(literal)
            if field is None:
                continue
            column = column_of(field, row)
            value: Any = row.get(column)
            if column != field and not is_missing(value):
                value = self._part(row, field, column)
            if is_missing(value):
                shown.append(value if isinstance(value, str) else "")
                continue
            has_value = True
            is_plain = isinstance(value, str) and not spec and not conversion
            shown.append(value if is_plain else _formatted(value, row, column, spec or "", conversion))
        text = "".join(shown)
        only = column_of(self.fields[0], row) if len(self.fields) == 1 else None
        if not has_value:
            raise Fault(self._without_value(row), column=only, missing=True)
        require_unicode(text, self._argument, only)
        return text

    def optional(self, columns: Collection[str]) -> set[str]:
        """The columns, of these, that needn't have a value in every row, since the text has others."""
        named = {column_of(field, columns) for field in self.fields}
        return named if len(named) > 1 else set()

    def _without_value(self, row: Row) -> str:
        if len(self.fields) == 1:
            return f"there is no value, which {self._argument} needs"
        columns = ", ".join(repr(column_of(field, row)) for field in self.fields)
        return f"none of the columns {columns} has a value, which {self._argument} needs"

    def _part(self, row: Row, field: str, column: str) -> Any:
        """The part of a column's value that a field names."""
        try:
            return _Parts().get_field(field, (), row)[0]
        except (LookupError, AttributeError, TypeError) as error:
            raise Fault(
                f"the value {brief(row[column])} has no part {{{field}}}, which {self._argument} needs: "
                f"{error!r}",
                column=column,
            ) from error


def _formatted(value: Any, row: Row, column: str, spec: str, conversion: str | None) -> str:
    """A value as a text, by the conversion and the format of a field: "{length!s:>9}"."""
    try:
        value = Formatter().convert_field(value, conversion) if conversion else text_of(value, column)
        spec = spec.format_map(row) if "{" in spec else spec
        if any(len(number) > 9 or int(number) > _WIDEST for number in re.findall(r"[0-9]+", spec)):
            raise ValueError(f"its format {spec[:40]!r} asks for more than {_WIDEST:,} characters")
        return format(value, spec)
    except Fault:
        raise
    except (LookupError, TypeError, ValueError) as error:
        raise Fault(f"the value {brief(value)} can't be shown: {error}", column=column) from error


def column_of(field: str, columns: Collection[str]) -> str:
    """The column that the field of a template refers to."""
    return field if field in columns else _root(field)


def _root(field: str) -> str:
    return field.partition("[")[0].partition(".")[0]
