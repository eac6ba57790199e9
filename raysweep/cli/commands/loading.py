"""What most commands begin with."""

from __future__ import annotations

from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import Sweep, is_experiment, load_sweep
from raysweep.results.frames import SweepData
from raysweep.results.from_store import read_store
from raysweep.store import Store
from raysweep.tracking.mlflow.reader import read_mlflow


def load(experiment: str | Sweep, folder: str, *, is_only_read: bool = True) -> tuple[Plan, Store]:
    """The plan of an experiment's sweep, or of a sweep, and the store in a folder, which must be there."""
    store = Store.existing(folder, is_only_read=is_only_read)
    sweep = experiment if isinstance(experiment, Sweep) else load_sweep(experiment)
    return make_plan(sweep, store), store


def read_sweep(name: str, folder: str, tracking_uri: str) -> SweepData:
    """A sweep's data: of an experiment, FILE or FILE:function, from the store; else of the sweep of that
    name, from MLflow alone.

    Raises:
        InvalidInput: the experiment can't be planned, or MLflow has no such sweep.
    """
    if is_experiment(name):
        return read_store(*load(name, folder))
    return read_mlflow(tracking_uri, name)
