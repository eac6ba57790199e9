"""Error bars: as long as their intervals, or cut with an arrow where they go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

_SIZE = 16
"""Of an arrow's head."""
CUT = "Arrows: the interval goes on beyond the figure; the CSV has it in full."


def drawn_bars(
    frame: pd.DataFrame, within: Sequence[str], beside: Sequence[str] = ()
) -> tuple[pd.DataFrame, str]:
    """`means` with what `bars` draws of their intervals: ends cut where they leave the range of all that is
    compared by more than half of it.

    With two seeds an interval may be many times as long as all that a figure has to show.

    Args:
        frame: mean, low and high.
        within: columns that tell apart what has an axis of its own.
        beside: columns of other numbers on the same axis.

    Returns:
        The frame, and a note for the caption.
    """
    frame = frame.reset_index(drop=True)
    key = (
        frame[list(within)].astype(str).agg("|".join, axis=1) if within else pd.Series("", index=frame.index)
    )
    shown = frame[["mean", *beside]].astype(float)
    least = shown.min(axis=1).groupby(key).transform("min")
    most = shown.max(axis=1).groupby(key).transform("max")
    margin = (0.5 * (most - least)).clip(lower=0.01)
    return cut_bars(frame, least - margin, most + margin)


def cut_bars(
    frame: pd.DataFrame, least: float | pd.Series, most: float | pd.Series
) -> tuple[pd.DataFrame, str]:
    """A frame with low and high, and bar_low, bar_high (the ends within a range), is_cut_low and is_cut_high;
    and a note for the caption, "" if no end is cut."""
    low, high = (frame[end].astype(float) for end in ("low", "high"))
    found = frame.assign(
        bar_low=low.clip(least, most),
        bar_high=high.clip(least, most),
        is_cut_low=low < least,
        is_cut_high=high > most,
    )
    return found, CUT if (found["is_cut_low"] | found["is_cut_high"]).any() else ""


def bars(base: alt.Chart, axis: Literal["x", "y"], scale: alt.Scale, title: str, **look: Any) -> list[Any]:
    """A rule from bar_low to bar_high of the rows that have them, and an arrow's head at an end that is cut.

    Args:
        base: the marks' other axis, and the rows.
        axis: along which bars lie.
        scale, title: those of the means' axis.
        look: colour, as further channels.
    """
    channel = alt.X if axis == "x" else alt.Y

    def at(field: str) -> Any:
        return channel(f"{field}:Q", scale=scale, title=title)

    rule = base.transform_filter("isValid(datum.bar_low)").mark_rule(strokeWidth=0.7)
    found: list[Any] = [rule.encode(**{axis: at("bar_low"), f"{axis}2": "bar_high:Q"}, **look)]
    for end, shape in (
        ("low", "triangle-left" if axis == "x" else "triangle-down"),
        ("high", "triangle-right" if axis == "x" else "triangle-up"),
    ):
        head = base.transform_filter(f"datum.is_cut_{end}").mark_point(shape=shape, size=_SIZE, opacity=1)
        found.append(head.encode(**{axis: at(f"bar_{end}")}, **look))
    return found
