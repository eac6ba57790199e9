"""The page of a sweep: one HTML file that opens from disk, needs no network and takes less than 5 MB.

It can be read without scripts too, as where a viewer forbids them: tables and pictures are in the HTML.
Scripts turn the pictures into charts that show their numbers under the pointer, sort tables, and filter by
the tasks, pairs, methods and seeds that a reader chooses. `page` puts everything together; `tables` has the
tables, `examples` a sample of test examples, `glossary` the words, `pictures` the figures, `facts` the lists
of what was asked, what it cost and how to reproduce it. It draws what `raysweep.results` has computed
and says what `raysweep.results.answer` says.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from raysweep.report.figures.base import Figures
from raysweep.report.figures.theme import dark_style
from raysweep.report.page import facts, tables
from raysweep.report.page.examples import examples_table
from raysweep.report.page.glossary import WORDS
from raysweep.report.page.pictures import pictures
from raysweep.results.answer import answer
from raysweep.results.frames import SweepData

_FOLDER = Path(__file__).parent
_MAX_UNDEFINED = 8
_FIRST = ("methods_pgr", "pgr_by_task", "pgr_by_pair")
"""The first of these figures that there is stands beside the answer."""


def page(data: SweepData, figures: Figures, *, question: str = "", command: str = "") -> str:
    """The page as HTML.

    Args:
        data: the sweep, finished or not.
        figures: its figures, and those that are left out.
        question: what the experiment asks, in the words of its docstrings.
        command: what computes it again.
    """
    import jinja2

    choices = tables.choices(data)
    shown = pictures(figures.figures, list(choices))
    by_name = {picture.figure.name: picture for picture in shown}
    first = next((by_name[name] for name in _FIRST if name in by_name), None)
    seed_by_seed = tables.cells_table(data.rows)
    seeds_in = ["the table seed by seed"] * (seed_by_seed is not None) + [
        f"the figure “{picture.figure.title}”" for picture in shown if "seed" in picture.choices
    ]
    if not seeds_in:
        choices.pop("seed", None)
    tasks, models = facts.sources(data)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    undefined = [
        f"{row.group.task}, {row.group.pair}, {row.group.method}"
        for row in data.rows
        if row.gap and row.gap.pgr is None
    ]
    return environment.get_template("page.html.jinja").render(
        name=data.name,
        first=first,
        words=WORDS,
        answer=answer(data.rows, data.comparisons, data.leads),
        question=question,
        asked=facts.asked(data),
        choices=choices,
        answer_table=tables.answer_table(data.rows),
        leads_table=tables.pooled_table(data.leads),
        methods_table=tables.methods_table(data.comparisons),
        tasks_table=tables.tasks_table(data.over_tasks),
        cells_table=seed_by_seed,
        search_table=tables.choices_table(data),
        examples_table=examples_table(data),
        seeds_in=seeds_in,
        pictures=[picture for picture in shown if picture is not first],
        omitted=figures.omitted,
        failed_table=tables.failed_table(data),
        missing_table=tables.missing_table(data),
        num_cells=len(data.cells),
        num_open_cells=data.provenance.get("num_open_cells", 0),
        undefined=undefined[:_MAX_UNDEFINED],
        num_undefined=len(undefined),
        num_rows=sum(row.gap is not None for row in data.rows),
        cost=facts.cost(data),
        provenance=facts.provenance(data, command),
        versions=facts.versions(data),
        tasks=tasks,
        models=models,
        style=(_FOLDER / "page.css").read_text(encoding="utf-8") + dark_style(".chart svg"),
        script=(_FOLDER / "page.js").read_text(encoding="utf-8"),
        drawing=_drawing() if figures.figures else "",
    )


@cache
def _drawing() -> str:
    """Vega, Vega-Lite and vega-embed, as `window.vegaEmbed`."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its default is these three
    if "</script" in bundle.lower():
        raise ValueError("the scripts that vl-convert brings can't be put into a page")
    return bundle
