"""What values of tables are: classes, texts, gaps, and where they stand."""

import datetime
import json
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raysweep.errors import InvalidInput
from raysweep.tasks import classification_task, preference_task
from raysweep.tasks.base import Pools
from raysweep.tasks.encodings import decoded, wide_encoding
from raysweep.tasks.places import Fault, brief, place, user_path
from raysweep.tasks.table_files import TableReader
from raysweep.tasks.templates import Template
from raysweep.tasks.values import Classes, is_missing, number_of, text_of


def test_when_there_is_no_value() -> None:
    for value in (
        None, "", " \n", b" ", float("nan"), np.float32("nan"), Decimal("NaN"), Decimal("sNaN"), pd.NA,
        pd.NaT, np.datetime64("NaT"),
    ):  # fmt: skip
        assert is_missing(value), value
    for value in (
        0, False, "nan", "None", "null", [], {}, np.array([]), np.array([np.nan]), pd.Timestamp(0), 10**5000,
    ):  # fmt: skip
        assert not is_missing(value), type(value)


@pytest.mark.parametrize(
    ("classes", "numbers"),
    [
        ([0, 1], [(0, 0), (1, 1), ("0", 0), (0.0, 0), (1.0, 1), ("0.0", 0), ("1.", 1), (b"1", 1)]),
        ([0.0, 1.0], [(0, 0), (1, 1), ("0", 0), ("1.0", 1), (1.0, 1)]),
        (["0", "1"], [(0, 0), (1.0, 1), ("1.000", 1)]),
        ([False, True], [(False, 0), (True, 1), ("false", 0), ("TRUE", 1), (np.bool_(True), 1)]),
        (["false", "true"], [(False, 0), (True, 1), ("False", 0)]),
        ([10**16, -5], [(1e16, 0), (-5.0, 1), ("-5.0", 1)]),
        (["a", "A", "1", "1.0"], [("a", 0), ("A", 1), ("1", 2), (1, 2), ("1.0", 3), (1.0, 3)]),
        (range(3), [(2, 2)]),
    ],
)
def test_the_number_of_a_class(classes: Any, numbers: list[tuple[Any, int]]) -> None:
    known = Classes("t", "classes", classes)
    assert [(value, known.number(value)) for value, _ in numbers] == numbers
    for value in ("2.5", "x", " 1", "", "1.0.0", "yes", 1.5, None, [], [0], 10**5000, float("inf")):
        assert known.number(value) is None, type(value)


def test_truth_values_and_numbers_are_different_classes() -> None:
    assert Classes("t", "classes", [0, 1]).number(True) is None
    assert Classes("t", "classes", [False, True]).number(1) is None


@pytest.mark.parametrize(
    ("row", "text", "shown"),
    [
        ({"a": "x", "b": None}, "{a}/{b}", "x/"),
        ({"a": float("nan"), "b": "x"}, "{a:>5}/{b:>3}", "/  x"),
        ({"a": 1.0, "b": True}, "{a} {b} {{}}", "1.0 True {}"),
        ({"a": 2.25, "b": 1}, "{a:.1f} {b:03}", "2.2 001"),
        ({"a": "é".encode()}, "{a}", "é"),
        ({"a": bytearray(b"x")}, "{a!s:>2}", "bytearray(b'x')"),
        ({"a": [1, 2]}, "{a[1]} {a!r}", "2 [1, 2]"),
        ({"a": {"b": {"c": "x"}}}, "{a[b][c]}", "x"),
        ({"a.b": "x", "a": datetime.date(2026, 1, 2)}, "{a.b} {a.year} {a}", "x 2026 2026-01-02"),
        ({"0": "x", "0[1]": "y"}, "{0} {0[0]} {0[1]}", "x x y"),
        ({"a": np.int64(3), "b": np.bool_(True)}, "{a} {b}", "3 True"),
        ({"a": "x", "width": 3}, "{a:>{width}}", "  x"),
        ({"a": "\U0001f600"}, "{a}", "\U0001f600"),
    ],
)
def test_the_text_of_a_template(row: dict[str, Any], text: str, shown: str) -> None:
    assert Template("t", "text", text)(row) == shown


@pytest.mark.parametrize(
    ("row", "text", "column", "message"),
    [
        ({"a": None}, "Review: {a}", "a", "there is no value, which text needs"),
        ({"a": None, "b": " "}, "{a}: {b}", None, "none of the columns 'a', 'b' has a value, which text"),
        ({}, "{a[0]}", "a", "there is no value"),
        ({"a": [1]}, "{a[1]}", "a", r"the value \[1\] has no part \{a\[1\]\}, which text needs: IndexError"),
        ({"a": 3}, "{a.b}", "a", r"has no part \{a\.b\}"),
        ({"a": {"x"}}, "{a}", "a", "of type set, which has no text of its own; name a part of it"),
        ({"a": np.array([1])}, "{a}", "a", "of type ndarray"),
        ({"a": object}, "{a}", "a", "of type type"),
        ({"a": b"\xe9"}, "{a}", "a", r"b'\\xe9' is bytes that aren't UTF-8"),
        (
            {"a": "x"},
            "{a:>10000000000}",
            "a",
            "its format '>10000000000' asks for more than 10,000 characters",
        ),
        ({"a": 1.5}, "{a:.99999999999f}", "a", "asks for more than 10,000 characters"),
        ({"a": "x", "n": 10**7}, "{a:>{n}}", "a", "its format '>10000000' asks for more than 10,000"),
        ({"a": "x"}, "{a:d}", "a", "the value 'x' can't be shown: Unknown format code 'd'"),
        ({"a": "ok \ud83d"}, "{a}", "a", r"text has the lone surrogate \\ud83d at character 4"),
        ({"a": "b", "c": "\udcff"}, "{a}{c}", None, r"lone surrogate \\udcff at character 2"),
    ],
)
def test_values_without_a_text(row: dict[str, Any], text: str, column: str | None, message: str) -> None:
    with pytest.raises(Fault, match=message) as caught:
        Template("t", "text", text)(row)
    assert caught.value.column == column


def test_a_difficulty_is_a_finite_number() -> None:
    values = [3, "2.5", np.float32(0.5), Decimal(2), True, "", None, float("nan"), " 1 "]
    assert [number_of(value, "d") for value in values] == [3, 2.5, 0.5, 2, 1, None, None, None, 1]
    for value in ("x", "inf", float("-inf"), 1j, [1], 10**400, "nan"):
        with pytest.raises(Fault, match="it must be a finite number"):
            number_of(value, "d")


def test_a_place_in_words() -> None:
    assert place("a.csv", line=3, column="x") == "a.csv, line 3, column 'x'"
    assert place("a.parquet", row=0) == "a.parquet, row 0 (counted from 0)"
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    assert brief(deep) == "a value of type list that is too large to be shown"
    assert brief(10**5000) == "a value of type int that is too large to be shown"
    assert len(brief("x" * 1000)) < 100


def test_paths_of_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("t", "~/a.csv") == tmp_path / "a.csv"
    (tmp_path / "a.csv").write_text("t,l\none,0\ntwo,1\n")
    task = classification_task("~/a.csv", text="{t}", label="l", classes=[0, 1])
    assert [item.texts for item in task.load()["train"]] == [("one",), ("two",)]


def test_text_of_bytes() -> None:
    assert text_of("é".encode()) == "é" and text_of(3) == 3
    with pytest.raises(Fault, match="aren't UTF-8"):
        text_of(b"\xff")


# Files


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.csv", 't\n\n"one\nrow"\ntwo\r\nthree\n', [3, 5, 6]),
        ("a.tsv", 't\tu\n"a\tb\nc\td\n', [2, 3]),
        ("a.jsonl", '{"t": 1}\n\n{"t": 2}\n', [1, 3]),
        ("a.json", '\n[{"t": 1}, {"t": 2},\n\n{"t": {"u":\n3}}, {"t": 4}]', [2, 2, 4, 5]),
    ],
)
def test_the_line_in_which_each_row_begins(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    (tmp_path / name).write_bytes(text.encode())
    (rows,) = TableReader(task="t").pools(tmp_path / name, ["t"])["train"]
    assert rows.lines is not None and list(rows.lines) == lines


def test_the_likely_encoding() -> None:
    assert decoded("\ufeffé".encode()) == "é" == decoded("é".encode("cp1252"), "cp1252")
    for name, text in (("utf-16-le", "abc é"), ("utf-16-be", "abc é")):
        assert wide_encoding(text.encode(name)) == name
    assert wide_encoding("日本語テキスト".encode()) is None and wide_encoding(b"") is None
    for data, message in (
        ("ab\ncafé.".encode("latin-1"), "byte 0xe9 isn't UTF-8 .*if it is latin-1"),
        ("“a”".encode("cp1252"), "byte 0x93 isn't UTF-8 .*if it is cp1252, .* encoding='cp1252'"),
        (b"\x81\x8d", r"if you know its encoding, give encoding=\.\.\."),
        (b"\xed\xa0\xbd", "lone surrogate"),
        ("é".encode()[:1], "ends within a character"),
    ):
        with pytest.raises(Fault, match=message):
            decoded(data)


def test_rows_without_a_value_are_counted_or_skipped(tmp_path: Path) -> None:
    texts = ["a", "", "c", None, "e", " ", "g"]
    rows = [{"t": text, "l": None if text == "e" else number % 2} for number, text in enumerate(texts)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    known: dict[str, Any] = {"text": "{t}", "label": "l", "classes": [0, 1]}
    with pytest.raises(
        InvalidInput,
        match=r"a\.jsonl, line 2, column 't' can't be used: there is no value, which text needs \(3 of 7 "
        r"rows are like this one; the next: lines 4, 6\)\. Leave such rows out with skip_missing=True$",
    ):
        classification_task(tmp_path / "a.jsonl", **known).load()
    pools = classification_task(tmp_path / "a.jsonl", **known, skip_missing=True).load()
    assert isinstance(pools, Pools)
    assert [(item.texts[0], item.label) for item in pools["train"]] == [("a", 0), ("c", 0), ("g", 0)]
    assert pools.rows.missing == 4


def test_gaps_and_values_of_several_lines_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.csv").write_text('t,u,l\n"a\nb",x,0\nc,,1\nd,,1\n')
    task = classification_task(tmp_path / "a.csv", text="{t} {u}", label="l", classes=[0, 1])
    with caplog.at_level(logging.WARNING):
        assert [item.texts[0] for item in task.load()["train"]] == ["a\nb x", "c ", "d "]
    several, gaps = caplog.messages
    assert "1 of 3 rows have values in quotes that go over several lines, the first in line 2;" in several
    assert "a.csv, line 4, column 'u' has no value (2 of 3 rows are like this one)" in gaps


def test_a_row_without_a_label_is_a_tie_if_ties_have_no_value(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,l\none,two,0\nthree,four,\nfive,six,1\n")
    known: dict[str, Any] = {"first": "{a}", "second": "{b}", "label": "l"}
    examples = preference_task(tmp_path / "a.csv", **known).load()["train"]
    assert [item.texts[item.label or 0] for item in examples] == ["one", "six"]
    with pytest.raises(InvalidInput, match=r"line 3, column 'l' can't be used: the label has no value"):
        preference_task(tmp_path / "a.csv", **known, ties=[]).load()


@pytest.mark.parametrize("value", [7, np.int8(7), 7.0, np.float32(7), "7", "7.0", Decimal("7.0"), b"7"])
def test_a_whole_number_is_one_group_in_every_table(value: Any) -> None:
    tables = {
        "train": pd.DataFrame([{"t": "a", "l": 0, "g": 7}, {"t": "b", "l": 1, "g": 8}]),
        "test": pd.DataFrame([{"t": "c", "l": 0, "g": value}, {"t": "d", "l": 1, "g": 7.5}], dtype=object),
    }
    pools = classification_task(tables, text="{t}", label="l", classes=[0, 1], group="g").load()
    assert [item.group == pools["train"][0].group for item in pools["test"]] == [True, False]


@pytest.mark.parametrize("value", [1 + 2j, 1j, np.complex128(1 + 2j), np.complex64(1)])
def test_a_complex_difficulty_is_refused(value: Any) -> None:
    with pytest.raises(Fault, match=r"the difficulty is .*; it must be a finite number"):
        number_of(value, "d")


def test_groups_have_the_same_gaps_in_every_format(tmp_path: Path) -> None:
    rows = [{"t": f"{number}", "l": number % 2, "g": group} for number, group in enumerate("aabb")]
    frame = pd.DataFrame(rows, dtype=object)
    for blank in (None, float("nan"), pd.NA, "", "  "):
        frame["g"] = ["a", "a", blank, blank]
        task = classification_task(frame, text="{t}", label="l", classes=[0, 1], group="g")
        groups = [item.group for item in task.load()["train"]]
        assert groups[0] == groups[1] and len(set(groups)) == 3, blank


def test_several_tables_of_a_pool_are_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,l\none,0\ntwo,1\n")
    (tmp_path / "b.JSONL").write_text('{"t": "three", "l": 1}\n{"t": "one", "l": 0}\n')
    source = [tmp_path / "a.csv", str(tmp_path / "b.JSONL"), pd.DataFrame({"t": ["four"], "l": [0.0]})]
    task = classification_task(source, text="{t}", label="l", classes=[0, 1])
    assert task.name == "a"
    assert [(item.texts[0], item.label) for item in task.load()["train"]] == [
        ("one", 0), ("two", 1), ("three", 1), ("four", 0),
    ]  # fmt: skip
    (tmp_path / "b.JSONL").write_text('{"t": "", "l": 1}\n')
    with pytest.raises(InvalidInput, match=r"b\.JSONL, line 1, column 't'"):
        task.load()


def test_told_that_quotes_are_quotes_it_reports_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.csv").write_text('t,l\n"a\nb",0\nc,1\n')
    task = classification_task(tmp_path / "a.csv", text="{t}", label="l", classes=[0, 1], quoting=True)
    assert [item.texts[0] for item in task.load()["train"]] == ["a\nb", "c"]
    assert caplog.messages == []
