"""The page of a sweep as it looks: at first sight, on a telephone, in the dark, on paper, and to axe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

pytestmark = pytest.mark.browser

DESK = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)
LOOKS = {
    "desk": {"viewport": DESK},
    "phone": {"viewport": PHONE},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "plain": {"viewport": DESK, "color_scheme": "dark", "java_script_enabled": False},
}


@pytest.fixture
def look(browser: Browser, file: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, as `LOOKS` has it."""
    context = browser.new_context(**LOOKS[request.param])  # type: ignore[arg-type]
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(file.as_uri())
    yield page
    context.close()


@pytest.mark.parametrize("look", ["desk"], indirect=True)
def test_answer_figure_and_head_of_the_table_are_seen_first(look: Page) -> None:
    expect(look.locator("#figure-methods_pgr .chart svg")).to_be_visible()
    for what in (".told .lead", "#figure-methods_pgr .chart svg", "#choices", ".results thead"):
        box = look.locator(what).first.bounding_box()
        assert box and box["y"] >= 0 and box["y"] + box["height"] <= DESK["height"], what


@pytest.mark.parametrize("look", ["phone"], indirect=True)
def test_a_telephone_shows_method_and_pgr_without_scrolling_sideways(look: Page) -> None:
    table = look.locator(".results table")
    assert [head.inner_text() for head in table.locator("thead th").all()][2:4] == ["method", "PGR [90 %]"]
    for row in table.locator("tbody tr").all():
        for cell in row.locator("th, td").all()[2:4]:
            box = cell.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"], row.inner_text()


@pytest.mark.parametrize("look", ["desk", "phone", "dark"], indirect=True)
def test_axe_finds_nothing(look: Page) -> None:
    look.evaluate("document.querySelectorAll('details').forEach((all) => all.removeAttribute('name'))")
    look.evaluate("document.querySelectorAll('details').forEach((all) => (all.open = true))")
    for figure in look.locator("figure").all():
        figure.scroll_into_view_if_needed()
        expect(figure.locator(".chart svg")).to_be_visible()
    found = Axe().run(look).response
    assert len(found["passes"]) > 30
    assert [(item["id"], item["nodes"][0]["html"]) for item in found["violations"]] == []


@pytest.mark.parametrize("look", ["dark", "plain"], indirect=True)
def test_figures_are_bright_on_dark(look: Page) -> None:
    """Charts, and the pictures where there are no scripts: a dark ground, with letters that stand out."""
    is_chart = look.evaluate("!document.getElementById('choices').hidden")
    drawn = look.locator(f"#figure-methods_pgr {'.chart svg' if is_chart else 'img'}")
    expect(drawn).to_be_visible()
    grey = np.asarray(Image.open(io.BytesIO(drawn.screenshot())).convert("L"))
    assert np.median(grey) < 40 and grey.max() > 200


@pytest.mark.parametrize("look", ["desk"], indirect=True)
def test_paper_is_used_in_its_full_width(look: Page) -> None:
    look.emulate_media(media="print")
    look.set_viewport_size(ViewportSize(width=794, height=1123))  # A4 at 96 dots per inch
    for table in look.locator("#answer table:visible").all():
        box = table.bounding_box()
        assert box and box["x"] <= 9 and 770 < box["width"] <= 794
    assert look.evaluate("document.documentElement.scrollWidth") <= 794
    assert not look.locator("#choices").is_visible()
