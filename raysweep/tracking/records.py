"""From the store's files to what one MLflow run holds. Pure reading; nothing here knows MLflow.

Everything that goes into a record comes from the plan and the store, timestamps included, so that a record built twice is
equal twice. `Record.content` is a digest of a record that doesn't need its curves to be read: it tells whether MLflow has
this record already.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet

from raysweep.files import read_json, write_json
from raysweep.identity import digest
from raysweep.measure import example_table
from raysweep.plan import Plan, PlannedCell, PlannedRun
from raysweep.prepare import split_names
from raysweep.report.data import CELL
from raysweep.report.from_store import CellCurves, layout, provenance
from raysweep.results import Results
from raysweep.spec import RunSpec, TaskSpec, WeakLabels
from raysweep.store import RunPaths, RunState, Store
from raysweep.tracking.params import spec_params
from raysweep.tracking.points import Point, kept, run_points

_FORMAT = 4
"""Raised by one whenever equal results are to be shown in another way, so that what MLflow has is written anew."""
_MAX_TEXT = 5000
"""Characters of a param, tag or note; MLflow's own limits are 6000 and 8000."""

RUN_TAG, CELL_TAG, SWEEP_TAG = "raysweep.run_id", "raysweep.cell", "raysweep.sweep"
SWEEP_FILE, EXAMPLES_FILE = "sweep.json", "examples/test.parquet"
PARENT_TAG, NOTE_TAG, COMMIT_TAG = "mlflow.parentRunId", "mlflow.note.content", "mlflow.source.git.commit"


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
class SavedModel:
    """Weights that a run kept in the store. MLflow is told of them; it gets no copy."""

    name: str
    kind: str
    params: Mapping[str, str]
    """Where the weights are among them."""


@dataclass(frozen=True, kw_only=True)
class MadeFile:
    """A file that no run's folder has and that is made for MLflow."""

    name: str
    """Its path among the artifacts."""
    write: Callable[[Path], None]
    digest: str = ""
    """Of what it holds, where that doesn't follow from the rest of its record."""


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
    made: tuple[MadeFile, ...] = ()
    model: SavedModel | None = None

    @property
    def content(self) -> str:
        """Digest of all that this record shows."""
        made = [item.digest for item in self.made]
        return digest([_FORMAT, self.name, self.status, self.params, self.tags, self.result, made])


def sweep_identity(name: str) -> str:
    """What a sweep's record is found by."""
    return digest(name)


def cell_identity(names: Mapping[str, Any]) -> str:
    """What a cell's record is found by: the digest of its task, weak, strong, method and seed."""
    return digest({name: str(names[name]) for name in CELL})


def cell_name(cell: PlannedCell) -> str:
    """A cell by its names; no two cells of a plan share them."""
    return f"{cell.task}: {cell.weak} → {cell.strong}, {cell.method}, seed {cell.seed}"


def sweep_record(
    plan: Plan, store: Store, standing: Literal["RUNNING", "FINISHED", "FAILED"], start: float, end: float, note: str
) -> Record:
    """The record of a whole sweep, the parent of its runs; its `sweep.json` says what was planned, and how it was run."""
    sweep = plan.sweep
    facts = {**layout(plan), "provenance": provenance(plan, store)}
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
        identity=sweep_identity(sweep.name),
        name=f"sweep {sweep.name}",
        status=standing,
        start=start,
        end=end,
        tags=_clipped({"kind": "sweep", **grid, NOTE_TAG: note}),
        made=(MadeFile(name=SWEEP_FILE, write=lambda path: write_json(path, facts), digest=digest(facts)),),
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
    examples = MadeFile(name=EXAMPLES_FILE, write=lambda path: example_table(spec, store).to_parquet(path, index=False))
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
        points=lambda: run_points(spec, store),
        dataset=dataset,
        artifacts=(paths.spec, paths.environment, paths.result),
        made=(examples,) if paths.predictions("test").exists() else (),  # a pretraining may have no test split
        model=_saved_model(run, params, paths) if paths.has_model else None,
    )


def cell_record(cell: PlannedCell, results: Results, curves: CellCurves, store: Store, links: Mapping[str, str]) -> Record:
    """The record of a finished cell.

    It isn't below the sweep's record, as runs are: what people compare are cells, and MLflow hides what is nested until one
    opens it.

    Args:
        cell: the cell.
        results: of the plan.
        curves: of its cells.
        store: where the runs' files are.
        links: by run id, addresses of the MLflow runs of those of `linked_runs` that are done.
    """
    names = {name: str(getattr(cell, name)) for name in CELL}
    ends = {"floor": cell.runs.floor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}
    paths = [store.run(run.id) for run in ends.values()]
    linked = [(what, run) for what, run in linked_runs(cell).items() if run.id in links]
    note = "\n".join(f"- {what}: [{run.model.name}, run {run.id}]({links[run.id]})" for what, run in linked)
    tags = {"kind": "cell", **names, **{f"raysweep.{end}": run.id for end, run in ends.items()}}
    student = spec_params(cell.runs.student)
    hyperparameters = {name: value for name, value in student.items() if name not in ("task", "model", "seed", "labels")}

    start, end = span(paths)

    def points() -> Iterator[Point]:
        yield from (Point(name, value) for name, value in results.cell(cell).metrics.items())
        for name, shown in curves.of(cell).items():
            yield from (Point(f"curve/{name}", shown[index][1], shown[index][0]) for index in kept(len(shown)))

    return Record(
        tag=CELL_TAG,
        identity=cell_identity(names),
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


def linked_runs(cell: PlannedCell) -> dict[str, RunSpec]:
    """The runs that a cell's description links to, by what they are: its ends, and the supervisors that the student had."""
    runs = {"floor": cell.runs.floor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}
    labels, whose = cell.runs.student.labels, "the student's"
    while isinstance(labels, WeakLabels):
        runs[f"{whose} supervisor"] = labels.supervisor
        labels, whose = labels.supervisor.labels, f"{whose} supervisor's"
    return runs


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


def _saved_model(run: PlannedRun, params: Mapping[str, str], paths: RunPaths) -> SavedModel:
    spec = run.spec
    named = {name: params[name] for name in ("kind", "task", "model", "seed", "model_base") if name in params}
    # MLflow allows none of these in a model's name.
    name = re.sub(r"[/:.%\"']", "-", f"{run.kind} {spec.model.name} on {spec.task.label} seed {spec.seed}")
    return SavedModel(name=name, kind=run.kind, params={**named, "folder": str(paths.model), "run": run.id})


def _clipped(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…" for name, text in texts.items() if text}


def _dataset(task: TaskSpec, context: str, store: Store) -> Dataset:
    folder = store.task(task.content or "")
    counts = {split: pyarrow.parquet.read_metadata(folder / f"{split}.parquet").num_rows for split in split_names(task, store)}
    source = {"task": task.name, "params": dict(task.params), "split_seed": task.split_seed, "folder": str(folder)}
    return Dataset(name=task.label, digest=task.content or "", source=source, num_examples=counts, context=context)
