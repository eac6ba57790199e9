"""From the store's files to what one MLflow run holds. Pure reading; nothing here knows MLflow.

Everything that goes into a record comes from the plan and the store, timestamps included, so that a record
built twice is equal twice. `Entry.content` is a digest of a record that doesn't need its curves to be read:
it tells whether MLflow has this record already.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import pyarrow.parquet

from raysweep.data.examples import split_sizes
from raysweep.data.inputs import RunInputs
from raysweep.files import read_json, write_json
from raysweep.planning.plan import Plan, PlannedCell, PlannedRun
from raysweep.planning.search.config import METRICS
from raysweep.results.cells import CELL
from raysweep.results.from_store import CellReader, layout, read_store
from raysweep.results.measure import example_table
from raysweep.spec import RunSpec, TaskSpec, WeakLabels
from raysweep.spec.identity import digest
from raysweep.store import Store
from raysweep.store.run_folder import RunFolder, RunStatus
from raysweep.tracking.curves import Point, kept, run_points, stopped_points
from raysweep.tracking.entry import (
    CELL_TAG,
    COMMIT_TAG,
    NOTE_TAG,
    PARENT_TAG,
    RUN_TAG,
    SWEEP_TAG,
    Dataset,
    Entry,
    MadeFile,
    SavedModel,
)
from raysweep.tracking.params import spec_params

_MAX_TEXT = 5000
"""Characters of a param, tag or note; MLflow's own limits are 6000 and 8000."""

STOPPED_TAG = "raysweep.stopped"
SWEEP_FILE = "sweep.json"
EXAMPLES_FILE = "examples/test.parquet"


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
    plan: Plan,
    store: Store,
    standing: Literal["RUNNING", "FINISHED", "FAILED"],
    start: float,
    end: float,
    note: str,
) -> Entry:
    """The record of a whole sweep, the parent of its runs; its `sweep.json` says what was planned, and how it
    was run."""
    sweep = plan.sweep
    facts = {**layout(plan), "provenance": read_store(plan, store).provenance}
    grid = {
        "tasks": ", ".join(dict.fromkeys(cell.task for cell in plan.cells)),
        "pairs": ", ".join(f"{weak.name} → {strong.name}" for weak, strong in sweep.pairs),
        "methods": ", ".join(dict.fromkeys(cell.method for cell in plan.cells)),
        "seeds": ", ".join(str(seed) for seed in sweep.seeds),
        "num_runs": str(len(plan.runs)),
        "num_cells": str(len(plan.cells)),
    }
    return Entry(
        tag=SWEEP_TAG,
        identity=sweep_identity(sweep.name),
        name=f"sweep {sweep.name}",
        status=standing,
        start=start,
        end=end,
        tags=_clipped({"kind": "sweep", **grid, NOTE_TAG: note}),
        made=(MadeFile(name=SWEEP_FILE, write=lambda path: write_json(path, facts), digest=digest(facts)),),
    )


def run_record(run: PlannedRun, methods: str, store: Store, parent: str) -> Entry | None:
    """The record of one raysweep run; None if it hasn't ended.

    Args:
        run: the run.
        methods: names of the methods that it is the student of.
        store: where its files are.
        parent: the MLflow id of the sweep's record.
    """
    status = run.status(store)
    spec = run.spec
    if status is RunStatus.MISSING:
        return None
    tags = {
        "kind": run.role,
        "task": spec.task.label,
        "model": spec.model.name,
        "seed": str(spec.seed),
        PARENT_TAG: parent,
        "pairs": "; ".join(f"{weak} → {strong}" for weak, strong in run.pairs),
        "method": methods,
    }
    if run.study is not None:
        tags |= {"study": str(run.study.scope), "judged_by": run.study.search.select_by}
    ended = Entry(
        tag=RUN_TAG,
        identity=run.id,
        name=_run_name(run, methods),
        status="FINISHED",
        start=0.0,
        end=0.0,
        params={"kind": run.role, **spec_params(spec)},
        tags=tags,
        dataset=_dataset(spec.task, spec.train_split, store),
    )
    if status is RunStatus.FAILED:
        return _failed(ended, store.run(run.id))
    if status is RunStatus.STOPPED and run.study is not None:
        return _stopped(ended, store.run(run.id), METRICS[run.study.search.select_by])
    return _finished(ended, run, store)


def _failed(ended: Entry, paths: RunFolder) -> Entry:
    at = paths.error.stat().st_mtime
    error = paths.error.read_text()
    said = {
        "raysweep.error": error.partition("\n")[0],
        NOTE_TAG: f"Failed:\n```\n{error[-_MAX_TEXT + 100 :]}\n```",
    }
    return _with(ended, {}, said, status="FAILED", start=at, end=at)


def _stopped(ended: Entry, paths: RunFolder, metric: str) -> Entry:
    """Of a run that a search ended early; `metric` is what it was judged by."""
    stopped = read_json(paths.stopped)
    info = stopped["info"]
    reason = stopped["reason"]
    return _with(
        ended,
        _resource_params(info),
        {STOPPED_TAG: reason, NOTE_TAG: f"Ended early: {reason}\n\nFolder: `{paths.folder}`"},
        status="KILLED",
        start=info["finished_at"] - info["seconds_total"],
        end=info["finished_at"],
        result=digest(stopped),
        points=lambda: stopped_points(stopped, metric),
        artifacts=(paths.spec, paths.environment, paths.stopped),
    )


def _finished(ended: Entry, run: PlannedRun, store: Store) -> Entry:
    spec = run.spec
    paths = store.run(run.id)
    result = paths.read_result()
    start, end = span([paths])
    commit = read_json(paths.verified(paths.environment))["code"].get("commit")
    examples = MadeFile(
        name=EXAMPLES_FILE,
        write=lambda path: example_table(RunInputs(spec, store)).to_parquet(path, index=False),
    )
    resources = _resource_params(result["info"])
    return _with(
        ended,
        resources,
        {NOTE_TAG: f"Folder: `{paths.folder}`"} | ({COMMIT_TAG: commit} if commit else {}),
        start=start,
        end=end,
        result=digest(result),
        points=lambda: run_points(spec, store),
        artifacts=(paths.spec, paths.environment, paths.result),
        made=(examples,)
        if paths.predictions("test").exists()
        else (),  # a pretraining may have no test split
        model=_saved_model(run, {**ended.params, **resources}, paths) if paths.has_model else None,
    )


def _with(ended: Entry, params: Mapping[str, str], tags: Mapping[str, str], **fields: Any) -> Entry:
    """A record with more params and tags, none of them longer than MLflow takes, and other fields."""
    all_params = _clipped({**ended.params, **params})
    all_tags = _clipped({**ended.tags, **tags})
    return replace(ended, params=all_params, tags=all_tags, **fields)


def cell_record(cell: PlannedCell, reader: CellReader, store: Store, links: Mapping[str, str]) -> Entry:
    """The record of a finished cell.

    It isn't below the sweep's record, as runs are: what people compare are cells, and MLflow hides what is
    nested until one opens it.

    Args:
        cell: the cell.
        reader: reads its numbers and curves.
        store: where the runs' files are.
        links: by run id, addresses of the MLflow runs of those of `linked_runs` that are done.
    """
    names = {name: str(getattr(cell, name)) for name in CELL}
    ends = {"supervisor": cell.runs.supervisor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}
    paths = [store.run(run.id) for run in ends.values()]
    linked = [(what, run) for what, run in linked_runs(cell).items() if run.id in links]
    note = "\n".join(f"- {what}: [{run.model.name}, run {run.id}]({links[run.id]})" for what, run in linked)
    tags = {"kind": "cell", **names, **{f"raysweep.{end}": run.id for end, run in ends.items()}}
    student = spec_params(cell.runs.student)
    hyperparameters = {
        name: value for name, value in student.items() if name not in ("task", "model", "seed", "labels")
    }

    start, end = span(paths)

    def points() -> Iterator[Point]:
        yield from (Point(name, value) for name, value in reader.numbers(cell).items())
        for name, shown in reader.curves(cell).items():
            yield from (
                Point(f"curve/{name}", shown[index][1], shown[index][0]) for index in kept(len(shown))
            )

    return Entry(
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
    """The runs that a cell's description links to, by what they are: its ends, and the supervisors that the
    student had."""
    runs = {"supervisor": cell.runs.supervisor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}
    labels = cell.runs.student.labels
    whose = "the student's"
    while isinstance(labels, WeakLabels):
        runs[f"{whose} supervisor"] = labels.supervisor
        labels = labels.supervisor.labels
        whose = f"{whose} supervisor's"
    return runs


def span(done: list[RunFolder]) -> tuple[float, float]:
    """When the first of some finished runs started and the last one ended; now, if there is none."""
    infos = [paths.read_result()["info"] for paths in done]
    starts = (info["finished_at"] - info["seconds_total"] for info in infos)
    return min(starts, default=time.time()), max((info["finished_at"] for info in infos), default=time.time())


def _run_name(run: PlannedRun, methods: str) -> str:
    spec = run.spec
    supervisor = f" of {spec.labels.supervisor.model.name}" if isinstance(spec.labels, WeakLabels) else ""
    method = f", {methods}" if methods else ""
    return f"{run.role} {spec.model.name}{supervisor} on {spec.task.label}{method}, seed {spec.seed}"


def _resource_params(info: Mapping[str, Any]) -> dict[str, str]:
    return {f"resources_{name}": str(value) for name, value in info["resources"].items() if value is not None}


def _saved_model(run: PlannedRun, params: Mapping[str, str], paths: RunFolder) -> SavedModel:
    spec = run.spec
    named = {name: params[name] for name in ("kind", "task", "model", "seed", "model_base") if name in params}
    # MLflow allows none of these in a model's name.
    name = re.sub(r"[/:.%\"']", "-", f"{run.role} {spec.model.name} on {spec.task.label} seed {spec.seed}")
    return SavedModel(name=name, kind=run.role, params={**named, "folder": str(paths.model), "run": run.id})


def _clipped(texts: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
        for name, text in texts.items()
        if text
    }


def _dataset(task: TaskSpec, context: str, store: Store) -> Dataset:
    folder = store.task(task.content or "")
    counts = {
        split: pyarrow.parquet.read_metadata(folder / f"{split}.parquet").num_rows
        for split in split_sizes(task, store)
    }
    source = {
        "task": task.name,
        "params": dict(task.params),
        "split_seed": task.split_seed,
        "folder": str(folder),
    }
    return Dataset(
        name=task.label, digest=task.content or "", source=source, num_examples=counts, context=context
    )
