"""Tasks from a user's own table, in a few lines of the user's own file.

    from raysweep.tasks import classification_task, generative_task, preference_task

    reviews = classification_task("reviews.csv", text="{title}\\n{body}", label="stars", classes=[1, 2, 3, 4,
    5]) helpful = preference_task("pairs.jsonl", first="{prompt}\\n{chosen}", second="{prompt}\\n{rejected}")
    capitals = generative_task("capitals.parquet", prompt="The capital of {country} is", target="{capital}")

in `my_tasks.py` are named `TaskSpec(name="my_tasks:reviews")` and so on. Nothing is read before the task is
loaded.

Tables are .csv and .tsv (with a header; all values are text), .jsonl and .json (a list of rows), each plain
or gzipped, and .parquet. A relative path is relative to the working directory. In place of one file there may
be one for each pool, `{"train": "a.csv", "test": "b.csv"}`, or a data set of the hub, `HubData(id="org/name",
revision="…")`. Without a "test" pool, one is cut from "train".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any, TypeAlias

from raysweep.errors import InvalidInput
from raysweep.tasks.base import Example, Task
from raysweep.tasks.examples import Draft, Row, Shares, examples_of, normalized
from raysweep.tasks.hub import HubData
from raysweep.tasks.hub_tasks import preference
from raysweep.tasks.table_files import Source, read_pools

Text: TypeAlias = str | Callable[[Row], str]
"""A template over columns, "Review: {title}", or a function from a row to a text."""
Value: TypeAlias = str | Callable[[Row], Any]
"""A column, or a function from a row to a value."""
Show: TypeAlias = Callable[[Row], str]


def classification_task(
    source: Source,
    *,
    text: Text,
    label: Value,
    classes: Sequence[Any],
    group: str | None = None,
    difficulty: str | None = None,
    name: str | None = None,
    **facts: Any,
) -> Task:
    """A task of texts with labels.

    Args:
        source: a file, a file for each pool, or a data set of the hub.
        text: what the model reads.
        label: the column of the label.
        classes: the values of the label, in the order of the classes; they are compared as text, so 1 finds
        "1".
        group: a column; rows with equal values never straddle two splits. Without, rows with equal texts
        don't.
        difficulty: a column of numbers; larger is harder.
        name: for messages; else the name of the file or data set.
        facts: further fields of `Task`: num_train, num_validation, num_test, balanced.

    Raises:
        InvalidInput: what can be told before the file is read; the rest when the task is loaded.
    """
    name = name or _name(source)
    numbers = {str(value): number for number, value in enumerate(classes)}
    if isinstance(classes, str) or len(numbers) < max(2, len(classes)):
        raise InvalidInput(
            f"task {name!r}: classes is {classes!r}; it must list the values of the label, two or more"
        )
    show = _shown(name, "text", text)

    def render(row: Row) -> list[Draft]:
        value = _value(row, label)
        if str(value) not in numbers:
            raise InvalidInput(f"the label is {value!r}; classes has {_listed(classes)}")
        return [Draft((show(row),), numbers[str(value)], difficulty=_number(row, difficulty))]

    def load() -> dict[str, list[Example]]:
        pools = read_pools(name, source, {*_fields(text), *_columns(label, group, difficulty)})
        return examples_of(pools, render, _shares(group, show))

    return Task(
        name=name,
        summary=f"{_name(source)}: which of {len(classes)} classes? (own data)",
        kind="classification",
        num_classes=len(classes),
        class_names=tuple(map(str, classes)),
        load=load,
        **facts,
    )


def preference_task(
    source: Source,
    *,
    first: Text,
    second: Text,
    label: Value | None = None,
    classes: Sequence[Any] = (0, 1),
    ties: Sequence[Any] = (None,),
    group: str | None = None,
    difficulty: str | None = None,
    name: str | None = None,
    **facts: Any,
) -> Task:
    """A task of pairs of texts of which one is the better. The order in which models see them is drawn from
    their texts.

    Args:
        source: a file, a file for each pool, or a data set of the hub.
        first: a text, with its prompt if it has one: "{prompt}\\n{chosen}".
        second: the other text.
        label: the column that says which is better; without, it is always the first.
        classes: the two values of the label that mean: the first is better, the second is better.
        ties: values of the label by which neither is better; such rows are left out.
        group: a column, such as the prompt's; rows with equal values never straddle two splits. Without, rows
            that share a text don't.
        difficulty: a column of numbers; larger is harder.
        name: for messages; else the name of the file or data set.
        facts: further fields of `Task`: num_train, num_validation, num_test, balanced.

    Raises:
        InvalidInput: what can be told before the file is read; the rest when the task is loaded.
    """
    name = name or _name(source)
    outcomes = list(map(str, classes))
    tied = set(map(str, ties))
    if len({*outcomes, *tied}) != 2 + len(tied):
        raise InvalidInput(
            f"task {name!r}: classes is {classes!r} and ties {ties!r}; classes must be the two values of the "
            "label that mean that the first and that the second text is better, and no value may be a tie too"
        )
    shown = (_shown(name, "first", first), _shown(name, "second", second))

    def render(row: Row) -> list[Draft]:
        value = classes[0] if label is None else _value(row, label)
        if str(value) in tied:
            return []
        if str(value) not in outcomes:
            raise InvalidInput(
                f"the label is {value!r}; classes has {_listed(classes)}, ties {_listed(ties)}"
            )
        better = outcomes.index(str(value))
        drafts = preference(shown[better](row), shown[1 - better](row))
        return [Draft(draft.texts, draft.label, difficulty=_number(row, difficulty)) for draft in drafts]

    def load() -> dict[str, list[Example]]:
        pools = read_pools(
            name, source, {*_fields(first), *_fields(second), *_columns(label, group, difficulty)}
        )
        return examples_of(pools, render, _shares(group, *shown))

    summary = f"{_name(source)}: which of two texts is better? (own data)"
    return Task(name=name, summary=summary, kind="preference", load=load, **facts)


def generative_task(
    source: Source,
    *,
    prompt: Text,
    target: Text,
    group: str | None = None,
    difficulty: str | None = None,
    name: str | None = None,
    **facts: Any,
) -> Task:
    """A task of prompts with one right answer each, which is to be written word for word.

    Args:
        source: a file, a file for each pool, or a data set of the hub.
        prompt: what the model reads.
        target: what it is to write after a blank; a prediction counts if it is equal, blanks around it apart.
        group: a column; rows with equal values never straddle two splits. Without, rows with equal prompts
        don't.
        difficulty: a column of numbers; larger is harder.
        name: for messages; else the name of the file or data set.
        facts: further fields of `Task`: max_answer_tokens, num_train, num_validation, num_test.

    Raises:
        InvalidInput: what can be told before the file is read; the rest when the task is loaded.
    """
    name = name or _name(source)
    show = _shown(name, "prompt", prompt)
    answer = _shown(name, "target", target)

    def render(row: Row) -> list[Draft]:
        return [Draft((show(row),), None, difficulty=_number(row, difficulty), target=answer(row).strip())]

    def load() -> dict[str, list[Example]]:
        pools = read_pools(name, source, {*_fields(prompt), *_fields(target), *_columns(group, difficulty)})
        return examples_of(pools, render, _shares(group, show))

    summary = f"{_name(source)}: write the answer (own data)"
    return Task(
        name=name, summary=summary, kind="generative", num_classes=0, balanced=False, load=load, **facts
    )


def _name(source: Source) -> str:
    if isinstance(source, HubData):
        return source.id
    file = next(iter(source.values()), "") if isinstance(source, Mapping) else source
    return Path(file).name.partition(".")[0] or "own"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values)) or "nothing"


def _fields(text: Text) -> list[str]:
    """The columns that a template names: of "{title} {body[0]}" title and body; none of a function."""
    if not isinstance(text, str):
        return []
    fields = [field for _, field, _, _ in Formatter().parse(text) if field is not None]
    return [field.partition("[")[0].partition(".")[0] for field in fields]


def _columns(*values: Value | None) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _shown(name: str, argument: str, text: Text) -> Show:
    """The function that gives the text of a row, and refuses a blank one."""
    try:
        columns = _fields(text)
    except ValueError as error:
        raise InvalidInput(
            f"task {name!r}: {argument} is {text!r}: {error}; write a brace itself as {{{{ or }}}}"
        ) from error
    if isinstance(text, str) and (not columns or "" in columns):
        raise InvalidInput(
            f"task {name!r}: {argument} is {text!r}; it must name columns, as in '{{title}}: {{body}}'"
        )

    def show(row: Row) -> str:
        empty = [column for column in columns if row.get(column) is None]
        if empty:
            raise InvalidInput(f"column {empty[0]!r} has no value, which {argument} needs")
        told = text.format_map(row) if isinstance(text, str) else text(row)
        if not isinstance(told, str) or not told.strip():
            raise InvalidInput(f"{argument} is {told!r}; it must be a text that isn't blank")
        return told

    return show


def _value(row: Row, value: Value) -> Any:
    return row.get(value) if isinstance(value, str) else value(row)


def _number(row: Row, column: str | None) -> float | None:
    """The difficulty of a row; None where there is none."""
    if column is None or row.get(column) in (None, ""):
        return None
    number = float(row[column])
    if not math.isfinite(number):
        raise InvalidInput(f"column {column!r} is {row[column]!r}; a difficulty must be a finite number")
    return number


def _shares(group: str | None, *shown: Show) -> Shares:
    """What puts rows into one group: equal values of the column, else equal texts."""

    def shares(row: Row) -> list[str]:
        if group is None:
            return [normalized(show(row)) for show in shown]
        return ["" if row.get(group) is None else str(row[group])]

    return shares
