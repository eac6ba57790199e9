"""Figures from single test examples: calibration, and accuracy by difficulty."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from raysweep.metrics.decisions import NUM_QUARTERS
from raysweep.metrics.probabilities import NUM_BINS
from raysweep.report.figures.bars import bars, drawn_bars
from raysweep.report.figures.base import Figure, Omitted, Records, records, sentences, tidy
from raysweep.report.figures.summary import Summary, interval_words, means
from raysweep.report.figures.theme import (
    BLACK,
    BLUE,
    GREY,
    MAX_PANELS,
    ORANGE,
    legend,
    small_multiples,
    tooltips,
    worded,
)

_ENDS = {"weak model": "weak", "student": "student", "ceiling": "ceiling"}


def calibration(summary: Summary) -> Figure | Omitted:
    """Accuracy by confidence of weak models, ceilings and students (Guo et al. 2017, figure 1)."""
    name = "calibration"
    title = "Calibration: accuracy by confidence"
    methods = summary.names("method")
    cells = summary.finished
    groups = [("weak model", None, cells["supervisor"]), ("ceiling", None, cells["ceiling"])]
    of_method = cells.groupby("method")["student"]
    groups += [(f"student, {worded(name)}", name, of_method.get_group(name)) for name in methods]
    parts = [
        _bins(summary, list(dict.fromkeys(runs))).assign(who=who, method=method)
        for who, method, runs in groups
    ]
    parts = [part for part in parts if len(part)]
    if not parts:
        reason = "nothing is finished" if not methods else "the runs answer in text, without a confidence"
        return Omitted(name=name, title=title, reason=reason)
    frame = pd.concat(parts, ignore_index=True)
    panels = list(dict.fromkeys(frame["who"]))[:MAX_PANELS]
    note = (
        f"Shown are {len(panels) - 2} of {len(methods)} methods; the CSV has all."
        if len(panels) - 2 < len(methods)
        else ""
    )
    frame["panel"] = frame["who"].str.removeprefix("student, ")
    rows = records(frame[frame["who"].isin(panels)])
    panels = [who.removeprefix("student, ") for who in panels]
    chart = small_multiples(_reliability(rows), rows, panels, columns=2 if len(panels) == 4 else 3, height=62)
    caption = sentences(
        f"Share of right answers by confidence (the probability of the chosen class) in {NUM_BINS} bins of "
        "equal width, over the test "
        "examples of all tasks and seeds, of weak models, ceilings and each method's students; the larger a "
        "dot, the more examples. On the diagonal confidence is what it claims, below "
        "it too high. ECE: the mean distance from the diagonal, weighted by examples.",
        note,
        summary.progress_note,
    )
    names = {
        "who": "model",
        "confidence": "mean confidence",
        "accuracy": "accuracy",
        "share": "share of examples",
        "ece": "ECE",
    }
    table = frame.rename(columns=names)[[*names.values(), "examples", "runs"]]
    errors = ", ".join(
        f"{who} {error:.3f}" for who, error in frame.groupby("who", sort=False)["ece"].first().items()
    )
    text = f"Accuracy by confidence; expected calibration errors: {errors}."
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def difficulty(summary: Summary) -> Figure | Omitted:
    """Accuracy by quarter of difficulty."""
    name = "difficulty"
    title = "Accuracy by difficulty"
    quarters = range(1, NUM_QUARTERS + 1)
    columns = {
        (who, quarter): f"{end}_accuracy_in_difficulty_quarter_{quarter}"
        for who, end in _ENDS.items()
        for quarter in quarters
    }
    known = {key: column for key, column in columns.items() if column in summary.finished}
    if not known or summary.finished[list(known.values())].isna().all(axis=None):
        reason = "no task says how hard its examples are" if len(summary.finished) else "nothing is finished"
        return Omitted(name=name, title=title, reason=reason)
    cells = summary.finished.dropna(subset=list(known.values()), how="all")
    methods = [method for method in summary.names("method") if method in set(cells["method"])]
    over = ["task", "weak", "strong"]
    units = {
        "weak model": (["task", "weak"], "supervisor"),
        "student": (over, "student"),
        "ceiling": (["task", "strong"], "ceiling"),
    }
    parts = [
        means(cells, column, ["method"], units[who][0], units[who][1]).assign(who=who, quarter=quarter)
        for (who, quarter), column in known.items()
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["panel"] = frame["method"].map(worded)
    panels = [worded(method) for method in methods[:MAX_PANELS]]
    note = (
        f"Shown are the first {len(panels)} of {len(methods)} methods; the CSV has all."
        if len(panels) < len(methods)
        else ""
    )
    shown, cut = drawn_bars(frame[frame["panel"].isin(panels)], [])
    rows = records(shown)
    chart = small_multiples(_quarters(rows), rows, panels, height=80)
    num_tasks = cells["task"].nunique()
    num_pairs = cells["pair"].nunique()
    caption = sentences(
        "Test accuracy by quarter of difficulty, from the easiest quarter of a task's test examples to the "
        "hardest.",
        interval_words(frame),
        cut,
        f"Means over the {num_tasks} tasks that say how hard their examples are." if num_tasks > 1 else "",
        f"Means over {num_pairs} pairs of models." if num_pairs > 1 else "",
        note,
        summary.progress_note,
    )
    names = {
        "who": "model",
        "mean": "accuracy",
        "low": "interval low",
        "high": "interval high",
        "num_seeds": "seeds",
    }
    table = frame.rename(columns=names)[
        ["method", "model", "quarter", "accuracy", "interval low", "interval high", "seeds"]
    ]
    ends = frame[frame["who"] == "student"].groupby("quarter")["mean"].mean()
    text = (
        f"Students' accuracy falls from {ends.iloc[0]:.2f} on the easiest quarter to {ends.iloc[-1]:.2f} on "
        "the hardest."
    )
    if ends.iloc[-1] >= ends.iloc[0]:
        text = (
            f"Students' accuracy is {ends.iloc[0]:.2f} on the easiest quarter and {ends.iloc[-1]:.2f} on the "
            "hardest."
        )
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def _bins(summary: Summary, runs: list[str]) -> pd.DataFrame:
    """Calibration of the examples of several runs together, one row per bin that isn't empty; no rows if the
    runs have no confidences."""
    found = [summary.data.examples(run)[["is_right", "confidence"]].dropna() for run in runs]
    pooled = (
        pd.concat(found, ignore_index=True) if found else pd.DataFrame({"is_right": [], "confidence": []})
    )
    confidence = pooled["confidence"].to_numpy(float)
    bins = np.clip(np.ceil(confidence * NUM_BINS), 1, NUM_BINS).astype(int)
    grouped = pooled.astype(float).groupby(bins)
    frame = (
        grouped.mean()
        .rename(columns={"is_right": "accuracy"})
        .assign(examples=grouped.size(), runs=len(runs))
    )
    frame["share"] = frame["examples"] / max(len(pooled), 1)
    frame["ece"] = float((frame["share"] * (frame["accuracy"] - frame["confidence"]).abs()).sum())
    return frame.reset_index(drop=True)


def _reliability(rows: Records) -> list[Any]:
    least = min(0.5, *(row["confidence"] for row in rows))
    lowest = min(least, *(row["accuracy"] for row in rows))
    ticks: dict[str, Any] = {"values": [0, 0.25, 0.5, 0.75, 1], "format": ".2~f"}
    x_scale, y_scale = (
        alt.Scale(domain=[low, 1], nice=False, zero=False, padding=3) for low in (least, lowest)
    )
    x = alt.X("confidence:Q", scale=x_scale, axis=alt.Axis(**ticks, labelFlush=True))
    y = alt.Y("accuracy:Q", title="accuracy", scale=y_scale, axis=alt.Axis(**ticks))
    base = alt.Chart().encode(tooltip=tooltips(rows, "panel", "confidence", "accuracy", "examples", "share"))
    size = alt.Size("share:Q", scale=alt.Scale(type="sqrt", domain=[0, 1], range=[6, 90]), legend=None)
    diagonal = alt.Chart().mark_rule(color=GREY, strokeDash=[2, 2])
    start = alt.XDatum(least, scale=x_scale)
    end = alt.YDatum(least, scale=y_scale)
    words = base.mark_text(align="left", baseline="top", dx=3, dy=3)
    return [
        diagonal.encode(x=start, y=end, x2=alt.datum(1), y2=alt.datum(1)),
        base.mark_line(color=BLUE, strokeWidth=0.8).encode(x=x, y=y),
        base.mark_point(color=BLUE, opacity=0.8).encode(x=x, y=y, size=size),
        words.transform_aggregate(ece="mean(ece)", groupby=["panel"])
        .transform_calculate(words="'ECE ' + format(datum.ece, '.3f')")
        .encode(x=alt.value(0), y=alt.value(0), text="words:N", tooltip=alt.value(None)),
    ]


def _quarters(rows: Records) -> list[Any]:
    names = list(_ENDS)
    key = legend(names, symbolDash=[1, 0])
    look = {
        "color": alt.Color("who:N", scale=alt.Scale(domain=names, range=[ORANGE, BLUE, BLACK]), legend=key),
        "shape": alt.Shape(
            "who:N", scale=alt.Scale(domain=names, range=["square", "circle", "triangle-up"]), legend=key
        ),
    }
    dash = alt.StrokeDash(
        "who:N", scale=alt.Scale(domain=names, range=[[1, 1.5], [1, 0], [4, 2]]), legend=None
    )
    axis = alt.Axis(
        labelAngle=0, grid=False, labelExpr="{'1': 'easiest', '4': 'hardest'}[datum.label] || datum.label"
    )
    x = alt.X("quarter:O", title="quarter of difficulty", axis=axis, scale=alt.Scale(padding=0.2))
    scale = alt.Scale(zero=False, nice=False, padding=4)
    y = alt.Y("mean:Q", title="test accuracy", scale=scale, axis=alt.Axis(tickCount=5))
    base = alt.Chart().encode(
        x=x, tooltip=tooltips(rows, "panel", "who", "quarter", "mean", "low", "high", "num_seeds")
    )
    return [
        base.mark_line(strokeWidth=1).encode(y=y, color=look["color"], strokeDash=dash),
        *bars(base, "y", scale, "test accuracy", color=look["color"]),
        base.mark_point(opacity=1, stroke="white").encode(y=y, **look),
    ]
