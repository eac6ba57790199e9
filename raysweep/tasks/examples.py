"""From the rows of a table to examples with ids and groups.

The id of an example is a digest of its texts alone, so it stays the same and says nothing about the label.
Rows that share a text (a passage, a question) are in one group, across all pools, and so are rows that are
linked through other rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raysweep.errors import InvalidInput
from raysweep.spec.identity import digest
from raysweep.tasks.base import Example, Pools, RowCounts
from raysweep.tasks.places import Fault, place
from raysweep.tasks.values import require_unicode

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
    """The rows of one pool, or of one of its files."""

    where: str
    """Their source, for messages: "google/boolq (train)", "reviews.csv"."""
    rows: Iterable[Row]
    lines: Sequence[int] | None = None
    """The line in which each row begins, from 1, if the source has lines."""

    def numbered(self) -> Iterator[tuple[int, Row]]:
        """The rows with their numbers, from 0.

        Raises:
            InvalidInput: a row can't be read by the library whose rows they are.
        """
        number = -1
        try:
            for number, row in enumerate(self.rows):
                yield number, row
        except Exception as error:
            raise InvalidInput(f"{self.place(number + 1)} can't be read: {error!r}") from error

    def place(self, number: int, column: str | None = None) -> str:
        """The place of a row, by its number from 0, in words."""
        line = None if self.lines is None else self.lines[number]
        return place(self.where, line=line, row=number, column=column)


@dataclass
class _Faults:
    """The rows of a source that can't be used."""

    source: Rows
    first: tuple[int, Fault] | None = None
    numbers: list[int] = field(default_factory=list)
    """The rows that have the same fault as the first one."""

    def add(self, number: int, fault: Fault) -> None:
        """Take note of a row's fault."""
        self.first = self.first or (number, fault)
        first = self.first[1]
        if (first.column, first.missing) == (fault.column, fault.missing):
            self.numbers.append(number)

    def check(self, num_rows: int) -> None:
        """Refuse the source if there are faults.

        Raises:
            InvalidInput: there are faults. The message has the first one and the number of those like it.
        """
        if self.first is None:
            return
        number, fault = self.first
        advice = ". Leave such rows out with skip_missing=True" if fault.missing else ""
        raise InvalidInput(
            f"{self.source.place(number, fault.column)} can't be used: {fault}{self._count(num_rows)}{advice}"
        ) from fault

    def _count(self, num_rows: int) -> str:
        if len(self.numbers) < 2:
            return ""
        lines = self.source.lines
        others = [str(number if lines is None else lines[number]) for number in self.numbers[1:6]]
        rest = "" if len(self.numbers) <= 6 else ", …"
        unit = "rows" if lines is None else "lines"
        return (
            f" ({len(self.numbers):,} of {num_rows:,} rows are like this one; the next: {unit} "
            f"{', '.join(others)}{rest})"
        )


def examples_of(
    pools: Mapping[str, Rows | Sequence[Rows]],
    render: Callable[[Row], Iterable[Draft]],
    shares: Shares,
    *,
    skip_missing: bool = False,
) -> Pools:
    """Render the rows of each pool as examples, without blank, repeated and contradictory ones, which are
    counted.

    Args:
        pools: the rows of each pool, from one source or from several.
        render: the examples of a row; there may be none.
        shares: the texts of a row that decide on its group.
        skip_missing: leave out rows without a value that they need, instead of refusing them.

    Raises:
        InvalidInput: rows can't be rendered. The message has the place of the first one, and their number.
    """
    components = _Components()
    counts: Counter[str] = Counter()
    drafts: dict[str, list[tuple[str, Draft]]] = {}
    for pool, sources in pools.items():
        drafts[pool] = []
        for source in [sources] if isinstance(sources, Rows) else sources:
            drafts[pool] += _drafts(source, render, shares, components, skip_missing, counts)
    counts["rendered"] = sum(map(len, drafts.values()))
    pools_of_examples = {pool: _examples(pairs, components, counts) for pool, pairs in drafts.items()}
    return Pools(pools_of_examples, RowCounts(**counts))


def _drafts(
    source: Rows,
    render: Callable[[Row], Iterable[Draft]],
    shares: Shares,
    components: _Components,
    skip_missing: bool,
    counts: Counter[str],
) -> list[tuple[str, Draft]]:
    """The drafts of a source's rows, each with a text of the component that it is in. The rows and those that
    are skipped are added to `counts`, by the fields of `RowCounts`."""
    drafts: list[tuple[str, Draft]] = []
    faults = _Faults(source)
    num_rows = 0
    for number, row in source.numbered():
        num_rows += 1
        try:
            rendered = list(render(row))
            for draft in rendered:
                _require_texts(draft)
            key = components.join(shares(row), otherwise=f"row {number} of {source.where}")
            drafts += [(key, draft) for draft in rendered]
        except Fault as fault:
            if skip_missing and fault.missing:
                counts["missing"] += 1
            else:
                faults.add(number, fault)
        except Exception as error:  # of a renderer that met a value which it doesn't expect
            why = str(error) if isinstance(error, InvalidInput) else repr(error)
            faults.add(number, Fault(why))
    faults.check(num_rows)
    counts["read"] += num_rows
    return drafts


def _require_texts(draft: Draft) -> None:
    """Check that what a renderer gave are texts.

    Raises:
        Fault: `texts` isn't a tuple, or a text can't be written as UTF-8.
    """
    if not isinstance(draft.texts, tuple):
        raise Fault(f"the texts of an example are {draft.texts!r:.80}; they must be a tuple of texts")
    for text in (*draft.texts, draft.target, draft.answer):
        if isinstance(text, str):
            require_unicode(text, "the text")


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
