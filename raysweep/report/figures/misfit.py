"""Misfit with the weak model against the gain over it (Charikar et al. 2024, figure 2), and the spread of
seeds."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from raysweep.report.figures.base import Figure, Omitted, Records, records, sentences, tidy
from raysweep.report.figures.summary import PAIR, Summary
from raysweep.report.figures.theme import (
    BLACK,
    COLOURS,
    FAINT,
    GREY,
    SHAPES,
    legend,
    series,
    small_multiples,
    tooltips,
    worded,
    wrapped,
)
from raysweep.results.cells import GROUP

_FORMS = {"squared_error": "squared error", "error_rate": "error rate"}


def misfit_against_gain(summary: Summary) -> Figure | Omitted:
    """The gain of students over their weak model against their misfit with it."""
    name = "misfit_gain"
    title = "Misfit with the weak model against the gain over it"
    cells = summary.finished
    form = next(
        (form for form in _FORMS if f"misfit_{form}" in cells and cells[f"misfit_{form}"].notna().any()), None
    )
    if form is None:
        reason = "no student was compared with its weak model" if len(cells) else "nothing is finished"
        return Omitted(name=name, title=title, reason=reason)
    columns = {f"misfit_{form}": "misfit", f"gain_{form}": "gain"}
    groups = cells.dropna(subset=list(columns)).groupby(GROUP, sort=False)
    frame = groups[list(columns)].mean().rename(columns=columns).assign(num_seeds=groups.size()).reset_index()
    methods = [method for method in summary.names("method") if method in set(frame["method"])]
    rows = records(frame.assign(**{PAIR: frame["weak"] + " → " + frame["strong"]}))
    numbers = {method: f"{index} {worded(method)}" for index, method in enumerate(methods, start=1)}
    is_numbered = len(methods) > len(SHAPES)
    if is_numbered:
        centres = frame.groupby("method", sort=False)[["misfit", "gain"]].mean().reset_index()
        rows += records(centres.assign(number=[numbers[method].split()[0] for method in centres["method"]]))
    for row in rows:
        row["series"] = numbers[row["method"]] if is_numbered else worded(row["method"])
    names = list(numbers.values()) if is_numbered else [worded(method) for method in methods]
    chart = small_multiples(_layers(rows, names, is_numbered, _FORMS[form]), rows, [""], height=150)
    above = int((frame["gain"] >= frame["misfit"]).sum())
    caption = sentences(
        f"The gain over the weak model in {_FORMS[form]} against the misfit with it, both on test "
        "examples; a "
        "mark is the mean over "
        "the seeds of a task, pair and method. On and above the dashed line (y = x) the gain is at least the "
        "misfit, as theory expects of an ideal student.",
        f"{above} of {len(frame)} are.",
        "Numbers: the mean of a method, by the key." if is_numbered else "",
        summary.progress_note,
    )
    table = frame.rename(columns={"weak": "weak model", "strong": "strong model", "num_seeds": "seeds"})
    text = (
        f"A scatter of {len(frame)} marks around y = x: misfit from {frame['misfit'].min():.3f} to "
        f"{frame['misfit'].max():.3f}, "
        f"gain from {frame['gain'].min():.3f} to {frame['gain'].max():.3f}."
    )
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def seeds_spread(summary: Summary) -> Figure | Omitted:
    """The spread of the runs of one configuration over seeds."""
    name = "seeds"
    title = "Spread of seeds"
    if summary.finished.empty:
        return Omitted(name=name, title=title, reason="nothing is finished")
    ends = {
        "weak model": ("weak_accuracy", "supervisor", "weak"),
        "ceiling": ("ceiling_accuracy", "ceiling", "strong"),
    }
    parts = []
    for who, (value, run, model) in ends.items():
        # Some methods have a weak model or ceiling of their own: runs are grouped by the methods that use it.
        users = summary.planned.groupby(run)["method"].agg(lambda methods: "|".join(dict.fromkeys(methods)))
        cells = summary.finished.assign(users=summary.finished[run].map(users))
        parts.append(_deviations(cells, value, run, ["task", model, "users"]).assign(who=who))
    for method in summary.names("method"):
        of_method = summary.finished[summary.finished["method"] == method]
        parts.append(
            _deviations(of_method, "student_accuracy", "student", GROUP).assign(
                who=f"student, {worded(method)}", method=method
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    if frame.empty:
        return Omitted(name=name, title=title, reason="one seed only: its noise can't be seen")
    groups = frame.groupby("who", sort=False)
    spread = (groups["square"].sum() / groups["freedom"].sum()) ** 0.5
    frame["deviation"] = frame["who"].map(spread)
    order = [
        *[who for who in ends if who in spread],
        *spread.drop(list(ends), errors="ignore").sort_values().index,
    ]
    rows = records(
        frame[["who", "task", PAIR, "method", "model", "seed", "accuracy", "difference", "deviation"]]
    )
    for row in rows:
        row["row"] = _label(row["who"])
        row["low"] = -row["deviation"]
        row["high"] = row["deviation"]
    chart = small_multiples(
        _strips(rows, [_label(who) for who in order]), rows, [""], height=11.0 * len(order)
    )
    caption = sentences(
        "Test accuracy of single runs, less the mean over the seeds of the same task, models and method, of "
        "weak models, ceilings and "
        "each method's students. A dot is a run; the bar is one standard deviation to either side, pooled "
        "over tasks and pairs.",
        summary.progress_note,
    )
    table = frame.rename(
        columns={"who": "runs", "difference": "difference from the mean", "deviation": "standard deviation"}
    )
    table = table[
        ["runs", "task", "model", "seed", "accuracy", "difference from the mean", "standard deviation"]
    ]
    text = "Standard deviations over seeds: " + ", ".join(f"{who} {spread[who]:.3f}" for who in order) + "."
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def _label(who: str) -> str:
    return wrapped(who.removeprefix("student, "), 40)


def _deviations(cells: pd.DataFrame, value: str, run: str, keys: list[str]) -> pd.DataFrame:
    """One row per distinct run of a configuration with two seeds or more: accuracy, and its difference from
    their mean.

    `square` and `freedom` add up to the pooled variance: the squared differences, and (S − 1)/S for each of S
    seeds.
    """
    found = cells.dropna(subset=[value]).drop_duplicates(subset=[run])
    groups = found.groupby(keys, sort=False)
    count = groups[value].transform("count")
    centre = groups[value].transform("mean")
    frame = pd.DataFrame(
        {
            "task": found["task"],
            "model": found["weak"]
            if run == "supervisor"
            else found["strong"]
            if run == "ceiling"
            else found[PAIR],
            PAIR: found[PAIR] if run == "student" else None,
            "seed": found["seed"],
            "accuracy": found[value],
            "difference": found[value] - centre,
            "freedom": (count - 1) / count,
        }
    )
    return frame.assign(square=frame["difference"] ** 2)[count > 1]


def _layers(rows: Records, names: list[str], is_numbered: bool, form: str) -> list[Any]:
    scale = alt.Scale(zero=False, nice=False, padding=6)
    x = alt.X("misfit:Q", title=f"misfit ({form})", scale=scale, axis=alt.Axis(tickCount=5))
    y = alt.Y("gain:Q", title=f"gain ({form})", scale=scale, axis=alt.Axis(tickCount=5))
    tips = tooltips(rows, "task", "weak", "strong", "method", "misfit", "gain", "num_seeds")
    base = alt.Chart().encode(x=x, y=y, tooltip=tips)
    # The part of y = x that is in sight: from the larger of the least to the lesser of the largest.
    ends = [max(min(row[axis] for row in rows) for axis in ("misfit", "gain"))]
    ends.append(min(max(row[axis] for row in rows) for axis in ("misfit", "gain")))
    corner = max(ends[1], max(row["misfit"] for row in rows)) if ends[1] <= ends[0] else ends[1]
    line = alt.Chart().mark_rule(color=GREY, strokeDash=[4, 2])
    line = line.encode(
        x=alt.XDatum(ends[0], scale=scale, title=""),
        y=alt.YDatum(ends[0], scale=scale),
        x2=alt.datum(corner),
        y2=alt.datum(corner),
    )
    if not is_numbered:
        look = series("series", names) if len(names) > 1 else {"color": alt.value(COLOURS[0])}
        return [line, base.mark_point(opacity=0.85, stroke="white").encode(**look)]
    key = legend(names, symbolSize=1, symbolOpacity=0, labelOffset=0)
    colour = alt.Color("series:N", scale=alt.Scale(domain=names, range=[GREY] * len(names)), legend=key)
    dots = base.transform_filter("!isValid(datum.number)").mark_point(size=8, opacity=0.6)
    centres = base.transform_filter("isValid(datum.number)").mark_text(color=BLACK, fontWeight="bold")
    return [line, dots.encode(color=colour), centres.encode(text="number:N")]


def _strips(rows: Records, order: list[str]) -> list[Any]:
    y = alt.Y(
        "row:N",
        sort=order,
        title=None,
        scale=alt.Scale(padding=0.1),
        axis=alt.Axis(
            labelExpr="split(datum.label, '\\n')",
            labelOverlap=False,
            ticks=False,
            grid=True,
            tickBand="extent",
        ),
    )
    title = "accuracy less the mean over seeds"
    scale = alt.Scale(nice=False, padding=5)
    tips = tooltips(rows, "who", "task", "model", "seed", "accuracy", "difference", "deviation")
    base = alt.Chart().encode(y=y, tooltip=tips)
    axis = alt.Axis(tickCount=5, format="+.4~f")
    bars = base.transform_aggregate(low="mean(low)", high="mean(high)", groupby=["row"])
    return [
        bars.mark_bar(color=FAINT, height=6).encode(
            x=alt.X("low:Q", scale=scale, title=title, axis=axis), x2="high:Q", tooltip=alt.value(None)
        ),
        base.mark_point(color=COLOURS[0], opacity=0.6, size=14).encode(
            x=alt.X("difference:Q", scale=scale, title=title, axis=axis)
        ),
    ]
