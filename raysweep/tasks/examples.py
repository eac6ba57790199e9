"""Rows of any table, and how they become examples with ids and groups.

An example's id is a digest of its texts alone: stable from load to load, and it tells nothing of the label.
Rows that share any text (a passage, a question) are one group, over all pools and through other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from raysweep.errors import InvalidInput
from raysweep.spec.identity import digest
from raysweep.tasks.base import Example

Row = Mapping[str, Any]
Shares = Callable[[Row], Iterable[str]]
"""The texts of a row which put it into one group with every other row that has one of them; blank ones don't
count."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An example before it has an id and a group."""

    texts: tuple[str, ...]
    label: int | None
    answer: str | None = None
    difficulty: float | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one pool, and the words by which messages name them: "google/boolq (train)",
    "reviews.csv"."""

    where: str
    rows: Iterable[Row]


def examples_of(
    pools: Mapping[str, Rows], render: Callable[[Row], Iterable[Draft]], shares: Shares
) -> dict[str, list[Example]]:
    """The examples of each pool: rows rendered, blank and repeated examples dropped, groups found over all
    pools.

    Raises:
        InvalidInput: a row can't be rendered; the message names it by its number, from 0.
    """
    components = _Components()
    drafts: dict[str, list[tuple[str, Draft]]] = {}
    for pool, source in pools.items():
        drafts[pool] = []
        for number, row in enumerate(source.rows):
            try:
                key = components.join(shares(row), otherwise=f"row {number} of {source.where}")
                drafts[pool] += [(key, draft) for draft in render(row)]
            except (AttributeError, LookupError, TypeError, ValueError) as error:  # a value of a wrong type
                told = error if isinstance(error, InvalidInput) else repr(error)
                raise InvalidInput(f"data set {source.where}, row {number} can't be used: {told}") from error
    return {pool: _examples(pairs, components) for pool, pairs in drafts.items()}


def _examples(drafts: Iterable[tuple[str, Draft]], components: _Components) -> list[Example]:
    """Examples of distinct texts. Texts that come with different labels or targets have no ground truth and
    are left out."""
    examples: dict[str, Example] = {}
    contradictory: set[str] = set()
    for key, draft in drafts:
        if not all(isinstance(text, str) and text.strip() for text in draft.texts):
            continue
        example = Example(
            id=digest(list(draft.texts)),
            group=digest(components.find(key)),
            texts=draft.texts,
            label=draft.label,
            answer=draft.answer,
            difficulty=draft.difficulty,
            target=draft.target,
        )
        known = examples.setdefault(example.id, example)
        if (known.label, known.target) != (example.label, example.target):
            contradictory.add(example.id)
    return [example for example in examples.values() if example.id not in contradictory]


def normalized(text: str) -> str:
    """A text without the differences of case and blanks that don't make it another text."""
    return " ".join(text.casefold().split())


class _Components:
    """Connected texts (union-find). The smallest text names its component, so that the order of rows doesn't
    matter."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, text: str) -> str:
        """The name of the component of a text."""
        root = text
        while self._parents.setdefault(root, root) != root:
            root = self._parents[root]
        while self._parents[text] != root:  # shorten the path for the next time
            self._parents[text], text = root, self._parents[text]
        return root

    def join(self, texts: Iterable[str], otherwise: str) -> str:
        """Make texts one component, and return one of them; `otherwise` if all are blank."""
        roots = [self.find(text) for text in texts if text] or [self.find(otherwise)]
        for root in roots:
            self._parents[root] = min(roots)
        return min(roots)
