"""The examples of a pinned task, read from the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from raysweep.errors import CorruptFile, InvalidInput
from raysweep.files import read_json
from raysweep.spec import TaskSpec
from raysweep.store import Store


def read_split(task: TaskSpec, split: str, store: Store, columns: list[str] | None = None) -> pd.DataFrame:
    """The examples of one split: columns id, group, texts, label, difficulty, target, allowed.

    Args:
        task: a pinned task.
        split: the name of the split.
        store: where the examples are.
        columns: the columns to read; None for all.

    Raises:
        InvalidInput: there is no such split.
        CorruptFile: the store's copy of the task is missing or isn't what was written.
    """
    sizes = split_sizes(task, store)
    if split not in sizes:
        raise InvalidInput(f"unknown split {split!r} of task {task.name!r}; it has {', '.join(sizes)}")
    return pd.read_parquet(store.task(task.content or "") / f"{split}.parquet", columns=columns)


def split_sizes(task: TaskSpec, store: Store) -> dict[str, int]:
    """The number of examples in each split of a pinned task. Raises `CorruptFile` as `read_split`."""
    return dict(_facts(store.task(task.content or ""), store)["num_examples"])


def max_answer_tokens(task: TaskSpec, store: Store) -> int:
    """Room for an answer to a pinned generative task in tokens, its end token included; 0 for other kinds of
    tasks. Raises `CorruptFile` as `read_split`."""
    facts = _facts(store.task(task.content or ""), store)
    return int(facts["max_answer_tokens"]) if task.kind == "generative" else 0


def _facts(folder: Path, store: Store) -> dict[str, Any]:
    if not store.is_intact(folder):
        raise CorruptFile(
            f"{folder} is missing or isn't what raysweep wrote; run the same command again, which restores it"
        )
    facts: dict[str, Any] = read_json(folder / "task.json")
    return facts
