"""Writes figures: vector graphics, a picture, and the numbers."""

from __future__ import annotations

from pathlib import Path

from raysweep.files import written_atomically
from raysweep.report.figures.base import Figure, Figures

PPI = 300
FORMATS = ("svg", "pdf", "png", "csv")


def save(figure: Figure, folder: Path) -> list[Path]:
    """Write NAME.svg, NAME.pdf, NAME.png (300 dots per inch at the figure's own size) and NAME.csv; returns
    their paths."""
    import vl_convert

    spec = figure.chart.to_dict()
    content = {
        "svg": vl_convert.vegalite_to_svg(spec).encode(),
        "pdf": vl_convert.vegalite_to_pdf(spec),
        "png": vl_convert.vegalite_to_png(spec, scale=1, ppi=PPI),
        "csv": figure.data.to_csv(index=False).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{figure.name}.{ending}" for ending in FORMATS]
    for path in paths:
        with written_atomically(path) as temporary:
            temporary.write_bytes(content[path.suffix[1:]])
    return paths


def captions(sweep: str, found: Figures) -> str:
    """The captions of a sweep's figures, and why others are left out, in Markdown."""
    parts = [f"# Figures of {sweep}"]
    parts += [
        f"## {figure.title}\n\n![{figure.alt}]({figure.name}.svg)\n\n{figure.caption}\n\nNumbers: "
        f"{figure.name}.csv"
        for figure in found.figures
    ]
    if found.omitted:
        lines = [f"- {omitted.title}: {omitted.reason}." for omitted in found.omitted]
        parts.append("\n".join(["## What isn't there\n", *lines]))
    return "\n\n".join(parts) + "\n"
