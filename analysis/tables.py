"""A sweep's cells, runs and curves as CSV files, from MLflow alone.

    python analysis/tables.py --tracking-uri http://HOST:5000 --sweep NAME --out FOLDER

Planned cells and runs that have no result are rows that say so.
"""

import sys

from raysweep.cli.export import main

if __name__ == "__main__":
    sys.exit(main())
