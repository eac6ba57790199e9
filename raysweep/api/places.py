"""Where a sweep is: its file or the object itself, its store, its tracking system."""

from __future__ import annotations

import os
from pathlib import Path

from raysweep.cli.defaults import default_store, default_uri
from raysweep.planning.sweep import Sweep, load_sweep


def sweep_of(sweep: Sweep | str | Path) -> Sweep:
    """A sweep, or that of an experiment, FILE or FILE:function; raises as `load_sweep`."""
    return sweep if isinstance(sweep, Sweep) else load_sweep(_expanded(sweep))


def store_folder(store: str | Path | None) -> str:
    """A store's folder; None for that of $RAYSWEEP_STORE, or ./raysweep-store."""
    return _expanded(store or default_store())


def tracking_address(uri: str | None) -> str:
    """A tracking URI; None for $MLFLOW_TRACKING_URI, or sqlite:///…/mlflow.db in this folder."""
    return uri or default_uri()


def _expanded(path: str | Path) -> str:
    return os.path.expanduser(path)
