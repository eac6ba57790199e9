"""Writes the figures of a sweep from MLflow alone, each as SVG, PDF, PNG and CSV, with a caption;
`analysis/figures.py` runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raysweep.cli.exit_codes import SUCCESS
from raysweep.cli.export import read_sweep, sweep_parser
from raysweep.cli.outcome import exit_code
from raysweep.cli.terminal import OutputConsole, path
from raysweep.report.figures import Figure, Figures, figures_of
from raysweep.report.figures.save import captions, save
from raysweep.report.published import comparison_table, read_published
from raysweep.results.frames import SweepData


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the sweep, write its figures, print which; returns the exit code."""
    parser = sweep_parser(
        "Write the figures of a sweep as SVG, PDF, PNG and CSV, from MLflow alone.", "figures"
    )
    parser.add_argument(
        "--published",
        type=path,
        metavar="CSV",
        help="published numbers to draw the sweep against, such as analysis/published.csv",
    )
    options = parser.parse_args(arguments)
    return exit_code(lambda: _write(read_sweep(options), Path(options.out), options.published))


def _write(data: SweepData, folder: Path, published: str | None) -> int:
    console = OutputConsole()
    found = figures_of(data) if published is None else _with_published(data, Path(published))
    for figure in found.figures:
        save(figure, folder)
        console.out(f"{folder / figure.name}.svg .pdf .png .csv  {figure.title}")
    for missing in found.omitted:
        console.out(f"no {missing.name}: {missing.reason}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(captions(data.name, found), encoding="utf-8")
    return SUCCESS


def _with_published(data: SweepData, file: Path) -> Figures:
    """The figures, and the sweep beside the published numbers of a file."""
    from raysweep.report.figures.published import beside_published

    numbers = read_published(file)
    found = figures_of(data)
    beside = beside_published(comparison_table(numbers, data))
    if isinstance(beside, Figure):
        return Figures(figures=(*found.figures, beside), omitted=found.omitted)
    return Figures(figures=found.figures, omitted=(*found.omitted, beside))
