"""What the arguments of a task from a table say about its rows: texts, labels, groups, difficulties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from raysweep.errors import InvalidInput
from raysweep.tasks.examples import Row, Shares, normalized
from raysweep.tasks.places import Fault, brief
from raysweep.tasks.templates import Template
from raysweep.tasks.values import is_missing, number_of, require_unicode, text_of, whole

Text: TypeAlias = str | Callable[[Row], str]
"""A template with the names of columns, "Review: {title}", or a function from a row to a text."""
Value: TypeAlias = str | Callable[[Row], Any]
"""A column, or a function from a row to a value."""
Show: TypeAlias = Callable[[Row], str]
"""A function from a row to a text that isn't blank."""


def require_columns(task: str, **columns: object) -> None:
    """Check arguments by their names.

    Raises:
        InvalidInput: an argument is neither the name of a column nor None.
    """
    for argument, value in columns.items():
        if value is not None and not isinstance(value, str):
            raise InvalidInput(
                f"task {task!r}: {argument} is {brief(value)}; it must be the name of a column"
            )


def require_label(task: str, label: object) -> None:
    """Check the argument `label`.

    Raises:
        InvalidInput: it is neither the name of a column nor a function.
    """
    if not isinstance(label, str) and not callable(label):
        raise InvalidInput(
            f"task {task!r}: label is {brief(label)}; it must be the name of a column or a function from a "
            "row to a value"
        )


def templates_of(*shown: Show) -> list[Template]:
    """Those that name their columns; a function has none that are known."""
    return [show for show in shown if isinstance(show, Template)]


def named_columns(*values: Value | None) -> list[str]:
    """The columns among arguments."""
    return [value for value in values if isinstance(value, str)]


def column_name(value: Value | None) -> str | None:
    """The column of an argument, if it names one."""
    return value if isinstance(value, str) else None


def shown_by(name: str, argument: str, text: Text) -> Show:
    """The function from a row to its text; it refuses blank texts."""
    if isinstance(text, str):
        return Template(name, argument, text)
    if not callable(text):
        raise InvalidInput(
            f"task {name!r}: {argument} is {brief(text)}; it must be a text with the names of columns, as in "
            "'{title}: {body}', or a function from a row to a text"
        )

    def show(row: Row) -> str:
        shown = text(row)
        if not isinstance(shown, str) and not is_missing(shown):
            raise Fault(f"{argument} is {brief(shown)}; it must be a text")
        if is_missing(shown):
            raise Fault(f"{argument} is {brief(shown)}; it must be a text that isn't blank", missing=True)
        require_unicode(shown, argument)
        return shown

    return show


def value_of(row: Row, value: Value) -> Any:
    """The value of a row; None if the row doesn't have the column."""
    return row.get(value) if isinstance(value, str) else value(row)


def difficulty_of(row: Row, column: str | None) -> float | None:
    """The difficulty of a row; None if there is no column for it or no value in it."""
    return None if column is None else number_of(row.get(column), column)


def shares_of(group: str | None, *shown: Show) -> Shares:
    """The texts by which rows are grouped: the value of the column if there is one, else the row's texts."""

    def shares(row: Row) -> list[str]:
        if group is None:
            return [normalized(show(row)) for show in shown]
        value = row.get(group)
        return ["" if is_missing(value) else whole(str(text_of(value, group)))]

    return shares
