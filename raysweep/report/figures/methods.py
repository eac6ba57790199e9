"""Methods, and tasks, compared row by row: accuracies, PGRs and agreement, with intervals."""

from __future__ import annotations

from typing import Any

import pandas as pd

from raysweep.report.figures.bars import cut_bars, drawn_bars
from raysweep.report.figures.base import Figure, Omitted, listed, sentences, tidy
from raysweep.report.figures.dots import dot_rows, dots
from raysweep.report.figures.summary import Summary, interval_words, means
from raysweep.report.figures.theme import worded

_MAX_SERIES = 4
_MAX_HEIGHT = 560
_TICKS = "test accuracy (ticks: weak model grey, ceiling bold)"
_PGR_RANGE = (-1.0, 2.0)
"""The range of PGRs that is drawn: controls reach −5, and would squeeze all others."""


def methods_pgr(summary: Summary) -> Figure | Omitted:
    """PGR of every method, the best on top."""
    name = "methods_pgr"
    title = "PGR by method"
    if reason := _one(summary.names("method"), "method"):
        return Omitted(name=name, title=title, reason=reason)
    keys, over = _series(summary, summary.names("method"))
    frame = summary.pgr_by(["method", *keys])
    defined = frame.dropna(subset=["pgr"])
    if defined.empty:
        reason = "PGR is undefined everywhere: no gap between weak model and ceiling is told from the noise"
        return Omitted(name=name, title=title, reason=reason)
    order = [
        str(method) for method in defined.groupby("method")["pgr"].mean().sort_values(ascending=False).index
    ]
    several = int(frame["num_groups"].max()) > 1
    noise = (
        "seeds and test examples"
        if summary.gaps["num_seeds"].max() > 1
        else "test examples alone, of one seed"
    )
    drawn, is_beyond, cut = _within_range(defined)
    without = [worded(method) for method in frame.loc[frame["pgr"].isna(), "method"].drop_duplicates()]
    caption = sentences(
        "PGR of every method, the best on top. Dotted: the weak model's level (0) and the ceiling's (1).",
        f"Points are medians over {over} whose PGR is defined ({_range(frame['num_defined'])} of "
        f"{frame['num_groups'].max()}), bars their quartiles."
        if several
        else f"Bars: 90 % intervals of the noise of {noise} (Fieller's).",
        f"Undefined for some or all, since the gap is inside the noise: {listed(without)}."
        if without
        else "",
        "Arrows with a number: the PGR is beyond the figure." if is_beyond.any() else "",
        cut,
        summary.progress_note,
    )
    pairs = [*summary.names("pair")] if keys else []
    chart = _pgr_chart(drawn, order, pairs)
    ends = ("lower quartile", "upper quartile") if several else ("interval low", "interval high")
    names = {"pgr": "PGR", "low": ends[0], "high": ends[1], "num_defined": "defined", "num_groups": "of"}
    names["pgr_status"] = "PGR status"
    table = frame[["method", *keys, *names]].rename(columns=names)
    text = f"One row per method: {_ends_in_words(defined, 'method', 'pgr')}."
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def methods_accuracy(summary: Summary) -> Figure | Omitted:
    """Test accuracy of every method's student between weak model and ceiling."""
    name = "methods_accuracy"
    title = "Test accuracy by method"
    if reason := _one(summary.names("method"), "method"):
        return Omitted(name=name, title=title, reason=reason)
    return _accuracies(summary, name, title, "method")


def agreement_by_method(summary: Summary) -> Figure | Omitted:
    """Agreement of every method's student with its weak model, where that is right and where it is wrong."""
    name = "agreement_by_method"
    title = "Agreement with the weak model by method, where it is right and where it is wrong"
    columns = {
        "where it is right": "agreement_supervisor_right",
        "where it is wrong": "agreement_supervisor_wrong",
    }
    if summary.finished.empty or not set(columns.values()) <= set(summary.finished):
        return Omitted(name=name, title=title, reason="no student was compared with its weak model")
    cells, note = summary.on_complete_tasks(summary.finished, ["weak", "strong", "method"])
    unit = ["task", "weak", "strong"]
    parts = [means(cells, column, ["method"], unit).assign(where=where) for where, column in columns.items()]
    frame = pd.concat(parts, ignore_index=True)
    order = [str(method) for method in parts[1].sort_values("mean")["method"]]
    shown, cut = drawn_bars(frame, [])
    rows = dot_rows(shown, "method", "where")
    chart = dots(rows, order, list(columns), "agreement with the weak model", field="where")
    caption = sentences(
        "Share of test examples on which student and weak model agree, among those that the weak model gets "
        "right and those that it gets wrong; the method that follows the weak model's errors least is on "
        "top.",
        interval_words(frame),
        cut,
        note,
        _over_pairs(summary),
        summary.progress_note,
    )
    table = frame[["method", "where", "mean", "low", "high", "num_seeds", "num_units"]].rename(
        columns=_COLUMNS | {"mean": "agreement"}
    )
    text = f"Where the weak model is wrong, {_ends_in_words(parts[1], 'method', 'mean')}."
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def accuracy_by_task(summary: Summary) -> Figure | Omitted:
    """The gap of every task, and where the students are in it."""
    name = "accuracy_by_task"
    title = "Weak model, students and ceiling by task"
    if reason := _one(summary.names("task"), "task"):
        return Omitted(name=name, title=title, reason=reason)
    return _accuracies(summary, name, title, "task")


_COLUMNS = {"low": "interval low", "high": "interval high", "num_seeds": "seeds", "num_units": "averaged"}


def _accuracies(summary: Summary, name: str, title: str, row: str) -> Figure:
    """Students as points, weak models and ceilings as ticks, one row per method or task."""
    if row == "method":
        cells, note = summary.on_complete_tasks(summary.finished, ["weak", "strong", "method"])
        keys, _ = _series(summary, summary.names("method"))
        names = summary.names("pair") if keys else []
    else:
        cells = summary.finished
        note = ""
        methods = summary.names("method")
        most = min(_MAX_SERIES, max(_MAX_HEIGHT // (7 * len(summary.names("task"))), 1))
        keys, names = (["method"], methods[:most]) if len(methods) > 1 else ([], [])
        if len(methods) > len(names) > 0:
            note = f"Shown are the first {len(names)} of {len(methods)} methods; the CSV has all."
    by = [row, *keys]
    unit = ["task", "weak", "strong"]
    students = means(cells, "student_accuracy", by, [*unit, "method"] if row == "task" and not keys else unit)
    floors, ceilings = (
        means(cells, f"{end}_accuracy", by, ["task", model], run)
        for end, model, run in (("weak", "weak", "supervisor"), ("ceiling", "strong", "ceiling"))
    )
    frame = students.merge(floors[[*by, "mean"]].rename(columns={"mean": "weak model"}), on=by)
    frame = frame.merge(ceilings[[*by, "mean"]].rename(columns={"mean": "ceiling"}), on=by)
    by_row = frame.groupby(row)
    rank = (
        by_row["mean"].mean() if row == "method" else by_row["ceiling"].mean() - by_row["weak model"].mean()
    )
    order = [str(item) for item in rank.sort_values(ascending=False).index]
    shown = frame if row == "method" or not keys else frame[frame["method"].isin(names)]
    shown, cut = drawn_bars(shown, [], ["weak model", "ceiling"])
    rows = dot_rows(shown, row, keys[0] if keys else "")
    chart = dots(rows, order, [worded(item) for item in names], _TICKS, ticks=["weak model", "ceiling"])
    what = (
        "Rows are methods, the most accurate on top"
        if row == "method"
        else "Rows are tasks, the largest gap on top"
    )
    caption = sentences(
        f"Test accuracy of students. {what}; grey tick: the weak model, bold tick: the ceiling, the "
        "strong model on ground truth.",
        interval_words(students),
        cut,
        note,
        "" if "pair" in keys else _over_pairs(summary),
        summary.progress_note,
    )
    table = frame[[*by, "mean", "low", "high", "weak model", "ceiling", "num_seeds", "num_units"]]
    table = table.rename(
        columns=_COLUMNS
        | {"mean": "student accuracy", "weak model": "weak accuracy", "ceiling": "ceiling accuracy"}
    )
    text = f"One row per {row}: students' accuracies, {_ends_in_words(frame, row, 'mean')}."
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def _series(summary: Summary, rows: list[str]) -> tuple[list[str], str]:
    """The columns that divide each row (the pair of models, or none), and what is averaged over, in words."""
    num_pairs = len(summary.names("pair"))
    if 1 < num_pairs <= _MAX_SERIES and len(rows) * num_pairs * 7 <= _MAX_HEIGHT:
        return ["pair"], "the tasks"
    return [], "the tasks and pairs of models" if num_pairs > 1 else "the tasks"


def _over_pairs(summary: Summary) -> str:
    num_pairs = len(summary.names("pair"))
    return f"Means over {num_pairs} pairs of models." if num_pairs > 1 else ""


def _within_range(defined: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series, str]:
    """PGRs with their bars as far as they are drawn, which of them are beyond the range, and a note on bars
    that are cut; a PGR beyond it has no bar."""
    is_beyond = ~defined["pgr"].between(*_PGR_RANGE)
    frame, cut = cut_bars(
        defined.assign(low=defined["low"].mask(is_beyond), high=defined["high"].mask(is_beyond)), *_PGR_RANGE
    )
    return frame.assign(low=defined["low"], high=defined["high"]), is_beyond, cut


def _pgr_chart(drawn: pd.DataFrame, order: list[str], pairs: list[str]) -> Any:
    rows = dot_rows(drawn, "method", "pair" if pairs else "")
    low, high = _PGR_RANGE
    for row in rows:
        row["beyond"] = f"{row['pgr']:.1f}".replace("-", "−") if not low <= row["pgr"] <= high else None
        row["mean"] = min(max(row["pgr"], low), high)
    return dots(rows, order, pairs, "PGR", levels=(0.0, 1.0))


def _one(names: list[str], what: str) -> str:
    if len(names) > 1:
        return ""
    return (
        f"one {what} only ({worded(names[0])}): nothing to put side by side"
        if names
        else "nothing is finished"
    )


def _range(counts: pd.Series) -> str:
    least = int(counts.min())
    most = int(counts.max())
    return str(most) if least == most else f"{least} to {most}"


def _ends_in_words(frame: pd.DataFrame, key: str, value: str) -> str:
    mean = frame.groupby(key)[value].mean()
    return (
        f"from {mean.min():.2f} ({worded(str(mean.idxmin()))}) to {mean.max():.2f} "
        f"({worded(str(mean.idxmax()))})"
    )
