"""Unusable tasks and examples of one's own code are refused, each in one message; numbers of numpy
are numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks.base import Example, Task
from raysweep.tasks.splits import divide

TASK = {"name": "toy", "summary": "", "kind": "classification", "load": dict}


def rows(**fields: Any) -> list[Example]:
    """40 usable rows, the first of them changed."""
    good = [Example(id=f"{n}", group=f"{n}", texts=(f"text {n}",), label=n % 2) for n in range(40)]
    return [replace(good[0], **fields), *good[1:]]


def pairs(**fields: Any) -> list[Example]:
    first, *others = [replace(row, texts=("a", row.texts[0])) for row in rows()]
    return [replace(first, **fields), *others]


def prompts(**fields: Any) -> list[Example]:
    first, *others = [replace(row, label=None, target="yes") for row in rows()]
    return [replace(first, **fields), *others]


def test_the_rows_of_these_tests_are_usable() -> None:
    for kind, examples, num_classes in (
        ("classification", rows(), 2),
        ("preference", pairs(), 2),
        ("generative", prompts(), 0),
    ):
        task = Task(**TASK | {"kind": kind, "num_classes": num_classes})
        assert len(divide(task, {"train": examples}, TaskSpec(name="toy")).splits["test"]) == 8


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("classification", {"id": 3}, "its id is 3; it must be a string"),
        ("classification", {"id": ""}, "its id is ''; it must be a string"),
        ("classification", {"group": 3}, "its group is 3; it must be a string"),
        ("classification", {"group": None}, "its group is None; it must be a string"),
        (
            "classification",
            {"texts": "words"},
            r"texts are 'words' of type str; they must be a tuple, \(text,\)",
        ),
        ("classification", {"texts": None}, "texts are None of type NoneType"),
        ("classification", {"texts": (3,)}, r"needs 1 non-empty text\(s\), got \(3,\)"),
        ("classification", {"texts": ("a\ud800b",)}, "character 1 of .* is half of a pair"),
        ("classification", {"id": "\ud800"}, "character 0 of .* is half of a pair"),
        ("classification", {"answer": 3}, "its answer is 3; it must be a string or None"),
        ("classification", {"label": 0.0}, "the label is 0.0"),
        ("classification", {"label": np.float64(0)}, "the label is 0.0"),
        ("classification", {"label": np.bool_(True)}, "the label is True"),
        ("classification", {"label": np.int64(2)}, "the label is 2"),
        (
            "classification",
            {"difficulty": "hard"},
            "difficulty is 'hard'; it must be a finite number, or None",
        ),
        ("classification", {"difficulty": float("inf")}, "difficulty is inf"),
        ("classification", {"difficulty": float("nan")}, "difficulty is nan"),
        ("classification", {"difficulty": np.float32("nan")}, "difficulty is nan"),
        ("classification", {"difficulty": 1 + 2j}, r"difficulty is \(1\+2j\)"),
        ("classification", {"difficulty": True}, "difficulty is True"),
        (
            "preference",
            {"texts": "ab"},
            r"texts are 'ab' of type str; they must be a tuple, \(first, second\)",
        ),
        ("preference", {"texts": ("a",)}, r"needs 2 non-empty text\(s\)"),
        ("generative", {"texts": "p"}, "texts are 'p' of type str"),
        ("generative", {"allowed": "yes"}, "allowed answers are 'yes'; they must be a tuple of strings"),
        ("generative", {"allowed": ("yes", 3)}, "they must be a tuple of strings"),
        ("generative", {"target": "\udfff"}, "half of a pair"),
        ("generative", {"difficulty": "1"}, "difficulty is '1'"),
    ],
)
def test_an_example_that_cannot_be_used(kind: str, fields: dict[str, Any], message: str) -> None:
    make = {"classification": rows, "preference": pairs, "generative": prompts}[kind]
    task = Task(**TASK | {"kind": kind, "num_classes": 0 if kind == "generative" else 2})
    with pytest.raises(InvalidInput, match=rf"^task 'toy', pool 'train', example .*{message}"):
        divide(task, {"train": make(**fields)}, TaskSpec(name="toy"))


def test_what_is_not_an_example_is_refused() -> None:
    wrong: Any = {"train": [*rows(), ("0", "text")]}
    with pytest.raises(InvalidInput, match=r"pool 'train': it holds \('0', 'text'\); each item must be"):
        divide(Task(**TASK), wrong, TaskSpec(name="toy"))
    with pytest.raises(
        InvalidInput, match="its loader returned a list; a task of kind 'classification' needs"
    ):
        divide(Task(**TASK), wrong["train"], TaskSpec(name="toy"))


def test_numbers_of_numpy_are_numbers() -> None:
    examples = [
        replace(row, label=np.int64(row.label or 0), difficulty=np.float32(index))
        for index, row in enumerate(rows())
    ]
    plain = [replace(row, difficulty=float(index)) for index, row in enumerate(rows())]
    found, expected = (
        divide(Task(**TASK | {"num_test": size, "balanced": flag}), {"train": given}, TaskSpec(name="toy"))
        for given, size, flag in ((examples, np.int16(6), np.bool_(True)), (plain, 6, True))
    )
    assert found == expected
    assert {type(row.label) for row in found.splits["test"]} == {int}
    assert {type(row.difficulty) for row in found.splits["test"]} == {float}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_test": -1}, "Task.num_test is -1; it must be a whole number of at least 1"),
        ({"num_validation": 0}, "Task.num_validation is 0"),
        ({"num_train": 1.5}, "Task.num_train is 1.5"),
        ({"max_answer_tokens": 0}, "Task.max_answer_tokens is 0"),
        ({"num_classes": 1}, "Task.num_classes is 1; it must be a whole number of at least 2"),
        (
            {"kind": "preference", "num_classes": 3},
            "Task.num_classes is 3; it must be 2 in a preference task",
        ),
        ({"kind": "regression"}, "Task.kind is 'regression'"),
        ({"balanced": "yes"}, "Task.balanced is 'yes'; it must be True or False"),
        ({"load": {"train": []}}, "Task.load is .*; it must be a function"),
        (
            {"num_classes": 3, "class_names": ("a", "b")},
            "class_names has 2 different words, 'a', 'b', for 3 cl",
        ),
        ({"class_names": ("a", "a")}, "class_names has 1 different words"),
        ({"class_names": "ab"}, "Task.class_names is 'ab'; it must be a tuple or a list"),
        (
            {"class_names": {"neg", "pos"}},
            "it must be a tuple or a list, since its order numbers the classes",
        ),
        ({"class_names": (0, 1)}, "class_names is .*; it must be a tuple of words"),
        ({"class_names": ("a\ud83d", "b")}, "class_names has the lone surrogate .ud83d"),
        ({"name": "x" * 251}, "Task.name has 251 characters"),
    ],
)
def test_a_task_that_cannot_be_used(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Task(**TASK | fields)


@pytest.mark.parametrize("balanced", [True, False])
def test_more_classes_than_examples_are_refused_by_their_number(balanced: bool) -> None:
    task = Task(**TASK | {"num_classes": 10**9, "balanced": balanced})
    with pytest.raises(
        InvalidInput, match="has 1,000,000,000 classes, and the pool 'train' only 40 examples"
    ):
        divide(task, {"train": rows()}, TaskSpec(name="toy"))


def test_a_shortage_names_balance_where_that_helps() -> None:
    unequal = [Example(id=f"{n}", group=f"{n}", texts=(f"{n}",), label=int(n % 4 == 0)) for n in range(400)]
    advice = (
        r"at most num_train=70 can be met; or set balanced=False in the task, which uses the larger classes "
        r"whole: supervisor 142, transfer 142, validation 20, test 40$"
    )
    with pytest.raises(InvalidInput, match=advice):
        divide(
            Task(**TASK),
            {"train": unequal},
            TaskSpec(name="toy", num_train=142, num_test=40, num_validation=20),
        )
    with pytest.raises(InvalidInput, match=r"give more rows$"):
        divide(Task(**TASK), {"train": rows()[:4]}, TaskSpec(name="toy"))
