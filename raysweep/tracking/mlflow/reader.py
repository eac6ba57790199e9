"""Reads a sweep's data for tables and figures from MLflow alone, without the store.

The `sweep.json` of the sweep's own entry lists what was planned, so it is known what is missing. Each planned
run and cell is then found by its tag, as the client finds it.
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
from raysweep.tracking.backend import one_line
from raysweep.tracking.build import (
    ERROR_TAG,
    EXAMPLES_FILE,
    RESOURCE,
    STOPPED_TAG,
    SWEEP_FILE,
    cell_key,
    run_key,
    run_tag,
    sweep_key,
)
from raysweep.tracking.curves import CURVE
from raysweep.tracking.entry import EntryKey
from raysweep.tracking.mlflow.client import entry_keys, search_runs
from raysweep.tracking.mlflow.location import MlflowLocation, locate_mlflow
from raysweep.tracking.mlflow.tags import COMMIT_TAG, STATUSES

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_NUM_THREADS = 8
"""Requests at a time to a server, each of which takes some milliseconds of waiting."""


def read_mlflow(uri: str, sweep_name: str = "") -> SweepData:
    """Read a sweep's data, missing cells and runs included: equal to that of
    `raysweep.results.from_store.read_store`.

    Only entries whose status is done, failed or stopped count. Curves are thinned as in MLflow. `provenance`
    is of the time when the sweep's own entry was last written. A cell of runs that the sweep no longer plans
    counts as missing.

    Args:
        uri: MLflow's tracking URI: a SQLite file that exists, a database or a server.
        sweep_name: the sweep's name, which is the MLflow experiment's; "" for the only one.

    Raises:
        InvalidInput: the URI can't be used, MLflow can't be reached or read, or it has no such sweep.
    """
    location = locate_mlflow(uri)
    if location.database and not location.database.exists():
        raise InvalidInput(
            f"tracking URI {uri!r}: there is no file {location.database}; name another with --tracking-uri"
        )
    with _readable(location):
        from mlflow import MlflowClient

        client = MlflowClient(location.uri)
        sweep_name = sweep_name or _only_sweep(client, location)
        entries = _Entries(client, location, sweep_name)
        planned = entries.planned()
        facts_by_run = {
            run["run_id"]: _facts(entries.find(run_key(run["run_id"]))) for run in planned["runs"]
        }
        cells = [_done(entries.find(cell_key(cell)), cell, facts_by_run) for cell in planned["cells"]]
        metrics = [_plain_metrics(cell) if cell else None for cell in cells]
        names = [name for name, cell in zip(planned["cells"], cells, strict=True) if cell]
        curves = entries.curves([cell for cell in cells if cell])

    def read_examples(run_id: str) -> pd.DataFrame:
        with _readable(location), tempfile.TemporaryDirectory() as folder:
            return pd.read_parquet(entries.fetch(run_key(run_id), EXAMPLES_FILE, Path(folder)))

    return SweepData.of_frames(
        name=sweep_name,
        cells=cells_frame(planned["cells"], metrics),
        runs=runs_frame(planned["runs"], facts_by_run),
        curves=curves_frame(zip(names, curves, strict=True)),
        provenance=planned["provenance"],
        read_examples=read_examples,
    )


class _Entries:
    """A sweep's entries in MLflow. Of several MLflow runs with one key the one with the smallest id counts,
    which the client keeps too."""

    def __init__(self, client: MlflowClient, location: MlflowLocation, sweep_name: str) -> None:
        self._client = client
        self._num_threads = 1 if location.database else _NUM_THREADS
        self._found: dict[EntryKey, Run] = {}
        runs = search_runs(self._client, _experiment(self._client, location, sweep_name))
        for run in sorted(runs, key=lambda run: run.info.run_id):
            for key in entry_keys(run):
                self._found.setdefault(key, run)
        self._sweep = sweep_key(sweep_name)
        if self._sweep not in self._found:
            raise InvalidInput(
                f"experiment {sweep_name!r} of MLflow at {location.shown} holds no sweep; raysweep sync FILE "
                "writes one"
            )

    def find(self, key: EntryKey) -> Run | None:
        """The MLflow run of an entry, if there is one."""
        return self._found.get(key)

    def planned(self) -> dict[str, Any]:
        """The planned cells and runs, and the provenance, from the sweep's own entry.

        Raises:
            InvalidInput: an earlier raysweep wrote it, in other words.
        """
        with tempfile.TemporaryDirectory() as folder:
            planned = read_json(self.fetch(self._sweep, SWEEP_FILE, Path(folder)))
        has_roles = all("role" in run for run in planned["runs"])
        if not has_roles or not all(set(CELL_RUNS) <= cell.keys() for cell in planned["cells"]):
            name = self._found[self._sweep].info.run_name
            raise InvalidInput(
                f"MLflow's {name!r} was written by an earlier raysweep; raysweep sync FILE brings it up to "
                "date"
            )
        return planned

    def fetch(self, key: EntryKey, name: str, folder: Path) -> Path:
        """Copy a file of an entry into a folder.

        Raises:
            InvalidInput: the entry has no such file, or it can't be read from here.
        """
        run = self._found[key]
        try:
            return Path(self._client.download_artifacts(run.info.run_id, name, str(folder)))
        except MlflowLocation.errors() as error:
            raise InvalidInput(
                f"MLflow's {run.info.run_name!r} has no readable {name} ({one_line(error)}). A run without a "
                "test split has no examples; what an earlier raysweep recorded is completed by raysweep sync "
                "FILE"
            ) from error

    def curves(self, cells: list[Run]) -> list[dict[str, list[tuple[int, float]]]]:
        """The curves of cells that are done, by name, as (step, value)."""
        keys = [
            (index, metric)
            for index, cell in enumerate(cells)
            for metric in cell.data.metrics
            if metric.startswith(CURVE)
        ]
        curves: list[dict[str, list[tuple[int, float]]]] = [{} for _ in cells]
        with ThreadPoolExecutor(self._num_threads) as pool:
            histories = pool.map(
                lambda key: self._client.get_metric_history(cells[key[0]].info.run_id, key[1]), keys
            )
            for (index, metric), history in zip(keys, histories, strict=True):
                curves[index][metric.removeprefix(CURVE)] = sorted(
                    {(item.step, item.value) for item in history}
                )
        return curves


@contextmanager
def _readable(location: MlflowLocation) -> Iterator[None]:
    """Turn MLflow's exceptions into an error for the user."""
    try:
        yield
    except location.errors() as error:
        raise InvalidInput(
            f"MLflow at {location.shown} couldn't be read: {one_line(error)}. Start or repair the tracking "
            "server, or name another with --tracking-uri"
        ) from error


def _experiment(client: MlflowClient, location: MlflowLocation, sweep_name: str) -> str:
    experiment = client.get_experiment_by_name(sweep_name)
    if experiment is None or experiment.lifecycle_stage == "deleted":
        there = ", ".join(_names(client)) or "none"
        raise InvalidInput(f"MLflow at {location.shown} has no sweep {sweep_name!r}; it has {there}")
    return str(experiment.experiment_id)


def _only_sweep(client: MlflowClient, location: MlflowLocation) -> str:
    there = _names(client)
    if len(there) != 1:
        listed = ", ".join(there) or "none"
        raise InvalidInput(f"MLflow at {location.shown} has {len(there)} sweeps: {listed}; name one")
    return there[0]


def _names(client: MlflowClient) -> list[str]:
    return sorted(item.name for item in client.search_experiments() if item.name != "Default")


def _facts(run: Run | None) -> RunFacts:
    """What is known of a raysweep run from the MLflow run of its entry."""
    status = _status(run)
    if run is None or status in (RunStatus.MISSING, RunStatus.RUNNING):
        return RunFacts(status=RunStatus.MISSING)
    if status is RunStatus.FAILED:
        return RunFacts(status=status, reason=run.data.tags.get(ERROR_TAG, "unknown"))
    numbers = {name: value for name, value in run.data.metrics.items() if name in (*COUNTS, *SECONDS)}
    params = run.data.params.items()
    resources = {name.removeprefix(RESOURCE): value for name, value in params if name.startswith(RESOURCE)}
    numbers["num_devices"] = num_devices(resources)
    if status is RunStatus.STOPPED:
        return RunFacts(status=status, reason=run.data.tags.get(STOPPED_TAG, "unknown"), numbers=numbers)
    return RunFacts(status=status, numbers=numbers, commit=run.data.tags.get(COMMIT_TAG, ""))


def _status(run: Run | None) -> RunStatus:
    statuses = {theirs: ours for ours, theirs in STATUSES.items()}
    return statuses.get(run.info.status, RunStatus.MISSING) if run else RunStatus.MISSING


def _done(run: Run | None, cell: Mapping[str, Any], facts_by_run: Mapping[str, RunFacts]) -> Run | None:
    """The MLflow run of a cell's entry, if the entry is done, of the runs that the sweep plans, and these are
    done."""
    if run is None or _status(run) is not RunStatus.DONE:
        return None
    is_planned = all(run.data.tags.get(run_tag(role)) == cell[role] for role in CELL_RUNS)
    is_done = all(facts_by_run[cell[role]].status is RunStatus.DONE for role in CELL_RUNS)
    return run if is_planned and is_done else None


def _plain_metrics(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.data.metrics.items() if not name.startswith(CURVE)}
