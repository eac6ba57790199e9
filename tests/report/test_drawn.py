"""What holds of every figure as it is drawn: bars are as long as their intervals or end in an arrow, panels
beside each other have equal axes, and a choice that is said not to move a figure isn't in it."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import pytest
from report.drawn import Panel, panels
from report.made_up import made_up_sweep

from raysweep.report.figures import Figure, figures_of
from raysweep.report.figures.bars import CUT
from raysweep.report.page.pictures import follows
from raysweep.report.page.tables import CHOICES

SIZES = {"small": 100, "medium": 1_000, "large": 10_000, "huge": 100_000}
LAYERS = {f"read-out, layer {layer}": layer for layer in (0, 3, 6)}
VALUES = {
    "task": ["boolq", "sci_q"],
    "method": ["naive", "confidence", "shuffled_labels"],
    "seed": ["0", "1", "2"],
    "pair": [f"{weak} → {strong}" for weak in ("small", "medium") for strong in ("large", "huge")],
}


def noisy(end: str, cell: dict[str, Any]) -> float:
    """Students of boolq whose seeds differ so much that their intervals leave every figure, and of sci_q that
    agree; a control whose PGR is far below −1."""
    ends = {"supervisor": 0.6, "ceiling": 0.8 + 0.05 * (cell["strong"] == "huge")}
    if end != "student":
        return ends[end] + 0.1 * (cell["task"] == "sci_q")
    student = {"naive": 0.66, "confidence": 0.7, "shuffled_labels": 0.35} | {
        name: 0.6 + 0.02 * layer for name, layer in LAYERS.items()
    }
    return _seeds_apart(student[cell["method"]], cell)


def _seeds_apart(student: float, cell: dict[str, Any]) -> float:
    return student + (0.06 if cell["task"] == "boolq" else 0.002) * (cell["seed"] - 1)


SWEEPS = {
    "two seeds": {"methods": VALUES["method"][:2], "seeds": [0, 2], "middle": {"confidence": ["medium"]}},
    "layers": {"methods": ["naive", *LAYERS], "seeds": [0, 2], "layers": LAYERS, "strong": ["large"]},
    "one pair": {"methods": VALUES["method"], "strong": ["large"], "weak": ["small"], "tasks": ["boolq"]},
}
Drawn = tuple[str, dict[str, Figure]]


@pytest.fixture(scope="module", params=SWEEPS)
def drawn(request: pytest.FixtureRequest) -> Drawn:
    usual: dict[str, Any] = {
        "tasks": VALUES["task"],
        "weak": ["small", "medium"],
        "strong": ["large", "huge"],
    }
    data = made_up_sweep(noisy, num_examples=400, sizes=SIZES, **usual | SWEEPS[request.param])
    return request.param, {figure.name: figure for figure in figures_of(data).figures}


def test_bars_end_where_the_csv_says_or_in_an_arrow(drawn: Drawn) -> None:
    num_bars = num_cut = 0
    for figure in drawn[1].values():
        is_cut = False
        for panel in filter(lambda panel: panel.has_scale, panels(figure)):
            for bar in panel.bars:
                is_cut |= check_bar(figure, panel, *bar.ends, bar.low, bar.high)
                num_bars += 1
        num_cut += is_cut
        assert (CUT in figure.caption) == is_cut, figure.name
    assert num_bars > 20 and bool(num_cut) == (drawn[0] != "one pair"), "else nothing was tested"


def check_bar(figure: Figure, panel: Panel, first: float, last: float, low: float, high: float) -> bool:
    """Whether an end of a bar is cut; it is an error if it is so without an arrow, or if the numbers aren't
    those of the table."""
    names = (
        ("interval low", "interval high")
        if "interval low" in figure.data
        else ("lower quartile", "upper quartile")
    )
    ends = figure.data[list(names)].dropna().itertuples(index=False, name=None)
    assert any(math.dist(found, (low, high)) < 2e-3 for found in ends), (figure.name, low, high)
    is_cut = False
    for pixel, value, end in zip((first, last), panel.values(first, last), (low, high), strict=True):
        if abs(value - end) > 2e-3:
            assert panel.has_arrow(pixel), (figure.name, value, end)
            is_cut = True
    return is_cut


def test_panels_beside_each_other_have_equal_axes(drawn: Drawn) -> None:
    for figure in drawn[1].values():
        rows: dict[float, list[list[float]]] = defaultdict(list)
        for panel in panels(figure):
            if panel.axis == "y" and panel.has_scale:
                rows[panel.top].append(panel.values(panel.top, panel.top + 50))
        for row in rows.values():
            assert all(math.dist(other, row[0]) < 2e-3 for other in row), figure.name


def test_a_choice_that_does_not_move_a_figure_is_not_in_it(
    drawn: Drawn,
) -> None:
    """Nor does one move it that it doesn't show."""
    moved = set()
    for figure in drawn[1].values():
        spec = figure.chart.to_dict()
        shown = {
            str(value).replace("_", " ")
            for rows in spec["datasets"].values()
            for row in rows
            for value in row.values()
        }
        shown = {part for text in shown for part in (text, *text.split(": "), *text.split(", "))}
        following = follows(spec, CHOICES)
        moved |= {(figure.name, name) for name in following}
        for name in CHOICES:
            values = [value.replace("_", " ") for value in VALUES[name]]
            if name != "seed":
                assert bool(shown & set(values)) == (name in following), (figure.name, name)
    assert ("methods_accuracy", "method") in moved and ("calibration", "method") in moved
