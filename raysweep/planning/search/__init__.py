"""Hyperparameter search on top of a sweep's grid.

config.py is what a user writes (`Search`). A study (study.py) searches one role in one place of the grid with
a sampler (sampling.py) and overrides fields of runs (overrides.py); studies.py holds all studies of a sweep
and says which cells are settled; stopping.py ends bad trials early with Ray Tune's rules; space_checks.py
tries a space before anything trains. Start reading at config.py, then studies.py.

It may import what `raysweep.planning` may, and Ray Tune, inside functions only. It measures nothing: results
come after it.
"""

from raysweep.planning.search.config import Search as Search
from raysweep.planning.search.config import Signal as Signal
