"""What most commands begin with."""

from __future__ import annotations

from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.store import Store


def load(file: str, folder: str, *, is_only_read: bool = True) -> tuple[Plan, Store]:
    """The plan of an experiment's sweep, and the store in a folder, which must be there."""
    store = Store.existing(folder, is_only_read=is_only_read)
    return make_plan(load_sweep(file), store), store
