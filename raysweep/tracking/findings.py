"""Entries of what a sweep found: one for each row of the results table, and the answer for the sweep's own.

They have the numbers of `raysweep.results`, which pools seeds before it divides: a mean of the PGRs of single
seeds, as a tracking system would make it of the cells' entries, is another number, and a wrong one where
seeds differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from raysweep.planning.graph import CellGroup
from raysweep.results.answer import answer
from raysweep.results.cells import Row, groups_of
from raysweep.results.comparisons import Comparison
from raysweep.results.frames import SweepData
from raysweep.results.records import group_numbers, odd_seeds_text
from raysweep.spec.identity import digest
from raysweep.store import RunStatus
from raysweep.tracking.curves import Point
from raysweep.tracking.entry import Entry, EntryKey


def group_key(group: CellGroup) -> EntryKey:
    """The key of the entry of a cell group."""
    return EntryKey("group", digest(group._asdict()))


def group_entries(data: SweepData, spans: Mapping[str, tuple[float, float]]) -> Iterator[Entry]:
    """The entries of all cell groups that have a finished seed.

    Args:
        data: the sweep.
        spans: of its finished students, by run id, when each was started and ended, in seconds since 1970.
    """
    compared = {found.group: found for found in data.comparisons}
    done = data.planned[data.planned["is_finished"]]
    students = {group: list(found["student"]) for group, found in groups_of(done)}
    for row in data.rows:
        if row.seeds:
            of_row = [spans[student] for student in students[row.group]]
            yield _group_entry(row, compared.get(row.group), of_row)


def _group_entry(row: Row, comparison: Comparison | None, spans: Sequence[tuple[float, float]]) -> Entry:
    numbers = group_numbers(row, comparison)
    names = row.group._asdict()
    count = f"{len(row.seeds)} seed{'s' * (len(row.seeds) != 1)}"
    tags = {
        **names,
        "seeds": ", ".join(map(str, row.seeds)),
        "missing_seeds": ", ".join(map(str, row.missing_seeds)),
        "baseline": comparison.baseline if comparison else "",
        "odd_seeds": odd_seeds_text(row),
        "interval_doubt": row.doubt or "",
    }
    return Entry(
        key=group_key(row.group),
        name=f"{row.group.task}: {row.group.pair}, {row.group.method}, {count}",
        status=RunStatus.DONE,
        start=min(start for start, _ in spans),
        end=max(end for _, end in spans),
        params=names,
        tags={name: text for name, text in tags.items() if text},
        result=digest(numbers),
        points=lambda: (Point(name, value) for name, value in numbers.items()),
    )


def answer_text(data: SweepData) -> str:
    """The answer of a sweep in a few sentences."""
    return " ".join(answer(data.rows, data.comparisons, data.leads))


def answer_points(answer: Mapping[str, Mapping[str, float]]) -> Iterator[Point]:
    """The answer of a sweep in numbers, see `raysweep.results.records.answer_numbers`: `pgr/METHOD`,
    `difference/METHOD`…"""
    for method, numbers in answer.items():
        yield from (Point(f"{name}/{method}", value) for name, value in numbers.items())
