"""Tasks from a user's own table, in a few lines of the user's own file.

    from raysweep.tasks import classification_task, generative_task, preference_task

    reviews = classification_task(
        "reviews.csv", text="{title}\\n{body}", label="stars", classes=[1, 2, 3, 4, 5]
    )
    helpful = preference_task("pairs.jsonl", first="{prompt}\\n{chosen}", second="{prompt}\\n{rejected}")
    capitals = generative_task("capitals.parquet", prompt="The capital of {country} is", target="{capital}")

With these lines in `my_tasks.py`, the name of the first task in an experiment is "my_tasks:reviews". Nothing
is read before a task is loaded.

Tables are .csv and .tsv (with a header; all values are texts), .jsonl and .json (a list of rows), each plain
or gzipped, and .parquet. Relative paths are relative to the working directory. Instead of one file there may
be one for each pool, `{"train": "a.csv", "test": "b.csv"}`, or a data set of the hub, `HubData(id="org/name",
revision="…")`. Without a "test" pool, the test split is cut from "train".
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
"""A template with the names of columns, "Review: {title}", or a function from a row to a text."""
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
        classes: the values of the label, in the order of the classes. They are compared as text, so 1 is
            equal to "1".
        group: a column; rows with equal values stay in one split. By default rows with equal texts do.
        difficulty: a column of numbers; larger is harder.
        name: the task's name in messages; by default the name of the file or data set.
        facts: further fields of `Task`: num_train, num_validation, num_test, balanced.

    Raises:
        InvalidInput: an argument is wrong. Faults of the data are reported when the task is loaded.
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
    """A task of pairs of texts, one of which is better. Models see the texts in an order that follows from a
    hash of the pair.

    Args:
        source: a file, a file for each pool, or a data set of the hub.
        first: a text, with its prompt if it has one: "{prompt}\\n{chosen}".
        second: the other text.
        label: the column that says which text is better. By default the first one always is.
        classes: the two values of the label, for "the first is better" and "the second is better".
        ties: values of the label for "neither is better"; such rows are left out.
        group: a column, such as that of the prompt; rows with equal values stay in one split. By default rows
            that share a text do.
        difficulty: a column of numbers; larger is harder.
        name: the task's name in messages; by default the name of the file or data set.
        facts: further fields of `Task`: num_train, num_validation, num_test, balanced.

    Raises:
        InvalidInput: an argument is wrong. Faults of the data are reported when the task is loaded.
    """
    name = name or _name(source)
    outcomes = list(map(str, classes))
    tied = set(map(str, ties))
    if len({*outcomes, *tied}) != 2 + len(tied):
        raise InvalidInput(
            f"task {name!r}: classes is {classes!r} and ties is {ties!r}; classes must be the two values of "
            "the label for 'the first text is better' and 'the second text is better', and no value may be a "
            "tie too"
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
    """A task of prompts, each with one right answer, which models are to write.

    Args:
        source: a file, a file for each pool, or a data set of the hub.
        prompt: what the model reads.
        target: what it should write after a space. An answer is right if it is equal to the target, apart
            from whitespace around it.
        group: a column; rows with equal values stay in one split. By default rows with equal prompts do.
        difficulty: a column of numbers; larger is harder.
        name: the task's name in messages; by default the name of the file or data set.
        facts: further fields of `Task`: max_answer_tokens, num_train, num_validation, num_test.

    Raises:
        InvalidInput: an argument is wrong. Faults of the data are reported when the task is loaded.
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
    """The columns of a template: title and body for "{title} {body[0]}". A function has none."""
    if not isinstance(text, str):
        return []
    fields = [field for _, field, _, _ in Formatter().parse(text) if field is not None]
    return [field.partition("[")[0].partition(".")[0] for field in fields]


def _columns(*values: Value | None) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _shown(name: str, argument: str, text: Text) -> Show:
    """The function from a row to its text; it refuses blank texts."""
    try:
        columns = _fields(text)
    except ValueError as error:
        raise InvalidInput(
            f"task {name!r}: {argument} is {text!r}: {error}; write {{{{ or }}}} for a brace"
        ) from error
    if isinstance(text, str) and (not columns or "" in columns):
        raise InvalidInput(
            f"task {name!r}: {argument} is {text!r}; it must name columns, as in '{{title}}: {{body}}'"
        )

    def show(row: Row) -> str:
        empty = [column for column in columns if row.get(column) is None]
        if empty:
            raise InvalidInput(f"column {empty[0]!r} has no value, which {argument} needs")
        shown = text.format_map(row) if isinstance(text, str) else text(row)
        if not isinstance(shown, str) or not shown.strip():
            raise InvalidInput(f"{argument} is {shown!r}; it must be a text that isn't blank")
        return shown

    return show


def _value(row: Row, value: Value) -> Any:
    return row.get(value) if isinstance(value, str) else value(row)


def _number(row: Row, column: str | None) -> float | None:
    """The difficulty of a row; None if there is no column for it or no value in it."""
    if column is None or row.get(column) in (None, ""):
        return None
    number = float(row[column])
    if not math.isfinite(number):
        raise InvalidInput(f"column {column!r} is {row[column]!r}; a difficulty must be a finite number")
    return number


def _shares(group: str | None, *shown: Show) -> Shares:
    """The texts by which rows are grouped: the value of the column if there is one, else the row's texts."""

    def shares(row: Row) -> list[str]:
        if group is None:
            return [normalized(show(row)) for show in shown]
        return ["" if row.get(group) is None else str(row[group])]

    return shares
