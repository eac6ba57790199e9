"""What becomes of broken tables, folders and files: see `broken_tables`."""

import ast
import json
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from broken_tables import CASES, Case

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks import classification_task, generative_task, load_task, preference_task
from raysweep.tasks.hub import HubData
from raysweep.tasks.splits import divide

NAMES: dict[str, Any] = {
    "classification_task": classification_task,
    "preference_task": preference_task,
    "generative_task": generative_task,
    "HubData": HubData,
    "TaskSpec": TaskSpec,
    "pd": pd,
    "datasets": datasets,
    "json": json,
}


def texts_of(case: Case) -> str:
    """The texts and targets of the examples of a case, each between line breaks."""
    lines = ast.parse(case.task)
    last = lines.body.pop()
    assert isinstance(last, ast.Expr)
    names = dict(NAMES)
    exec(compile(lines, case.name, "exec"), names)
    task = eval(compile(ast.Expression(last.value), case.name, "eval"), names)
    if isinstance(task, TaskSpec):
        splits = load_task(task).splits
    else:
        splits = divide(task, task.load(), TaskSpec(name=task.name))
    examples = [example for split in splits.values() for example in split]
    return "\n".join(["", *(text for item in examples for text in (*item.texts, item.target or "")), ""])


@pytest.mark.parametrize("case", CASES, ids=[f"{number} {case.name}" for number, case in enumerate(CASES)])
def test_what_becomes_of_it(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, data in case.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
    if case.expected == "accepted":
        texts = texts_of(case)
        for words in case.words:
            assert words in texts
        return
    with pytest.raises(InvalidInput) as caught:
        texts_of(case)
    message = str(caught.value)
    assert all(words in message for words in case.words), message
    assert "\n" not in message and len(message) < 1500, message
