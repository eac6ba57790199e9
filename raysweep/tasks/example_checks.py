"""Examples that can't be used are refused, with the task, the pool and the id in the message."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from raysweep.errors import InvalidInput
from raysweep.spec.validation import is_number, plain
from raysweep.tasks.base import POOLS, Example, Task

_MAX_LISTED = 10
"""Classes whose sizes a message lists."""


def has_classes(task: Task) -> bool:
    """Whether the examples of a task have classes."""
    return task.kind in ("classification", "preference")


def checked_examples(task: Task, pools: Mapping[str, Iterable[Example]]) -> dict[str, list[Example]]:
    """The examples of a loader's pools, numpy's numbers as Python's.

    Raises:
        InvalidInput: pools are missing or unknown, or an example can't be used.
    """
    allowed = POOLS if task.has_halves else ("train", "validation")
    if not isinstance(pools, Mapping) or set(pools) - set(allowed) or "train" not in pools:
        returned = (
            f"the pools {', '.join(map(repr, pools)) or 'none'}"
            if isinstance(pools, Mapping)
            else f"a {type(pools).__name__}"
        )
        raise InvalidInput(
            f"task {task.name!r}: its loader returned {returned}; a task of kind {task.kind!r} needs "
            f"'train' and may have {', '.join(map(repr, allowed[1:]))}"
        )
    checked = {name: [_checked(task, name, example) for example in pool] for name, pool in pools.items()}
    if has_classes(task) and task.num_classes > max(len(checked["train"]), 2):
        raise InvalidInput(
            f"task {task.name!r}: it has {task.num_classes:,} classes, and the pool 'train' only "
            f"{len(checked['train']):,} examples; num_classes is the number of classes that labels have"
        )
    return checked


def require_unique(task: Task, pools: Mapping[str, list[Example]]) -> None:
    """Refuse an id that occurs twice, in one pool or in two."""
    seen: set[str] = set()
    for example in (example for pool in pools.values() for example in pool):
        if example.id in seen:
            raise InvalidInput(f"task {task.name!r}: id {example.id!r} occurs twice; it must be unique")
        seen.add(example.id)


def described(task: Task, examples: Sequence[Example]) -> str:
    """How many examples there are of each class, for a message."""
    counter = Counter(example.label for example in examples)
    listed = [f"{counter[label]} of class {label}" for label in range(min(task.num_classes, _MAX_LISTED))]
    more = ["…"] if task.num_classes > _MAX_LISTED else []
    return f"{len(examples)} examples ({', '.join([*listed, *more])})"


def _checked(task: Task, pool: str, example: Example) -> Example:
    if not isinstance(example, Example):
        raise InvalidInput(
            f"task {task.name!r}, pool {pool!r}: it holds {example!r:.200}; each item must be a "
            "raysweep.tasks.base.Example"
        )
    where = f"task {task.name!r}, pool {pool!r}, example {example.id!r:.200}"
    for name in ("id", "group"):
        value = getattr(example, name)
        if not isinstance(value, str) or not value:
            raise InvalidInput(f"{where}: its {name} is {value!r:.200}; it must be a string, such as str(…)")
    _check_texts(task, example, where)
    if task.kind == "generative":
        _check_target(example, where)
    label, difficulty = plain(example.label), plain(example.difficulty)
    if difficulty is not None and not is_number(difficulty):
        raise InvalidInput(
            f"{where}: its difficulty is {difficulty!r:.200}; it must be a finite number, or None where it "
            "isn't known"
        )
    if has_classes(task) and (type(label) is not int or not 0 <= label < task.num_classes):
        raise InvalidInput(
            f"{where}: the label is {label!r:.200}; this task's classes are whole numbers 0 to "
            f"{task.num_classes - 1}. A label of -1 usually means a published test set with hidden "
            "labels"
        )
    if label is example.label and difficulty is example.difficulty:
        return example
    return dataclasses.replace(example, label=label, difficulty=difficulty)


def _check_texts(task: Task, example: Example, where: str) -> None:
    num_texts = 2 if task.kind == "preference" else 1
    if not isinstance(example.texts, tuple | list):
        shape = "(first, second)" if num_texts == 2 else "(text,)"
        raise InvalidInput(
            f"{where}: its texts are {example.texts!r:.200} of type {type(example.texts).__name__}; they "
            f"must be a tuple, {shape}"
        )
    if len(example.texts) != num_texts or not all(
        isinstance(text, str) and text.strip() for text in example.texts
    ):
        raise InvalidInput(
            f"{where}: a {task.kind} example needs {num_texts} non-empty text(s), got {example.texts!r:.200}"
        )
    answer = () if example.answer is None else (example.answer,)
    for text in (example.id, example.group, *example.texts, *answer):
        _require_unicode(text, where)


def _check_target(example: Example, where: str) -> None:
    if not isinstance(example.target, str) or not example.target.strip():
        raise InvalidInput(
            f"{where}: its target is {example.target!r:.200}; a generative example needs a non-empty answer"
        )
    if not isinstance(example.allowed, tuple | list) or not all(
        isinstance(answer, str) for answer in example.allowed
    ):
        raise InvalidInput(
            f"{where}: its allowed answers are {example.allowed!r:.200}; they must be a tuple of strings"
        )
    if example.allowed and example.target not in example.allowed:
        raise InvalidInput(
            f"{where}: its target {example.target!r:.200} isn't among its {len(example.allowed)} allowed "
            f"answers, {example.allowed!r:.200}; an allowed answer must be written as the target is"
        )
    for answer in (example.target, *example.allowed):
        _require_unicode(answer, where)


def _require_unicode(text: object, where: str) -> None:
    if not isinstance(text, str):
        raise InvalidInput(f"{where}: its answer is {text!r:.200}; it must be a string or None")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"{where}: character {error.start} of {text!r:.200} is half of a pair (a lone surrogate), which "
            "isn't a character; replace it, for example by U+FFFD"
        ) from error
