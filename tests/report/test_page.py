"""The page of a sweep as HTML: what it says of sweeps whose numbers are known, and of those that have little
to say."""

import dataclasses
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import pytest
from grid_helpers import finish, finish_all, small_sweep
from report.made_up import made_up_sweep

from raysweep.errors import InvalidInput
from raysweep.planning.plan import make_plan
from raysweep.report.figures.base import Figure, Figures, Omitted
from raysweep.report.page import page
from raysweep.report.write import publish, question, try_to_publish
from raysweep.results.frames import SweepData
from raysweep.results.from_store import read_store
from raysweep.store import Store

NO_FIGURES = Figures(
    figures=(), omitted=(Omitted(name="a", title="Accuracy by size", reason="one strong model only"),)
)
MAX_BYTES = 5_000_000
VOID = {"meta", "link", "img", "input", "wbr"}
BLOCKS = {"dt", "dd", "td", "th", "li", "p"}


def accuracy(end: str, cell: dict[str, Any]) -> float:
    """Floor 0.6, student 0.7, ceiling 0.8: PGR 0.5."""
    return {"supervisor": 0.6, "student": 0.7, "ceiling": 0.8}[end]


def no_gap(end: str, cell: dict[str, Any]) -> float:
    return 0.7


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parent: "Element | None" = None
    children: list["Element"] = field(default_factory=list)
    own: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What a reader sees in it, in one line."""
        return " ".join("".join(self.own).split())

    def all(self, *tags: str) -> list["Element"]:
        found = [child for child in self.children if child.tag in tags]
        return found + [item for child in self.children for item in child.all(*tags)]


class Tree(HTMLParser):
    """A page as a tree; it fails if an element isn't closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = self.at = Element("", {})
        self.feed(text)
        assert self.at is self.root, f"<{self.at.tag}> isn't closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(element)
        if tag in BLOCKS:
            self.handle_data(" ")
        if tag not in VOID:
            self.at = element

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        element: Element | None = self.at
        if self.at.tag not in ("script", "style"):
            while element:
                element.own.append(data)
                element = element.parent


def tree(data: SweepData, figures: Figures = NO_FIGURES, **texts: str) -> Element:
    """The page, which never shows a number that isn't one."""
    root = Tree(page(data, figures, **texts)).root
    assert not re.search(r"\b(nan|NaN|inf)\b|<NA>", root.text), root.text
    assert not [item for item in root.all("td", "th", "dd", "li") if "None" in item.text]
    return root


def section(root: Element, name: str) -> Element:
    (found,) = [item for item in root.all("section") if item.attributes["id"] == name]
    return found


def told(root: Element) -> list[str]:
    """The sentences of the answer."""
    (found,) = [item for item in root.all("div") if item.attributes.get("class") == "told"]
    return [item.text for item in found.all("p")]


def rows(found: Element) -> list[list[str]]:
    """The body of the first table."""
    (body,) = found.all("table")[0].all("tbody")
    return [[cell.text for cell in row.children] for row in body.children]


def captioned(found: Element, text: str) -> Element:
    """The table with this text in its caption."""
    (table,) = [item for item in found.all("table") if text in item.all("caption")[0].text]
    return table


def a_figure(name: str, num_points: int = 3, note: str = "") -> Figure:
    values = [
        {"task": f"task {i % 3}", "seed": i, "accuracy": i / num_points, "note": note}
        for i in range(num_points)
    ]
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_point()
        .encode(x="seed:Q", y="accuracy:Q", tooltip="note:N")
    )
    data = pd.DataFrame(values).astype(object)
    return Figure(
        name=name,
        title=f"Title of {name}",
        caption="A caption.",
        data=data,
        chart=chart,
        alt="Points that rise.",
    )


def test_a_sweep_with_one_answer() -> None:
    root = tree(
        made_up_sweep(accuracy, num_examples=2_000), question="Does it?", command="raysweep run mine.py"
    )
    lead = told(root)[0]
    # Each of the three is right wherever a worse one is, all seeds alike: the noise is that of the examples.
    assert re.match(
        r"On boolq, naive students of large recover 0\.50 of the gap between small and the ceiling \(90 % "
        r"int",
        lead,
    )
    assert "weak model 0.600, student 0.700, ceiling 0.800; 3 seeds" in lead
    (row,) = rows(section(root, "answer"))
    assert row[:3] == ["boolq", "small → large", "naive"] and row[4:8] == ["3", "0.600", "0.700", "0.800"]
    low, high = map(float, re.findall(r"\d\.\d+", row[3])[1:])
    # Fieller: at ρ = 0.5 ± 0.037 the mean of student − weak − ρ·gap is 1.645 standard errors of 2,000
    # examples away from 0.
    for end in (low, high):
        mean = 0.1 - end * 0.2
        values = [1 - end] * 200 + [-end] * 200 + [0.0] * 1600
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / 1999 / 2000)
        assert abs(mean) / spread == pytest.approx(1.6456, abs=0.3)  # two digits are shown
    assert "Does it?" in section(root, "asked").text
    assert "Nothing is missing: all 3 cells are finished, and no run failed." in section(root, "missing").text
    assert "Accuracy by size: one strong model only." in section(root, "missing").text
    assert "GPU hours none: CPU only" in section(root, "cost").text
    assert "Command raysweep run mine.py" in section(root, "reproduce").text


def test_many_answers_are_told_by_their_median_and_range() -> None:
    students = {"boolq": 0.7, "sciq": 0.75, "wic": 0.7}

    def by_task(end: str, cell: dict[str, Any]) -> float:
        better = 0.1 if cell["method"] == "better" else 0.0
        return (
            students[cell["task"]] + better
            if end == "student"
            else 0.7
            if cell["task"] == "wic"
            else accuracy(end, cell)
        )

    root = tree(made_up_sweep(by_task, tasks=list(students), methods=["naive", "better"], num_examples=2_000))
    best, lead, compared = told(root)[:3]
    # (0.2 + 0.25 + 0.1) / (0.2 + 0.2 + 0), and 0.1 of accuracy everywhere.
    assert best.startswith("Better does best: its students recover 1.37 of the gap (90 % interval 1.")
    assert "over 3 tasks, 0.100 of accuracy more than naive, which is more" in best
    assert "ahead in 3 of 3, p <0.001 after Holm's correction)." in best
    # PGR 0.1 / 0.2 and 0.15 / 0.2; wic's supervisor is as good as its ceiling.
    assert lead == (
        "Naive students recover 0.62 of the gap (median over 2 of 3 tasks, from 0.50 to 0.75). On the other "
        "one, the gap is inside the noise and PGR is undefined."
    )
    assert compared == (
        "Of 3 comparisons with naive, 3 find a better method (better) (p below 0.05 after Holm's correction)."
    )
    assert "2 of 6 PGRs are undefined" in section(root, "missing").text
    assert [item.text for item in section(root, "missing").all("li")][:2] == [
        "wic, small → large, naive",
        "wic, small → large, better",
    ]
    over = next(
        item for item in section(root, "answer").all("table") if "Over tasks" in item.all("caption")[0].text
    )
    assert [cell.text for cell in over.all("tbody")[0].children[0].children[:2]] == ["naive", "2 of 3"]


def test_one_pooled_answer_stands_before_many_that_tell_nothing() -> None:
    """Leads of 0.003 and a control: each alone is noise, all together aren't."""

    def nearly(end: str, cell: dict[str, Any]) -> float:
        leads = {"naive": 0.0, "better": 0.003 + 0.001 * (cell["seed"] % 2), "shuffled_labels": -0.1}
        return accuracy(end, cell) + (leads[cell["method"]] if end == "student" else 0)

    data = made_up_sweep(
        nearly,
        tasks=[f"task {number}" for number in range(12)],
        methods=["naive", "better", "shuffled_labels"],
        num_examples=1_000,
    )
    root = tree(dataclasses.replace(data, read_provenance=lambda: {"yardsticks": ["shuffled_labels"]}))
    best = told(root)[0]
    assert best.startswith("Better does best: its students recover 0.52 of the gap (90 % interval 0.5")
    assert "0.003 of accuracy more than naive, which is more than noise" in best
    pooled = captioned(section(root, "answer"), "over all tasks, pairs and seeds together")
    better, shuffled = ([cell.text for cell in row.children] for row in pooled.all("tbody")[0].children)
    assert (better[0], better[2]) == ("better", "12 of 12") and shuffled[2] == "0 of 12"
    assert better[4:6] == [better[4]] * 2  # the control takes nothing from the method
    assert "Controls and baselines are corrected by themselves" in section(root, "answer").text


def test_no_method_is_ahead() -> None:
    def worse(end: str, cell: dict[str, Any]) -> float:
        return accuracy(end, cell) - (0.05 if end == "student" and cell["method"] == "worse" else 0)

    root = tree(made_up_sweep(worse, methods=["naive", "worse"], num_examples=1_000))
    assert told(root)[0] == ("No method is ahead of naive over all tasks and pairs together.")


def test_nothing_is_finished() -> None:
    root = tree(made_up_sweep(accuracy, failed=lambda cell: True))
    assert told(root)[0] == "Nothing is finished yet, so there is no answer."
    assert rows(section(root, "answer")) == [
        ["boolq", "small → large", "naive", "missing", "0 of 3", *["missing"] * 5]
    ]
    assert "There is no figure yet" in section(root, "figures").text
    failed, missing = section(root, "missing").all("table")
    assert [cell.text for cell in failed.all("tbody")[0].children[0].children] == [
        *("student", "boolq", "large", "0", "student boolq small large naive 0", "loss is not finite")
    ]
    assert rows(missing.parent or missing)[0][-4:] == ["0, 1, 2", "none", "0", "loss is not finite"]


def test_a_seed_is_missing_and_said_to_be() -> None:
    root = tree(
        made_up_sweep(
            accuracy,
            methods=["naive", "other"],
            failed=lambda cell: cell["method"] == "other" and cell["seed"],
        )
    )
    assert "2 of 6 cells aren't finished, and not in these numbers." in " ".join(told(root))
    assert [row[2] for row in rows(section(root, "answer"))] == ["3", "1 of 3"]
    missing = section(root, "missing").all("table")[1]
    assert [cell.text for cell in missing.all("tbody")[0].children[0].children][2:6] == [
        "other",
        "1, 2",
        "none",
        "1",
    ]


def test_no_gap_is_no_answer_and_one_seed_is_told() -> None:
    root = tree(made_up_sweep(no_gap, seeds=[0]))
    lead, seeds = told(root)[:2]
    assert (
        "can't be said: the weak model and the ceiling can't be told apart over these seeds and examples"
        in lead
    )
    assert "the noise of training is unknown" in seeds
    assert rows(section(root, "answer"))[0][3] == "undefined (gap in the noise)"


def one_failed(end: str, cell: dict[str, Any]) -> float:
    return 0.51 if (end, cell["seed"]) == ("supervisor", 1) else accuracy(end, cell) + 0.1


def test_seeds_that_failed_are_marked_and_named() -> None:
    data = made_up_sweep(one_failed, seeds=range(6), num_examples=2_000, methods=["naive", "other"])
    root = tree(data)
    (said,) = [text for text in told(root) if "rough" in text]
    assert said.startswith("2 of 2 intervals are rough, as the seeds differ by more than noise")
    answer = section(root, "answer")
    assert [row[3] for row in rows(answer)] == ["0.668*"] * 2 and rows(answer)[0][1].endswith("]*")
    assert "* supervisor small on boolq, seed 1: 0.510, far from the other seeds." in answer.text
    by_seed = captioned(answer, "every finished cell")
    marked = [row.text for row in by_seed.all("tbody")[0].children if "*" in row.text]
    assert marked == ["naive 1 0.510* 0.800 0.900", "other 1 0.510* 0.800 0.900"]


def test_of_many_cells_those_that_are_marked_are_shown_seed_by_seed() -> None:
    data = made_up_sweep(one_failed, seeds=range(301), num_examples=2_000)
    (marked,) = captioned(section(tree(data), "answer"), "cells marked *").all("tbody")[0].children
    assert marked.text == "boolq small → large naive 1 0.510* 0.800 0.900"


def test_one_seed_brings_no_verdict() -> None:
    def better(end: str, cell: dict[str, Any]) -> float:
        return accuracy(end, cell) + (0.05 if end == "student" and cell["method"] == "better" else 0)

    root = tree(made_up_sweep(better, methods=["naive", "better"], seeds=[0]))
    (said,) = [text for text in told(root) if "differs" in text]
    assert said == (
        "Better differs from naive by +0.050 in accuracy; one seed can't tell whether that is more than "
        "noise."
    )
    root = tree(made_up_sweep(better, methods=["naive", "better", "same"], seeds=[0]))
    assert "2 comparisons with naive are of one seed each, which can't tell" in " ".join(told(root))
    some = made_up_sweep(
        better,
        methods=["naive", "better", "same"],
        failed=lambda cell: cell["method"] == "same" and cell["seed"] > 0,
    )
    said = " ".join(told(tree(some)))
    assert "which is more than noise" in said and "1 more is of one seed, which can't tell." in said
    compared = captioned(section(tree(some), "answer"), "same seeds and test examples")
    assert [row.text.count("1 seed can't tell") for row in compared.all("tbody")[0].children] == [0, 2]
    assert "p (Holm, of 1)" in compared.text


def test_names_are_texts_and_never_markup() -> None:
    evil = '</script><b title="x">&'
    data = made_up_sweep(accuracy, tasks=[evil, "two"], methods=[evil, "naive"])
    root = tree(data, Figures(figures=(a_figure("one", note=evil),), omitted=()), question=evil)
    assert not root.all("b") and evil in [row[0] for row in rows(section(root, "answer"))]
    assert evil in [item.attributes["value"] for item in root.all("input")]
    raw = page(data, Figures(figures=(a_figure("one", note=evil),), omitted=()))
    (spec,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', raw)
    assert {value["note"] for value in json.loads(spec)["datasets"].popitem()[1]} == {evil}


def test_everything_is_labelled_and_nothing_is_fetched() -> None:
    figures = Figures(figures=(a_figure("one"), a_figure("two", 500)), omitted=NO_FIGURES.omitted)
    root = tree(
        made_up_sweep(accuracy, tasks=["a", "b"], methods=["naive", "other"]), figures, question="Why?"
    )
    assert root.all("html")[0].attributes["lang"] == "en" and len(root.all("h1")) == 1
    levels = [
        int(re.findall(rf"<h(\d)[^>]*>{re.escape(h.text)}", f"<{h.tag}>{h.text}")[0])
        for h in root.all("h1", "h2", "h3")
    ]
    assert set(levels) == {1, 2, 3}
    for where in (item for item in root.all("section")):
        assert where.children[0].tag == "h2", where.attributes
    for table in root.all("table"):
        assert table.all("caption")[0].text and all(
            cell.attributes["scope"] == "col" for cell in table.all("thead")[0].all("th")
        )
        assert all(row.children[0].attributes.get("scope") == "row" for row in table.all("tbody")[0].children)
    assert all(item.parent and item.parent.tag == "label" and item.parent.text for item in root.all("input"))
    assert all(item.all("legend")[0].text for item in root.all("fieldset"))
    assert (
        all(item.attributes["alt"] == "Points that rise." for item in root.all("img"))
        and len(root.all("img")) == 2
    )
    assert all(item.text for item in root.all("a", "button", "summary"))
    for item in root.all("a", "img", "script", "link"):
        for name in ("src", "href"):
            assert item.attributes.get(name, "#").startswith(("#", "data:")), item.attributes[name]
    targets = {item.attributes.get("id") for item in root.all("section")}
    assert {link.attributes["href"][1:] for link in root.all("nav")[0].all("a")} == targets


def test_a_figures_numbers_are_there_as_table_and_as_csv() -> None:
    root = tree(
        made_up_sweep(accuracy), Figures(figures=(a_figure("few"), a_figure("many", 500)), omitted=())
    )
    few, many = root.all("figure")
    assert [cell.text for cell in few.all("tbody")[0].children[1].children][:3] == ["task 1", "1", "0.3333"]
    assert not many.all("table") and many.all("a")[0].attributes["download"] == "many.csv"


def test_three_thousand_cells_fit() -> None:
    names = [f"a_task_with_quite_a_long_name_{number}" for number in range(11)]
    many = {
        "weak": [f"gpt2-{size}" for size in range(4)],
        "strong": [f"qwen-2.5-{size}" for size in range(5)],
    }
    data = made_up_sweep(
        accuracy, tasks=names, methods=["naive", "other"], seeds=range(7), num_examples=20, **many
    )
    assert len(data.cells) == 3_080
    drawn = [a_figure(f"figure {n}", len(data.cells), "a long text " * (4 + 4 * n)) for n in range(3)]
    figures = Figures(figures=tuple(drawn), omitted=())
    text = page(data, figures)
    assert len(text.encode()) < MAX_BYTES
    root = Tree(text).root
    assert len(root.all("img")) == 3 and len(rows(section(root, "answer"))) == 11 * 20 * 2
    assert "too many points for a page to be quick (3,080 numbers)" in section(root, "figures").text
    assert "These are the 200 of 220 with the smallest p-values" in section(root, "answer").text
    assert "raysweep report --figures FOLDER writes them" in section(root, "figures").text


# From a store
# -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def experiment(tmp_path: Path) -> str:
    file = tmp_path / "mine.py"
    file.write_text(
        '"""Is it so?\n\n    Grid: small.\n"""\n\n\ndef sweep():\n    """One task."""\n\n\ndef '
        "other():\n    pass\n"
    )
    return str(file)


def test_what_an_experiment_asks_is_in_its_docstrings(experiment: str) -> None:
    assert question(experiment) == "Is it so?\n\nGrid: small.\n\nOne task."
    assert question(f"{experiment}:other") == "Is it so?\n\nGrid: small."


Logged = Callable[[Path], None]


def test_a_report_is_written_and_then_logged(store: Store, tmp_path: Path, experiment: str) -> None:
    plan = make_plan(small_sweep(methods=["naive", "confidence"], seeds=[0, 1]), store)
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.9)
    logged: list[str] = []

    def log(folder: Path) -> None:
        logged.extend(
            sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        )
        assert (folder / "report.html").read_bytes() == out.read_bytes()

    out = tmp_path / "new" / "page.html"
    figures = tmp_path / "figures"
    publish(read_store(plan, store), experiment, log, out, figures)
    root = Tree(out.read_text()).root
    assert "Is it so?" in root.text and f"Command raysweep run {experiment}" in root.text
    # A floor and a ceiling a seed serve both methods: 2 · 2 of 2 · 2 · 3 trainings are saved.
    assert "Trainings in the plan 8 and 2 pretrainings" in root.text and "4 of 12 trainings" in root.text
    named = {item.attributes["id"].removeprefix("figure-") for item in root.all("figure")}
    files = {f"{name}.{ending}" for name in named for ending in ("svg", "pdf", "png", "csv")}
    assert named and {path.name for path in figures.iterdir()} == files | {"captions.md"}
    assert logged == sorted(["report.html", *(f"figures/{path.name}" for path in figures.iterdir())])
    assert list(tmp_path.glob("new/*")) == [out]


def test_a_report_that_fails_is_one_line_and_one_of_an_unfinished_sweep_is_made(
    store: Store, tmp_path: Path, experiment: str
) -> None:
    plan = make_plan(small_sweep(seeds=[0, 1]), store)
    assert try_to_publish(read_store(plan, store), experiment, lambda folder: None) is None
    for run in plan.runs.values():
        if run.spec.seed == 0:
            finish(run.spec, store)

    def refuse(folder: Path) -> None:
        raise ConnectionError("nobody\nis there")

    told = try_to_publish(read_store(plan, store), experiment, refuse)
    assert told == (
        "the report wasn't made (ConnectionError: nobody is there); try again with raysweep report "
        f"{experiment} --out PAGE"
    )
    with pytest.raises(InvalidInput, match="is a folder; name an HTML file"):
        publish(read_store(plan, store), experiment, refuse, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="isn't a folder; name another one"):
        publish(read_store(plan, store), experiment, refuse, tmp_path / "page.html", tmp_path / "file")
    assert not (tmp_path / "page.html").exists()
    with pytest.raises(InvalidInput, match="which is no ordinary file"):
        publish(read_store(plan, store), experiment, refuse, Path(os.devnull))
    with pytest.raises(
        InvalidInput, match=r"the report can't be written \(.*\); name another file or folder"
    ):
        publish(read_store(plan, store), experiment, refuse, tmp_path / "file" / "page.html")
