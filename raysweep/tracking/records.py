"""From the store's files to what one MLflow run holds. Pure reading; nothing here knows MLflow.

Everything that goes into a record comes from the plan and the store, timestamps included, so that a record built twice is
equal twice. `Record.content` is a digest of a record that doesn't need its curves to be read: it tells whether MLflow has
this record already.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet

from raysweep.files import read_json
from raysweep.identity import digest
from raysweep.measure import measure_curve
from raysweep.plan import Plan, PlannedCell, PlannedRun
from raysweep.prepare import split_names
from raysweep.results import Results
from raysweep.spec import RunSpec, TaskSpec, WeakLabels
from raysweep.store import RunPaths, RunState, Store
from raysweep.tracking.params import spec_params

_FORMAT = 2
"""Raised by one whenever equal results are to be shown in another way, so that what MLflow has is written anew."""
_MAX_POINTS = 200
"""Points of one curve: more than a screen shows, few enough that a thousand runs load quickly."""
_MAX_TEXT = 5000
"""Characters of a param, tag or note; MLflow's own limits are 6000 and 8000."""

RUN_TAG, CELL_TAG, SWEEP_TAG = "raysweep.run_id", "raysweep.cell", "raysweep.sweep"
PARENT_TAG, NOTE_TAG, COMMIT_TAG = "mlflow.parentRunId", "mlflow.note.content", "mlflow.source.git.commit"


class Point(NamedTuple):
    """One value of a metric."""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The data set that a run reads."""

    name: str
    digest: str
    source: Mapping[str, Any]
    num_examples: Mapping[str, int]
    """By split."""
    context: str
    """The split that the run is about."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one MLflow run holds."""

    tag: str
    """Name of the tag that the MLflow run is found by."""
    identity: str
    """Its value."""
    name: str
    status: Literal["RUNNING", "FINISHED", "FAILED"]
    start: float
    end: float
    """Seconds since 1970; of a record that is running, when it was last written."""
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    result: str = ""
    """Digest of the results that the points are computed from; "" if there is none."""
    points: Callable[[], Iterator[Point]] = lambda: iter(())
    dataset: Dataset | None = None
    artifacts: tuple[Path, ...] = ()

    @property
    def content(self) -> str:
        """Digest of all that this record shows."""
        return digest([_FORMAT, self.name, self.status, self.params, self.tags, self.result])


def sweep_identity(plan: Plan) -> str:
    """What a sweep's record is found by."""
    return digest(plan.sweep.name)


def cell_name(cell: PlannedCell) -> str:
    """A cell by its names; no two cells of a plan share them."""
    return f"{cell.task}: {cell.weak} → {cell.strong}, {cell.method}, seed {cell.seed}"


def sweep_record(plan: Plan, standing: Literal["RUNNING", "FINISHED", "FAILED"], start: float, end: float) -> Record:
    """The record of a whole sweep, the parent of all others."""
    sweep = plan.sweep
    grid = {
        "tasks": ", ".join(dict.fromkeys(cell.task for cell in plan.cells)),
        "pairs": ", ".join(f"{weak.name} → {strong.name}" for weak, strong in sweep.pairs),
        "methods": ", ".join(dict.fromkeys(cell.method for cell in plan.cells)),
        "seeds": ", ".join(str(seed) for seed in sweep.seeds),
        "num_runs": str(len(plan.runs)),
        "num_cells": str(len(plan.cells)),
    }
    return Record(
        tag=SWEEP_TAG,
        identity=sweep_identity(plan),
        name=f"sweep {sweep.name}",
        status=standing,
        start=start,
        end=end,
        tags=_clipped({"kind": "sweep", **grid, NOTE_TAG: "Below: the sweep's runs, and its cells with their PGR."}),
    )


def run_record(run: PlannedRun, methods: str, store: Store, parent: str) -> Record | None:
    """The record of one raysweep run; None if it is neither done nor failed.

    Args:
        run: the run.
        methods: names of the methods that it is the student of.
        store: where its files are.
        parent: the MLflow id of the sweep's record.
    """
    state, paths, spec = store.state(run.spec), store.run(run.id), run.spec
    if state is RunState.MISSING:
        return None
    tags = {
        "kind": run.kind,
        "task": spec.task.label,
        "model": spec.model.name,
        "seed": str(spec.seed),
        PARENT_TAG: parent,
    }
    tags |= {"pairs": "; ".join(f"{weak} → {strong}" for weak, strong in run.pairs), "method": methods}
    params = {"kind": run.kind, **spec_params(spec)}
    dataset = _dataset(spec.task, spec.train_split, store)
    if state is RunState.FAILED:
        failed_at = paths.error.stat().st_mtime
        error = paths.error.read_text()
        tags |= {
            "raysweep.error": error.partition("\n")[0],
            NOTE_TAG: f"Failed:\n```\n{error[-_MAX_TEXT + 100 :]}\n```",
        }
        return Record(
            tag=RUN_TAG,
            identity=run.id,
            name=_run_name(run, methods),
            status="FAILED",
            start=failed_at,
            end=failed_at,
            params=_clipped(params),
            tags=_clipped(tags),
            dataset=dataset,
        )
    result = paths.read_result()
    start, end = span([paths])
    commit = read_json(paths.verified(paths.environment))["code"].get("commit")
    tags |= {NOTE_TAG: f"Folder: `{paths.folder}`"} | ({COMMIT_TAG: commit} if commit else {})
    params |= {f"resources_{name}": str(value) for name, value in result["info"]["resources"].items() if value is not None}
    return Record(
        tag=RUN_TAG,
        identity=run.id,
        name=_run_name(run, methods),
        status="FINISHED",
        start=start,
        end=end,
        params=_clipped(params),
        tags=_clipped(tags),
        result=digest(result),
        points=lambda: _run_points(spec, store),
        dataset=dataset,
        artifacts=(paths.spec, paths.environment, paths.result),
    )


def cell_record(cell: PlannedCell, results: Results, store: Store, parent: str, links: Mapping[str, str]) -> Record:
    """The record of a finished cell.

    Args:
        cell: the cell.
        results: of the plan.
        store: where the runs' files are.
        parent: the MLflow id of the sweep's record.
        links: addresses of the MLflow runs of floor, student and ceiling.
    """
    names = {"task": cell.task, "weak": cell.weak, "strong": cell.strong, "method": cell.method, "seed": str(cell.seed)}
    ends = {"floor": cell.runs.floor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}
    paths = [store.run(run.id) for run in ends.values()]
    note = "\n".join(f"- {end}: [{run.model.name}, run {run.id}]({links[end]})" for end, run in ends.items())
    tags = {"kind": "cell", **names, **{f"raysweep.{end}": run.id for end, run in ends.items()}, PARENT_TAG: parent}
    student = spec_params(cell.runs.student)
    hyperparameters = {name: value for name, value in student.items() if name not in ("task", "model", "seed", "labels")}

    start, end = span(paths)

    def points() -> Iterator[Point]:
        yield from (Point(name, value) for name, value in results.cell(cell).metrics.items())
        yield from _evaluation_points(results.student_curve(cell))
        ceiling = measure_curve(cell.runs.ceiling, store, supervisor=cell.runs.floor)
        agreement = [name for name in ceiling if str(name).startswith("test_agreement")]
        if agreement:
            renamed = {name: f"ceiling_{name}" for name in agreement}
            yield from _evaluation_points(ceiling[["step", *agreement]].rename(columns=renamed))

    return Record(
        tag=CELL_TAG,
        identity=digest(names),
        name=cell_name(cell),
        status="FINISHED",
        start=start,
        end=end,
        params=_clipped(names | hyperparameters),
        tags=_clipped(tags | {NOTE_TAG: note}),
        result=digest([digest(item.read_result()) for item in paths]),
        points=points,
        dataset=_dataset(cell.runs.student.task, "test", store),
    )


def span(done: list[RunPaths]) -> tuple[float, float]:
    """When the first of some finished runs started and the last one ended; now, if there is none."""
    infos = [paths.read_result()["info"] for paths in done]
    starts = (info["finished_at"] - info["seconds_total"] for info in infos)
    return min(starts, default=time.time()), max((info["finished_at"] for info in infos), default=time.time())


def _run_name(run: PlannedRun, methods: str) -> str:
    spec = run.spec
    supervisor = f" of {spec.labels.supervisor.model.name}" if isinstance(spec.labels, WeakLabels) else ""
    method = f", {methods}" if methods else ""
    return f"{run.kind} {spec.model.name}{supervisor} on {spec.task.label}{method}, seed {spec.seed}"


def _clipped(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…" for name, text in texts.items() if text}


def _dataset(task: TaskSpec, context: str, store: Store) -> Dataset:
    folder = store.task(task.content or "")
    counts = {split: pyarrow.parquet.read_metadata(folder / f"{split}.parquet").num_rows for split in split_names(task, store)}
    source = {"task": task.name, "params": dict(task.params), "split_seed": task.split_seed, "folder": str(folder)}
    return Dataset(name=task.label, digest=task.content or "", source=source, num_examples=counts, context=context)


def _run_points(spec: RunSpec, store: Store) -> Iterator[Point]:
    paths = store.run(spec.id)
    result = paths.read_result()
    numbers = {
        name: value for name, value in result["info"].items() if isinstance(value, int | float) and name != "finished_at"
    }
    yield from (Point(name, float(value)) for name, value in (numbers | result["metrics"]).items())
    training = _thinned(pd.read_parquet(paths.verified(paths.training_curve)))
    for name in ("loss", "learning_rate"):
        values = zip(training[name], training["step"], strict=True)
        yield from (Point(f"curve/training_{name}", float(value), int(step)) for value, step in values)
    yield from _evaluation_points(measure_curve(spec, store))


def _evaluation_points(curve: pd.DataFrame) -> Iterator[Point]:
    for row in _thinned(curve).to_dict("records"):
        step = int(row.pop("step"))
        yield from (Point(f"curve/{name}", float(value), step) for name, value in row.items() if np.isfinite(value))


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """A curve's first and last point and as many evenly between as are shown."""
    rows = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _MAX_POINTS)).round().astype(int))
    return curve.iloc[rows]
