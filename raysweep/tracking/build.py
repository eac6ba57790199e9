"""Builds entries from the plan and the store.

Everything in an entry, timestamps included, comes from the plan and the store, so an entry that is built
twice is equal twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow.parquet

from raysweep.data.examples import split_sizes
from raysweep.data.inputs import RunInputs
from raysweep.files import read_json, write_json
from raysweep.planning.graph import PlannedCell, PlannedRun
from raysweep.planning.plan import Plan
from raysweep.planning.search.config import METRICS
from raysweep.results.cells import CELL
from raysweep.results.frames import SweepData
from raysweep.results.from_store import CellReader, layout
from raysweep.results.measure import example_table
from raysweep.results.records import answer_numbers
from raysweep.spec import RunSpec, TaskSpec, WeakLabels
from raysweep.spec.identity import digest
from raysweep.store import RunFolder, RunStatus, Store
from raysweep.tracking.curves import cell_points, run_points, stopped_points
from raysweep.tracking.entry import Dataset, Entry, EntryKey, MadeFile, SavedModel
from raysweep.tracking.findings import answer_points, answer_text
from raysweep.tracking.params import spec_params

ERROR_TAG = "raysweep.error"
"""Why a run failed, in one line."""
STOPPED_TAG = "raysweep.stopped"
"""Why a search stopped a run early, in one line."""
RESOURCE = "resources_"
"""Prefix of the params that say what a run was executed on."""
SWEEP_FILE = "sweep.json"
EXAMPLES_FILE = "examples/test.parquet"


def run_tag(role: str) -> str:
    """The tag of a cell's entry that holds the id of its run in that role."""
    return f"raysweep.{role}"


def sweep_key(name: str) -> EntryKey:
    """The key of a sweep's entry."""
    return EntryKey("sweep", digest(name))


def run_key(run_id: str) -> EntryKey:
    """The key of a run's entry."""
    return EntryKey("run", run_id)


def cell_key(names: Mapping[str, Any]) -> EntryKey:
    """The key of a cell's entry, from its task, weak, strong, method and seed."""
    return EntryKey("cell", digest({name: str(names[name]) for name in CELL}))


def names_of(cell: PlannedCell) -> dict[str, str]:
    """A cell's task, weak, strong, method and seed; no two cells of a plan have the same ones."""
    return {name: str(getattr(cell, name)) for name in CELL}


def varied_names(plan: Plan) -> tuple[str, ...]:
    """Which of task, weak, strong, method and seed differ between the cells of a plan."""
    return tuple(name for name in CELL if len({getattr(cell, name) for cell in plan.cells}) > 1)


def sweep_entry(
    plan: Plan, data: SweepData, status: RunStatus, start: float, end: float, *, is_active: bool
) -> Entry:
    """The entry of a whole sweep, the parent of its runs. Its `sweep.json` holds the planned cells and runs,
    the provenance of the results, and the answer in numbers.

    Args:
        plan, data: the sweep.
        status: the entry's.
        start, end: see `Entry`.
        is_active: whether its runs are still being executed: there is no answer yet.
    """
    sweep = plan.sweep
    found = {} if is_active else answer_numbers(data.rows, data.leads)
    facts = {**layout(plan), "provenance": data.provenance, "answer": found}
    grid = {
        "tasks": ", ".join(dict.fromkeys(cell.task for cell in plan.cells)),
        "pairs": ", ".join(f"{weak.name} → {strong.name}" for weak, strong in sweep.pairs),
        "methods": ", ".join(dict.fromkeys(cell.method for cell in plan.cells)),
        "seeds": ", ".join(str(seed) for seed in sweep.seeds),
        "num_runs": str(len(plan.runs)),
        "num_cells": str(len(plan.cells)),
    }
    return Entry(
        key=sweep_key(sweep.name),
        name=f"sweep {sweep.name}",
        status=status,
        start=start,
        end=end,
        note="" if is_active else answer_text(data),
        tags=_given(grid),
        points=lambda: answer_points(found),
        made=(MadeFile(name=SWEEP_FILE, write=lambda path: write_json(path, facts), digest=digest(facts)),),
    )


def run_entry(
    run: PlannedRun, methods: str, store: Store, parent: str, begun: RunStatus | None = None
) -> Entry | None:
    """The entry of one run; None if it hasn't ended and `begun` is None.

    Args:
        run: the run.
        methods: names of the methods whose student it is.
        store: where its files are.
        parent: the backend's id of the sweep's entry.
        begun: a run that hasn't ended is RUNNING, or WAITING if it was interrupted.
    """
    status = run.status(store)
    spec = run.spec
    if status is RunStatus.MISSING and begun is None:
        return None
    tags = {
        "role": run.role,
        "task": spec.task.label,
        "model": spec.model.name,
        "seed": str(spec.seed),
        "pairs": "; ".join(f"{weak} → {strong}" for weak, strong in run.pairs),
        "method": methods,
    }
    if run.study is not None:
        tags |= {"study": str(run.study.scope), "judged_by": run.study.search.select_by}
    ended = Entry(
        key=run_key(run.id),
        name=_run_name(run, methods),
        status=status,
        start=0.0,
        end=0.0,
        parent=parent,
        params=_given({"role": run.role, **spec_params(spec)}),
        tags=_given(tags),
        dataset=_dataset(spec.task, spec.train_split, store),
    )
    folder = store.run(run.id)
    if begun and status is RunStatus.MISSING:
        return replace(ended, status=begun, start=time.time())
    if status is RunStatus.FAILED:
        return _failed(ended, folder)
    if status is RunStatus.STOPPED and run.study is not None:
        return _stopped(ended, folder, METRICS[run.study.search.select_by])
    return _done(ended, run, store)


def _failed(ended: Entry, folder: RunFolder) -> Entry:
    at = folder.error.stat().st_mtime
    return replace(
        ended,
        note=f"Failed:\n```\n{folder.error.read_text(encoding='utf-8')}\n```",
        tags={**ended.tags, **_given({ERROR_TAG: folder.failure()})},
        start=at,
        end=at,
    )


def _stopped(ended: Entry, folder: RunFolder, metric: str) -> Entry:
    """The entry of a run that a search stopped early; `metric` is the number that it was judged by."""
    stopped = read_json(folder.stopped)
    info = stopped["info"]
    reason = stopped["reason"]
    return replace(
        ended,
        note=f"Ended early: {reason}\n\nFolder: `{folder.folder}`",
        params={**ended.params, **_resource_params(info)},
        tags={**ended.tags, **_given({STOPPED_TAG: reason})},
        start=info["finished_at"] - info["seconds_total"],
        end=info["finished_at"],
        result=digest(stopped),
        points=lambda: stopped_points(stopped, metric),
        artifacts=(folder.spec, folder.environment, folder.stopped),
    )


def _done(ended: Entry, run: PlannedRun, store: Store) -> Entry:
    spec = run.spec
    folder = store.run(run.id)
    result = folder.read_result()
    start, end = span([folder])
    params = {**ended.params, **_resource_params(result["info"])}
    examples = MadeFile(
        name=EXAMPLES_FILE,
        write=lambda path: example_table(RunInputs(spec, store)).to_parquet(path, index=False),
    )
    has_examples = folder.predictions("test").exists()  # a pretraining may have no test split
    return replace(
        ended,
        note=f"Folder: `{folder.folder}`",
        commit=read_json(folder.verified(folder.environment))["code"].get("commit") or "",
        params=params,
        start=start,
        end=end,
        result=digest(result),
        points=lambda: run_points(RunInputs(spec, store)),
        artifacts=(folder.spec, folder.environment, folder.result),
        made=(examples,) if has_examples else (),
        model=_saved_model(run, params, folder) if folder.has_model else None,
    )


def cell_entry(cell: PlannedCell, reader: CellReader, store: Store, links: Mapping[str, str]) -> Entry:
    """The entry of a cell whose supervisor, student and ceiling are done.

    It isn't nested below the sweep's entry, as the entries of runs are: people compare cells, and a backend
    may hide what is nested until it is opened.

    Args:
        cell: the cell.
        reader: reads its numbers and curves.
        store: where the runs' files are.
        links: by run id, the addresses of the entries of those runs of `linked_runs` that are done.
    """
    names = names_of(cell)
    runs = _own_runs(cell)
    folders = [store.run(run.id) for run in runs.values()]
    linked = {what: run for what, run in linked_runs(cell).items() if run.id in links}
    lines = [f"- {what}: [{run.model.name}, run {run.id}]({links[run.id]})" for what, run in linked.items()]
    student = spec_params(cell.runs.student)
    hyperparameters = {
        name: value for name, value in student.items() if name not in ("task", "model", "seed", "labels")
    }
    start, end = span(folders)
    return Entry(
        key=cell_key(names),
        name=cell_name(cell),
        status=RunStatus.DONE,
        start=start,
        end=end,
        note="\n".join(lines),
        params=_given(names | hyperparameters),
        tags=_given(names | {run_tag(role): run.id for role, run in runs.items()}),
        result=digest([digest(folder.read_result()) for folder in folders]),
        points=lambda: cell_points(cell, reader),
        dataset=_dataset(cell.runs.student.task, "test", store),
    )


def cell_name(cell: PlannedCell) -> str:
    """A cell's title."""
    return f"{cell.task}: {cell.weak} → {cell.strong}, {cell.method}, seed {cell.seed}"


def linked_runs(cell: PlannedCell) -> dict[str, RunSpec]:
    """The runs that the note of a cell links to, by what they are to it: its supervisor, student and ceiling,
    and the chain of runs whose labels the student was trained on."""
    runs = _own_runs(cell)
    labels = cell.runs.student.labels
    whose = "the student's"
    while isinstance(labels, WeakLabels):
        runs[f"{whose} supervisor"] = labels.supervisor
        labels = labels.supervisor.labels
        whose = f"{whose} supervisor's"
    return runs


def span(done: list[RunFolder]) -> tuple[float, float]:
    """When the first of some runs that are done started and when the last one ended, in seconds since 1970;
    now, if there are none."""
    infos = [folder.read_result()["info"] for folder in done]
    starts = (info["finished_at"] - info["seconds_total"] for info in infos)
    return min(starts, default=time.time()), max((info["finished_at"] for info in infos), default=time.time())


def _own_runs(cell: PlannedCell) -> dict[str, RunSpec]:
    return {"supervisor": cell.runs.supervisor, "student": cell.runs.student, "ceiling": cell.runs.ceiling}


def _run_name(run: PlannedRun, methods: str) -> str:
    spec = run.spec
    supervisor = f" of {spec.labels.supervisor.model.name}" if isinstance(spec.labels, WeakLabels) else ""
    method = f", {methods}" if methods else ""
    return f"{run.role} {spec.model.name}{supervisor} on {spec.task.label}{method}, seed {spec.seed}"


def _resource_params(info: Mapping[str, Any]) -> dict[str, str]:
    given = {name: str(value) for name, value in info["resources"].items() if value is not None}
    return _given({f"{RESOURCE}{name}": text for name, text in given.items()})


def _saved_model(run: PlannedRun, params: Mapping[str, str], folder: RunFolder) -> SavedModel:
    spec = run.spec
    named = {name: params[name] for name in ("role", "task", "model", "seed", "model_base") if name in params}
    return SavedModel(
        name=f"{run.role} {spec.model.name} on {spec.task.label} seed {spec.seed}",
        role=run.role,
        params={**named, "folder": str(folder.model), "run": run.id},
    )


def _given(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


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
        "training_seed": task.training_seed,
        "folder": str(folder),
    }
    digest = task.content or ""
    return Dataset(name=task.label, digest=digest, source=source, num_examples=counts, context=context)
