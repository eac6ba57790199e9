"""A page in the machine's own Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from report.made_up import made_up_sweep

from raysweep.report.figures import figures_of
from raysweep.report.page import page as page_of

CHROMIUM = Path("/usr/bin/chromium")
_PATIENCE_MILLISECONDS = 30_000
"""A busy machine takes many seconds to draw a page."""
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


def accuracy(end: str, cell: dict[str, Any]) -> float:
    """Weak models 0.6, ceilings 0.8 and 0.85; students between, a little apart by seed."""
    student = {"naive": 0.68, "confidence": 0.74, "shuffled_labels": 0.5}[cell["method"]] + 0.01 * cell[
        "seed"
    ]
    return {"supervisor": 0.6, "student": student, "ceiling": 0.8 if cell["strong"] == "large" else 0.85}[end]


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 36 cells, of which one failed, with all figures that they have."""
    data = made_up_sweep(
        accuracy,
        tasks=["boolq", "sciq"],
        strong=["large", "huge"],
        methods=["naive", "confidence", "shuffled_labels"],
        sizes={"small": 1_000_000, "large": 8_000_000, "huge": 60_000_000},
        failed=lambda cell: cell["method"] == "confidence" and cell["seed"] == 2 and cell["task"] == "sciq",
    )
    path = tmp_path_factory.mktemp("report") / "page.html"
    path.write_text(
        page_of(data, figures_of(data), question="Does it work?\n\nIt may.", command="raysweep run mine.py")
    )
    return path


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page as a new user has it: nothing stored. It is wide, since MLflow draws only the columns
    that fit."""
    context = browser.new_context(viewport={"width": 2400, "height": 1400})
    context.set_default_timeout(_PATIENCE_MILLISECONDS)
    expect.set_options(timeout=_PATIENCE_MILLISECONDS)
    yield context.new_page()
    context.close()
