"""What a plan tells of a task: how many of its rows are used, why the others aren't, how many groups a split
hangs on, and how many texts of two splits are nearly the same."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from raysweep.errors import CorruptFile
from raysweep.files import read_json, write_json
from raysweep.store import Store
from raysweep.tasks.base import RowCounts, TaskData
from raysweep.tasks.dealing import LARGEST_SHARE
from raysweep.tasks.near_duplicates import NearDuplicates, near_duplicates

_MAX_SHOWN = 70
"""Characters of a text in a line."""


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """The size of a split."""

    num_examples: int
    num_groups: int
    largest_group: int
    """Examples of the group that has most of them."""

    def __str__(self) -> str:
        groups = f" in {self.num_groups:,} groups" if self.num_groups < self.num_examples else ""
        return f"{self.num_examples:,}{groups}"


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What became of a task's rows."""

    splits: Mapping[str, SplitFacts]
    rows: RowCounts | None
    """None if the task's loader doesn't count its rows."""
    left_out: Mapping[str, int]
    """Numbers of examples that are in no split, by reason."""
    near_duplicates: NearDuplicates

    @property
    def num_used(self) -> int:
        """The number of examples of all splits."""
        return sum(split.num_examples for split in self.splits.values())

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values; `near_duplicates` as [split, other split, number of pairs]."""
        found = self.near_duplicates
        return {
            "num_used": self.num_used,
            "splits": {name: asdict(split) for name, split in self.splits.items()},
            "rows": asdict(self.rows) if self.rows else None,
            "left_out": dict(self.left_out),
            "near_duplicates": [[*splits, count] for splits, count in found.num_pairs.items()],
            "are_near_duplicates_complete": found.is_complete,
        }

    @property
    def sizes(self) -> str:
        """One line: how many examples are used, and in which splits."""
        sizes = ", ".join(f"{name} {split}" for name, split in self.splits.items())
        return f"{self.num_used:,} of {self._given} used: {sizes}"

    @property
    def remarks(self) -> list[str]:
        """A line for each further thing that one should know."""
        return [*self._left_out, *self._large_groups, *self._near_duplicates]

    @property
    def _given(self) -> str:
        if self.rows is None:
            return f"{self.num_used + sum(self.left_out.values()):,} examples"
        if self.rows.read == self.rows.rendered + self.rows.missing:
            return f"{self.rows.read:,} rows"
        return f"{self.rows.rendered:,} examples of {self.rows.read:,} rows"

    @property
    def _left_out(self) -> list[str]:
        rows = self.rows
        of_rows = {
            "without a value": rows.missing if rows else 0,
            "blank": rows.blank if rows else 0,
            "repeated": rows.repeated if rows else 0,
            "contradictory (the same text with different labels or answers)": rows.contradictory
            if rows
            else 0,
        }
        counts = [f"{count:,} {reason}" for reason, count in {**of_rows, **self.left_out}.items() if count]
        return [f"left out: {', '.join(counts)}"] if counts else []

    @property
    def _large_groups(self) -> list[str]:
        large = [
            f"{split.largest_group / split.num_examples:.0%} of {name}"
            for name, split in self.splits.items()
            if 1 < split.largest_group > LARGEST_SHARE * split.num_examples
        ]
        return [f"large groups: one is {', '.join(large)}"] if large else []

    @property
    def _near_duplicates(self) -> list[str]:
        found = self.near_duplicates
        at_least = "" if found.is_complete else "at least "
        if not found.num_pairs:
            return []
        pairs = ", ".join(
            f"{count:,} of {one} and {other}" for (one, other), count in found.num_pairs.items()
        )
        example = " and ".join(repr(_shortened(text)) for text in found.example or ())
        return [f"near-duplicates: {at_least}{pairs}, such as {example}"]


def task_facts(data: TaskData, content: str, store: Store) -> TaskFacts:
    """The facts of a task that was just loaded. Near-duplicates are looked for once, and kept in the store.

    Args:
        data: the task's splits.
        content: the digest of these.
        store: where the near-duplicates are kept.
    """
    return TaskFacts(
        splits={name: _split_facts(Counter(row.group for row in rows)) for name, rows in data.splits.items()},
        rows=data.rows,
        left_out=data.left_out,
        near_duplicates=_near_duplicates(data, content, store),
    )


def _split_facts(groups: Counter[str]) -> SplitFacts:
    return SplitFacts(
        num_examples=groups.total(), num_groups=len(groups), largest_group=max(groups.values(), default=0)
    )


def _near_duplicates(data: TaskData, content: str, store: Store) -> NearDuplicates:
    if not data.task.has_halves:  # texts to pretrain on are neither labelled nor tested
        return NearDuplicates(num_pairs={}, example=None, is_complete=True)
    path = store.near_duplicates(content)
    try:
        kept = read_json(path)
        num_pairs = {(one, other): count for one, other, count in kept["num_pairs"]}
        example = tuple(kept["example"]) if kept["example"] else None
        return NearDuplicates(num_pairs=num_pairs, example=example, is_complete=kept["is_complete"])
    except CorruptFile:
        texts = {name: ["\n".join(row.texts) for row in rows] for name, rows in data.splits.items()}
        found = near_duplicates(texts)
        num_pairs_listed = [[*splits, count] for splits, count in found.num_pairs.items()]
        with contextlib.suppress(OSError):  # a store that can only be read: they are looked for each time
            write_json(path, asdict(found) | {"num_pairs": num_pairs_listed})
        return found


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"
