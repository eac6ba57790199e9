"""The look of figures: as wide as a paper's column, in colours that remain distinct for colour-blind readers
and in grey."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode

from raysweep.report.figures.base import Records

COLUMN = 234
"""Points: 3.25 inches, a column of ACL, ICML and NeurIPS workshops; a figure is drawn at its final size."""
PAGE = 486
"""Points: 6.75 inches, both columns."""
# vl-convert brings the first one; the others have its widths.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
FONT_SIZE = 7
MAX_PANELS = 6

BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
VERMILLION = "#D55E00"
SKY = "#56B4E9"
BLACK = "#000000"
INK = "#111111"
GREY = "#767676"
FAINT = "#DDDDDD"
_BACK = "#FFFFFF"
_GRID = "#EEEEEE"
_FRAME = "#CCCCCC"
_DARK = {
    BLACK: "#FFFFFF",
    INK: "#E8E8E8",
    GREY: "#9A9A9A",
    FAINT: "#45494D",
    _BACK: "none",
    _GRID: "#2B2E31",
    _FRAME: "#45494D",
    "white": "#16181A",
    BLUE: "#2E8FCB",
}
"""What colours become on a dark page. Numbers on the cells of a grid are "black", or "#fff" on dark
cells, and stay; "white" is what sets marks off from each other."""
COLOURS = (BLUE, ORANGE, GREEN, SKY, VERMILLION, PURPLE)
"""Okabe and Ito's (2008), in an order whose neighbours differ in lightness; black and grey are for ceiling
and weak model."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
DASHES = ((1, 0), (4, 2), (1, 1.5), (6, 1.5, 1.5, 1.5), (8, 3), (2.5, 1))
SEQUENTIAL: Any = "cividis"
"""Dark to light for every reader (Nuñez, Anderton, Renslow 2018)."""

_CHARACTER = 3.7
"""Points of an average character at 7 points."""
_LEAST_PANEL = 36
ROWS = "rows"

CONFIG: dict[str, Any] = {
    "background": _BACK,
    "font": FONT,
    "padding": 2,
    "axis": {
        "labelFontSize": FONT_SIZE,
        "titleFontSize": FONT_SIZE,
        "titleFontWeight": "normal",
        "titlePadding": 3,
        "labelPadding": 2,
        "labelLimit": 400,
        "titleLimit": 400,
        "tickSize": 3,
        "domainColor": GREY,
        "tickColor": GREY,
        "gridColor": _GRID,
        "labelColor": INK,
        "titleColor": INK,
    },
    "legend": {
        "labelFontSize": FONT_SIZE,
        "titleFontSize": FONT_SIZE,
        "titleFontWeight": "bold",
        "labelLimit": 400,
        "titleLimit": 400,
        "labelColor": INK,
        "titleColor": INK,
        "symbolSize": 28,
        "symbolStrokeWidth": 1.2,
        "orient": "top",
        "direction": "horizontal",
        "rowPadding": 1,
        "columnPadding": 6,
        "titlePadding": 2,
        "offset": 4,
    },
    "header": {
        "labelFontSize": FONT_SIZE,
        "labelFontWeight": "bold",
        "titleFontSize": FONT_SIZE,
        "labelPadding": 2,
        "labelLimit": 400,
        "labelAnchor": "start",
        "labelColor": INK,
    },
    "facet": {"spacing": 8},
    "concat": {"spacing": 8},
    "view": {"stroke": _FRAME, "strokeWidth": 0.5},
    "line": {"strokeWidth": 1.2},
    "rule": {"strokeWidth": 0.9},
    "point": {"size": 22, "filled": True, "strokeWidth": 0.4},
    "text": {"fontSize": FONT_SIZE, "color": INK},
    "title": {"color": INK},
    "tick": {"thickness": 1.2},
}


def dark_style(selector: str) -> str:
    """Style rules by which a figure's SVG, where `selector` finds it, can be read on a dark page."""
    rules = "".join(
        f'{selector} [{attribute}="{colour}"]{{{attribute}:{dark}}}'
        for colour, dark in _DARK.items()
        for attribute in ("fill", "stroke")
    )
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"


def worded(name: str) -> str:
    """The name of a task or method in words."""
    return name.replace("_", " ")


def wrapped(name: str, width: int = 22) -> str:
    """A name in lines of at most `width` characters where it has a place to break; axes and headers split at
    the newlines."""
    return (
        "\n".join(textwrap.wrap(worded(name), width, break_long_words=False, break_on_hyphens=False)) or name
    )


SPLIT = "split(datum.label, '\\n')"


def legend(names: Sequence[str], title: str | None = None, width: int = COLUMN, **options: Any) -> alt.Legend:
    """A legend above the chart, or where `orient` says, in as many columns as its names leave room for."""
    widths = [len(name) * _CHARACTER + 20 for name in names]
    fitting = (
        n
        for n in range(len(names), 1, -1)
        if sum(max(widths[column::n]) for column in range(n)) <= width - 24
    )
    return alt.Legend(title=title, columns=next(fitting, 1), **options)


def series(field: str, names: Sequence[str], title: str | None = None, width: int = COLUMN) -> dict[str, Any]:
    """Colour and shape of a field's values, with one legend."""
    key = legend(names, title, width)
    domain = list(names)
    return {
        "color": alt.Color(
            f"{field}:N", scale=alt.Scale(domain=domain, range=_cycle(COLOURS, domain)), legend=key
        ),
        "shape": alt.Shape(
            f"{field}:N", scale=alt.Scale(domain=domain, range=_cycle(SHAPES, domain)), legend=key
        ),
    }


def _cycle(values: Sequence[Any], names: Sequence[str]) -> list[Any]:
    return [values[index % len(values)] for index in range(len(names))]


def tooltips(rows: Records, *fields: str) -> list[alt.Tooltip]:
    """Tooltips of a mark in a browser, for those of the fields that the rows have."""
    known = [field for field in fields if any(row.get(field) is not None for row in rows)]
    numbers = {field for field in known for row in rows if isinstance(row.get(field), float)}
    return [
        alt.Tooltip(f"{field}:Q", format=".3~f") if field in numbers else alt.Tooltip(f"{field}:N")
        for field in known
    ]


def level_rules(chart: alt.Chart, field: str) -> list[alt.Chart]:
    """Rules at the accuracies of the weak model (grey, dotted) and the ceiling (black, dashed).

    Args:
        chart: whose rows these levels are among, with their encoding.
        field: names the rows "weak model" and "ceiling".
    """
    looks: dict[str, dict[str, Any]] = {
        "weak model": {"color": GREY, "strokeDash": [1, 2]},
        "ceiling": {"color": BLACK, "strokeDash": [4, 2]},
    }
    return [
        chart.transform_filter(f"datum.{field} === '{name}'").mark_rule(**look)
        for name, look in looks.items()
    ]


def small_multiples(
    layers: Sequence[Any],
    rows: Records,
    panels: Sequence[str],
    *,
    columns: int = 2,
    height: float = 90,
    width: int = COLUMN,
    own_scales: str = "",
) -> Any:
    """Layers over one table, a panel for each value of its column `panel`; one panel has no header. Panels
    beside each other have equal y axes.

    Args:
        layers: charts without data.
        rows: the table.
        panels: the values of `panel`, in their order.
        columns: panels beside each other.
        height: of a panel, in points.
        width: of the whole figure, in points.
        own_scales: "y" where each row of panels has its own y axis, "xy" where each panel has its own x axis
            too.
    """
    num_columns = min(columns, len(panels))

    def build(panel_width: float) -> Any:
        layer = alt.layer(*layers, data=alt.NamedData(name=ROWS)).properties(width=panel_width, height=height)
        if len(panels) == 1:
            return layer
        characters = max(int(panel_width / (1.15 * _CHARACTER)), 12)  # bold
        header = alt.Header(title=None, labelExpr=_header(panels, characters, num_columns))
        facet = alt.Facet("panel:N", sort=list(panels), header=header)
        if own_scales:
            rows_of_panels = [
                layer.transform_filter(
                    alt.FieldOneOfPredicate(field="panel", oneOf=list(panels[first : first + num_columns]))
                ).facet(facet=facet, columns=num_columns)
                for first in range(0, len(panels), num_columns)
            ]
            if "x" in own_scales:
                rows_of_panels = [row.resolve_scale(x="independent") for row in rows_of_panels]
            return alt.vconcat(*rows_of_panels)
        found = layer.facet(facet=facet, columns=num_columns)
        # Else the last row's axis stands below an empty place.
        return found.resolve_axis(x="independent") if len(panels) % num_columns else found

    return at_width(build, rows, num_columns, width)


def row_of_panels(panels: Sequence[str], columns: int = 2) -> dict[str, int]:
    """In which row of `small_multiples` each panel stands."""
    return {name: place // columns for place, name in enumerate(panels)}


def _header(panels: Sequence[str], characters: int, num_columns: int) -> str:
    """An expression that breaks the panels' names into lines, in a row of panels all into as many, which
    aligns them."""
    lines = [wrapped(name, characters).split("\n") for name in panels]
    cases = []
    for index, name in enumerate(panels):
        first = index - index % num_columns
        most = max(map(len, lines[first : first + num_columns]))
        text = [""] * (most - len(lines[index])) + lines[index]
        # In brackets: Vega-Lite puts an expression in the place of `datum.label`.
        cases.append(f"(datum.label) === {json.dumps(name)} ? {json.dumps(text)}")
    return " : ".join([*cases, "''"])


def at_width(build: Callable[[float], Any], rows: Records, num_columns: int = 1, width: int = COLUMN) -> Any:
    """The chart that is `width` points wide with its axes: drawn once to see what they take, then once more.

    Args:
        build: the width of a panel → the chart.
        rows: its data.
        num_columns: panels beside each other.
        width: of the whole, in points.
    """
    panel = math.floor(width / num_columns * 0.7)
    with debug_mode(
        False
    ):  # checking a chart against Vega-Lite's schema takes longer than drawing it; `to_dict` does it once
        for _ in range(3):
            chart = _finish(build(panel), rows)
            excess = math.ceil((_measured_width(chart) - width) / num_columns)
            if -3 <= excess <= 0 or panel - excess < _LEAST_PANEL:
                break
            panel -= excess
    return chart


def _finish(chart: Any, rows: Records) -> Any:
    """A chart with its data and the theme in it, so that it looks the same wherever its JSON is drawn."""
    themed = chart.configure(**CONFIG)
    themed.datasets = {ROWS: rows}  # last, since every step copies all that it is given
    return themed


def _measured_width(chart: Any) -> float:
    import vl_convert

    found = re.search(
        r'<svg[^>]* width="([\d.]+)"', vl_convert.vegalite_to_svg(chart.to_dict(validate=False))
    )
    return float(found.group(1)) if found else math.nan
