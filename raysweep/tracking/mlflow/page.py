"""The address of a sweep's first view in MLflow's UI."""

from __future__ import annotations

from raysweep.errors import InvalidInput
from raysweep.tracking.backend import one_line
from raysweep.tracking.mlflow.location import MlflowLocation
from raysweep.tracking.mlflow.views import views


def sweep_page(location: MlflowLocation, sweep: str) -> str:
    """What follows the address of MLflow's UI to show a sweep.

    Raises:
        InvalidInput: MLflow has no such sweep, or can't be reached.
    """
    from mlflow import MlflowClient

    location.check()
    if location.database and not location.database.exists():
        raise InvalidInput(f"there is no MLflow file {location.database}; raysweep run or sync makes it")
    try:
        experiment = MlflowClient(location.uri).get_experiment_by_name(sweep)
    except location.errors() as error:
        raise InvalidInput(f"MLflow at {location.shown} can't be read: {one_line(error)}") from error
    if experiment is None:
        raise InvalidInput(
            f"MLflow at {location.shown} has no sweep {sweep!r} yet; raysweep run or sync writes it"
        )
    return views(())[0].link(experiment.experiment_id)
