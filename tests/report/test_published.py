"""Published numbers: the file that holds them, and what of it stands beside a sweep made by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import vl_convert

from raysweep.errors import InvalidInput
from raysweep.report.figures import Figure, Omitted
from raysweep.report.figures.published import beside_published
from raysweep.report.published import comparison_table, matching, read_published
from raysweep.results.frames import SweepData, cells_frame, curves_frame, runs_frame

FILE = Path(__file__).parents[2] / "analysis" / "published.csv"
HEADER = "source,citation,setting,task,weak,strong,method,quantity,aggregate,value,low,high,note"
LINE = "A 2023,arXiv 1,nlp,sciq,gpt2,gpt2-xl,naive,accuracy,mean of 3 seeds,0.7,0.65,0.75,"
Cell = tuple[str, str, str, str]

# 100 test examples; how many each end has right
RIGHT = {"supervisor": 60, "student": 75, "ceiling": 90}


def sweep(*cells: Cell, right: Mapping[str, Mapping[str, int]] | None = None) -> SweepData:
    """A finished sweep of one seed; `right` says for a task how many examples its floor, student and ceiling
    have right."""
    planned = []
    metrics = []
    examples = dict[str, pd.DataFrame]()
    for number, (task, weak, strong, method) in enumerate(cells):
        counts = (right or {}).get(task, RIGHT)
        ends = {end: f"{end}{number}" for end in RIGHT}
        planned.append({"task": task, "weak": weak, "strong": strong, "method": method, "seed": 0, **ends})
        accuracies = {"weak": "supervisor", "student": "student", "ceiling": "ceiling"}
        metrics.append({f"{name}_accuracy": counts[end] / 100 for name, end in accuracies.items()})
        for end, run in ends.items():
            examples[run] = pd.DataFrame(
                {"id": np.arange(100), "group": np.arange(100), "is_right": np.arange(100) < counts[end]}
            )
    runs = runs_frame([], {}).reindex(range(len(examples)))
    runs = runs.assign(run_id=list(examples), status="done", reason="")
    frames = {"cells": cells_frame(planned, metrics), "runs": runs, "curves": curves_frame([])}
    return SweepData.of_frames(name="made", provenance={}, read_examples=examples.__getitem__, **frames)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "published.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def values(table: pd.DataFrame, whose: str, quantity: str) -> Sequence[float]:
    found = table[(table["whose"] == whose) & (table["quantity"] == quantity)]
    return [round(value, 4) for value in found["value"]]


def test_the_file_is_read_and_holds_what_the_issue_names() -> None:
    published = read_published(FILE)
    by_source = {
        source: sum(number.source == source for number in published)
        for source in {n.source for n in published}
    }
    assert by_source["Burns et al. 2023"] >= 10
    assert by_source["openai/weak-to-strong"] >= 45
    assert by_source["EleutherAI blog 2024"] >= 3
    # From the table of openai's README: gpt2 and Qwen-14B on ground truth of SciQ, and the median PGR of both
    # losses.
    sciq = {
        (n.strong, n.method, n.quantity): n.value
        for n in published
        if n.task == "sciq" and not n.weak and "README.md" in n.citation
    }
    assert sciq["gpt2", "ground_truth", "accuracy"] == 0.6363
    assert sciq["Qwen-14B", "ground_truth", "accuracy"] == 0.9223
    assert (sciq["", "naive", "pgr"], sciq["", "confidence_openai", "pgr"]) == (0.3322, 0.3102)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (LINE.replace("A 2023", ""), "line 3, column 'source'"),
        (LINE.replace("0.7,", ","), "line 3, column 'value'"),
        (LINE.replace("0.7,", "70,"), "line 3, column 'value': accuracy is from 0 to 1"),
        (LINE.replace("0.7,", "seven,"), "line 3, column 'value': 'seven' isn't a number"),
        (LINE.replace("0.65", "nan"), "line 3, column 'low'"),
        (LINE.replace("0.65", "0.72"), "line 3, columns 'low', 'value', 'high'"),
        (LINE.replace(",nlp,", ",language,"), "line 3, column 'setting': unknown 'language'; known: nlp"),
        (LINE.replace("accuracy", "acc"), "line 3, column 'quantity'"),
        (LINE + ",more", "Row #3: Expected 13 columns, got 14"),
        (LINE.rpartition(",")[0], "Row #3: Expected 13 columns, got 12"),
        (LINE.replace("0.7,", "0.71,"), "line 3: the same number as in line 2"),
    ],
)
def test_a_bad_line_is_refused_with_its_place(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told.replace("(", r"\(")):
        read_published(written(tmp_path, LINE, line))


def test_another_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("source,value\nA,0.5\n")
    with pytest.raises(
        InvalidInput, match="line 1: the columns are source, value; expected source, citation"
    ):
        read_published(path)


def test_numbers_stand_beside_cells_of_their_task_and_method(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        LINE.replace("gpt2,gpt2-xl", "GPT-2,GPT-2-XL"),
        LINE.replace("gpt2-xl", "gpt2-large"),
        LINE.replace("naive", "product"),
        LINE.replace("sciq", "boolq"),
        LINE.replace("sciq", "nlp").replace("accuracy", "pgr"),
        LINE.replace("accuracy", "p_value"),
        LINE.replace("gpt2,gpt2-xl,naive", ",gpt2,ground_truth"),
    )
    found = matching(read_published(path), sweep(("sciq", "openai-community/gpt2", "gpt2-xl", "naive")))
    told = list(found[["task", "strong", "beside"]].itertuples(index=False, name=None))
    assert told == [
        ("sciq", "GPT-2-XL", "same task, same models"),
        ("sciq", "gpt2-large", "same task, other models"),
        ("nlp", "gpt2-xl", "other tasks, same models"),
        ("sciq", "gpt2", "same task, same models"),
    ]
    assert set(found["panel"]) == {"sciq"}


def test_ours_come_before_theirs_with_values_worked_out_by_hand(tmp_path: Path) -> None:
    ground_truth = LINE.replace("gpt2,gpt2-xl,naive", ",gpt2-xl,ground_truth")
    other_models = LINE.replace("gpt2-xl", "gpt2-large")
    path = written(tmp_path, LINE, ground_truth, other_models, other_models.replace("accuracy", "pgr"))
    table = comparison_table(read_published(path), sweep(("sciq", "gpt2", "gpt2-xl", "naive")))
    accuracies = table[table["quantity"] == "accuracy"]
    assert list(accuracies["whose"]) == ["ours", "ours", "ours", "published", "published"]
    assert values(table, "ours", "accuracy") == [0.6, 0.9, 0.75]  # floor, ceiling, student
    assert list(accuracies["strong"][3:]) == [
        "gpt2-xl",
        "gpt2-xl",
    ]  # an accuracy of another model says nothing
    assert values(table, "ours", "pgr") == [0.5]  # (75 − 60) / (90 − 60)
    ours = table[(table["whose"] == "ours") & (table["quantity"] == "pgr")].iloc[0]
    assert ours["low"] < 0.5 < ours["high"]
    assert values(table, "published", "pgr") == [0.7]


def test_a_number_of_many_tasks_stands_beside_the_median_of_ours(tmp_path: Path) -> None:
    path = written(tmp_path, LINE.replace("sciq", "nlp").replace("accuracy", "pgr"))
    right = {
        "boolq": RIGHT | {"student": 66},  # PGR 0.2
        "sst2": RIGHT | {"student": 84},  # PGR 0.8
        "piqa": RIGHT | {"ceiling": 60},  # undefined: no gap
        "chess_puzzles": RIGHT | {"student": 90},  # another setting
    }
    tasks = [*right, "sciq"]  # sciq: 0.5
    table = comparison_table(
        read_published(path), sweep(*((task, "a", "b", "confidence 0.5") for task in tasks))
    )
    assert table.empty  # the method is another
    table = comparison_table(
        read_published(path), sweep(*((task, "a", "b", "naive") for task in tasks), right=right)
    )
    assert set(table["panel"]) == {"nlp: median over 4 tasks"}
    assert values(table, "ours", "pgr") == [0.5]
    assert table["aggregate"][0] == "3 of 4 tasks"


def test_no_median_where_most_tasks_are_undefined(tmp_path: Path) -> None:
    path = written(tmp_path, LINE.replace("sciq", "nlp").replace("accuracy", "pgr"))
    right = {"piqa": RIGHT | {"ceiling": 60}}
    table = comparison_table(
        read_published(path), sweep(("sciq", "a", "b", "naive"), ("piqa", "a", "b", "naive"), right=right)
    )
    assert table.empty
    found = beside_published(table)
    assert isinstance(found, Omitted) and "undefined" in found.reason


def test_the_picture_has_every_number_and_the_source_in_words(tmp_path: Path) -> None:
    least = (
        LINE.replace("sciq", "nlp")
        .replace("accuracy", "pgr")
        .replace("0.7,0.65,0.75,", "0.2,0.2,,approximate")
    )
    table = comparison_table(
        read_published(written(tmp_path, LINE, least)), sweep(("sciq", "gpt2", "gpt2-xl", "naive 1"))
    )
    figure = beside_published(table)
    assert isinstance(figure, Figure)
    rows = figure.chart.to_dict()["datasets"]["rows"]
    drawn = vl_convert.vegalite_to_svg(figure.chart.to_dict())
    assert all(f">{text}</text>" in drawn for text in ("0.75", "0.70", "0.50", "≥ 0.20"))
    assert [(row["label"], row["told"]) for row in rows] == [
        ("gpt2 → gpt2-xl, naive 1", "0.75"),
        ("gpt2 → gpt2-xl, naive (A 2023)", "0.70"),
        ("gpt2 → gpt2-xl, naive 1", "0.50"),
        ("gpt2 → gpt2-xl, naive (A 2023, other tasks)", "≥ 0.20"),
    ]
