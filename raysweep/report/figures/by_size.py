"""Accuracy and agreement against the strong model's size or compute (Burns et al. 2023, figures 3 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from raysweep.report.figures.bars import bars, drawn_bars
from raysweep.report.figures.base import Figure, Omitted, Records, records, sentences, tidy
from raysweep.report.figures.summary import PAIR, Summary, interval_words, means
from raysweep.report.figures.theme import (
    BLACK,
    DASHES,
    GREY,
    legend,
    row_of_panels,
    series,
    small_multiples,
    tooltips,
)

_STUDENT = "student"
_CEILING = "ceiling"
_WEAK = "weak model"
_RIGHT = "weak model right"
_WRONG = "weak model wrong"
_AXES = {"parameters": "the strong model's size", "training FLOPs": "the compute of the student's training"}
_SIZE = "parameters"
_COMPUTE = "training FLOPs"


def accuracy_by_size(summary: Summary) -> Figure | Omitted:
    """Test accuracy against the strong model's size, a line per weak model."""
    return _accuracy(summary, "accuracy_by_size", "Accuracy against the strong model's size", _SIZE)


def accuracy_by_compute(summary: Summary) -> Figure | Omitted:
    """The same against 6 · parameters · tokens, the FLOPs of the student's training (Kaplan et al. 2020,
    section 2.1)."""
    name = "accuracy_by_compute"
    title = "Accuracy against the compute of the student's training"
    known = summary.data.runs.set_index("run_id")[["num_parameters", "num_tokens"]].dropna()
    if not _too_few(summary) and not set(summary.finished["student"]) <= set(known.index):
        return Omitted(
            name=name,
            title=title,
            reason="the compute of some students isn't known: older runs didn't count it",
        )
    return _accuracy(summary, name, title, _COMPUTE)


def agreement_by_size(summary: Summary) -> Figure | Omitted:
    """Agreement with the weak model where it is right and where it is wrong, against the student's size."""
    name = "agreement_by_size"
    title = "Agreement with the weak model, where it is right and where it is wrong"
    few = _too_few(summary)
    columns = {_RIGHT: "agreement_supervisor_right", _WRONG: "agreement_supervisor_wrong"}
    if few or not set(columns.values()) <= set(summary.finished):
        return Omitted(name=name, title=title, reason=few or "no student was compared with its weak model")
    panels, cells, note = summary.panels()
    units = ["task", "method"]
    by = ["panel", "method", "weak", "strong"]
    parts = [
        means(cells, column, _keys(cells, by), units).assign(line=line) for line, column in columns.items()
    ]
    frame = _on_axis(pd.concat(parts), summary, _SIZE)
    table = _table(frame, "agreement", _SIZE)
    shown, cut = drawn_bars(frame[frame["panel"].isin(panels)], [])
    rows = records(shown)
    chart = small_multiples(
        _lines(rows, summary, _SIZE, "agreement with the weak model", [_RIGHT, _WRONG]), rows, panels
    )
    caption = sentences(
        "Share of test examples on which student and weak model agree, among those that the weak model gets "
        "right and among those that it gets wrong, against the strong model's size. A student that only "
        "imitates agrees on both; one that generalizes agrees less where the weak model is wrong.",
        interval_words(frame),
        cut,
        _axis_words(summary),
        note,
        summary.progress_note,
    )
    alt_text = (
        f"Lines of agreement for {len(summary.names('weak'))} weak models over "
        f"{len(summary.names('strong'))} sizes."
    )
    return Figure(name=name, title=title, caption=caption, data=table, chart=chart, alt=alt_text)


def _accuracy(summary: Summary, name: str, title: str, axis: str) -> Figure | Omitted:
    few = _too_few(summary)
    if few:
        return Omitted(name=name, title=title, reason=few)
    panels, cells, note = summary.panels()
    panel = _keys(cells, ["panel", "method"])
    students = means(cells, "student_accuracy", [*panel, "weak", "strong"], ["task"]).assign(line=_STUDENT)
    ceilings = means(cells, "ceiling_accuracy", [*panel, "strong"], ["task"], "ceiling").assign(line=_CEILING)
    # A weak model's accuracy is a level: it is drawn as wide as its students' line.
    floors = means(cells, "weak_accuracy", [*panel, "weak"], ["task"], "supervisor").assign(
        line=_WEAK, low=None, high=None
    )
    floors = floors.merge(students[[*panel, "weak", "strong"]], on=[*panel, "weak"])
    frame = _on_axis(
        pd.concat([students, ceilings, floors.astype({"low": float, "high": float})]), summary, axis
    )
    if axis == _COMPUTE:
        frame = _at_compute(frame, cells, summary)
    own = "y" if "task" in panel and len(summary.names("task")) > 1 else ""
    shown = frame[frame["panel"].isin(panels)]
    shown = shown.assign(row=shown["panel"].map(row_of_panels(panels)))
    shown, cut = drawn_bars(shown, ["row"] if own else [])
    rows = records(shown)
    layers = _lines(rows, summary, axis, "test accuracy", [_STUDENT, _WEAK, _CEILING])
    chart = small_multiples(layers, rows, panels, own_scales=own)
    caption = sentences(
        f"Test accuracy of students, a line per weak model, against {_AXES[axis]}; "
        "dotted in the same colour that weak model's own accuracy, dashed the ceiling, the strong "
        "model on ground truth.",
        interval_words(students),
        cut,
        _axis_words(summary) if axis == _SIZE else "Compute is 6 · parameters · tokens, the mean over runs.",
        note,
        summary.progress_note,
    )
    text = _alt(students, ceilings)
    return Figure(
        name=name, title=title, caption=caption, data=_table(frame, "accuracy", axis), chart=chart, alt=text
    )


def _too_few(summary: Summary) -> str:
    strong = summary.names("strong")
    if not strong:
        return "nothing is finished"
    return "" if len(strong) > 1 else f"one strong model only ({strong[0]}): no line to draw"


def _keys(cells: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Grouping columns, and the task where panels are of single tasks (means over units of one task are those
    of its seeds)."""
    single = cells.groupby("panel", dropna=False)["task"].nunique().max() == 1
    return [*(["task"] if single else []), *names]


def _on_axis(frame: pd.DataFrame, summary: Summary, axis: str) -> pd.DataFrame:
    sizes: dict[str, Any] = dict(summary.sizes)
    frame = frame.assign(
        size=pd.Series([sizes.get(str(model)) for model in frame["strong"]], index=frame.index, dtype=object)
    )
    frame[PAIR] = (frame["weak"] + " → " + frame["strong"]).where(frame["weak"].notna(), None)
    return frame.rename(columns={"weak": "weak model", "strong": "strong model"}).reset_index(drop=True)


def _at_compute(frame: pd.DataFrame, cells: pd.DataFrame, summary: Summary) -> pd.DataFrame:
    """The mean compute of the students of each method and strong model, which is where its ceiling is drawn
    too."""
    runs = summary.data.runs.set_index("run_id")
    flops = 6.0 * runs["num_parameters"].astype(float) * runs["num_tokens"].astype(float)
    spent = cells.assign(flops=flops.reindex(cells["student"]).to_numpy())
    keys = [key for key in ("task", "panel", "method") if key in frame]
    by = spent.groupby([*keys, "strong"], dropna=False)["flops"].mean().reset_index()
    return frame.drop(columns="size").merge(
        by.rename(columns={"strong": "strong model", "flops": "size"}), on=[*keys, "strong model"]
    )


def _lines(rows: Records, summary: Summary, axis: str, y_title: str, lines: Sequence[str]) -> list[Any]:
    """Lines, points and intervals of rows with weak model, line, size or strong model, mean, low, high."""
    x = _x(rows, summary, axis)
    scale = alt.Scale(nice=False, zero=False, padding=4)
    y = alt.Y("mean:Q", title=y_title, scale=scale, axis=alt.Axis(tickCount=5))
    weak = summary.by_size("weak")
    colour = series("weak model", weak, "weak model")
    patterns = {
        _STUDENT: DASHES[0],
        _WEAK: DASHES[2],
        _CEILING: DASHES[1],
        _RIGHT: DASHES[0],
        _WRONG: DASHES[1],
    }
    dash = alt.StrokeDash(
        "line:N",
        scale=alt.Scale(domain=list(lines), range=[list(patterns[line]) for line in lines]),
        legend=legend(lines, orient="bottom", symbolType="stroke", symbolSize=120, symbolStrokeColor=BLACK),
    )
    tips = tooltips(
        rows, "panel", "line", "weak model", "strong model", "size", "mean", "low", "high", "num_seeds"
    )
    base = alt.Chart().encode(x=x, tooltip=tips)
    black = f"datum.line === '{_CEILING}'"
    own = f"datum.line !== '{_CEILING}'"
    drawn = f"datum.line === '{_STUDENT}' || datum.line === '{_RIGHT}' || datum.line === '{_WRONG}'"
    return [
        base.transform_filter(own).mark_line().encode(y=y, color=colour["color"], strokeDash=dash),
        base.transform_filter(black).mark_line(color=BLACK).encode(y=y, strokeDash=dash),
        *bars(base.transform_filter(black), "y", scale, y_title, color=alt.value(GREY)),
        *bars(base.transform_filter(drawn), "y", scale, y_title, color=colour["color"]),
        base.transform_filter(black).mark_point(shape="stroke", color=BLACK, size=50).encode(y=y),
        base.transform_filter(drawn).mark_point(opacity=1, stroke="white").encode(y=y, **colour),
    ]


def _x(rows: Records, summary: Summary, axis: str) -> alt.X:
    sizes = sorted({row["size"] for row in rows if row["size"] is not None})
    if any(row["size"] is None for row in rows):
        order = summary.by_size("strong")
        return alt.X(
            "strong model:N",
            title="strong model",
            sort=order,
            scale=alt.Scale(padding=0.3),
            axis=_ticks(-40),
        )
    domain = [sizes[0] / 1.25, sizes[-1] * 1.25]
    ticks = (
        {
            "values": sizes,
        }
        if axis == _SIZE
        else {"tickCount": 4, "labelFlush": True}
    )
    form = ".2~s" if axis == _SIZE else ".1e"
    label = alt.Axis(format=form, grid=False, labelOverlap="greedy", **ticks)
    if axis == _SIZE:
        label.labelExpr = "replace(format(datum.value, '.2~s'), 'G', 'B')"
    return alt.X("size:Q", title=axis, scale=alt.Scale(type="log", domain=domain, nice=False), axis=label)


def _ticks(angle: float) -> alt.Axis:
    return alt.Axis(labelAngle=angle, grid=False)


def _axis_words(summary: Summary) -> str:
    if set(summary.names("strong")) <= set(summary.sizes):
        return ""
    return (
        "The runs don't say how many parameters their models have, so the models stand in the plan's order."
    )


def _table(frame: pd.DataFrame, value: str, axis: str) -> pd.DataFrame:
    names = {
        "mean": value,
        "low": "interval low",
        "high": "interval high",
        "num_seeds": "seeds",
        "num_units": "tasks averaged",
    }
    table = frame.drop(columns=["panel", PAIR]).rename(columns=names | {"size": axis})
    first = [
        column for column in ("task", "method", "line", "weak model", "strong model", axis) if column in table
    ]
    return tidy(table[[*first, *names.values()]])


def _alt(students: pd.DataFrame, ceilings: pd.DataFrame) -> str:
    low = students["mean"].min()
    high = students["mean"].max()
    return (
        f"Lines of test accuracy for {students['weak'].nunique()} weak models over "
        f"{students['strong'].nunique()} strong models: "
        f"students from {low:.2f} to {high:.2f}, ceilings from {ceilings['mean'].min():.2f} to "
        f"{ceilings['mean'].max():.2f}."
    )
