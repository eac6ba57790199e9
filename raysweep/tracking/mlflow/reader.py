"""A sweep's data for tables and figures, read from MLflow alone: what raysweep recorded there, without the
store.

The sweep's own record says in `sweep.json` what was planned, so that what is missing is known; each planned
run and cell is then found by its tag, as the writer finds it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from raysweep.errors import InvalidInput
from raysweep.files import read_json
from raysweep.results.cells import CELL_RUNS
from raysweep.results.frames import (
    COUNTS,
    SECONDS,
    RunFacts,
    SweepData,
    cells_frame,
    curves_frame,
    runs_frame,
)
from raysweep.results.provenance import num_devices
from raysweep.store import RunStatus
from raysweep.tracking.build import EXAMPLES_FILE, STOPPED_TAG, SWEEP_FILE, cell_identity, sweep_identity
from raysweep.tracking.entry import CELL_TAG, COMMIT_TAG, RUN_TAG, SWEEP_TAG
from raysweep.tracking.mlflow.client import brief, configure_mlflow, mlflow_errors
from raysweep.tracking.mlflow.location import Location

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_CURVE = "curve/"
_RESOURCE = "resources_"
_NUM_THREADS = 8
"""Requests at a time to a server, each of which takes some milliseconds of waiting."""


def read_mlflow(uri: str, sweep_name: str) -> SweepData:
    """A sweep's data, what is missing included; equal to what `raysweep.results.from_store.read_store` reads.

    Numbers come from records that are finished; curves are thinned as MLflow shows them. `provenance` is of
    the time when the sweep's own record was last written. A cell of runs that the sweep no longer plans
    counts as missing.

    Args:
        uri: MLflow's tracking URI: a SQLite file that exists, a database or a server.
        sweep_name: the sweep's name, which is the MLflow experiment's.

    Raises:
        InvalidInput: the URI can't be used, MLflow can't be reached or read, or has no such sweep.
    """
    location = Location.of(uri)
    if location.database and not location.database.exists():
        raise InvalidInput(
            f"tracking URI {uri!r}: there is no file {location.database}; name another with --tracking-uri"
        )
    configure_mlflow()
    with _readable(location):
        records = _Records(location, sweep_name)
        with tempfile.TemporaryDirectory() as folder:
            facts = read_json(records.fetch(records.sweep, SWEEP_FILE, Path(folder)))
        facts_by_run = {run["run_id"]: _facts(records.runs.get(run["run_id"])) for run in facts["runs"]}
        cells = [
            _finished(records.cells.get(cell_identity(cell)), cell, facts_by_run) for cell in facts["cells"]
        ]
        metrics = [_plain_metrics(cell) if cell else None for cell in cells]
        names = [name for name, cell in zip(facts["cells"], cells, strict=True) if cell]
        curves = records.curves([cell for cell in cells if cell])

    def read_examples(run_id: str) -> pd.DataFrame:
        with _readable(location), tempfile.TemporaryDirectory() as folder:
            return pd.read_parquet(records.fetch(records.runs[run_id], EXAMPLES_FILE, Path(folder)))

    return SweepData.of_frames(
        name=sweep_name,
        cells=cells_frame(facts["cells"], metrics),
        runs=runs_frame(facts["runs"], facts_by_run),
        curves=curves_frame(zip(names, curves, strict=True)),
        provenance=facts["provenance"],
        read_examples=read_examples,
    )


class _Records:
    """A sweep's records in MLflow: of several with one tag the one with the smallest id, which the writer
    keeps too."""

    def __init__(self, location: Location, sweep_name: str) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(location.uri)
        self._num_threads = 1 if location.database else _NUM_THREADS
        found = _search(self._client, _experiment(self._client, location, sweep_name))
        self.runs = _by_tag(found, RUN_TAG)
        self.cells = _by_tag(found, CELL_TAG)
        sweep = _by_tag(found, SWEEP_TAG).get(sweep_identity(sweep_name))
        if sweep is None:
            raise InvalidInput(
                f"experiment {sweep_name!r} of MLflow at {location.shown} holds no sweep; raysweep sync FILE "
                "writes one"
            )
        self.sweep = sweep

    def fetch(self, run: Run, name: str, folder: Path) -> Path:
        """Copy an artifact of a record into a folder.

        Raises:
            InvalidInput: the record has no such artifact, or it can't be read from here.
        """
        try:
            return Path(self._client.download_artifacts(run.info.run_id, name, str(folder)))
        except mlflow_errors() as error:
            raise InvalidInput(
                f"MLflow's record {run.info.run_name!r} has no readable {name} ({brief(error)}). A run "
                "without a test split has no examples; what an earlier raysweep recorded is completed by "
                "raysweep sync FILE"
            ) from error

    def curves(self, cells: list[Run]) -> list[dict[str, list[tuple[int, float]]]]:
        """The curves of finished cells by name, as (step, value)."""
        keys = [
            (index, metric)
            for index, cell in enumerate(cells)
            for metric in cell.data.metrics
            if metric.startswith(_CURVE)
        ]
        curves: list[dict[str, list[tuple[int, float]]]] = [{} for _ in cells]
        with ThreadPoolExecutor(self._num_threads) as pool:
            histories = pool.map(
                lambda key: self._client.get_metric_history(cells[key[0]].info.run_id, key[1]), keys
            )
            for (index, metric), history in zip(keys, histories, strict=True):
                curves[index][metric.removeprefix(_CURVE)] = sorted(
                    {(item.step, item.value) for item in history}
                )
        return curves


@contextmanager
def _readable(location: Location) -> Iterator[None]:
    """Tell what MLflow raises as an error of the user's."""
    try:
        yield
    except mlflow_errors() as error:
        raise InvalidInput(
            f"MLflow at {location.shown} couldn't be read: {brief(error)}. Start or mend the tracking "
            "server, "
            "or name another with --tracking-uri"
        ) from error


def _experiment(client: MlflowClient, location: Location, sweep_name: str) -> str:
    experiment = client.get_experiment_by_name(sweep_name)
    if experiment is None or experiment.lifecycle_stage == "deleted":
        there = sorted(item.name for item in client.search_experiments() if item.name != "Default")
        raise InvalidInput(
            f"MLflow at {location.shown} has no sweep {sweep_name!r}; it has {', '.join(there) or 'none'}"
        )
    return str(experiment.experiment_id)


def _search(client: MlflowClient, experiment: str) -> list[Run]:
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _by_tag(runs: list[Run], tag: str) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.info.run_id):
        if tag in run.data.tags:
            found.setdefault(run.data.tags[tag], run)
    return found


def _facts(run: Run | None) -> RunFacts:
    if run is not None and run.info.status == "FAILED":
        return RunFacts(status=RunStatus.FAILED, reason=run.data.tags.get("raysweep.error", "unknown"))
    if run is None or run.info.status not in ("FINISHED", "KILLED"):
        return RunFacts(status=RunStatus.MISSING)
    numbers = {name: value for name, value in run.data.metrics.items() if name in (*COUNTS, *SECONDS)}
    params = run.data.params.items()
    resources = {name.removeprefix(_RESOURCE): value for name, value in params if name.startswith(_RESOURCE)}
    numbers["num_devices"] = num_devices(resources)
    if run.info.status == "KILLED":
        return RunFacts(
            status=RunStatus.STOPPED, reason=run.data.tags.get(STOPPED_TAG, "unknown"), numbers=numbers
        )
    return RunFacts(status=RunStatus.DONE, numbers=numbers, commit=run.data.tags.get(COMMIT_TAG, ""))


def _finished(run: Run | None, cell: Mapping[str, Any], facts_by_run: Mapping[str, RunFacts]) -> Run | None:
    """A cell's record, if it is finished and of the runs that the sweep plans, which are done."""
    if run is None or run.info.status != "FINISHED":
        return None
    is_planned = all(run.data.tags.get(f"raysweep.{role}") == cell[role] for role in CELL_RUNS)
    is_done = all(facts_by_run[cell[role]].status is RunStatus.DONE for role in CELL_RUNS)
    return run if is_planned and is_done else None


def _plain_metrics(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.data.metrics.items() if not name.startswith(_CURVE)}
