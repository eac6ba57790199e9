"""From the rows of a table to examples with ids and groups.

The id of an example is a digest of its texts alone, so it stays the same and says nothing about the label.
Rows that share a text (a passage, a question) are in one group, across all pools, and so are rows that are
linked through other rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from raysweep.errors import InvalidInput
from raysweep.spec.identity import digest
from raysweep.tasks.base import Example, Pools, RowCounts

Row = Mapping[str, Any]
Shares = Callable[[Row], Iterable[str]]
"""The texts of a row that put it into one group with all rows that share one of them. Empty texts are
ignored."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An example without its id and group."""

    texts: tuple[str, ...]
    label: int | None
    answer: str | None = None
    difficulty: float | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one pool."""

    where: str
    """Their source, for messages: "google/boolq (train)", "reviews.csv"."""
    rows: Iterable[Row]


def examples_of(pools: Mapping[str, Rows], render: Callable[[Row], Iterable[Draft]], shares: Shares) -> Pools:
    """Render the rows of each pool as examples, without blank, repeated and contradictory ones, which are
    counted.

    Args:
        render: the examples of a row; there may be none.
        shares: the texts of a row that decide on its group.

    Raises:
        InvalidInput: a row can't be rendered. The message has its number, from 0.
    """
    components = _Components()
    counts: Counter[str] = Counter()
    drafts: dict[str, list[tuple[str, Draft]]] = {}
    for pool, source in pools.items():
        drafts[pool] = []
        for number, row in enumerate(source.rows):
            counts["read"] += 1
            try:
                key = components.join(shares(row), otherwise=f"row {number} of {source.where}")
                drafts[pool] += [(key, draft) for draft in render(row)]
            except (AttributeError, LookupError, TypeError, ValueError) as error:  # a value of a wrong type
                why = error if isinstance(error, InvalidInput) else repr(error)
                raise InvalidInput(f"data set {source.where}, row {number} can't be used: {why}") from error
    counts["rendered"] = sum(map(len, drafts.values()))
    examples = {pool: _examples(pairs, components, counts) for pool, pairs in drafts.items()}
    return Pools(examples, RowCounts(**counts))


def _examples(
    drafts: Iterable[tuple[str, Draft]], components: _Components, counts: Counter[str]
) -> list[Example]:
    """Examples with distinct texts. Texts that occur with several labels or targets have no ground truth and
    are left out. What is left out is added to `counts`, by the fields of `RowCounts`."""
    examples: dict[str, Example] = {}
    occurrences: Counter[str] = Counter()
    contradictory: set[str] = set()
    for key, draft in drafts:
        if not all(isinstance(text, str) and text.strip() for text in draft.texts):
            counts["blank"] += 1
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
        occurrences[example.id] += 1
        if (known.label, known.target) != (example.label, example.target):
            contradictory.add(example.id)
    counts["contradictory"] += sum(occurrences[name] for name in contradictory)
    counts["repeated"] += sum(count - 1 for name, count in occurrences.items() if name not in contradictory)
    return [example for example in examples.values() if example.id not in contradictory]


def normalized(text: str) -> str:
    """A text in lower case with single spaces, in which texts that count as the same are equal."""
    return " ".join(text.casefold().split())


class _Components:
    """Connected components of texts (union-find).

    The smallest text of a component is its name, so that names don't depend on the order of rows.
    """

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, text: str) -> str:
        """The name of the component that a text is in."""
        root = text
        while self._parents.setdefault(root, root) != root:
            root = self._parents[root]
        while self._parents[text] != root:  # path compression
            self._parents[text], text = root, self._parents[text]
        return root

    def join(self, texts: Iterable[str], otherwise: str) -> str:
        """Join texts into one component and return one of them; `otherwise` if all are empty."""
        roots = [self.find(text) for text in texts if text] or [self.find(otherwise)]
        for root in roots:
            self._parents[root] = min(roots)
        return min(roots)
