"""Writing records to MLflow: the only module that imports it.

Uses `MlflowClient` only, never MLflow's process-wide state, and few calls for each record: a SQLite file
takes some milliseconds for each. Nothing in MLflow keeps two writers from making two runs with one tag. So
whoever makes one looks again, and whoever sees several keeps the one with the smallest id: all writers come
to the same one, without a lock.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raysweep.tracking.entry import (
    CELL_TAG,
    NOTE_TAG,
    PARENT_TAG,
    RUN_TAG,
    SWEEP_TAG,
    Dataset,
    Entry,
    SavedModel,
)
from raysweep.tracking.mlflow.location import Location

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, LoggedModel, Run

_CONTENT_TAG = "raysweep.content"
_RESULT_TAG = "raysweep.result"
_NAME_TAG = "mlflow.runName"
_DESCRIPTION_TAG = "raysweep.description"
"""What was last written as the experiment's description."""
_POINTS_PER_BATCH = 800
"""MLflow takes 1000 metrics, params and tags in one call."""
_MAX_CAUSE = 300
_SETTINGS = {
    # No network at run time but the user's own server.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The tracker tries again by itself; MLflow's own 7 tries of 120 s would hold up the end of a sweep for
    # minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Two lines a record, in the middle of the table of runs.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def configure_mlflow() -> None:
    """Set what MLflow reads from the environment, where the user hasn't; call it in the main thread, before
    any run."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def mlflow_errors() -> tuple[type[Exception], ...]:
    """What MLflow raises when it can't be reached or written, or refuses."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (
        MlflowException,
        SQLAlchemyError,
        OSError,
    )  # OSError: artifacts; requests' exceptions are of this class


def brief(error: BaseException) -> str:
    """An error in one line that fits a message; of a connection that fails, only why."""
    root = error
    while inner := root.__cause__ or root.__context__:
        root = inner
    shown = root if isinstance(root, OSError) else error
    line = " ".join(f"{type(shown).__name__}: {shown}".split())
    return line if len(line) <= _MAX_CAUSE else line[: _MAX_CAUSE - 1] + "…"


@dataclass(frozen=True)
class _Found:
    """A run that MLflow has."""

    id: str
    tags: dict[str, str]
    params: dict[str, str]

    def is_outdated_by(self, record: Entry) -> bool:
        """Whether it holds what can't be written over: metrics of another result, or another value of a
        param."""
        has_other_params = any(self.params.get(name, value) != value for name, value in record.params.items())
        return self.tags.get(_RESULT_TAG, "") not in ("", record.result) or has_other_params


class Writer:
    """One MLflow experiment, and what it has when the writer is made."""

    def __init__(self, location: Location, experiment: str) -> None:
        from mlflow import MlflowClient

        if "MLFLOW_LOGGING_LEVEL" not in os.environ:  # it reports schema creation and every locked database
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        self._client = MlflowClient(location.uri)
        self._uri = location.uri
        self._experiment, self.experiment_tags, self.created = self._find_or_make_experiment(
            experiment, location.artifacts
        )
        self._found = self._list()

    def link(self, mlflow_id: str, page: str = "") -> str:
        """The address of a run within MLflow's UI, which then shows what concerns trainings; or of a page
        below the run's."""
        return f"#/experiments/{self._experiment}/runs/{mlflow_id}{page}?workflowType=machine_learning"

    @property
    def experiment(self) -> str:
        """The experiment's MLflow id."""
        return self._experiment

    def set_experiment_tags(self, tags: Mapping[str, str]) -> None:
        """Set those tags of the experiment that differ from what it has."""
        for name, value in tags.items():
            if self.experiment_tags.get(name) != value:
                self._client.set_experiment_tag(self._experiment, name, value)
                self.experiment_tags[name] = value

    def describe(self, text: str) -> None:
        """Set the experiment's description, unless somebody has written another one."""
        if self.experiment_tags.get(NOTE_TAG, "") in ("", self.experiment_tags.get(_DESCRIPTION_TAG)):
            self.set_experiment_tags({NOTE_TAG: text, _DESCRIPTION_TAG: text})

    def replace_files(self, mlflow_id: str, folder: Path) -> None:
        """Put all that is in a folder among a run's artifacts, in place of what has the same names there."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        artifacts = get_artifact_repository(self._client.get_run(mlflow_id).info.artifact_uri, self._uri)
        there = {item.path for item in self._client.list_artifacts(mlflow_id)}
        for path in folder.iterdir():
            if path.is_dir() and path.name in there:  # files in it may have got other names
                artifacts.delete_artifacts(path.name)
        self._client.log_artifacts(mlflow_id, str(folder))

    def find(self, tag: str, identity: str) -> str | None:
        """The MLflow id of a record, if MLflow has it."""
        found = self._found.get((tag, identity))
        return found.id if found else None

    def write(self, record: Entry) -> tuple[str, bool]:
        """Write a record unless MLflow has it already: its MLflow id, and whether anything was written.

        A record that was half written is completed, a failed run that is done now becomes finished, both as
        the MLflow run they are. Metrics and params can't be taken back in MLflow: where those differ, the old
        run is deleted.
        """
        key = (record.tag, record.identity)
        found = self._found.get(key)
        if found and found.tags.get(_CONTENT_TAG) == record.content:
            return found.id, False
        if found and found.is_outdated_by(record):
            self._client.delete_run(found.id)
            for model in self._models_of(found):
                self._client.delete_logged_model(model.model_id)
            found = None
        found = found or self._make(record)
        self._fill(found, record)
        tags = {
            **record.tags,
            _RESULT_TAG: record.result,
            _CONTENT_TAG: record.content,
            _NAME_TAG: record.name,
        }
        self._found[key] = _Found(found.id, tags, dict(record.params))
        return found.id, True

    def _find_or_make_experiment(self, name: str, artifacts: str | None) -> tuple[str, dict[str, str], int]:
        """The experiment's id, its tags, and when it was made, in milliseconds since 1970."""
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            # The tag opens the UI on the runs instead of asking what kind of experiment this is.
            kind = {"mlflow.experimentKind": "custom_model_development"}
            made = self._client.create_experiment(name, artifact_location=artifacts, tags=kind)
            experiment = self._client.get_experiment(made)
        elif experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id), dict(experiment.tags), int(experiment.creation_time or 0)

    def _list(self) -> dict[tuple[str, str], _Found]:
        """All records that MLflow has, by tag and identity."""
        found: dict[tuple[str, str], _Found] = {}
        for run in self._search(""):
            for tag in (RUN_TAG, CELL_TAG, SWEEP_TAG):
                if tag in run.data.tags:
                    self._keep_one(found, (tag, run.data.tags[tag]), run)
        return found

    def _keep_one(self, found: dict[tuple[str, str], _Found], key: tuple[str, str], run: Run) -> None:
        new = _Found(run.info.run_id, run.data.tags, run.data.params)
        old = found.get(key)
        found[key] = min(old or new, new, key=lambda item: item.id)
        if old:
            self._client.delete_run(max(old.id, new.id))

    def _search(self, condition: str) -> list[Run]:
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs([self._experiment], condition, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _make(self, record: Entry) -> _Found:
        key = (record.tag, record.identity)
        condition = f"tags.`{record.tag}` = '{record.identity}'"
        if not self._search(condition):  # another writer may have made it since we listed
            tags = {record.tag: record.identity, **record.tags}
            self._client.create_run(self._experiment, round(record.start * 1000), tags, record.name)
        found: dict[tuple[str, str], _Found] = {}
        for run in self._search(condition):
            self._keep_one(found, key, run)
        return found[key]

    def _fill(self, found: _Found, record: Entry) -> None:
        from mlflow.entities import Metric, Param, RunTag

        end = round(record.end * 1000)
        params = [Param(name, value) for name, value in record.params.items()]
        tags = [RunTag(name, value) for name, value in {**record.tags, _RESULT_TAG: record.result}.items()]
        metrics = (Metric(point.name, point.value, end, point.step) for point in record.points())
        self._client.log_batch(found.id, list(itertools.islice(metrics, _POINTS_PER_BATCH)), params, tags)
        while batch := list(itertools.islice(metrics, _POINTS_PER_BATCH)):
            self._client.log_batch(found.id, batch)
        if record.dataset:
            self._client.log_inputs(found.id, [_dataset_input(record.dataset)])
        for path in record.artifacts:
            self._client.log_artifact(found.id, str(path))
        for made in record.made:
            folder, _, name = made.name.rpartition("/")
            with tempfile.TemporaryDirectory() as temporary:
                made.write(Path(temporary) / name)
                self._client.log_artifact(found.id, f"{temporary}/{name}", folder or None)
        # A record that never got so far as to its metrics, in `log_batch`, has no model either.
        if record.model and not (_RESULT_TAG in found.tags and self._models_of(found)):
            self._make_model(found, record.model)
        for name in found.tags:
            if name.startswith(("raysweep.", PARENT_TAG)) and name not in {
                *record.tags,
                record.tag,
                _RESULT_TAG,
                _CONTENT_TAG,
            }:
                self._client.delete_tag(found.id, name)
        if found.tags.get(_NAME_TAG) != record.name:
            self._client.update_run(found.id, name=record.name)
        if record.status == "RUNNING":
            self._client.update_run(found.id, status=record.status)
        else:
            self._client.set_terminated(found.id, record.status, end)
        # Last: only with this tag does a record count as written.
        self._client.set_tag(found.id, _CONTENT_TAG, record.content)

    def _models_of(self, found: _Found) -> list[LoggedModel]:
        return self._client.search_logged_models([self._experiment], f"source_run_id = '{found.id}'")

    def _make_model(self, found: _Found, model: SavedModel) -> None:
        """Tell MLflow of weights in the store: the tab Models shows them, with the run they come from."""
        import mlflow.entities

        made = self._client.create_logged_model(
            self._experiment, model.name, found.id, params=dict(model.params), model_type=model.kind
        )
        self._client.log_outputs(found.id, [mlflow.entities.LoggedModelOutput(made.model_id, step=0)])
        self._client.finalize_logged_model(made.model_id, "READY")


def _dataset_input(dataset: Dataset) -> DatasetInput:
    import mlflow.entities

    profile = {"num_rows": sum(dataset.num_examples.values()), **dataset.num_examples}
    source = json.dumps(dataset.source)
    entity = mlflow.entities.Dataset(
        dataset.name, dataset.digest, "raysweep", source, profile=json.dumps(profile)
    )
    return mlflow.entities.DatasetInput(
        entity, [mlflow.entities.InputTag("mlflow.data.context", dataset.context)]
    )
