"""A sweep's numbers beside published ones."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from raysweep.report.figures.bars import CUT, bars, cut_bars
from raysweep.report.figures.base import Figure, Omitted, Records, records, sentences, tidy
from raysweep.report.figures.theme import BLUE, FONT_SIZE, GREY, PAGE, ROWS, at_width, tooltips, worded

_PGR_RANGE = (-1.0, 2.0)


def beside_published(table: pd.DataFrame) -> Figure | Omitted:
    """A `raysweep.report.published.comparison_table` as a figure: ours as dots with intervals, published ones
    as diamonds.

    PGRs are drawn from −1 to 2 at most; one outside is drawn at the edge, with its value.
    """
    name = "published"
    title = "Beside published numbers"
    if table.empty:
        reason = (
            "no published number is of the same tasks and methods, or all of the sweep's PGRs are undefined"
        )
        return Omitted(name=name, title=title, reason=reason)
    panels = []
    rows: Records = []
    for place, ((panel, quantity), found) in enumerate(table.groupby(["panel", "quantity"], sort=False)):
        is_bounded = found["low"].notna() & found["high"].notna()
        bounded = found.assign(low=found["low"].where(is_bounded), high=found["high"].where(is_bounded))
        ends = _PGR_RANGE if quantity == "pgr" else (0.0, 1.0)
        words = [{"label": _label(row), "told": _told(row), "place": place} for row in records(found)]
        drawn = records(cut_bars(bounded, *ends)[0])
        own = [row | said for row, said in zip(drawn, words, strict=True)]
        panels.append(_panel(own, place, worded(str(panel)), str(quantity)))
        rows += own

    def build(width: float) -> Any:
        return alt.vconcat(
            *(panel.properties(width=width, height=alt.Step(15)) for panel in panels),
            data=alt.NamedData(name=ROWS),
        )

    caption = sentences(
        "Dots: this sweep, means over its seeds, with 90 % intervals of PGRs. Hollow diamonds: published "
        "numbers, with their source; ≥, ≤ and ≈ as it has them, of other models and tasks where the label "
        "says so.",
        "Accuracies are of the same models. PGRs stand beside each other whatever the models are.",
        CUT if any(row["is_cut_low"] or row["is_cut_high"] for row in rows) else "",
    )
    told = "; ".join(f"{row['label']}: {row['told']}" for row in rows if row["whose"] == "ours")
    chart = at_width(build, rows, width=PAGE)
    return Figure(
        name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=f"This sweep: {told}."
    )


def _panel(rows: Records, place: int, title: Any, quantity: str) -> Any:
    ends = [row[name] for row in rows for name in ("value", "bar_low", "bar_high") if row[name] is not None]
    least, most = _PGR_RANGE if quantity == "pgr" else (0.0, 1.0)
    low, high = max(min(ends), least), min(max(ends), most)
    for row in rows:
        row["shown"] = min(max(row["value"], low), high)
    margin = 0.08 * max(high - low, 0.1)
    scale = alt.Scale(domain=[low - margin, high + 3 * margin], zero=False, nice=False)
    colour = alt.Scale(domain=["ours", "published"], range=[BLUE, GREY])
    title_of_axis = "accuracy" if quantity == "accuracy" else "performance gap recovered"
    base = (
        alt.Chart()
        .transform_filter(f"datum.place === {place}")
        .encode(
            x=alt.X("shown:Q", title=title_of_axis, scale=scale),
            y=alt.Y("label:N", title=None, sort=[row["label"] for row in rows]),
            color=alt.Color("whose:N", legend=None, scale=colour),
            tooltip=tooltips(rows, "label", "told", "beside", "aggregate", "citation", "note"),
        )
    )
    layers = (
        *bars(base, "x", scale, title_of_axis),
        base.transform_filter("datum.whose === 'ours'").mark_point(shape="circle", opacity=1),
        base.transform_filter("datum.whose !== 'ours'").mark_point(shape="diamond", filled=False, opacity=1),
        base.mark_text(align="left", dx=5, dy=-4, fontSize=FONT_SIZE - 1).encode(text="told:N"),
    )
    return alt.layer(*layers).properties(title=alt.Title(title, fontSize=FONT_SIZE))


def _label(row: dict[str, Any]) -> str:
    pair = (
        f"{row['weak'] or 'any'} → {row['strong'] or 'any'}"
        if row["weak"] or row["strong"]
        else row["aggregate"]
    )
    models = row["strong"] if row["method"] == "ground_truth" else pair
    named = f"{models}, {row['method'].replace('ground_truth', 'ground truth')}"
    if row["whose"] == "ours":
        return named if row["panel"] == row["task"] else f"{named} ({row['aggregate']})"
    return f"{named} ({row['source']}{', other tasks' if row['beside'].startswith('other tasks') else ''})"


def _told(row: dict[str, Any]) -> str:
    """The value, with ≥, ≤ or ≈ in front where the source gives a bound or an approximate number."""
    low = row["low"]
    value = row["value"]
    high = row["high"]
    bound = row["whose"] == "published" and (low is None) != (high is None)
    sign = (
        ("≥ " if high is None else "≤ ") if bound else "≈ " if row["note"].startswith("approximate") else ""
    )
    return sign + f"{value:z.2f}".replace("-", "−")
