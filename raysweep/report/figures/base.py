"""A figure: a chart, its numbers as a tidy table, and its caption and text alternative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

Records = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure that shows something."""

    name: str
    """The stem of its files."""
    title: str
    """What is shown, in a few words."""
    caption: str
    """What is drawn, of how many seeds, what the intervals are, and what is missing."""
    data: pd.DataFrame
    """One row per number shown, with readable column names; undefined numbers are None, never NaN."""
    chart: Any
    """Altair's, with its data inline."""
    alt: str
    """The text alternative of the chart."""


@dataclass(frozen=True, kw_only=True)
class Omitted:
    """A figure that is left out."""

    name: str
    title: str
    reason: str
    """Why: "one strong model only: no line to draw"."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of a sweep, and those that are left out."""

    figures: tuple[Figure, ...]
    omitted: tuple[Omitted, ...]


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose undefined numbers are None: an empty field in a CSV, null in JSON."""
    found = frame.reset_index(drop=True).astype(object)
    return found.where(found.notna(), None)


def records(frame: pd.DataFrame) -> Records:
    """The rows of a frame as plain values for a chart; floats with six digits."""
    return [
        {
            str(name): float(f"{value:.6g}") if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in tidy(frame).to_dict("records")
    ]


def sentences(*parts: str) -> str:
    """Parts of a caption in one line, the empty ones left out."""
    return " ".join(part for part in parts if part)


def listed(names: list[str], limit: int = 6) -> str:
    """Names in a sentence; of many, the first ones and how many more."""
    shown = names if len(names) <= limit else [*names[:limit], f"{len(names) - limit} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
