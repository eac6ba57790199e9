"""Writing entries to MLflow.

Uses `MlflowClient` only, never MLflow's process-wide state, and few calls per entry: with a SQLite file each
takes some milliseconds. MLflow can't keep two writers from making two MLflow runs with one tag. Therefore a
writer that makes one searches again, and a writer that finds several keeps the one with the smallest id. All
writers agree on the same one without a lock.
"""

from __future__ import annotations

import itertools
import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raysweep.store import RunStatus
from raysweep.tracking.backend import REPORT_FILE, Written
from raysweep.tracking.entry import Dataset, Entry, EntryKey, SavedModel
from raysweep.tracking.mlflow.tags import (
    CONTENT_TAG,
    KEY_TAGS,
    NAME_TAG,
    NOTE_TAG,
    PARENT_TAG,
    RESULT_TAG,
    STATUSES,
    metric_name,
    model_name,
    params_of,
    tags_of,
)
from raysweep.tracking.mlflow.views import description, links_to_views, view_tags, views

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, LoggedModel, Metric, Run

_DESCRIPTION_TAG = "raysweep.description"
"""Of the experiment: the description that was last written, to tell it from one that a user wrote."""
_REPORT_TAG = "raysweep.report"
"""Of the experiment: the address of the report."""
_ATTACHED_TAG = "raysweep.attached"
"""Of a run: the content that `MlflowBackend.attach` was given. Written last, as `CONTENT_TAG`."""
_POINTS_PER_BATCH = 800
"""MLflow takes 1000 metrics, params and tags in one call."""


@dataclass(frozen=True)
class _Found:
    """An MLflow run that holds an entry."""

    id: str
    tags: dict[str, str]
    params: Mapping[str, str]

    def is_outdated_by(self, entry: Entry) -> bool:
        """Whether it holds something that can't be overwritten: metrics of another result, or another value
        of a param."""
        has_other_result = self.tags.get(RESULT_TAG, "") not in ("", entry.result)
        return has_other_result or bool(_differences(self.params, params_of(entry)))

    def differences(self, entry: Entry) -> str:
        """The params and tags that an entry has otherwise."""
        return ", ".join(
            _differences(self.params, params_of(entry)) or _differences(self.tags, tags_of(entry))
        )


class MlflowBackend:
    """One MLflow experiment, with what it holds when it is opened: see
    `raysweep.tracking.backend.Backend`."""

    def __init__(self, uri: str, experiment: str, artifacts: str | None) -> None:
        """Open an experiment.

        Args:
            uri: MLflow's tracking URI.
            experiment: its name; if there is none, it is made.
            artifacts: the folder for the artifacts of an experiment that is made, as a URI; None leaves the
                choice to the server.
        """
        from mlflow import MlflowClient

        self._client = MlflowClient(uri)
        self._uri = uri
        self._experiment, self._experiment_tags, self._created = self._find_or_make(experiment, artifacts)
        self._found = self._list()

    def find(self, key: EntryKey) -> str | None:
        """The id of the MLflow run of an entry, if there is one."""
        found = self._found.get(key)
        return found.id if found else None

    def write(self, entry: Entry) -> Written:
        """Write an entry unless MLflow has it already.

        An entry that was written in part is completed, and a failed run that is done now becomes finished,
        both as the MLflow run they are. In MLflow metrics and params can't be taken back: where those differ,
        the old MLflow run is deleted.
        """
        found = self._found.get(entry.key)
        replaced = ""
        if found and found.tags.get(CONTENT_TAG) == entry.content:
            return Written(found.id, False)
        if found and found.is_outdated_by(entry):
            replaced = found.differences(entry)
            self._client.delete_run(found.id)
            for model in self._models_of(found):
                self._client.delete_logged_model(model.model_id)
            found = None
        found = found or self._make(entry)
        self._found[entry.key] = self._fill(found, entry)
        return Written(found.id, True, replaced)

    def attach(self, key: EntryKey, folder: Path, content: str) -> None:
        """Put all that is in a folder among the artifacts of an entry's MLflow run, in place of what has the
        same names there. A report among them gets a link in the experiment's description."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        run_id = self._found[key].id
        artifacts = get_artifact_repository(self._client.get_run(run_id).info.artifact_uri, self._uri)
        there = {item.path for item in self._client.list_artifacts(run_id)}
        for path in folder.iterdir():
            if path.is_dir() and path.name in there:  # its files may have other names than before
                artifacts.delete_artifacts(path.name)
        self._client.log_artifacts(run_id, str(folder))
        if (folder / REPORT_FILE).exists():
            self._set_experiment_tags({_REPORT_TAG: self._page(run_id, f"/artifacts/{REPORT_FILE}")})
        self._client.set_tag(run_id, _ATTACHED_TAG, content)
        self._found[key].tags[_ATTACHED_TAG] = content

    def attached(self, key: EntryKey) -> str:
        """What is attached to an entry, by its content; "" if nothing is since it was last written."""
        found = self._found.get(key)
        return found.tags.get(_ATTACHED_TAG, "") if found else ""

    def describe(self, varied: Sequence[str]) -> None:
        """Save the views of the sweep, and link to them and to the report in the experiment's description,
        unless a user has written another one."""
        saved = views(varied)
        self._set_experiment_tags(view_tags(saved, self._created))
        text = description(saved, self._experiment, self._experiment_tags.get(_REPORT_TAG, ""))
        if self._experiment_tags.get(NOTE_TAG, "") in ("", self._experiment_tags.get(_DESCRIPTION_TAG)):
            self._set_experiment_tags({NOTE_TAG: text, _DESCRIPTION_TAG: text})

    def link(self, entry_id: str) -> str:
        """The address of an MLflow run within MLflow's UI."""
        return self._page(entry_id)

    def _page(self, mlflow_id: str, page: str = "") -> str:
        """The address of an MLflow run, or of a page below it, in the UI's mode for model training."""
        return f"#/experiments/{self._experiment}/runs/{mlflow_id}{page}?workflowType=machine_learning"

    def _set_experiment_tags(self, tags: Mapping[str, str]) -> None:
        """Set those tags of the experiment that differ from what it has."""
        for name, value in tags.items():
            if self._experiment_tags.get(name) != value:
                self._client.set_experiment_tag(self._experiment, name, value)
                self._experiment_tags[name] = value

    def _find_or_make(self, name: str, artifacts: str | None) -> tuple[str, dict[str, str], int]:
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

    def _list(self) -> dict[EntryKey, _Found]:
        """The MLflow runs of all entries, by key."""
        found: dict[EntryKey, _Found] = {}
        for run in search_runs(self._client, self._experiment):
            for key in entry_keys(run):
                self._keep_one(found, key, run)
        return found

    def _keep_one(self, found: dict[EntryKey, _Found], key: EntryKey, run: Run) -> None:
        new = _Found(run.info.run_id, dict(run.data.tags), run.data.params)
        old = found.get(key)
        found[key] = min(old or new, new, key=lambda item: item.id)
        if old:
            self._client.delete_run(max(old.id, new.id))

    def _make(self, entry: Entry) -> _Found:
        condition = f"tags.`{KEY_TAGS[entry.key.kind]}` = '{entry.key.identity}'"
        # Another writer may have made it since they were listed.
        if not search_runs(self._client, self._experiment, condition):
            start = round(entry.start * 1000)
            self._client.create_run(self._experiment, start, tags_of(entry), entry.name)
        found: dict[EntryKey, _Found] = {}
        for run in search_runs(self._client, self._experiment, condition):
            self._keep_one(found, entry.key, run)
        return found[entry.key]

    def _fill(self, found: _Found, entry: Entry) -> _Found:
        """Write all that an entry holds into its MLflow run; returns what that has then."""
        from mlflow.entities import Param, RunTag

        end = round(entry.end * 1000)
        params = params_of(entry)
        tags = {**tags_of(entry), RESULT_TAG: entry.result}
        metrics = self._metrics(found, entry)
        if entry.key.kind == "sweep":
            tags[NOTE_TAG] = "\n\n".join(filter(None, [entry.note, links_to_views(self._experiment)]))
        self._client.log_batch(
            found.id,
            list(itertools.islice(metrics, _POINTS_PER_BATCH)),
            [Param(name, value) for name, value in params.items()],
            [RunTag(name, value) for name, value in tags.items()],
        )
        while batch := list(itertools.islice(metrics, _POINTS_PER_BATCH)):
            self._client.log_batch(found.id, batch)
        if entry.dataset:
            self._client.log_inputs(found.id, [_dataset_input(entry.dataset)])
        self._log_files(found, entry)
        # An entry without the result tag, which is written with the metrics, has no model either.
        if entry.model and not (RESULT_TAG in found.tags and self._models_of(found)):
            self._make_model(found, entry.model)
        for name in found.tags.keys() - {*tags, CONTENT_TAG}:
            if name.startswith(("raysweep.", PARENT_TAG)):
                self._client.delete_tag(found.id, name)
        if found.tags.get(NAME_TAG) != entry.name:
            self._client.update_run(found.id, name=entry.name)
        status = STATUSES[entry.status]
        if entry.status is RunStatus.RUNNING:
            self._client.update_run(found.id, status=status)
        else:
            self._client.set_terminated(found.id, status, end)
        # Last: only with this tag does an entry count as written.
        self._client.set_tag(found.id, CONTENT_TAG, entry.content)
        return _Found(found.id, {**tags, NAME_TAG: entry.name, CONTENT_TAG: entry.content}, params)

    def _metrics(self, found: _Found, entry: Entry) -> Iterator[Metric]:
        """The metrics of an entry. A sweep's own is never made anew, since its runs are below it. MLflow
        shows the latest value of a metric and takes none back: what is no longer defined becomes NaN."""
        from mlflow.entities import Metric

        if entry.key.kind != "sweep":
            end = round(entry.end * 1000)
            yield from (Metric(point.name, point.value, end, point.step) for point in entry.points())
            return
        now = round(time.time() * 1000)
        values = dict.fromkeys(self._client.get_run(found.id).data.metrics, math.nan)
        values |= {metric_name(point.name): point.value for point in entry.points()}
        yield from (Metric(name, value, now, 0) for name, value in values.items())

    def _log_files(self, found: _Found, entry: Entry) -> None:
        for path in entry.artifacts:
            self._client.log_artifact(found.id, str(path))
        for made in entry.made:
            folder, _, name = made.name.rpartition("/")
            with tempfile.TemporaryDirectory() as temporary:
                made.write(Path(temporary) / name)
                self._client.log_artifact(found.id, f"{temporary}/{name}", folder or None)

    def _models_of(self, found: _Found) -> list[LoggedModel]:
        return self._client.search_logged_models([self._experiment], f"source_run_id = '{found.id}'")

    def _make_model(self, found: _Found, model: SavedModel) -> None:
        """Tell MLflow of weights in the store. The UI's tab Models then shows them with their run."""
        import mlflow.entities

        made = self._client.create_logged_model(
            self._experiment,
            model_name(model.name),
            found.id,
            params=dict(model.params),
            model_type=model.role,
        )
        self._client.log_outputs(found.id, [mlflow.entities.LoggedModelOutput(made.model_id, step=0)])
        self._client.finalize_logged_model(made.model_id, "READY")


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [f"{name} {old[name]} → {new[name]}" for name in new if old.get(name, new[name]) != new[name]]


def search_runs(client: MlflowClient, experiment: str, condition: str = "") -> list[Run]:
    """All runs of an experiment for which a condition in MLflow's search syntax holds."""
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], condition, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def entry_keys(run: Run) -> list[EntryKey]:
    """The key of the entry that an MLflow run holds; none, if it isn't raysweep's."""
    return [EntryKey(kind, run.data.tags[tag]) for kind, tag in KEY_TAGS.items() if tag in run.data.tags]


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
