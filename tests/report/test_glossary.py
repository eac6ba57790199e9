"""The words of a report: docs/glossary.md and the page have the same, and what a reader sees uses them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from report.made_up import made_up_sweep

from raysweep.report.figures import figures_of
from raysweep.report.page import page
from raysweep.report.page.glossary import WORDS

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"


def accuracy(end: str, cell: dict[str, Any]) -> float:
    return {"supervisor": 0.6, "student": 0.7, "ceiling": 0.8}[end]


def test_the_glossary_is_the_pages() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(rows) == (("word", "meaning"), *WORDS)


@pytest.mark.parametrize("word", ["floor", "supervisor", "teacher"])
def test_a_thing_has_one_word(word: str) -> None:
    """The weak model is called that wherever its accuracy is meant; the supervisor is its run."""
    data = made_up_sweep(
        accuracy, methods=["naive", "other"], strong=["large", "huge"], sizes={"large": 10, "huge": 20}
    )
    figures = figures_of(data).figures
    for figure in figures:
        seen = [figure.title, figure.caption, figure.alt, *map(str, figure.data), str(figure.data.to_csv())]
        seen += re.findall(r'"title": ?"([^"]*)"', figure.chart.to_json())
        assert not re.search(rf"\b{word}s?\b", " ".join(seen), re.IGNORECASE), figure.name


def test_the_page_explains_its_words() -> None:
    text = page(made_up_sweep(accuracy), figures_of(made_up_sweep(accuracy, failed=lambda cell: True)))
    section = text.split('<section id="words">')[1]
    assert re.findall(r"<dt>(.*?)</dt>", section) == [word for word, _ in WORDS]
    assert "agrees when weak is wrong</th>" in text
