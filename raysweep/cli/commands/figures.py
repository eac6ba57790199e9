"""The command `raysweep figures`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from raysweep.cli.commands.loading import read_sweep
from raysweep.cli.exit_codes import SUCCESS
from raysweep.report.figures import Figure, Figures, figures_of
from raysweep.report.figures.published import beside_published
from raysweep.report.figures.save import captions, save
from raysweep.report.published import comparison_table, read_published


def write_figures(
    console: Console, *, file: str, folder: str, tracking_uri: str, out: str, published: str | None
) -> int:
    """Every figure as SVG, PDF, PNG and CSV, with the captions in README.md."""
    numbers = None if published is None else read_published(published)
    data = read_sweep(file, folder, tracking_uri)
    found = figures_of(data)
    if numbers is not None:
        beside = beside_published(comparison_table(numbers, data))
        if isinstance(beside, Figure):
            found = Figures(figures=(*found.figures, beside), omitted=found.omitted)
        else:
            found = Figures(figures=found.figures, omitted=(*found.omitted, beside))
    target = Path(out)
    for figure in found.figures:
        save(figure, target)
        console.out(f"{target / figure.name}.svg .pdf .png .csv  {figure.title}")
    for missing in found.omitted:
        console.out(f"no {missing.name}: {missing.reason}")
    target.mkdir(parents=True, exist_ok=True)
    (target / "README.md").write_text(captions(data.name, found), encoding="utf-8")
    return SUCCESS
