"""The page of a sweep in a real browser, opened from disk without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, ViewportSize, expect

pytestmark = pytest.mark.browser

DESK = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=360, height=740)
METHODS = ("naive", "confidence", "shuffled_labels")


@pytest.fixture
def complaints() -> list[str]:
    """What a page asked the network for, or complained of."""
    return []


@pytest.fixture
def page(
    browser: Browser, file: Path, complaints: list[str], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """The page, at the size that the test is given, with all its figures drawn."""
    context = browser.new_context(viewport=getattr(request, "param", DESK))
    context.set_default_timeout(20_000)

    def refuse(route: Route) -> None:
        complaints.append(f"asked for {route.request.url}")
        route.abort()

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    context.route(lambda address: not address.startswith(("data:", file.as_uri(), "blob:")), refuse)
    page = context.new_page()
    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    draw_all(page)
    yield page
    context.close()


def draw_all(page: Page) -> None:
    for figure in page.locator("figure").all():
        figure.scroll_into_view_if_needed()
        expect(figure.locator(".chart svg")).to_be_visible()
        expect(figure.locator("img")).to_be_hidden()


def choose(page: Page, what: str) -> Locator:
    """The choice of tasks, pairs, methods or seeds, open."""
    found = page.locator("details.choice", has_text=what)
    if found.get_attribute("open") is None:
        found.locator("summary").click()
    return found


def rows(page: Page) -> list[str]:
    """Texts of the visible rows of the answer's table."""
    table = page.locator(".results table")
    return [row.inner_text() for row in table.locator("tbody tr").all() if row.is_visible()]


def marks(page: Page, figure: str) -> int:
    return page.locator(f"#figure-{figure} .chart svg [aria-roledescription]").count()


def test_it_needs_no_network_and_complains_of_nothing(page: Page, complaints: list[str]) -> None:
    assert page.locator("figure").count() >= 6
    assert complaints == []


def test_choosing_changes_tables_and_figures_at_once(page: Page, complaints: list[str]) -> None:
    before = marks(page, "methods_accuracy")
    assert len(rows(page)) == 12
    choose(page, "Methods").get_by_role("checkbox", name="shuffled_labels").uncheck()
    assert len(rows(page)) == 8 and not any("shuffled" in row for row in rows(page))
    expect(page.get_by_role("status")).to_have_text("Shown: 2 of 3 methods. The sentences are of everything.")
    expect(page.locator("#figure-methods_accuracy .chart")).not_to_contain_text("shuffled")
    assert 0 < marks(page, "methods_accuracy") < before
    tasks = choose(page, "Tasks")
    tasks.get_by_role("button", name="None").click()
    assert rows(page) == []
    expect(page.locator("#figure-accuracy_by_task .empty")).to_be_visible()
    expect(page.locator("#figure-accuracy_by_task .chart")).to_be_hidden()
    tasks.get_by_role("button", name="All").click()
    choose(page, "Methods").get_by_role("checkbox", name="shuffled_labels").check()
    expect(page.locator("#figure-methods_accuracy .chart")).to_contain_text("shuffled")
    assert len(rows(page)) == 12 and marks(page, "methods_accuracy") == before
    expect(page.get_by_role("status")).to_have_text("Everything is shown.")
    assert complaints == []


def test_a_choice_is_in_the_address_and_what_it_does_not_move_says_so(page: Page, file: Path) -> None:
    notes = page.locator(".fixed:visible")
    expect(notes).to_have_count(0)
    choose(page, "Pairs").get_by_role("checkbox", name="small → huge").uncheck()
    choose(page, "Tasks").get_by_role("checkbox", name="sciq").uncheck()
    assert len(rows(page)) == 3 and all("small → large" in row for row in rows(page))
    expect(page.locator("#figure-methods_pgr .fixed:visible")).to_have_text(
        "This figure is of all tasks: the choice doesn't change it."
    )
    expect(page.locator("#figure-accuracy_by_task .fixed:visible")).to_have_text(
        "This figure is of all pairs: the choice doesn't change it."
    )
    address = page.url
    assert address.startswith(f"{file.as_uri()}#")
    page.goto("about:blank")
    page.goto(address)
    assert len(rows(page)) == 3 and all("small → large" in row for row in rows(page))
    page.evaluate("location.hash = 'method=naive'")
    expect(page.locator(".results tbody tr:visible").filter(has_text="confidence")).to_have_count(0)
    assert len(rows(page)) == 4


def test_headers_sort(page: Page) -> None:
    header = page.locator(".results table").get_by_role("columnheader", name="student", exact=True)
    place = header.evaluate("cell => cell.cellIndex")

    def column(at: int) -> list[str]:
        return [row.split("\t")[at] for row in rows(page)]

    before = column(place)
    header.get_by_role("button").click()
    assert column(place) == sorted(before, reverse=True) != before
    assert header.get_attribute("aria-sort") == "descending"
    header.get_by_role("button").click()
    assert column(place) == sorted(before)
    page.locator(".results table").get_by_role("button", name="method").click()
    assert column(2) == sorted(column(2)) and header.get_attribute("aria-sort") is None


def test_seeds_are_chosen_where_there_are_single_seeds(page: Page) -> None:
    page.get_by_text("Seed by seed (34 cells)").click()
    cells = page.locator("#answer details table tbody tr:visible")
    assert cells.count() == 2 * 2 * 3 * 3 - 2  # of each strong model, one cell failed
    choose(page, "Seeds").get_by_role("checkbox", name="2", exact=True).uncheck()
    assert cells.count() == 2 * 2 * 3 * 2 and len(rows(page)) == 12


def test_a_mark_tells_its_numbers_under_the_pointer(page: Page) -> None:
    mark = page.locator("#figure-methods_accuracy .chart svg path[aria-roledescription='point']").first
    mark.hover()
    tip = page.locator("#vg-tooltip-element.visible")
    expect(tip).to_be_visible()
    assert any(method.replace("_", " ") in tip.inner_text().replace("_", " ") for method in METHODS)
    assert any(character.isdigit() for character in tip.inner_text())


def test_the_keyboard_is_enough(page: Page) -> None:
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0, (
        "seen when it has the focus"
    )
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "answer"
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith("Tasks"):
            page.keyboard.press("Enter")
        if page.evaluate("document.activeElement.value") == "sciq":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Space")
    assert len(rows(page)) == 6 and all("boolq" in row for row in rows(page))
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


@pytest.mark.parametrize(
    "page", [DESK, PHONE, ViewportSize(width=650, height=700)], indirect=True, ids=["desk", "phone", "viewer"]
)
def test_it_fits_its_window(page: Page) -> None:
    for summary in page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    width = page.evaluate("innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for label in page.locator("label:visible, button:visible:not(th *), nav a").all():
        box = label.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] >= 24, (
            label.inner_text()
        )
    charts = page.locator(".chart svg")
    scales = charts.evaluate_all(
        "all => all.map((svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"
    )
    assert min(scales) * 7 >= 8, "figures are drawn with letters of 7 pixels"


def test_a_picture_is_saved_as_it_is_shown(page: Page) -> None:
    choose(page, "Methods").get_by_role("checkbox", name="shuffled_labels").uncheck()
    figure = page.locator("#figure-methods_accuracy")
    expect(figure.locator(".chart")).not_to_contain_text("shuffled")
    with page.expect_download() as saved:
        figure.get_by_role("button", name="Picture as SVG").click()
    text = saved.value.path().read_text()
    assert (
        saved.value.suggested_filename == "methods_accuracy.svg"
        and text.startswith("<svg")
        and "confidence" in text
    )
    assert "shuffled" not in text
    with page.expect_download() as saved:
        figure.get_by_role("link", name="Numbers as CSV").click()
    assert saved.value.suggested_filename == "methods_accuracy.csv"
    assert "shuffled" in saved.value.path().read_text(), "the CSV has everything"


def test_without_scripts_the_tables_and_pictures_are_there(browser: Browser, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator(".results tbody tr").first.is_visible() and not page.locator("#choices").is_visible()
    pictures = page.locator("figure img").all()
    assert len(pictures) >= 6
    for picture in pictures:
        box = picture.bounding_box()
        assert picture.get_attribute("alt") and box and box["height"] > 40
    context.close()


def test_in_a_sandbox_as_mlflow_has_it(
    browser: Browser, file: Path, tmp_path: Path, complaints: list[str]
) -> None:
    """MLflow shows an artifact in an iframe that may run scripts and has no origin, no downloads and no way
    to navigate."""
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe sandbox="allow-scripts" src="{file.as_uri()}" style="width: 1040px; height: '
        '780px"></iframe>'
    )
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(frame.as_uri())
    inside = page.frame_locator("iframe")
    inside.get_by_role("link", name="Cost").click()
    expect(inside.get_by_role("heading", name="Cost")).to_be_in_viewport()
    inside.get_by_role("link", name="Figures").click()
    expect(inside.locator("figure .chart svg").first).to_be_in_viewport()
    assert complaints == []
    context.close()
