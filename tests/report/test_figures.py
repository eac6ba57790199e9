"""Figures: their numbers against ones worked out by hand, and sweeps that have little or nothing to show."""

import json
import math
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report.made_up import made_up_sweep

from raysweep.report.figures import Figure, Figures, figures_of
from raysweep.report.figures.layers import line_of
from raysweep.report.figures.save import FORMATS, captions, save
from raysweep.report.figures.theme import COLOURS, COLUMN, DASHES, FONT_SIZE, PAGE, SHAPES
from raysweep.results.frames import SweepData

T_3 = 2.919986
"""Student's t at 95 % and 2 degrees of freedom, from a printed table: 90 % intervals of three seeds."""
SIZES = {"small": 100, "medium": 1_000, "large": 10_000, "huge": 100_000}


def accuracy(end: str, cell: dict[str, Any]) -> float:
    """Floor 0.6, ceiling 0.8 (0.9 of "huge"); students 0.7, 0.75 by confidence; seeds 0, 1, 2 are −0.01, 0,
    0.01 away."""
    ceiling = 0.9 if cell["strong"] == "huge" else 0.8
    student = 0.75 if cell["method"] == "confidence" else 0.7
    noise = 0.01 * (cell["seed"] - 1) if end == "student" else 0.0
    return {"supervisor": 0.6, "student": student, "ceiling": ceiling}[end] + noise


def by_name(found: Figures) -> dict[str, Figure]:
    return {figure.name: figure for figure in found.figures}


def reasons(found: Figures) -> dict[str, str]:
    return {omitted.name: omitted.reason for omitted in found.omitted}


def numbers_in(value: Any) -> list[float]:
    """All numbers in nested JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers_in(item)]
    return [value] if isinstance(value, float) else []


def check(found: Figures) -> None:
    """What holds of every figure: it shows marks, says what it is, and holds no NaN."""
    for figure in found.figures:
        spec = figure.chart.to_dict()
        assert "v6" in spec["$schema"], figure.name
        rows = [row for table in spec["datasets"].values() for row in table]
        assert rows and len(figure.data), f"{figure.name} is empty"
        assert all(math.isfinite(number) for number in numbers_in(spec)), figure.name
        flat = [value for value in figure.data.to_numpy(dtype=object).ravel() if isinstance(value, float)]
        assert all(map(math.isfinite, flat)), figure.name
        for text in (figure.title, figure.caption, figure.alt):
            assert text and "nan" not in text.lower().split() and "None" not in text, (figure.name, text)
        assert "tooltip" in json.dumps(spec), figure.name
        assert not [column for column in figure.data if "_" in column], figure.name


@pytest.fixture(scope="module")
def full() -> tuple[SweepData, Figures]:
    data = made_up_sweep(
        accuracy,
        tasks=["boolq", "sci_q"],
        weak=["small", "medium"],
        strong=["large", "huge"],
        methods=["naive", "confidence"],
        sizes=SIZES,
        middle={"confidence": ["medium"]},
    )
    return data, figures_of(data)


def test_a_full_sweep_has_every_figure(full: tuple[SweepData, Figures]) -> None:
    check(full[1])
    assert reasons(full[1]) == {"accuracy_by_layer": "no method reads features of a layer"}
    assert len(full[1].figures) == 16


def test_accuracies_against_size_are_means_over_seeds_with_t_intervals(
    full: tuple[SweepData, Figures],
) -> None:
    table = by_name(full[1])["accuracy_by_size"].data.set_index(
        ["task", "method", "line", "weak model", "strong model"]
    )
    student = table.loc[("boolq", "confidence", "student", "small", "huge")]
    assert student["parameters"] == 100_000 and student["seeds"] == 3
    assert student["accuracy"] == pytest.approx(0.75)
    half = T_3 * 0.01 / math.sqrt(3)
    assert [student["interval low"], student["interval high"]] == pytest.approx(
        [0.75 - half, 0.75 + half], abs=1e-6
    )
    lines = table.reset_index().groupby("line")["accuracy"].agg(["min", "max"])
    assert lines.loc["ceiling"].to_list() == pytest.approx([0.8, 0.9])
    assert lines.loc["weak model"].to_list() == pytest.approx([0.6, 0.6])


def test_accuracies_by_layer_are_means_over_seeds_of_methods_that_differ_in_the_layer() -> None:
    methods = {f"read-out, layer {layer}": layer for layer in (0, 3, 12)} | {"probe-3": 3, "odd": 3}

    def by_layer(end: str, cell: dict[str, Any]) -> float:
        return accuracy(end, cell) + 0.005 * methods.get(cell["method"], 0) * (end == "student")

    data = made_up_sweep(by_layer, methods=["naive", *methods], layers=methods)
    found = figures_of(data)
    check(found)
    figure = by_name(found)["accuracy_by_layer"]
    table = figure.data.set_index(["line", "examples", "layer"])
    half = T_3 * 0.01 / math.sqrt(3)
    names = ["accuracy", "interval low", "interval high"]
    for layer in (0, 3, 12):
        mean = 0.7 + 0.005 * layer
        for examples, value in {"all test examples": mean, "weak model wrong": mean - 0.2}.items():
            numbers = table.loc[("read-out", examples, layer), names].to_list()
            assert numbers == pytest.approx([value, value - half, value + half], abs=1e-6)
    levels = figure.data[figure.data["layer"].isna()].set_index("line")["accuracy"]
    assert levels.to_dict() == pytest.approx({"weak model": 0.6, "ceiling": 0.8})
    assert set(figure.data["line"]) == {"read-out", "weak model", "ceiling"}
    assert "odd and probe read one layer only" in figure.caption
    assert "read-out 0.760 at layer 12" in figure.alt


def test_methods_whose_names_do_not_tell_their_layer_are_told_how_to() -> None:
    data = made_up_sweep(accuracy, methods=["low", "high"], layers={"low": 1, "high": 2})
    assert "such as 'read-out, layer 3'" in reasons(figures_of(data))["accuracy_by_layer"]


@pytest.mark.parametrize(
    "name", ["read-out, layer 3", "read-out 12", "read-out_layer_0", "read-out@middle", "read-out layer=7"]
)
def test_a_line_is_named_by_its_methods_without_the_layer(name: str) -> None:
    assert line_of(name) == "read-out" and line_of("3") == "3" and line_of("naive") == "naive"


def test_compute_is_six_times_parameters_times_tokens(full: tuple[SweepData, Figures]) -> None:
    table = by_name(full[1])["accuracy_by_compute"].data
    found = table.groupby("strong model")["training FLOPs"].agg(["min", "max"])
    assert found.loc["huge"].to_list() == pytest.approx([6 * 100_000 * 1_000] * 2)
    assert found.loc["large"].to_list() == pytest.approx([6 * 10_000 * 1_000] * 2)


def test_pgr_grids_hold_each_gap_and_medians_over_pairs(full: tuple[SweepData, Figures]) -> None:
    figures = by_name(full[1])
    pairs = figures["pgr_by_pair"].data.set_index(["task", "method", "weak model", "strong model"])["PGR"]
    assert pairs.loc[("sci_q", "naive", "small", "large")] == pytest.approx(0.5)  # 0.1 / 0.2
    assert pairs.loc[("sci_q", "confidence", "medium", "huge")] == pytest.approx(0.5)  # 0.15 / 0.3
    tasks = figures["pgr_by_task"].data.set_index(["task", "method"])
    assert tasks.loc[("boolq", "confidence"), "PGR"] == pytest.approx(
        (0.75 + 0.5) / 2
    )  # of 0.75, 0.5 twice each
    assert tasks.loc[("boolq", "confidence"), ["defined", "of"]].to_list() == [4, 4]


def test_methods_are_sorted_by_what_they_recover(full: tuple[SweepData, Figures]) -> None:
    figures = by_name(full[1])
    spec = json.dumps(figures["methods_pgr"].chart.to_dict())
    assert '"sort": ["confidence", "naive"]' in spec
    table = figures["methods_accuracy"].data
    students = table[table["method"] == "confidence"]
    assert students["student accuracy"].to_list() == pytest.approx([0.75] * len(students))
    assert table["weak accuracy"].to_list() == pytest.approx([0.6] * len(table))


def test_stops_are_marked_where_runs_were_read(full: tuple[SweepData, Figures]) -> None:
    figures = by_name(full[1])
    table = figures["early_stopping"].data
    marks = table[(table["what"] == "stop") & (table["method"] == "naive") & (table["task"] == "boolq")]
    at = marks.groupby("line")["step"].first()
    assert at.to_dict() == {"last step": 30.0, "ground-truth stop (oracle)": 20.0, "weak-label stop": 10.0}
    gained = figures["stops"].data.set_index(["method", "stop"])["accuracy gained"]
    assert gained.loc[("naive", "ground-truth stop (oracle)")] == pytest.approx(0.02)
    assert gained.loc[("naive", "weak-label stop")] == pytest.approx(-0.01)


def test_a_chain_shows_every_model_of_it(full: tuple[SweepData, Figures]) -> None:
    table = by_name(full[1])["bootstrapping"].data
    chain = table[(table["method"] == "confidence") & (table["pair"] == "small → huge")].sort_values(
        "step of the chain"
    )
    assert chain["model"].to_list() == ["small", "medium", "huge"]
    assert chain["accuracy"].to_list() == pytest.approx(
        [0.6, 0.675, 0.75], abs=2e-3
    )  # of 200 examples, rounded
    assert set(table["method"]) == {"naive", "confidence", "weak model", "ceiling"}


def test_calibration_bins_hold_confidence_and_accuracy(full: tuple[SweepData, Figures]) -> None:
    table = by_name(full[1])["calibration"].data
    floor = table[table["model"] == "weak model"]
    # Confidences are even over 0.5 … 1 and the floor is right on the surest 60 %: right wherever confidence
    # is above 0.7.
    assert floor.loc[floor["mean confidence"] < 0.66, "accuracy"].to_list() == pytest.approx([0.0, 0.0, 0.0])
    assert floor.loc[floor["mean confidence"] > 0.74, "accuracy"].to_list() == pytest.approx([1.0] * 4)
    assert floor["share of examples"].sum() == pytest.approx(1)
    gaps = (floor["share of examples"] * (floor["accuracy"] - floor["mean confidence"]).abs()).sum()
    assert floor["ECE"].iloc[0] == pytest.approx(gaps)


def test_seeds_deviate_by_their_pooled_standard_deviation(full: tuple[SweepData, Figures]) -> None:
    table = by_name(full[1])["seeds"].data
    spread = table.groupby("runs")["standard deviation"].first()
    assert spread["student, naive"] == pytest.approx(0.01) and spread["weak model"] == pytest.approx(0)


def test_means_over_tasks_pool_the_noise_within_each() -> None:
    def noisy(end: str, cell: dict[str, Any]) -> float:
        # Task a: 0.50, 0.52; task b: 0.70, 0.74. Variances 0.0002 and 0.0008, pooled 0.0005 with 2 degrees of
        # freedom.
        students = {("a", 0): 0.5, ("a", 1): 0.52, ("b", 0): 0.7, ("b", 1): 0.74}
        return (
            students[cell["task"], cell["seed"]]
            if end == "student"
            else {"supervisor": 0.4, "ceiling": 0.9}[end]
        )

    found = figures_of(made_up_sweep(noisy, tasks=["a", "b"], methods=["naive", "other"], seeds=[0, 1]))
    row = by_name(found)["methods_accuracy"].data.iloc[0]
    half = T_3 * math.sqrt(0.0005) * math.sqrt(1 / 2 + 1 / 2) / 2
    assert row["student accuracy"] == pytest.approx((0.51 + 0.72) / 2)
    assert [row["interval low"], row["interval high"]] == pytest.approx(
        [0.615 - half, 0.615 + half], abs=1e-6
    )


def test_one_seed_has_no_interval_over_seeds_and_no_spread() -> None:
    found = figures_of(
        made_up_sweep(
            accuracy, strong=["large", "huge"], methods=["naive", "confidence"], seeds=[1], sizes=SIZES
        )
    )
    check(found)
    assert reasons(found)["seeds"].startswith("one seed only")
    figure = by_name(found)["accuracy_by_size"]
    assert set(figure.data["interval low"]) == {None}
    assert "no intervals over seeds" in figure.caption and "1 seed." in figure.caption
    assert "test examples alone" in by_name(found)["methods_pgr"].caption


def test_an_undefined_pgr_is_told_and_left_blank() -> None:
    def no_gap_on_one_task(end: str, cell: dict[str, Any]) -> float:
        return 0.6 if cell["task"] == "flat" else accuracy(end, cell)

    found = figures_of(
        made_up_sweep(no_gap_on_one_task, tasks=["boolq", "flat"], methods=["naive", "confidence"])
    )
    check(found)
    grid = by_name(found)["pgr_by_task"]
    flat = grid.data[grid.data["task"] == "flat"]
    assert set(flat["PGR"]) == {None} and set(flat["PGR status"]) == {
        "undefined: the gap is inside the noise"
    }
    assert "undefined" in grid.caption
    assert "1 of 2" in by_name(found)["methods_pgr"].caption


def test_without_any_gap_there_are_no_figures_of_pgr() -> None:
    found = figures_of(
        made_up_sweep(lambda end, cell: 0.6, tasks=["a", "b"], weak=["small", "medium"], methods=["x", "y"])
    )
    check(found)
    assert {"pgr_by_pair", "pgr_by_task", "methods_pgr"} <= set(reasons(found))
    assert all(
        "undefined everywhere" in reasons(found)[name]
        for name in ("pgr_by_pair", "pgr_by_task", "methods_pgr")
    )
    assert "methods_accuracy" in by_name(found)


def test_a_sweep_of_which_nothing_is_finished_has_reasons_only() -> None:
    found = figures_of(made_up_sweep(accuracy, strong=["large", "huge"], failed=lambda cell: True))
    assert found.figures == ()
    assert len(found.omitted) == 17 and all(omitted.reason for omitted in found.omitted)


def test_failed_cells_are_counted_in_captions_and_means_are_of_the_same_tasks() -> None:
    def failed(cell: dict[str, Any]) -> bool:
        return cell["task"] == "b" and cell["method"] == "m1"

    methods = [f"m{index}" for index in range(7)]
    data = made_up_sweep(
        lambda end, cell: accuracy(end, cell) + (0.1 if cell["task"] == "b" else 0.0),
        tasks=["a", "b"],
        methods=methods,
        failed=failed,
    )
    found = figures_of(data)
    check(found)
    figure = by_name(found)["methods_accuracy"]
    assert "1 of 2 tasks" in figure.caption and "Of 42 planned cells 3 " in figure.caption
    assert figure.data["student accuracy"].to_list() == pytest.approx([0.7] * 7)  # task a alone, for all


def test_answers_have_no_calibration_and_are_compared_by_error_rates() -> None:
    found = figures_of(made_up_sweep(accuracy, methods=["naive", "confidence"], texts=True))
    check(found)
    assert "answer in text" in reasons(found)["calibration"]
    misfit = by_name(found)["misfit_gain"]
    assert "error rate" in misfit.caption and misfit.data["misfit"].to_list() == pytest.approx([0.2, 0.2])


def test_models_of_unknown_size_stand_in_the_plans_order() -> None:
    found = figures_of(made_up_sweep(accuracy, strong=["large", "huge"]))
    figure = by_name(found)["accuracy_by_size"]
    assert "the plan's order" in figure.caption and '["large", "huge"]' in json.dumps(figure.chart.to_dict())
    assert "compute" in reasons(found)["accuracy_by_compute"]


def test_names_may_hold_what_html_and_vega_mind() -> None:
    odd = ['it\'s "quoted"', "a.b[0]", "50 % <b>", "x\\y"]
    found = figures_of(
        made_up_sweep(
            accuracy, methods=odd, tasks=["boolq"], weak=["small", "me.di[um"], strong=["large", "huge"]
        )
    )
    check(found)
    for figure in found.figures:
        save_svg(figure)


def save_svg(figure: Figure) -> str:
    import vl_convert

    return vl_convert.vegalite_to_svg(figure.chart.to_dict())


def test_many_tasks_pairs_and_methods_stay_within_a_page() -> None:
    data = made_up_sweep(
        accuracy,
        tasks=[f"task number {index}" for index in range(22)],
        weak=["small", "medium"],
        strong=["large", "huge", "s3"],
        methods=[f"a method with number {index}" for index in range(7)],
        seeds=[0, 1],
        num_examples=40,
        sizes=SIZES | {"s3": 2**20},
    )
    found = figures_of(data)
    check(found)
    for figure in found.figures:
        root = ElementTree.fromstring(save_svg(figure))
        width = float(root.attrib["width"])
        height = float(root.attrib["height"])
        assert width <= PAGE + 10 and height <= 700, (figure.name, width, height)


def test_figures_fit_a_column_in_readable_type(full: tuple[SweepData, Figures]) -> None:
    assert FONT_SIZE >= 7
    for figure in full[1].figures:
        root = ElementTree.fromstring(save_svg(figure))
        assert float(root.attrib["width"]) <= COLUMN + 10, figure.name
        sizes = {
            float(node.attrib["font-size"].removesuffix("px"))
            for node in root.iter()
            if "font-size" in node.attrib
        }
        assert sizes and min(sizes) >= 7, figure.name


def test_a_figure_is_saved_in_every_format(full: tuple[SweepData, Figures], tmp_path: Path) -> None:
    figure = by_name(full[1])["methods_pgr"]
    paths = save(figure, tmp_path / "new")
    assert [path.name for path in paths] == [f"methods_pgr.{ending}" for ending in FORMATS]
    content = {path.suffix: path.read_bytes() for path in paths}
    assert (
        content[".pdf"].startswith(b"%PDF")
        and content[".png"].startswith(b"\x89PNG")
        and b"<svg" in content[".svg"]
    )
    width = int.from_bytes(content[".png"][16:20], "big")
    assert width == pytest.approx(COLUMN * 300 / 72, rel=0.05)
    table = pd.read_csv(tmp_path / "new" / "methods_pgr.csv")
    assert list(table) == list(figure.data) and table["PGR"].to_list() == pytest.approx(
        figure.data["PGR"].to_list()
    )


def test_captions_say_what_is_there_and_what_is_not() -> None:
    found = figures_of(made_up_sweep(accuracy))
    text = captions("made up", found)
    assert "# Figures of made up" in text
    assert "- PGR by weak and strong model: one pair of models only (small → large): no grid to show." in text


def test_colours_next_to_each_other_differ_in_grey() -> None:
    lightness = [_lightness(colour) for colour in COLOURS]
    assert min(abs(first - second) for first, second in pairwise(lightness)) >= 6
    assert (
        min(abs(first - second) for index, first in enumerate(lightness[:3]) for second in lightness[:index])
        >= 10
    )
    assert max(lightness) < 80  # against white
    assert len(set(SHAPES)) == len(COLOURS) == len(set(DASHES))


def _lightness(colour: str) -> float:
    """L* of CIELAB, 0 to 100, of an sRGB colour."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * luminance ** (1 / 3) - 16
