"""Tables in a terminal."""

import io

from rich.console import Console

from raysweep.cli.console import to_rich
from raysweep.results.tables import Table, TableRow


def test_a_table_is_printed_with_caption_and_note_and_without_markup() -> None:
    table = Table(
        caption="A [b]table[/b]",
        columns=("task", "accuracy"),
        rows=(TableRow(cells=("one [a]", "0.500")), TableRow(cells=("[red]two", "1"))),
        num_names=1,
        note="1 seed",
    )
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(to_rich(table))
    assert isinstance(console.file, io.StringIO)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        "A [b]table[/b]",
        "task      accuracy",
        "one [a]   0.500",
        "[red]two  1",
        "1 seed",
    ]
