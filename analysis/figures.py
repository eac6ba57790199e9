"""The figures of a sweep, from MLflow alone: each as SVG, PDF, PNG and CSV, with a caption.

    python analysis/figures.py --tracking-uri http://HOST:5000 --sweep NAME --out FOLDER --published
    analysis/published.csv

Captions, text alternatives, and which figures the sweep has no numbers for, are in FOLDER/README.md. With
--published the sweep is also drawn against numbers that others published. Exit codes: 0 written, 1 a file
can't be read or written, 2 the sweep can't be read.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from raysweep.errors import RaysweepError
from raysweep.report.figures import Figure, Figures, figures_of
from raysweep.report.figures.published import beside_published
from raysweep.report.figures.save import captions, save
from raysweep.report.published import comparison_table, read_published
from raysweep.tracking.mlflow.reader import read_mlflow


def main() -> int:
    """Read the sweep, write its figures, say which; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{Path('mlflow.db').absolute()}")
    parser.add_argument(
        "--tracking-uri", default=uri, help="where MLflow keeps its runs (default: %(default)s)"
    )
    parser.add_argument(
        "--sweep", required=True, metavar="NAME", help="the sweep's name: MLflow's experiment"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="folder of the figures; made if need be"
    )
    parser.add_argument(
        "--published", type=Path, metavar="CSV", help="published numbers, such as analysis/published.csv"
    )
    options = parser.parse_args()
    try:
        data = read_mlflow(options.tracking_uri, options.sweep)
        published = read_published(options.published) if options.published else ()
    except RaysweepError as error:
        print(f"figures.py: {error}", file=sys.stderr)
        return 2
    found = figures_of(data)
    if options.published:
        beside = beside_published(comparison_table(published, data))
        figures = found.figures
        omitted = found.omitted
        found = Figures(
            figures=(*figures, beside) if isinstance(beside, Figure) else figures,
            omitted=omitted if isinstance(beside, Figure) else (*omitted, beside),
        )
    for figure in found.figures:
        save(figure, options.out)
        print(f"{options.out / figure.name}.svg .pdf .png .csv  {figure.title}")
    for missing in found.omitted:
        print(f"no {missing.name}: {missing.reason}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "README.md").write_text(captions(data.name, found))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:  # a file that isn't there, a folder that can't be written
        sys.exit(f"figures.py: {error}")
