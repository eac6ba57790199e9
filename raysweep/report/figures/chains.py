"""Bootstrapping: accuracy along the chain of students, each taught by the one before."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from raysweep.report.figures.bars import bars, drawn_bars
from raysweep.report.figures.base import Figure, Omitted, Records, records, sentences, tidy
from raysweep.report.figures.summary import PAIR, Summary, interval_words, means
from raysweep.report.figures.theme import (
    MAX_PANELS,
    level_rules,
    row_of_panels,
    series,
    small_multiples,
    tooltips,
    worded,
)
from raysweep.results.frames import SEPARATOR

_DIRECT = "the student that the weak model taught directly"


def bootstrapping(summary: Summary) -> Figure | Omitted:
    """Accuracy of every model of a chain, beside the student that the weak model taught directly."""
    name = "bootstrapping"
    title = "Accuracy along bootstrapping chains"
    cells = summary.finished
    if not cells["chain"].str.count(SEPARATOR).gt(1).any():
        return Omitted(name=name, title=title, reason="no method teaches a student through models in between")
    is_long = cells["chain"].str.count(SEPARATOR) > 1
    pairs = [pair for pair in summary.names(PAIR) if pair in set(cells.loc[is_long, PAIR])]
    methods = list(dict.fromkeys(cells.loc[is_long, "method"]))
    direct = "naive" if "naive" in set(cells.loc[~is_long, "method"]) else None
    chosen = cells[is_long | (cells["method"] == direct)]
    chosen = chosen[chosen[PAIR].isin(pairs)]
    chosen, over = summary.on_complete_tasks(chosen, ["weak", "strong"])
    steps = _steps(summary, chosen)
    frame = means(steps, "accuracy", [PAIR, "method", "position", "model"], ["task"], "run")
    frame = pd.concat([frame.assign(what="step"), _levels(chosen).assign(what="level")], ignore_index=True)
    frame["panel"] = frame[PAIR]
    panels = pairs[:MAX_PANELS]
    note = (
        f"Shown are the first {len(panels)} of {len(pairs)} pairs; the CSV has all."
        if len(panels) < len(pairs)
        else ""
    )
    shown = frame[frame["panel"].isin(panels)]
    shown, cut = drawn_bars(shown.assign(row=shown["panel"].map(row_of_panels(panels))), ["row"])
    rows = records(shown)
    names = [*([direct] if direct else []), *methods]
    for row in rows:
        row["series"] = worded(str(row["method"]))
        if row["what"] == "step" and row["method"] == direct and row["position"]:
            row["position"] = _last(rows, row)
    chart = small_multiples(
        _layers(rows, [worded(item) for item in names]),
        rows,
        panels,
        own_scales="xy" if len(panels) > 1 else "",
    )
    caption = sentences(
        "Test accuracy along the chain: the weak model, then each student taught by the model before it, up "
        f"to the strong model{f'; beside it {_DIRECT} ({worded(direct)})' if direct else ''}.",
        "Dotted rule: the weak model's accuracy; dashed: the ceiling, the strong model on ground truth.",
        interval_words(frame[frame["what"] == "step"]),
        cut,
        over,
        note,
        summary.progress_note,
    )
    table = frame.rename(columns={"position": "step of the chain", "mean": "accuracy", "num_seeds": "seeds"})
    table = table.rename(columns={"low": "interval low", "high": "interval high"})
    table = table[
        [PAIR, "method", "step of the chain", "model", "accuracy", "interval low", "interval high", "seeds"]
    ]
    last = frame[frame["what"] == "step"].sort_values("position").groupby("method", sort=False)["mean"].last()
    text = (
        "Accuracy of the last student: "
        f"{', '.join(f'{worded(str(key))} {value:.3f}' for key, value in last.items())}."
    )
    return Figure(name=name, title=title, caption=caption, data=tidy(table), chart=chart, alt=text)


def _steps(summary: Summary, cells: pd.DataFrame) -> pd.DataFrame:
    """One row per model of each cell's chain: its position from 0, and its accuracy."""
    models = summary.data.runs.set_index("run_id")["model"]
    rows = []
    for cell in cells.to_dict("records"):
        for position, run in enumerate(str(cell["chain"]).split(SEPARATOR)):
            right = summary.data.right(run)
            own = {"run": run, "position": position, "model": models[run], "accuracy": float(right.mean())}
            rows.append({key: cell[key] for key in ("task", PAIR, "method", "seed")} | own)
    return pd.DataFrame(rows)


def _levels(cells: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of weak models and ceilings by pair."""
    parts = []
    levels = {"weak model": ("weak_accuracy", "supervisor"), "ceiling": ("ceiling_accuracy", "ceiling")}
    for line, (value, run) in levels.items():
        found = means(cells, value, [PAIR], ["task"], run)
        parts.append(found.assign(method=line, position=None, model=None, low=None, high=None))
    return pd.concat(parts, ignore_index=True)


def _last(rows: Records, row: dict[str, Any]) -> int:
    """Where the direct student is drawn: below the last one of the chains."""
    return max(
        int(other["position"]) for other in rows if other["what"] == "step" and other["panel"] == row["panel"]
    )


def _layers(rows: Records, names: list[str]) -> list[Any]:
    steps = [row for row in rows if row["what"] == "step"]
    labels = {int(row["position"]): row["model"] for row in steps}
    for row in rows:
        row["place"] = None if row["position"] is None else f"{row['position']}: {row['model']}"
    order = sorted({row["place"] for row in steps}, key=lambda place: int(place.partition(":")[0]))
    look = series("series", names)
    many = len(order) > 2 and max(map(len, labels.values())) > 8
    x = alt.X(
        "place:N",
        sort=order,
        title="chain of models",
        scale=alt.Scale(padding=0.4),
        axis=alt.Axis(labelExpr="split(datum.label, ': ')[1]", labelAngle=-30 if many else 0, grid=False),
    )
    scale = alt.Scale(zero=False, nice=False, padding=5)
    y = alt.Y("mean:Q", title="test accuracy", scale=scale, axis=alt.Axis(tickCount=5))
    base = alt.Chart().encode(
        tooltip=tooltips(rows, "panel", "series", "model", "mean", "low", "high", "num_seeds")
    )
    step = base.transform_filter("datum.what === 'step'").encode(x=x)
    level = base.transform_filter("datum.what === 'level'")
    return [
        *level_rules(level.encode(y=y), "method"),
        step.mark_line(strokeWidth=1).encode(y=y, color=look["color"]),
        *bars(step, "y", scale, "test accuracy", color=look["color"]),
        step.mark_point(opacity=1, stroke="white").encode(y=y, **look),
    ]
