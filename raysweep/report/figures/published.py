"""A sweep's numbers beside published ones."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from raysweep.report.figures.base import Figure, Omitted, Records, records, sentences, tidy
from raysweep.report.figures.theme import BLUE, FONT_SIZE, GREY, PAGE, ROWS, at_width, tooltips, worded


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
    rows = []
    for place, ((panel, quantity), found) in enumerate(table.groupby(["panel", "quantity"], sort=False)):
        own = [row | {"label": _label(row), "told": _told(row), "place": place} for row in records(found)]
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
    )
    told = "; ".join(f"{row['label']}: {row['told']}" for row in rows if row["whose"] == "ours")
    chart = at_width(build, rows, width=PAGE)
    return Figure(
        name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=f"This sweep: {told}."
    )


def _panel(rows: Records, place: int, title: Any, quantity: str) -> Any:
    ends = [row[name] for row in rows for name in ("value", "low", "high") if row[name] is not None]
    low, high = (max(min(ends), -1.0), min(max(ends), 2.0)) if quantity == "pgr" else (min(ends), max(ends))
    for row in rows:
        row["shown"] = min(max(row["value"], low), high)
    margin = 0.08 * max(high - low, 0.1)
    scale = alt.Scale(domain=[low - margin, high + 3 * margin], zero=False, nice=False)
    colour = alt.Scale(domain=["ours", "published"], range=[BLUE, GREY])
    base = (
        alt.Chart()
        .transform_filter(f"datum.place === {place}")
        .encode(
            x=alt.X(
                "shown:Q",
                title="accuracy" if quantity == "accuracy" else "performance gap recovered",
                scale=scale,
            ),
            y=alt.Y("label:N", title=None, sort=[row["label"] for row in rows]),
            color=alt.Color("whose:N", legend=None, scale=colour),
            tooltip=tooltips(rows, "label", "told", "beside", "aggregate", "citation", "note"),
        )
    )
    bounded = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    layers = (
        bounded.mark_rule(clip=True).encode(x=alt.X("low:Q", scale=scale), x2="high:Q"),
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
