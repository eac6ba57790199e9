"""Figures on the page: a picture for everyone, a chart for browsers that run scripts, and the numbers.

All of them are inside the page, so the size of a figure is bounded: parts that are too large are left out,
with a note that says so.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.report.figures.base import Figure
from raysweep.report.figures.theme import dark_style
from raysweep.report.page.tables import numbers_table
from raysweep.results.tables import Table

_BUDGET = 2_600_000
"""Bytes for all figures; the scripts that draw them take 0.9 MB, and the whole page stays below 5 MB."""
_MAX_SVG = 120_000
_MAX_SPEC = 500_000
_MAX_CSV = 300_000
_MAX_TABLE_ROWS = 120
_PNG_SCALE = 3


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure, ready for the page."""

    figure: Figure
    image: str
    """A data URI: SVG, or PNG where that is much smaller."""
    width: float
    """Of the image at its own size, in pixels."""
    height: float
    spec: str
    """Vega-Lite as JSON that a script element can hold; "" if it is too large."""
    csv: str
    """A data URI; "" if it is too large."""
    table: Table | None
    choices: tuple[str, ...]
    """Which of the page's choices it follows."""
    fixed: tuple[str, ...]
    """Which don't move it."""
    note: str
    """What was left out."""


def pictures(figures: Sequence[Figure], choices: Sequence[str]) -> list[Picture]:
    """All figures, none of them too large for a page.

    Args:
        figures: in their order; if they are too large together, the first ones have precedence.
        choices: those of `raysweep.report.page.tables.CHOICES` that the page offers.
    """
    left = _BUDGET
    found = []
    for figure in figures:
        picture = _picture(figure, choices, left)
        left -= len(picture.image) + len(picture.spec) + len(picture.csv)
        found.append(picture)
    return found


def _picture(figure: Figure, choices: Sequence[str], left: int) -> Picture:
    import vl_convert

    spec = figure.chart.to_dict()
    svg = vl_convert.vegalite_to_svg(spec)
    width, height = (
        float(size) for size in re.findall(r'<svg[^>]*? width="([\d.]+)" height="([\d.]+)"', svg)[0]
    )
    image = _uri("image/svg+xml", svg.replace(">", f"><style>{dark_style('svg')}</style>", 1).encode())
    if len(svg) > _MAX_SVG:
        image = _uri("image/png", vl_convert.vegalite_to_png(spec, scale=_PNG_SCALE))
    left -= len(image)
    script = json.dumps(spec, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace(
        "<", "\\u003c"
    )
    if len(script.encode()) > min(_MAX_SPEC, left):
        script = ""
    left -= len(script)
    csv = _uri("text/csv;charset=utf-8", figure.data.to_csv(index=False).encode())
    if len(csv) > min(_MAX_CSV, left):
        csv = ""
    applying = follows(spec, choices) if script else ()
    return Picture(
        figure=figure,
        image=image,
        width=width,
        height=height,
        spec=script,
        csv=csv,
        table=numbers_table(f"Numbers of: {figure.title}", figure.data)
        if len(figure.data) <= _MAX_TABLE_ROWS
        else None,
        choices=applying,
        fixed=tuple(name for name in choices if name not in applying),
        note=" ".join(_notes(len(figure.data), bool(script), bool(csv))),
    )


def follows(spec: dict[str, Any], choices: Sequence[str]) -> tuple[str, ...]:
    """Those choices by which a Vega-Lite specification's rows can be told apart."""
    has = {name for rows in _rows(spec) for row in rows for name, value in row.items() if value is not None}
    return tuple(name for name in choices if name in has)


def _notes(num_rows: int, is_interactive: bool, has_csv: bool) -> Iterator[str]:
    if not is_interactive:
        yield (
            f"It has too many points for a page to be quick ({num_rows:,} numbers), so this is a picture of "
            "it."
        )
    if not has_csv:
        yield (
            f"Its {num_rows:,} numbers are too many for this page; raysweep report --figures FOLDER writes "
            "them."
        )


def _rows(spec: Any) -> Iterator[list[Mapping[str, Any]]]:
    """The inline tables of a Vega-Lite specification."""
    if isinstance(spec, list):
        for item in spec:
            yield from _rows(item)
    elif isinstance(spec, dict):
        yield from (rows for rows in spec.get("datasets", {}).values())
        if isinstance(spec.get("data"), dict) and isinstance(spec["data"].get("values"), list):
            yield spec["data"]["values"]
        for name, item in spec.items():
            if name not in ("datasets", "data"):
                yield from _rows(item)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
