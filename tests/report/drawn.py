"""What a figure's SVG shows, read back as numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import vl_convert

from raysweep.report.figures import Figure

_NUMBER = r"[-−]?[\d.]+(?:e[-−+]?\d+)?"


@dataclass
class Bar:
    """An error bar as it is drawn."""

    ends: tuple[float, float]
    """In pixels, that of the smaller number first."""
    low: float
    high: float
    """The interval that the mark tells to a pointer, to three digits."""


@dataclass
class Panel:
    """A panel along the axis of its bars."""

    axis: str
    top: float
    """In pixels of the figure."""
    marks: list[tuple[float, float]] = field(default_factory=list)
    """(value, pixel) of all points."""
    bars: list[Bar] = field(default_factory=list)

    def values(self, *pixels: float) -> list[float]:
        """What stands at pixels, by the line through the points."""
        value, pixel = np.array(self.marks).T
        slope, start = np.polyfit(pixel, value, 1)
        return [float(slope * at + start) for at in pixels]

    @property
    def has_scale(self) -> bool:
        return len({value for value, _ in self.marks}) > 1

    def has_arrow(self, pixel: float) -> bool:
        return any(abs(at - pixel) < 0.01 for _, at in self.marks)


def panels(figure: Figure) -> list[Panel]:
    """The panels of a figure that have error bars."""
    spec = figure.chart.to_dict()
    channels = set(_bar_channels(spec))
    if not channels:
        return []
    ((axis, title),) = channels
    root = ElementTree.fromstring(
        re.sub(r'xmlns(:\w+)?="[^"]+"|xlink:', "", vl_convert.vegalite_to_svg(spec))
    )
    found: dict[Any, Panel] = {}
    for marks, view, origin in _marks(root, None, (0.0, 0.0)):
        panel = found.setdefault(view, Panel(axis, origin[1]))
        label = marks.attrib.get("aria-label", "").replace("−", "-")
        value = re.search(rf"(?:^|; ){re.escape(title)}: ({_NUMBER})", label)
        place = re.search(r"translate\(([^,]+),([^)]+)\)", marks.attrib.get("transform", ""))
        if not (value and place):
            continue
        pixel = float(place[1 if axis == "x" else 2]) + origin[0 if axis == "x" else 1]
        if marks.attrib["aria-roledescription"] == "point":
            panel.marks.append((float(value[1]), pixel))
        elif marks.attrib["aria-roledescription"] == "rule mark" and "bar_high: " in label:
            low, high = (float(re.findall(rf"; {end}: ({_NUMBER})", label)[0]) for end in ("low", "high"))
            panel.bars.append(Bar((pixel, pixel + float(marks.attrib[f"{axis}2"])), low, high))
    return [panel for panel in found.values() if panel.bars]


def _bar_channels(spec: Any) -> Iterator[tuple[str, str]]:
    """The axes of error bars with their titles."""
    if isinstance(spec, list):
        for item in spec:
            yield from _bar_channels(item)
    elif isinstance(spec, dict):
        for axis in ("x", "y"):
            channel = spec.get("encoding", {}).get(axis, {})
            if channel.get("field") == "bar_low":
                yield axis, channel["title"]
        for name, item in spec.items():
            if name != "datasets":
                yield from _bar_channels(item)


def _marks(
    element: ElementTree.Element, view: int | None, origin: tuple[float, float]
) -> Iterator[tuple[ElementTree.Element, int | None, tuple[float, float]]]:
    """All marks, each with a key of its panel and that panel's place."""
    for child in element:
        if child.tag == "g":
            place = re.fullmatch(r"translate\(([^,]+),([^)]+)\)", child.attrib.get("transform", ""))
            moved = (origin[0] + float(place[1]), origin[1] + float(place[2])) if place else origin
            is_mark = (
                "role-mark" in child.attrib.get("class", "") and "mark-group" not in child.attrib["class"]
            )
            yield from _marks(child, view if is_mark else id(child), moved)
        elif "aria-roledescription" in child.attrib:
            yield child, view, origin
