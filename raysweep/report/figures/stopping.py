"""Early stopping: curves against ground truth and weak labels with the three stops, and what each stop
gains."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from raysweep.report.figures.bars import drawn_bars
from raysweep.report.figures.base import Figure, Omitted, Records, records, sentences, tidy
from raysweep.report.figures.dots import dots_by_method
from raysweep.report.figures.summary import PAIR, Summary, interval_words, means
from raysweep.report.figures.theme import (
    BLACK,
    BLUE,
    MAX_PANELS,
    ORANGE,
    legend,
    level_rules,
    small_multiples,
    tooltips,
    worded,
)
from raysweep.results.cells import GROUP

STOPS = {
    "last": "last step",
    "ground_truth_stop": "ground-truth stop (oracle)",
    "weak_label_stop": "weak-label stop",
}
_CURVES = {
    "test_accuracy": "test, against ground truth",
    "validation_accuracy_on_own_labels": "validation, against weak labels",
}
_LEVELS = {"weak_accuracy_at_last": "weak model", "ceiling_accuracy_at_last": "ceiling"}


def early_stopping(summary: Summary) -> Figure | Omitted:
    """Accuracy over training against ground truth and against the weak labels, with the three stops."""
    name = "early_stopping"
    title = "Accuracy over training, with the three stops"
    curves = summary.data.curves
    curves = curves[curves["name"].isin(_CURVES)]
    points = curves[curves["name"] == "test_accuracy"].groupby(GROUP)["step"].nunique()
    if points.empty or points.max() < 2:
        return Omitted(name=name, title=title, reason="no run was evaluated on test examples during training")
    cells = summary.finished
    chosen, note = _chosen(
        cells.dropna(subset=[f"step_at_{stop}" for stop in STOPS if f"step_at_{stop}" in cells])
    )
    if not chosen:
        return Omitted(
            name=name,
            title=title,
            reason="no run was evaluated during training, so there is nothing to stop at",
        )
    parts = [
        _mean_curves(curves).assign(what="curve"),
        _marks(cells).assign(what="stop"),
        _levels(cells).assign(what="level"),
    ]
    frame = pd.concat(parts, ignore_index=True)
    keys = list(zip(*(frame[column] for column in GROUP), strict=True))
    frame["panel"] = [chosen.get(key) for key in keys]
    frame[PAIR] = frame["weak"] + " → " + frame["strong"]
    rows = records(frame.dropna(subset=["panel"]))
    chart = small_multiples(
        _layers(rows), rows, list(chosen.values()), own_scales="xy" if len(chosen) > 1 else ""
    )
    caption = sentences(
        "Mean accuracy over training: of the student on (some) test examples against ground truth, and on "
        "validation examples against "
        "the labels that it was trained on, which isn't a cheat. Marks: where the three stops read the runs "
        "(the mean step and the mean test accuracy there); the ground-truth stop is an oracle. Dotted rule: "
        "the weak model; dashed: the ceiling.",
        note,
        summary.progress_note,
    )
    table = frame.rename(
        columns={"weak": "weak model", "strong": "strong model", "mean": "accuracy", "num_seeds": "seeds"}
    )
    table = table[
        ["task", "weak model", "strong model", "method", "what", "line", "step", "accuracy", "seeds"]
    ]
    text = f"{len(chosen)} panels of curves over training. {_in_words(cells)}"
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def stops(summary: Summary) -> Figure | Omitted:
    """The accuracy gained by stopping early, by method."""
    name = "stops"
    title = "What stopping early is worth"
    cells = summary.finished
    early = {key: text for key, text in STOPS.items() if key != "last"}
    known = {key: text for key, text in early.items() if f"student_accuracy_at_{key}" in cells}
    if not known or "student_accuracy_at_last" not in cells:
        return Omitted(
            name=name,
            title=title,
            reason="no run was evaluated during training, so there is nothing to stop at",
        )
    cells, over = summary.on_complete_tasks(cells, ["weak", "strong", "method"])
    parts = []
    for key, text in known.items():
        gained = cells.assign(gained=cells[f"student_accuracy_at_{key}"] - cells["student_accuracy_at_last"])
        parts.append(
            means(gained, "gained", ["method"], ["task", "weak", "strong"], is_share=False).assign(stop=text)
        )
    frame = pd.concat(parts, ignore_index=True)
    if frame.empty:
        return Omitted(
            name=name,
            title=title,
            reason="no run was evaluated during training, so there is nothing to stop at",
        )
    shown, cut = drawn_bars(frame, [])
    chart = dots_by_method(
        shown, summary.names("method"), "stop", list(known.values()), "accuracy gained over the last step"
    )
    num_pairs = len(summary.names("pair"))
    caption = sentences(
        "Test accuracy at each stop, less that at the last step. The ground-truth stop looks at true labels: "
        "it shows what there "
        "is to gain, not what can be had. The weak-label stop can be had.",
        interval_words(frame),
        cut,
        over,
        f"Means over {num_pairs} pairs of models." if num_pairs > 1 else "",
        summary.progress_note,
    )
    names = {"mean": "accuracy gained", "low": "interval low", "high": "interval high"}
    table = frame.rename(columns=names | {"num_seeds": "seeds", "num_units": "averaged"})
    table = table[["method", "stop", *names.values(), "seeds", "averaged"]]
    return Figure(
        name=name,
        title=title,
        caption=caption,
        data=tidy(table),
        chart=chart,
        alt=_in_words(summary.finished),
    )


def _chosen(cells: pd.DataFrame) -> tuple[dict[tuple[str, ...], str], str]:
    """The cell groups that have a panel, each with its name, and a note for the caption on the others."""
    keys: list[tuple[str, ...]] = list(dict.fromkeys(cells[GROUP].itertuples(index=False, name=None)))
    note = ""
    if len(keys) > MAX_PANELS:
        lost = cells["student_accuracy_at_ground_truth_stop"] - cells["student_accuracy_at_last"]
        of_group = cells.assign(lost=lost).groupby(GROUP, sort=False)["lost"].mean()
        first = set(of_group.sort_values(ascending=False, kind="stable").index[:MAX_PANELS])
        note = (
            f"Shown are those {MAX_PANELS} of {len(keys)} configurations that lose most by training to the "
            "end; the CSV has all, the figure of the stops their means."
        )
        keys = [key for key in keys if key in first]
    pairs = len({key[1:3] for key in keys}) > 1
    varying = [len({key[0] for key in keys}) > 1, len({key[3] for key in keys}) > 1]
    names = {}
    for key in keys:
        parts = (
            [worded(key[0])] * varying[0] + [f"{key[1]} → {key[2]}"] * pairs + [worded(key[3])] * varying[1]
        )
        names[key] = ": ".join(parts)
    return names, note


def _mean_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds at the steps that all seeds of a curve have."""
    found = curves.groupby([*GROUP, "name", "step"], sort=False)["value"].agg(["mean", "count"]).reset_index()
    full = found["count"] == found.groupby([*GROUP, "name"])["count"].transform("max")
    found = found[full].rename(columns={"count": "num_seeds"})
    return found.assign(line=found["name"].map(_CURVES)).drop(columns="name")


def _marks(cells: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for stop, text in STOPS.items():
        columns = {f"step_at_{stop}": "step", f"student_accuracy_at_{stop}": "mean"}
        if set(columns) <= set(cells):
            groups = cells.dropna(subset=list(columns)).groupby(GROUP, sort=False)
            found = (
                groups[list(columns)]
                .mean()
                .rename(columns=columns)
                .assign(num_seeds=groups.size(), line=text)
            )
            parts.append(found.reset_index())
    return pd.concat(parts, ignore_index=True)


def _levels(cells: pd.DataFrame) -> pd.DataFrame:
    groups = cells.groupby(GROUP, sort=False)
    parts = [
        groups[column]
        .mean()
        .rename("mean")
        .to_frame()
        .assign(line=line, num_seeds=groups.size())
        .reset_index()
        for column, line in _LEVELS.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _layers(rows: Records) -> list[Any]:
    lines = list(_CURVES.values())
    marks = list(STOPS.values())
    key = legend(lines, symbolType="stroke", symbolSize=120)
    look = {
        "color": alt.Color("line:N", scale=alt.Scale(domain=lines, range=[BLUE, ORANGE]), legend=key),
        "strokeDash": alt.StrokeDash(
            "line:N", scale=alt.Scale(domain=lines, range=[[1, 0], [4, 2]]), legend=key
        ),
    }
    x = alt.X(
        "step:Q", title="step", axis=alt.Axis(tickCount=4, grid=False), scale=alt.Scale(nice=False, padding=4)
    )
    y = alt.Y(
        "mean:Q",
        title="accuracy",
        scale=alt.Scale(zero=False, nice=False, padding=4),
        axis=alt.Axis(tickCount=4),
    )
    tips = tooltips(rows, "panel", "line", "step", "mean", "num_seeds")
    base = alt.Chart().encode(y=y, tooltip=tips)
    shape = alt.Shape(
        "line:N",
        scale=alt.Scale(domain=marks, range=["circle", "triangle-up", "square"]),
        legend=legend(marks, orient="bottom", symbolFillColor=BLACK),
    )
    level = base.transform_filter("datum.what === 'level'")
    return [
        *level_rules(level, "line"),
        base.transform_filter("datum.what === 'curve'").mark_line().encode(x=x, **look),
        base.transform_filter("datum.what === 'stop'")
        .mark_point(fill=BLACK, stroke="white", opacity=1, size=30)
        .encode(x=x, shape=shape),
    ]


def _in_words(cells: pd.DataFrame) -> str:
    cells = cells.dropna(subset=[name for stop in STOPS if (name := f"student_accuracy_at_{stop}") in cells])
    parts = [
        f"{text}: {cells[f'student_accuracy_at_{stop}'].mean():.3f}"
        for stop, text in STOPS.items()
        if f"student_accuracy_at_{stop}" in cells
    ]
    return f"Mean test accuracy of all students at the {', at the '.join(parts)}."
