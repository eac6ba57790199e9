"""Charts with one row per method or task, in it a point with its bar for each series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from raysweep.report.figures.bars import bars
from raysweep.report.figures.base import Records, records
from raysweep.report.figures.theme import (
    BLACK,
    COLUMN,
    GREY,
    SPLIT,
    series,
    small_multiples,
    tooltips,
    worded,
    wrapped,
)

_LABEL = 32
"""Characters of a line of a row's label."""


def dots_by_method(
    frame: pd.DataFrame, methods: Sequence[str], key: str, names: Sequence[str], title: str
) -> Any:
    """One row per method in the plan's order, with a point and its bar for each value of `key`, and a rule
    at 0.

    Args:
        frame: method, `key`, mean, bar_low, bar_high.
        methods, names: the order of methods, and of the values of `key`.
        title: what the numbers are.
    """
    order = [method for method in methods if method in set(frame["method"])]
    return dots(dot_rows(frame, "method", key), order, list(names), title, levels=(0.0,))


def dot_rows(frame: pd.DataFrame, row: str, key: str) -> Records:
    """The rows of `dots`.

    Args:
        frame: numbers, with a column `row`, and a column `key` unless that is "".
        row: the column whose values are the chart's rows.
        key: the column whose values are the series; "" if there are none.
    """
    found = records(frame)
    for item in found:
        item["series"] = worded(item[key]) if key else ""
        item["row"] = wrapped(item[row], _LABEL)
    return found


def dots(
    rows: Records,
    order: Sequence[str],
    names: Sequence[str],
    title: str,
    *,
    field: str = "series",
    ticks: Sequence[str] = (),
    levels: Sequence[float] = (),
) -> Any:
    """One row per method or task; in it a point with its bar for each series, one below the other.

    Args:
        rows: those of `dot_rows`, with mean and what `bars` draws; where the column `beyond` has a text, the
            point lies outside the chart and is drawn as an arrow with that text.
        order: the rows from the top.
        names: the series in their order.
        title: of the axis.
        field: the column of the series.
        ticks: up to two columns that are drawn as ticks, grey and black.
        levels: where dotted rules are drawn.
    """
    labels = [wrapped(name, _LABEL) for name in order]
    axis = alt.Axis(
        labelExpr=SPLIT,
        grid=True,
        labelOverlap=False,
        labelLineHeight=7,
        tickBand="extent",
        ticks=False,
        title=None,
    )
    y = alt.Y("row:N", sort=labels, axis=axis, scale=alt.Scale(padding=0.1))
    offset: dict[str, Any] = (
        {"yOffset": alt.YOffset(f"{field}:N", sort=list(names), scale=alt.Scale(padding=0.2))}
        if len(names) > 1
        else {}
    )
    label_width = max(len(line) for label in labels for line in label.split("\n")) * 3.5
    look = series(field, names, width=int(COLUMN + 14 - label_width)) if len(names) > 1 else {}
    colour: dict[str, Any] = {"color": look["color"]} if look else {}
    plain: dict[str, Any] = {} if look else {"color": BLACK}
    scale = alt.Scale(zero=False, nice=False, padding=5)
    numbers = ("mean", "pgr", "low", "high", *ticks, "pgr_status", "num_defined", "num_groups")
    tips = tooltips(rows, "method", "task", field, *numbers)
    base = alt.Chart().encode(y=y, tooltip=tips, **offset)
    x = alt.X("mean:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5, titleAnchor="end"))
    marks: list[Any] = [
        alt.Chart().mark_rule(color=GREY, strokeDash=[1, 2]).encode(x=alt.datum(level, type="quantitative"))
        for level in levels
    ]
    for end, tint in zip(ticks, (GREY, BLACK), strict=False):
        marks.append(
            base.mark_tick(color=tint, size=8, thickness=1.6).encode(
                x=alt.X(f"{end}:Q", scale=scale, title=title)
            )
        )
    marks += bars(base, "x", scale, title, **(colour or {"color": alt.value(BLACK)}))
    inside = base.transform_filter("!isValid(datum.beyond)") if any("beyond" in row for row in rows) else base
    marks.append(inside.mark_point(opacity=1, stroke="white", **plain).encode(x=x, **look))
    if any(row.get("beyond") for row in rows):
        marks += _arrows(base, x, colour)
    step = max(8.0 * max(label.count("\n") + 1 for label in labels), 7.0 * len(names), 10.0) + 2
    return small_multiples(marks, rows, [""], height=step * len(labels))


def _arrows(base: Any, x: alt.X, colour: dict[str, Any]) -> list[Any]:
    """Numbers beyond the figure: an arrowhead at its edge, and the number."""
    marks = []
    for side, shape, align in (("<", "triangle-left", "left"), (">", "triangle-right", "right")):
        found = base.transform_filter(f"isValid(datum.beyond) && datum.pgr {side} 0")
        marks.append(
            found.mark_point(shape=shape, opacity=1, color=alt.Undefined if colour else BLACK).encode(
                x=x, **colour
            )
        )
        marks.append(
            found.mark_text(align=align, dx=4 if align == "left" else -4, dy=0.5).encode(x=x, text="beyond:N")
        )
    return marks
