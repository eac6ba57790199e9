"""Hyperparameter search on top of a sweep's grid: spaces, searchers, early stopping, and what may be looked at."""

from raysweep.search.settings import Search as Search
from raysweep.search.settings import Signal as Signal
