"""Accuracy by layer: what probes and heads make of each layer of the strong model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from raysweep.report.figures.bars import bars, drawn_bars
from raysweep.report.figures.base import Figure, Omitted, Records, listed, records, sentences, tidy
from raysweep.report.figures.summary import PAIR, Summary, interval_words, means
from raysweep.report.figures.theme import (
    BLACK,
    DASHES,
    MAX_PANELS,
    legend,
    level_rules,
    row_of_panels,
    series,
    small_multiples,
    tooltips,
    worded,
)

_ALL = "all test examples"
_WRONG = "weak model wrong"
_COLUMNS = {_ALL: "student_accuracy", _WRONG: "known_given_weak_wrong"}
_LAYER = re.compile(r"[\s_,:@-]*(layer)?[\s_=-]*(\d+|middle)$")


def line_of(method: str) -> str:
    """What a method is called without the layer at the end of its name: "read-out" of "read-out, layer 3"."""
    return _LAYER.sub("", method) or method


def accuracy_by_layer(summary: Summary) -> Figure | Omitted:
    """Test accuracy of the students that read one layer each, a line for methods that differ in it."""
    name = "accuracy_by_layer"
    title = "Accuracy by layer"
    cells = summary.finished
    if "layer" not in cells or cells["layer"].isna().all():
        return Omitted(name=name, title=title, reason="no method reads features of a layer")
    cells = cells.dropna(subset=["layer"]).astype({"layer": int})
    cells = cells.assign(series=[worded(line_of(str(method))) for method in cells["method"]])
    num_layers = cells.groupby("series")["layer"].nunique()
    alone = [line for line in num_layers.index if num_layers[line] == 1]
    cells = cells[~cells["series"].isin(alone)]
    if cells.empty:
        return Omitted(
            name=name,
            title=title,
            reason="no two methods differ in their layer alone: name them by it, such as 'read-out, layer 3'",
        )
    by = ["task", PAIR, "series", "layer"]
    there = {rows: column for rows, column in _COLUMNS.items() if column in cells}
    lines = [means(cells, column, by, []).assign(rows=rows) for rows, column in there.items()]
    frame = pd.concat([*lines, *_levels(cells)], ignore_index=True)
    frame, panels, note = _panels(frame, summary)
    shown = frame[frame["panel"].isin(panels)]
    shown, cut = drawn_bars(shown.assign(row=shown["panel"].map(row_of_panels(panels))), ["row"])
    rows = records(shown)
    names = list(dict.fromkeys(cells["series"]))
    chart = small_multiples(
        _layers(rows, names, list(there)), rows, panels, own_scales="y" if len(panels) > 1 else ""
    )
    of_lines = frame[frame["layer"].notna()]
    caption = sentences(
        "Test accuracy of probes and heads on the strong model's features, by the layer that they read "
        "(0: the embeddings);",
        f"dashed: on the examples that the weak model gets wrong, {_WRONG} in the legend."
        if _WRONG in there
        else "",
        "Dotted rule: the weak model's accuracy; black dashed: the ceiling's.",
        "Layers aren't chosen on these examples: the best of them is better by chance, too.",
        f"{listed(alone)} read{'s' * (len(alone) == 1)} one layer only: not shown." if alone else "",
        interval_words(of_lines),
        cut,
        note,
        summary.progress_note,
    )
    best = of_lines[of_lines["rows"] == _ALL].sort_values("mean").groupby("series", sort=False).last()
    text = "Best layers: " + "; ".join(
        f"{line} {row['mean']:.3f} at layer {row['layer']:.0f}" for line, row in best.iterrows()
    )
    return Figure(name=name, title=title, caption=caption, data=_table(frame), chart=chart, alt=f"{text}.")


def _levels(cells: pd.DataFrame) -> list[pd.DataFrame]:
    """Accuracies of weak models and ceilings, by task and pair."""
    levels = {"weak model": ("weak_accuracy", "supervisor"), "ceiling": ("ceiling_accuracy", "ceiling")}
    return [
        means(cells, value, ["task", PAIR], [], run).assign(series=line, rows=_ALL, low=None, high=None)
        for line, (value, run) in levels.items()
    ]


def _panels(frame: pd.DataFrame, summary: Summary) -> tuple[pd.DataFrame, list[str], str]:
    """The frame with `panel`, the panels that are drawn, and a note if some aren't."""
    parts = [part for part in ("task", PAIR) if len(summary.names(part)) > 1]
    label = [": ".join(map(worded, row)) for row in frame[parts].itertuples(index=False, name=None)]
    frame = frame.assign(panel=label if parts else "")
    names = list(dict.fromkeys(frame["panel"]))
    note = f"Shown are the first {MAX_PANELS} of {len(names)} panels; the CSV has all."
    return frame, names[:MAX_PANELS], note if len(names) > MAX_PANELS else ""


def _layers(rows: Records, names: Sequence[str], kinds: Sequence[str]) -> list[Any]:
    scale = alt.Scale(zero=False, nice=False, padding=5)
    title = "test accuracy"
    y = alt.Y("mean:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5))
    ticks = sorted({int(row["layer"]) for row in rows if row.get("layer") is not None})
    axis = alt.Axis(values=ticks, format="d", grid=False, labelOverlap="greedy")
    x = alt.X("layer:Q", title="layer", axis=axis, scale=alt.Scale(nice=False, zero=False, padding=6))
    look = series("series", names)
    dash = alt.StrokeDash(
        "rows:N",
        scale=alt.Scale(domain=list(kinds), range=[list(DASHES[place]) for place in range(len(kinds))]),
        legend=legend(kinds, orient="bottom", symbolType="stroke", symbolSize=120, symbolStrokeColor=BLACK),
    )
    tips = tooltips(rows, "panel", "series", "rows", "layer", "mean", "low", "high", "num_seeds")
    base = alt.Chart().encode(tooltip=tips)
    line = base.transform_filter("isValid(datum.layer)").encode(x=x)
    detail = alt.Detail("rows:N")
    return [
        *level_rules(base.encode(y=y), "series"),
        line.mark_line(strokeWidth=1).encode(y=y, color=look["color"], strokeDash=dash),
        *bars(line, "y", scale, title, color=look["color"]),
        line.mark_point(opacity=1, stroke="white").encode(y=y, detail=detail, **look),
    ]


def _table(frame: pd.DataFrame) -> pd.DataFrame:
    names = {
        "series": "line",
        "rows": "examples",
        "mean": "accuracy",
        "low": "interval low",
        "high": "interval high",
        "num_seeds": "seeds",
    }
    table = frame[["task", PAIR, "series", "rows", "layer", "mean", "low", "high", "num_seeds"]]
    return tidy(table.rename(columns=names))
