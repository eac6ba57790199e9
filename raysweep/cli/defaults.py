"""Where things are if nothing else is said: for the command line and for `raysweep.run` alike."""

from __future__ import annotations

import os
from pathlib import Path

KINDS = (
    "tasks",
    "families",
    "models",
    "methods",
    "objectives",
    "transforms",
    "rules",
    "probes",
    "metrics",
    "runners",
)
"""Of what an experiment can name."""


def default_store() -> str:
    """The folder of the store."""
    return os.environ.get("RAYSWEEP_STORE") or "raysweep-store"


def default_uri() -> str:
    """The tracking URI."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"
