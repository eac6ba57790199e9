"""What a plan tells of a task: rows read, used and left out, groups, and near-duplicates."""

import csv
import json
from pathlib import Path

import pytest

from raysweep.data.pinning import Pinner
from raysweep.data.task_facts import SplitFacts, TaskFacts
from raysweep.spec import TaskSpec
from raysweep.store import Store
from raysweep.tasks import base, classification_task
from raysweep.tasks.base import RowCounts
from raysweep.tasks.near_duplicates import NearDuplicates


def table(path: Path) -> Path:
    """100 rows: 20 of class 1, 5 repeated ones of class 0, 2 contradictory ones, all others of class 0."""
    rows = [(f"number {number}", int(number < 20)) for number in range(93)]
    rows += [(f"number {number}", 0) for number in range(50, 55)]
    rows += [("both", 0), ("both", 1)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


@pytest.fixture
def facts(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> TaskFacts:
    task = classification_task(table(tmp_path / "t.csv"), text="{text}", label="label", classes=[0, 1])
    monkeypatch.setitem(base.tasks._entries, "own", task)
    pinner = Pinner(store)
    pinned = pinner.task(TaskSpec(name="own", num_train=8, num_validation=4, num_test=8))
    return pinner.facts[pinned.content or ""]


def test_what_became_of_the_rows_of_a_table(facts: TaskFacts) -> None:
    assert facts.rows == RowCounts(read=100, rendered=100, repeated=5, contradictory=2)
    assert facts.sizes == "28 of 100 rows used: supervisor 8, transfer 8, validation 4, test 8"
    # Of 93 distinct texts 20 are of class 1, so 53 of class 0 are left out for balance, and 12 of 40 remain.
    assert facts.remarks == [
        "left out: 5 repeated, 2 contradictory (the same text with different labels or answers), 53 for "
        "balance, 12 beyond the splits' sizes"
    ]


def test_near_duplicates_are_looked_for_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "t.jsonl"
    words = "a long enough sentence in which one word more changes hardly anything at all"
    path.write_text("".join(json.dumps({"t": f"{words} {n}", "l": n % 2}) + "\n" for n in range(40)))
    task = classification_task(path, text="{t}", label="l", classes=[0, 1])
    monkeypatch.setitem(base.tasks._entries, "same", task)
    spec = TaskSpec(name="same")
    pinner = Pinner(store)
    content = pinner.task(spec).content or ""
    found = pinner.facts[content].near_duplicates
    # Splits of 14, 14, 4 and 8: every pair of texts in two of them is one.
    assert found.num_pairs == {
        ("supervisor", "transfer"): 196,
        ("supervisor", "validation"): 56,
        ("supervisor", "test"): 112,
        ("transfer", "validation"): 56,
        ("transfer", "test"): 112,
        ("validation", "test"): 32,
    }
    monkeypatch.setattr(
        "raysweep.data.task_facts.near_duplicates", lambda splits: pytest.fail("looked again")
    )
    again = Pinner(store)
    again.task(spec)
    assert again.facts[content].near_duplicates == found


def test_lines() -> None:
    facts = TaskFacts(
        splits={
            "transfer": SplitFacts(num_examples=1000, num_groups=1000, largest_group=1),
            "test": SplitFacts(num_examples=200, num_groups=12, largest_group=130),
        },
        rows=RowCounts(read=1000, rendered=2000),
        left_out={"for balance": 800},
        near_duplicates=NearDuplicates(
            num_pairs={("transfer", "test"): 1234}, example=("a\nb", "x" * 99), is_complete=False
        ),
    )
    assert facts.sizes == (
        "1,200 of 2,000 examples of 1,000 rows used: transfer 1,000, test 200 in 12 groups"
    )
    assert json.loads(json.dumps(facts.to_json())) == {
        "num_used": 1200,
        "splits": {
            "transfer": {"num_examples": 1000, "num_groups": 1000, "largest_group": 1},
            "test": {"num_examples": 200, "num_groups": 12, "largest_group": 130},
        },
        "rows": {"read": 1000, "rendered": 2000, "missing": 0, "blank": 0, "repeated": 0, "contradictory": 0},
        "left_out": {"for balance": 800},
        "near_duplicates": [["transfer", "test", 1234]],
        "are_near_duplicates_complete": False,
    }
    assert facts.remarks == [
        "left out: 800 for balance",
        "large groups: one is 65% of test",
        f"near-duplicates: at least 1,234 of transfer and test, such as 'a b' and '{'x' * 69}…'",
    ]


def test_rows_without_a_value_are_rows_that_are_not_used() -> None:
    facts = TaskFacts(
        splits={"test": SplitFacts(num_examples=90, num_groups=90, largest_group=1)},
        rows=RowCounts(read=100, rendered=93, missing=7, blank=3),
        left_out={},
        near_duplicates=NearDuplicates(num_pairs={}, example=None, is_complete=True),
    )
    assert facts.sizes == "90 of 100 rows used: test 90"
    assert facts.remarks == ["left out: 7 without a value, 3 blank"]


def test_a_loader_that_does_not_count_rows(store: Store) -> None:
    params = {"num_sentences": 300, "num_test_sentences": 100}
    pinner = Pinner(store)
    pinned = pinner.task(
        TaskSpec(name="sandbox", params=params, num_train=100, num_validation=20, num_test=40)
    )
    facts = pinner.facts[pinned.content or ""]
    assert facts.rows is None and facts.num_used == 260
    assert facts.num_used + sum(facts.left_out.values()) == 400
