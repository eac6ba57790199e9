"""Hyperparameter search on top of a sweep's grid: spaces, searchers, early stopping, and what may be looked
at."""

from raysweep.planning.search.config import Search as Search
from raysweep.planning.search.config import Signal as Signal
