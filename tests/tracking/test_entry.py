"""The content digest of an entry changes with all that it shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raysweep.store import RunStatus
from raysweep.tracking.curves import Point
from raysweep.tracking.entry import Entry, EntryKey, MadeFile


def entry(**fields: Any) -> Entry:
    key = EntryKey("run", "0123456789abcdef")
    return replace(Entry(key=key, name="a run", status=RunStatus.DONE, start=1.0, end=2.0), **fields)


def made(digest: str) -> tuple[MadeFile, ...]:
    return (MadeFile(name="made.json", write=lambda path: None, digest=digest),)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "another run"},
        {"status": RunStatus.FAILED},
        {"parent": "id"},
        {"note": "a note"},
        {"commit": "c0ffee"},
        {"params": {"seed": "0"}},
        {"tags": {"seed": "0"}},
        {"result": "0123"},
        {"made": made("0123")},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_another_value_of_a_field_is_other_content(fields: dict[str, Any]) -> None:
    assert entry(**fields).content != entry().content
    assert entry(**fields).content == entry(**fields).content


def test_a_text_that_moves_to_another_field_is_other_content() -> None:
    assert entry(note="text").content != entry(commit="text").content
    assert entry(params={"seed": "0"}).content != entry(tags={"seed": "0"}).content
    assert entry(made=made("a")).content != entry(made=made("b")).content


def test_points_and_files_are_not_read_for_the_content() -> None:
    def points() -> list[Point]:
        raise AssertionError("a curve was read")

    shown = entry(points=points, artifacts=(Path("/nowhere/spec.json"),))
    assert shown.content == entry().content
