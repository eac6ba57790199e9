"""Test examples on the page: which are shown, of whom, and what their texts may hold."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
from report.made_up import made_up_sweep

from raysweep.report.figures import Figures
from raysweep.report.page import page
from raysweep.report.page.examples import examples_table, sampled
from raysweep.results.disagreements import OUTCOMES
from raysweep.results.frames import SweepData

EVIL = "<b>a text</b> & more"
NO_FIGURES = Figures(figures=(), omitted=())


def accuracy(end: str, cell: dict[str, Any]) -> float:
    student = {"naive": 0.7, "better": 0.75, "ceiling_labels": 0.79}[cell["method"]]
    return {"supervisor": 0.6, "student": student, "ceiling": 0.8}[end]


def differing(counts: dict[str, int], text: str = EVIL) -> pd.DataFrame:
    """So many examples of each outcome, in the order in which they are read."""
    outcomes = [outcome for outcome in OUTCOMES for _ in range(counts.get(outcome, 0))]
    number = range(len(outcomes))
    return pd.DataFrame(
        {
            "id": [f"e{item}" for item in number],
            "text": [f"{item} {text}" for item in number],
            "truth": "yes",
            "supervisor": "no",
            "student": "yes",
            "supervisor_probability": 0.625,
            "student_probability": 0.75,
            "difficulty": [float("nan") if item else 0.5 for item in number],
            "group": "g",
            "outcome": outcomes,
        }
    )


def sweep(found: pd.DataFrame, read: list[str] | None = None, **grid: Any) -> SweepData:
    """A made-up sweep whose every student differs on these examples; `read` hears of whose are read."""

    def disagreements(supervisor: str, student: str) -> pd.DataFrame:
        (read if read is not None else []).append(student)
        return found

    methods = ["naive", "better", "ceiling_labels"]
    data = made_up_sweep(accuracy, methods=methods, num_examples=100, **grid)
    yardsticks = {"yardsticks": ["ceiling_labels"]}
    return dataclasses.replace(data, read_disagreements=disagreements, read_provenance=lambda: yardsticks)


def test_those_that_the_student_alone_gets_right_come_first() -> None:
    read: list[str] = []
    table = examples_table(
        sweep(differing({"student right": 40, "supervisor right": 30, "both wrong": 5}), read)
    )
    assert read == ["student boolq small large better 0"]  # gains most; the control isn't asked
    assert table and table.columns == (
        *("who is right", "example", "truth", "weak model says", "student says", "difficulty"),
    )
    who = [row.cells[0] for row in table.rows]
    assert who == ["student right"] * 10 + ["weak model right"] * 6 + ["both wrong"] * 4
    assert table.rows[0].cells[1:] == (f"0 {EVIL}", "yes", "no (0.62)", "yes (0.75)", "0.5")
    assert table.rows[1].cells[-1] == "unknown"
    assert "of 75 such examples, student right on 40, weak model right on 30, both wrong on 5" in table.note
    assert table.rows[0].of == {"task": "boolq", "pair": "small → large", "method": "better"}


def test_a_sample_is_filled_from_what_there_is_and_keeps_its_order() -> None:
    found = differing({"student right": 2, "supervisor right": 30})
    kept = sampled(found, 10)
    assert kept["id"].tolist() == [f"e{item}" for item in range(10)]
    assert sampled(found, 100)["id"].tolist() == found["id"].tolist()


def test_twenty_rows_are_of_the_first_tasks() -> None:
    read: list[str] = []
    tasks = [f"task {number}" for number in range(6)]
    table = examples_table(sweep(differing({"student right": 30}), read, tasks=tasks))
    assert [run.split(" small")[0] for run in read] == [f"student task {number}" for number in range(4)]
    assert table and len(table.rows) == 20 and table.columns[0] == "task"


def test_texts_are_escaped_and_long_ones_are_whole_on_demand() -> None:
    text = page(sweep(differing({"student right": 3}, EVIL + " word" * 400)), NO_FIGURES)
    assert "<b>a text" not in text and "&lt;b&gt;a text&lt;/b&gt; &amp; more" in text
    (first, *_) = text.split('id="examples"')[1].split("<details>")[1:]
    summary, whole = first.split("</summary>")[0], first.split("</summary>")[1].split("</details>")[0]
    assert summary.endswith("…") and len(summary) < 260
    assert whole.count("word") == 400


def test_without_texts_or_disagreements_there_is_no_section() -> None:
    assert examples_table(made_up_sweep(accuracy, methods=["naive"])) is None
    nothing = sweep(differing({}))
    assert examples_table(nothing) is None and 'id="examples"' not in page(nothing, NO_FIGURES)
