"""A sample of the test examples on which students and weak models differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from raysweep.report.page.tables import without_constants
from raysweep.results.cells import Row
from raysweep.results.disagreements import OUTCOMES, no_texts
from raysweep.results.frames import SweepData
from raysweep.results.tables import PAIR, Table, TableRow

_MAX_ROWS = 20
_MAX_TASKS = 4
_SHARES = (0.5, 0.3, 0.2)
"""Of the sample, by outcome; what an outcome lacks, the first ones give."""
_MAX_TEXT = 10_000
_ALL = 'All of them, in Python: raysweep.load("FILE.py").examples("the student\'s run").'
_WORDS = dict(zip(OUTCOMES, ("student right", "weak model right", "both wrong"), strict=True))


def examples_table(data: SweepData) -> Table | None:
    """Test examples on which a student and its weak model differ, those first that the student alone gets
    right: of each of the first tasks those of one student, of the method that gains most. None where texts
    aren't at hand, and where there are no such examples.

    Raises:
        CorruptFile: a file of a finished run isn't what was written.
    """
    if data.read_disagreements is no_texts:
        return None
    chosen = _chosen(data)
    rows: list[TableRow] = []
    counts = []
    for row, student in chosen:
        found = data.disagreements(student)
        if len(found):
            sample = sampled(found, _MAX_ROWS // len(chosen))
            rows += [_row(row, example) for example in sample.to_dict(orient="records")]
            counts.append(_counted(row, found, student))
    if not rows:
        return None
    columns = ("task", PAIR, "method", "who is right", "example", "truth", "weak model says", "student says")
    rows.sort(key=lambda row: list(_WORDS.values()).index(row.cells[3]))
    return without_constants(
        Table(
            caption="Test examples on which student and weak model differ: a sample",
            columns=(*columns, "difficulty"),
            rows=tuple(rows),
            num_names=3,
            note="\n".join([*counts, _ALL]),
        )
    )


def _chosen(data: SweepData) -> list[tuple[Row, str]]:
    """Of each of the first tasks, the row whose student gains most on its weak model, controls and baselines
    apart, with the run of its first student."""
    yardsticks = set(data.provenance.get("yardsticks", ()))
    best: dict[str, tuple[float, Row]] = {}
    for row in data.rows:
        if row.gap is not None and row.group.method not in yardsticks:
            gain = row.gap.student_accuracy - row.gap.weak_accuracy
            if gain > best.get(row.group.task, (-math.inf, row))[0]:
                best[row.group.task] = (gain, row)
    cells = data.cells[data.cells["is_finished"]]
    found = []
    for _, row in list(best.values())[:_MAX_TASKS]:
        own = cells[(cells[list(row.group._fields)] == list(row.group)).all(axis=1)]
        found.append((row, str(own["student"].iloc[0])))
    return found


def sampled(found: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` of the examples, in their order, with a share for each outcome."""
    by_outcome = [found[found["outcome"] == outcome] for outcome in OUTCOMES]
    quotas = [max(int(share * count), 1) for share in _SHARES]
    kept = pd.concat([own.head(quota) for own, quota in zip(by_outcome, quotas, strict=True)])
    rest = found.drop(kept.index).head(max(count - len(kept), 0))
    return pd.concat([kept, rest]).sort_index().head(count)


def _row(row: Row, example: Mapping[Any, Any]) -> TableRow:
    texts = [str(value) for name, value in example.items() if str(name).startswith("text")]
    text = (
        texts[0] if len(texts) == 1 else "\n".join(f"{number}: {text}" for number, text in enumerate(texts))
    )
    difficulty = example["difficulty"]
    group = row.group
    return TableRow(
        cells=(
            *(group.task, group.pair, group.method, _WORDS[example["outcome"]]),
            text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…",
            str(example["truth"]),
            *(_said(example[who], example[f"{who}_probability"]) for who in ("supervisor", "student")),
            "unknown" if math.isnan(difficulty) else f"{difficulty:.3g}",
        ),
        of={"task": group.task, "pair": group.pair, "method": group.method},
    )


def _said(answer: str, probability: float) -> str:
    return answer if math.isnan(probability) else f"{answer} ({probability:.2f})"


def _counted(row: Row, found: pd.DataFrame, student: str) -> str:
    counts = found["outcome"].value_counts()
    told: Sequence[str] = [f"{words} on {int(counts.get(outcome, 0))}" for outcome, words in _WORDS.items()]
    return (
        f"{row.group.task}, {row.group.pair}, {row.group.method}: of {len(found)} such examples, "
        f"{', '.join(told)} (student {student})."
    )
