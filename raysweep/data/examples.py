"""TODO."""

from __future__ import annotations

from typing import Any

import pandas as pd

from raysweep.errors import CorruptFile, InvalidInput
from raysweep.files import read_json
from raysweep.spec import TaskSpec
from raysweep.store import Store


def read_split(task: TaskSpec, split: str, store: Store, columns: list[str] | None = None) -> pd.DataFrame:
    """The examples of a pinned task's split: columns id, group, texts, label, difficulty, target, allowed.

    Raises:
        InvalidInput: there is no such split.
        CorruptFile: the store's copy of the task isn't what was written.
    """
    sizes = split_sizes(task, store)
    if split not in sizes:
        raise InvalidInput(f"unknown split {split!r} of task {task.name!r}; it has {', '.join(sizes)}")
    return pd.read_parquet(store.task(task.content or "") / f"{split}.parquet", columns=columns)


def split_names(task: TaskSpec, store: Store) -> list[str]:
    """The splits of a pinned task."""
    return list(split_sizes(task, store))


def split_sizes(task: TaskSpec, store: Store) -> dict[str, int]:
    """The number of examples in each split of a pinned task; raises as `read_split`."""
    return dict(_facts(task, store)["num_examples"])


def max_answer_tokens(task: TaskSpec, store: Store) -> int:
    """Room for an answer in a pinned task, in tokens, the end token counted: 0 unless it is generative."""
    return int(_facts(task, store)["max_answer_tokens"]) if task.kind == "generative" else 0


def _facts(task: TaskSpec, store: Store) -> dict[str, Any]:
    folder = store.task(task.content or "")
    if not store.is_intact(folder):
        raise CorruptFile(
            f"{folder} is missing or isn't what raysweep wrote; run the same command again, which makes it "
            "anew"
        )
    facts: dict[str, Any] = read_json(folder / "task.json")
    return facts
