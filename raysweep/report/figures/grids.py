"""PGR as grids: by weak and strong model, and by task and method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from raysweep.report.figures.base import Figure, Omitted, Records, records, sentences, tidy
from raysweep.report.figures.summary import MISSING, PAIR, UNDEFINED, Summary
from raysweep.report.figures.theme import (
    COLUMN,
    FAINT,
    INK,
    MAX_PANELS,
    PAGE,
    SEQUENTIAL,
    SPLIT,
    small_multiples,
    tooltips,
    worded,
    wrapped,
)

_LEAST_CELL = 17
"""Points that "0.67" needs at 7 points, with a margin."""
_NOWHERE = "PGR is undefined everywhere: no gap between weak model and ceiling is told from the noise"
_PLAIN: dict[str, Any] = {"grid": False, "domain": False, "ticks": False}
_ENDS = ["weak model", "strong model"]


def pgr_by_pair(summary: Summary) -> Figure | Omitted:
    """PGR of every weak with every strong model."""
    name = "pgr_by_pair"
    title = "PGR by weak and strong model"
    pairs = summary.names("pair")
    if len(pairs) < 2:
        return Omitted(name=name, title=title, reason=f"{_few(pairs, 'pair of models')}: no grid to show")
    tasks = summary.names("task")
    methods = summary.names("method")
    by_task = len(tasks) > 1 and len(tasks) * len(methods) <= MAX_PANELS
    parts = [*(["task"] if by_task else []), "method"]
    frame = summary.pgr_by([*parts, "weak", "strong"])
    frame = frame[frame["method"].isin(methods)]
    if frame["pgr"].isna().all():
        return Omitted(name=name, title=title, reason=_NOWHERE)
    drawn = [part for part in parts if part == "task" or len(methods) > 1]
    frame["panel"] = (
        [": ".join(map(worded, row)) for row in frame[drawn].itertuples(index=False)] if drawn else ""
    )
    panels = list(dict.fromkeys(frame["panel"]))[:MAX_PANELS]
    note = (
        f"Shown are the first {MAX_PANELS} of {len(methods)} methods; the CSV has all."
        if frame["panel"].nunique() > MAX_PANELS
        else ""
    )
    frame[PAIR] = frame["weak"] + " → " + frame["strong"]
    frame = frame.rename(columns={"weak": "weak model", "strong": "strong model"})
    order = summary.by_size("weak")[::-1], summary.by_size("strong")
    chart = _chart(frame[frame["panel"].isin(panels)], "weak model", "strong model", order, panels, COLUMN)
    caption = sentences(
        "PGR of every weak model (rows) with every strong model (columns), the smallest at the bottom and at "
        "the left.",
        _words(frame, "tasks"),
        note,
        summary.progress_note,
    )
    return _figure(name, title, caption, frame, [*parts, *_ENDS], chart)


def pgr_by_task(summary: Summary) -> Figure | Omitted:
    """PGR of every method on every task."""
    name = "pgr_by_task"
    title = "PGR by task and method"
    tasks = summary.names("task")
    methods = summary.names("method")
    if len(tasks) < 2:
        return Omitted(name=name, title=title, reason=f"{_few(tasks, 'task')}: no grid to show")
    frame = summary.pgr_by(["task", "method"]).assign(panel="")
    most = (PAGE - 90) // _LEAST_CELL
    shown = methods[:most]
    note = (
        f"Shown are the first {most} of {len(methods)} methods; the CSV has all."
        if len(methods) > most
        else ""
    )
    width = COLUMN if len(shown) <= (COLUMN - 90) // _LEAST_CELL else PAGE
    frame = frame[frame["task"].isin(tasks) & frame["method"].isin(methods)]
    if frame["pgr"].isna().all():
        return Omitted(name=name, title=title, reason=_NOWHERE)
    chart = _chart(frame[frame["method"].isin(shown)], "task", "method", (tasks, shown), [""], width)
    caption = sentences(
        "PGR of every method (columns) on every task (rows).",
        _words(frame, "pairs"),
        note,
        summary.progress_note,
    )
    return _figure(name, title, caption, frame, ["task", "method"], chart)


def _few(names: list[str], what: str) -> str:
    return f"one {what} only ({worded(names[0])})" if names else "nothing is finished"


def _words(frame: pd.DataFrame, over: str) -> str:
    several = int(frame["num_groups"].max())
    parts = ["PGR = (student − weak) / (ceiling − weak) of the mean accuracies over seeds."]
    if several > 1:
        least = int(frame["num_defined"].min())
        most = int(frame["num_defined"].max())
        count = str(most) if least == most else f"{least} to {most}"
        parts = [f"Each number is the median over those {over} whose PGR is defined ({count} of {several})."]
    if (frame["pgr_status"] == UNDEFINED).any():
        parts.append(
            "A dash on grey: undefined, since the gap between weak model and ceiling is inside the noise."
        )
    if (frame["pgr_status"] == MISSING).any():
        parts.append("Empty: no finished seed.")
    parts.append("Colours end at 0 and 1.")
    return " ".join(parts)


def _chart(
    frame: pd.DataFrame,
    row: str,
    column: str,
    order: tuple[Sequence[str], Sequence[str]],
    panels: Sequence[str],
    width: int,
) -> Any:
    rows = records(frame)
    labels = [
        {**item, "shown": _shown(item), "row": wrapped(item[row]), "column": wrapped(item[column], 26)}
        for item in rows
    ]
    height = 13.0 * max(len(order[0]), 2)
    ends = [[wrapped(name) for name in order[0]], [wrapped(name, 26) for name in order[1]]]
    is_narrow = len(order[1]) > 4 or (len(order[1]) > 2 and len(panels) % 2 == 1)
    columns = 1 if is_narrow else min(len(panels), 2)
    room = (width - 80) / columns / len(order[1]) / 4
    is_level = all(len(line) <= room for name in ends[1] for line in name.split("\n"))
    layers = _layers(labels, row, column, ends, is_level)
    return small_multiples(layers, labels, panels, columns=columns, height=height, width=width)


def _layers(rows: Records, row: str, column: str, ends: list[list[str]], is_level: bool) -> list[Any]:
    axis = alt.Axis(labelExpr=SPLIT, labelAngle=0 if is_level else -45, labelOverlap=False, **_PLAIN)
    x = alt.X("column:N", sort=ends[1], title=worded(column), axis=axis)
    left = alt.Axis(labelExpr=SPLIT, labelLineHeight=7, labelOverlap=False, **_PLAIN)
    y = alt.Y("row:N", sort=ends[0], title=worded(row), axis=left)
    numbers = ("pgr", "low", "high", "num_defined", "num_groups", "pgr_status")
    tips = tooltips(rows, "panel", row, column, *numbers)
    base = alt.Chart().encode(x=x, y=y, tooltip=tips)
    colour = alt.Color(
        "pgr:Q",
        title="PGR",
        scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, 1], clamp=True),
        legend=alt.Legend(title="PGR", gradientLength=90, gradientThickness=6, values=[0, 0.5, 1]),
    )
    return [
        base.transform_filter(f"datum.pgr_status === '{UNDEFINED}'").mark_rect(fill=FAINT, stroke="white"),
        base.transform_filter("isValid(datum.pgr)").mark_rect(stroke="white").encode(color=colour),
        base.mark_text().encode(
            text="shown:N",
            color=alt.ColorValue(
                INK,
                condition=[
                    {"test": "isValid(datum.pgr) && datum.pgr < 0.5", "value": "#fff"},
                    {"test": "isValid(datum.pgr)", "value": "black"},
                ],
            ),
        ),
    ]


def _shown(row: dict[str, Any]) -> str:
    if row["pgr"] is not None:
        return f"{row['pgr']:.2f}".replace("-", "−")
    return "–" if row["pgr_status"] == UNDEFINED else ""


def _figure(name: str, title: str, caption: str, frame: pd.DataFrame, keys: list[str], chart: Any) -> Figure:
    columns = {
        "pgr": "PGR",
        "low": "low",
        "high": "high",
        "num_defined": "defined",
        "num_groups": "of",
        "pgr_status": "PGR status",
    }
    several = frame["num_groups"].max() > 1
    ends = (
        {"low": "lower quartile", "high": "upper quartile"}
        if several
        else {"low": "interval low", "high": "interval high"}
    )
    table = frame[[*keys, *columns]].rename(columns=columns | ends)
    defined = frame.dropna(subset=["pgr"])
    text = "A grid without a defined PGR." if defined.empty else _extremes(defined, keys)
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def _extremes(defined: pd.DataFrame, keys: list[str]) -> str:
    ranked = defined.sort_values("pgr")
    ends = [ranked.iloc[0], ranked.iloc[-1]]
    least, most = (f"{end['pgr']:.2f} ({', '.join(worded(end[key]) for key in keys)})" for end in ends)
    return f"A grid of {len(defined)} PGRs, from {least} to {most}."
