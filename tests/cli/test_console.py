"""Tables in a terminal."""

import io

import pytest
from rich.console import Console

from raysweep.cli.console import to_rich
from raysweep.results.tables import Table, TableRow

TABLE = Table(
    caption="A [b]table[/b]",
    columns=("task", "weak → strong", "method", "seeds", "PGR [90 %]", "status"),
    rows=(
        TableRow(cells=("one [a]", "tiny-1.1 → huge-2.2", "naive", "3", "-0.25 [-1.50, 1.00]", "done")),
        TableRow(cells=("[red]two", "tiny-1.1 → huge-2.2", "confidence", "3", "1.00 [0.50, 1.50]", "failed")),
    ),
    num_names=3,
    note="1 seed",
)


def printed(table: Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(to_rich(table))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_table_is_printed_with_caption_and_note_and_without_markup() -> None:
    assert printed(TABLE, 90) == [
        "A [b]table[/b]",
        "task      weak → strong        method      seeds  PGR [90 %]           status",
        "one [a]   tiny-1.1 → huge-2.2  naive       3      -0.25 [-1.50, 1.00]  done",
        "[red]two  tiny-1.1 → huge-2.2  confidence  3      1.00 [0.50, 1.50]    failed",
        "1 seed",
    ]


def test_where_there_is_less_room_cells_are_broken_at_spaces() -> None:
    assert printed(TABLE, 70)[1:7] == [
        "          weak →",
        "task      strong        method      seeds  PGR [90 %]           status",
        "one [a]   tiny-1.1 →    naive       3      -0.25 [-1.50, 1.00]  done",
        "          huge-2.2",
        "[red]two  tiny-1.1 →    confidence  3      1.00 [0.50, 1.50]    failed",
        "          huge-2.2",
    ]


def test_where_there_is_least_room_each_row_is_a_paragraph() -> None:
    assert printed(TABLE, 40) == [
        "A [b]table[/b]",
        "one [a]  tiny-1.1 → huge-2.2  naive",
        "  seeds 3",
        "  PGR [90 %] -0.25 [-1.50, 1.00]",
        "  status done",
        "[red]two  tiny-1.1 → huge-2.2",
        "confidence",
        "  seeds 3  PGR [90 %] 1.00 [0.50, 1.50]",
        "  status failed",
        "1 seed",
    ]


@pytest.mark.parametrize("width", [12, 20, 30, 40, 50, 60, 70, 80, 100, 120])
def test_no_word_is_cut_at_any_width(width: int) -> None:
    lines = printed(TABLE, width)
    assert "…" not in "".join(lines) and all(len(line) <= width for line in lines)
    words = " ".join(lines).split()
    for word in ("naive", "confidence", "-0.25", "[-1.50,", "1.00]", "1.50]", "done", "failed", "tiny-1.1"):
        assert word in words, word
