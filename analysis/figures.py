"""The figures of a sweep, from MLflow alone: each as SVG, PDF, PNG and CSV, with a caption.

    python analysis/figures.py --tracking-uri http://HOST:5000 --sweep NAME --out FOLDER --published
    analysis/published.csv

Captions, text alternatives, and the figures for which the sweep has no numbers, are in FOLDER/README.md. With
--published the sweep is also drawn against numbers that others published.
"""

import sys

from raysweep.cli.figures import main

if __name__ == "__main__":
    sys.exit(main())
