"""Folders of text files as a corpus of chunks."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks import load_task
from raysweep.tasks.text_folder import chunks, load_folder


def texts(path: Path, **params: Any) -> list[str]:
    return [example.texts[0] for example in load_folder(path=str(path), **params)["train"]]


def test_paragraphs_are_joined_up_to_the_limit() -> None:
    text = "one\ntwo\n\nthree\n \nfour five six seven\n\n\neight"
    # "one two", the line break and "three" have 13 characters; the long paragraph is cut between words.
    assert list(chunks(text, 13)) == ["one two\nthree", "four five six", "seven\neight"]
    assert list(chunks(text, 1000)) == ["one two\nthree\nfour five six seven\neight"]
    assert list(chunks("a verylongword b", 4)) == ["a", "verylongword", "b"]
    assert list(chunks(" \n\n ", 10)) == []


def test_files_of_all_kinds_in_order_of_their_paths_without_repeats(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/last.md").write_text("last\n\nfirst")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "a2.txt.gz").write_bytes(gzip.compress("größer".encode()))
    (tmp_path / "a3.md.gz").write_bytes(gzip.compress(b"first"))
    (tmp_path / "data.json").write_text("{}")
    (tmp_path / ".hidden.txt").write_text("hidden")
    assert texts(tmp_path, num_characters=6) == ["first", "größer", "last"]
    examples = load_folder(path=str(tmp_path), num_characters=6)["train"]
    assert [example.id for example in examples] == [example.group for example in examples]
    assert len({example.id for example in examples}) == 3
    assert {example.label for example in examples} == {None}


def test_a_limit_is_spread_over_files(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("x" * 10)
    for name in "234":
        (tmp_path / f"{name}.txt").write_text(name * 1000)
    # 100 characters for 4 files: 25 each; the first gives 10, so the others share 90
    assert [len(text) for text in texts(tmp_path, num_characters_total=100)] == [10, 30, 30, 30]
    assert [len(text) for text in texts(tmp_path)] == [10, 1000, 1000, 1000]


def test_the_task_has_train_and_validation(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n\n".join(f"paragraph number {number:04}" for number in range(500)))
    data = load_task(TaskSpec(name="text_folder", params={"path": str(tmp_path), "num_characters": 21}))
    assert {name: len(examples) for name, examples in data.splits.items()} == {"train": 490, "validation": 10}
    assert data.task.kind == "text" and data.task.num_classes == 0
    assert not {item.id for item in data.split("train")} & {item.id for item in data.split("validation")}


def test_unreadable_bytes_do_not_stop_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    assert texts(tmp_path) == ["caf\ufffd"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"path": "nowhere"}, "path is '.*nowhere'; it must be an existing folder"),
        ({"path": 3}, "path is 3; it must be an existing folder"),
        ({"path": "empty"}, r"has no text file; any of \.txt, \.md, \.txt\.gz, \.md\.gz"),
        ({"path": "blank"}, "are all empty"),
        ({"path": "broken"}, r"broken\.txt\.gz can't be read"),
        (
            {"path": "blank", "num_characters": 0},
            "num_characters is 0; it must be a whole number of at least 1",
        ),
        ({"path": "blank", "num_characters": None}, "num_characters is None"),
        (
            {"path": "blank", "num_characters_total": 1.5},
            "num_characters_total is 1.5; .* at least 1 or None",
        ),
    ],
)
def test_bad_folders_and_parameters_are_refused(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    for name in ("empty", "blank", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "blank/blank.txt").write_text("\n\n")
    (tmp_path / "broken/broken.txt.gz").write_bytes(gzip.compress(b"text" * 1000)[:20])
    if isinstance(params["path"], str):
        params = params | {"path": str(tmp_path / params["path"])}
    with pytest.raises(InvalidInput, match=message):
        load_task(TaskSpec(name="text_folder", params=params))
