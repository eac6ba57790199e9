"""What a figure is: a chart, its numbers as a tidy table, and what it says in words."""

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
    """What it is, of how many seeds, what the intervals are, and what is missing."""
    data: pd.DataFrame
    """A row a number shown, with readable column names; what is undefined is None, never NaN."""
    chart: Any
    """Altair's, with its data inline."""
    alt: str
    """What the figure shows, for those who don't see it."""


@dataclass(frozen=True, kw_only=True)
class Omitted:
    """A figure that has nothing to show."""

    name: str
    title: str
    reason: str
    """Why, in words: "one strong model only: no line to draw"."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of a sweep, and those that it has no numbers for."""

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
