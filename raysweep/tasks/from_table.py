"""Tasks from a user's own table, in a few lines of the user's own file.

    from raysweep.tasks import classification_task, generative_task, preference_task

    reviews = classification_task(
        "reviews.csv", text="{title}\\n{body}", label="stars", classes=[1, 2, 3, 4, 5]
    )
    helpful = preference_task("pairs.jsonl", first="{prompt}\\n{chosen}", second="{prompt}\\n{rejected}")
    capitals = generative_task("capitals.parquet", prompt="The capital of {country} is", target="{capital}")

With these lines in `my_tasks.py`, the name of the first task in an experiment is "my_tasks:reviews". Nothing
is read before a task is loaded.

Tables are .csv and .tsv (with a header; all values are texts), .jsonl, .ndjson and .json (a list of rows),
each plain or gzipped, and .parquet; a `pandas.DataFrame` or a `datasets.Dataset`; or a list of such tables.
Relative paths are relative to the working directory. Instead of one table there may be one for each pool,
`{"train": "a.csv", "test": "b.csv"}`, or a data set of the hub, `HubData(id="org/name", revision="…")`.
Without a "test" pool, the test split is cut from "train".

All three functions have these arguments:

    source        the tables
    group         a column; rows with equal values stay in one split. By default rows with equal texts do
    difficulty    a column of numbers; larger is harder
    skip_missing  leave out rows without a text, label or target, instead of refusing them. There is no value
                  where there is None, NaN, null or a blank text, in every format alike
    encoding      that of text files: "utf-8", "latin-1", "cp1252", "utf-16"
    quoting       whether quotes in .csv and .tsv files stand around values, which may then hold delimiters
                  and line breaks (True), or are characters, and every line is a row (False). By default they
                  stand around values in .csv files, and in .tsv files if all can be read so
    name          the task's name in messages; by default the name of the file or data set
    facts         further fields of `Task`: num_train, num_validation, num_test, balanced, max_answer_tokens
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from raysweep.errors import InvalidInput
from raysweep.tasks.base import Example, Task
from raysweep.tasks.columns import (
    Text,
    Value,
    column_name,
    difficulty_of,
    named_columns,
    require_columns,
    require_label,
    shares_of,
    shown_by,
    templates_of,
    value_of,
)
from raysweep.tasks.examples import Draft, Row, examples_of
from raysweep.tasks.hub import HubData
from raysweep.tasks.hub_tasks import preference
from raysweep.tasks.places import Fault, brief
from raysweep.tasks.table_files import Source, TableReader
from raysweep.tasks.values import Classes, is_missing, listed


def classification_task(
    source: Source,
    *,
    text: Text,
    label: Value,
    classes: Sequence[Any],
    group: str | None = None,
    difficulty: str | None = None,
    skip_missing: bool = False,
    encoding: str = "utf-8",
    quoting: bool | None = None,
    name: str | None = None,
    **facts: Any,
) -> Task:
    """A task of texts with labels. For the arguments that aren't listed here see the module.

    Args:
        text: what the model reads.
        label: the column of the label.
        classes: a list of the values of the label, in the order of the classes. They are compared as text, so
            1 is equal to "1"; see `Classes`.

    Raises:
        InvalidInput: an argument is wrong. Faults of the data are reported when the task is loaded.
    """
    name = name or _name(source)
    reader = TableReader(task=name, encoding=encoding, quoting=quoting, skip_missing=skip_missing)
    require_columns(name, group=group, difficulty=difficulty)
    require_label(name, label)
    values = Classes(name, "classes", classes)
    if len(values.names) < 2:
        raise InvalidInput(
            f"task {name!r}: classes is {classes!r}; it must list the values of the label, two or more"
        )
    show = shown_by(name, "text", text)

    def render(row: Row) -> list[Draft]:
        value = value_of(row, label)
        if is_missing(value):
            raise Fault("the label has no value", column=column_name(label), missing=True)
        number = values.number(value)
        if number is None:
            raise Fault(f"the label is {brief(value)}; classes has {values}", column=column_name(label))
        return [Draft((show(row),), number, difficulty=difficulty_of(row, difficulty))]

    def load() -> dict[str, list[Example]]:
        pools = reader.pools(source, named_columns(label, group, difficulty), templates_of(show))
        return examples_of(pools, render, shares_of(group, show), skip_missing=skip_missing)

    return Task(
        name=name,
        summary=f"{_name(source)}: which of {len(values.names)} classes? (own data)",
        kind="classification",
        num_classes=len(values.names),
        class_names=values.names,
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
    ties: Collection[Any] = (None,),
    group: str | None = None,
    difficulty: str | None = None,
    skip_missing: bool = False,
    encoding: str = "utf-8",
    quoting: bool | None = None,
    name: str | None = None,
    **facts: Any,
) -> Task:
    """A task of pairs of texts, one of which is better. Models see the texts in an order that follows from a
    hash of the pair. For the arguments that aren't listed here see the module.

    Args:
        first: a text, with its prompt if it has one: "{prompt}\\n{chosen}".
        second: the other text.
        label: the column that says which text is better. By default the first one always is.
        classes: the two values of the label, for "the first is better" and "the second is better".
        ties: values of the label for "neither is better"; such rows are left out. None stands for no value.
        group: a column, such as that of the prompt. By default rows that share a text stay in one split.

    Raises:
        InvalidInput: an argument is wrong. Faults of the data are reported when the task is loaded.
    """
    name = name or _name(source)
    reader = TableReader(task=name, encoding=encoding, quoting=quoting, skip_missing=skip_missing)
    require_columns(name, group=group, difficulty=difficulty)
    if label is not None:
        require_label(name, label)
    outcomes = Classes(name, "classes", classes)
    if not isinstance(ties, list | tuple | set | frozenset):
        raise InvalidInput(f"task {name!r}: ties is {brief(ties)}; it must be a list of values of the label")
    blank_is_tie = any(map(is_missing, ties))
    tied = Classes(name, "ties", [value for value in ties if not is_missing(value)])
    if len(outcomes.names) != 2 or any(value in tied for value in classes):
        raise InvalidInput(
            f"task {name!r}: classes is {classes!r} and ties is {ties!r}; classes must be the two values of "
            "the label for 'the first text is better' and 'the second text is better', and no value may be a "
            "tie too"
        )
    shown = (shown_by(name, "first", first), shown_by(name, "second", second))

    def render(row: Row) -> list[Draft]:
        value = classes[0] if label is None else value_of(row, label)
        if value in tied or (blank_is_tie and is_missing(value)):
            return []
        if is_missing(value):
            raise Fault("the label has no value", column=column_name(label), missing=True)
        better = outcomes.number(value)
        if better is None:
            raise Fault(
                f"the label is {brief(value)}; classes has {outcomes}, ties {listed(ties)}",
                column=column_name(label),
            )
        drafts = preference(shown[better](row), shown[1 - better](row))
        return [
            Draft(draft.texts, draft.label, difficulty=difficulty_of(row, difficulty)) for draft in drafts
        ]

    def load() -> dict[str, list[Example]]:
        pools = reader.pools(source, named_columns(label, group, difficulty), templates_of(*shown))
        return examples_of(pools, render, shares_of(group, *shown), skip_missing=skip_missing)

    summary = f"{_name(source)}: which of two texts is better? (own data)"
    return Task(name=name, summary=summary, kind="preference", load=load, **facts)


def generative_task(
    source: Source,
    *,
    prompt: Text,
    target: Text,
    group: str | None = None,
    difficulty: str | None = None,
    skip_missing: bool = False,
    encoding: str = "utf-8",
    quoting: bool | None = None,
    name: str | None = None,
    **facts: Any,
) -> Task:
    """A task of prompts, each with one right answer, which models are to write. For the arguments that aren't
    listed here see the module.

    Args:
        prompt: what the model reads.
        target: what it should write after a space. An answer is right if it is equal to the target, apart
            from whitespace around it.
        group: a column. By default rows with equal prompts stay in one split.

    Raises:
        InvalidInput: an argument is wrong. Faults of the data are reported when the task is loaded.
    """
    name = name or _name(source)
    reader = TableReader(task=name, encoding=encoding, quoting=quoting, skip_missing=skip_missing)
    require_columns(name, group=group, difficulty=difficulty)
    show = shown_by(name, "prompt", prompt)
    answer = shown_by(name, "target", target)

    def render(row: Row) -> list[Draft]:
        hard = difficulty_of(row, difficulty)
        return [Draft((show(row),), None, difficulty=hard, target=answer(row).strip())]

    def load() -> dict[str, list[Example]]:
        pools = reader.pools(source, named_columns(group, difficulty), templates_of(show, answer))
        return examples_of(pools, render, shares_of(group, show), skip_missing=skip_missing)

    summary = f"{_name(source)}: write the answer (own data)"
    return Task(
        name=name, summary=summary, kind="generative", num_classes=0, balanced=False, load=load, **facts
    )


def _name(source: Source) -> str:
    """The name of the first table, if it has one."""
    first: Any = source
    while isinstance(first, Mapping | list | tuple) and first:
        first = next(iter(first.values() if isinstance(first, Mapping) else first))
    if isinstance(first, HubData):
        return first.id
    return (Path(first).name.partition(".")[0] if isinstance(first, str | Path) else "") or "own"
