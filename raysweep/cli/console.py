"""Draws tables in a terminal of any width: nothing in them is ever cut. JSON is for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import rich.table
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

if TYPE_CHECKING:
    from raysweep.results.tables import Table

_GAP = 2
"""Spaces between columns."""


@dataclass(frozen=True)
class FittedTable:
    """A table that fits the terminal it is printed in: as it is, or with cells broken at spaces, those of the
    names first, or, where even that is too wide, each row as a paragraph of its own. Texts aren't read as
    markup."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_names: int
    """The first cells of a row, which say what it is about."""
    caption: str = ""
    note: str = ""
    styles: Sequence[str] = ()
    """Of the rows; none for the usual."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = self._widths(options.max_width)
        if self.caption:
            yield Text(self.caption, style="bold")
        if widths is not None:
            yield self._table(widths)
        else:
            for number, row in enumerate(self.rows):
                yield self._paragraph(row, options.max_width, self._style(number))
        if self.note:
            yield Text(self.note, style="italic")

    def _widths(self, room: int) -> list[int] | None:
        """The width of each column, such that all fit; None if they can't."""
        texts = list(zip(self.columns, *self.rows, strict=True))
        widths = [max(map(cell_len, column)) for column in texts]
        least = [max(cell_len(word) for text in column for word in text.split() or [""]) for column in texts]
        surplus = sum(widths) + _GAP * (len(widths) - 1) - room
        for columns in (range(self.num_names), range(len(widths))):
            while surplus > 0 and (loose := [place for place in columns if widths[place] > least[place]]):
                widths[max(loose, key=widths.__getitem__)] -= 1
                surplus -= 1
        return widths if surplus <= 0 else None

    def _table(self, widths: Sequence[int]) -> rich.table.Table:
        table = rich.table.Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
        for column, width in zip(self.columns, widths, strict=True):
            table.add_column(Text(column), width=width, overflow="fold")
        for number, row in enumerate(self.rows):
            table.add_row(*map(Text, row), style=self._style(number))
        return table

    def _paragraph(self, row: Sequence[str], room: int, style: str) -> Text:
        """A row in lines: its names, and below them each other cell after its column's title."""
        names, rest = row[: self.num_names], row[self.num_names :]
        titled = [f"{title} {cell}" for title, cell in zip(self.columns[self.num_names :], rest, strict=True)]
        lines = [*_joined(names, room), *(f"  {line}" for line in _joined(titled, room - 2))]
        return Text("\n".join(lines), style=style, overflow="fold")

    def _style(self, number: int) -> str:
        return self.styles[number] if self.styles else ""


def _joined(items: Sequence[str], room: int) -> list[str]:
    """Items in lines, none of them divided between two."""
    lines: list[str] = []
    for item in filter(None, items):
        if lines and cell_len(lines[-1]) + _GAP + cell_len(item) <= room:
            lines[-1] += " " * _GAP + item
        else:
            lines.append(item)
    return lines


def to_rich(table: Table) -> FittedTable:
    """A table as rich prints it, its caption above and its note below."""
    return FittedTable(
        columns=table.columns,
        rows=[row.cells for row in table.rows],
        num_names=table.num_names,
        caption=table.caption,
        note=table.note,
    )


def print_json(value: Any, console: Console) -> None:
    """Print a value for scripts."""
    console.out(json.dumps(value, indent=1, allow_nan=False), highlight=False)
