"""What most commands begin with."""

from __future__ import annotations

from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.store import Store


def load(file: str, folder: str) -> tuple[Plan, Store]:
    """The plan of an experiment's sweep, and the store in a folder."""
    store = Store(folder)
    return make_plan(load_sweep(file), store), store
