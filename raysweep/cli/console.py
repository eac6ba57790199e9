"""Draws tables of results in a terminal."""

from __future__ import annotations

import rich.table
from rich.text import Text

from raysweep.results.tables import Table


def to_rich(table: Table) -> rich.table.Table:
    """A table as rich prints it, its caption above and its note below. Texts aren't read as markup."""
    found = rich.table.Table(
        title=Text(table.caption) if table.caption else None,
        title_justify="left",
        title_style="bold",
        caption=Text(table.note) if table.note else None,
        caption_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        header_style="bold",
    )
    for column in table.columns:
        found.add_column(column, no_wrap=True)
    for row in table.rows:
        found.add_row(*map(Text, row.cells))
    return found
