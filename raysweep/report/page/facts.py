"""The page's lists: what was asked, what it cost, and how to reproduce it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from raysweep.results.cells import CELL_RUNS
from raysweep.results.frames import SEPARATOR, SweepData

Facts = list[tuple[str, str]]
"""(name, text), in the order in which they are shown."""


def asked(data: SweepData) -> Facts:
    """The grid."""
    cells = data.cells
    pairs = list(
        dict.fromkeys(
            f"{weak} → {strong}" for weak, strong in zip(cells["weak"], cells["strong"], strict=True)
        )
    )
    tasks, methods, seeds = (
        list(dict.fromkeys(map(str, cells[name]))) for name in ("task", "method", "seed")
    )
    done = int(cells["is_finished"].sum())
    return [
        (_counted(len(tasks), "task"), ", ".join(tasks)),
        (_counted(len(pairs), "pair", " weak → strong"), ", ".join(pairs)),
        (_counted(len(methods), "method"), ", ".join(methods)),
        (_counted(len(seeds), "seed"), ", ".join(seeds)),
        (_counted(len(cells), "cell"), f"one for each task, pair, method and seed; {done} finished"),
    ]


def cost(data: SweepData) -> Facts:
    """Time, GPU hours, tokens, and what sharing saved, of the finished runs."""
    done = data.runs[data.runs["status"].isin(["done", "stopped"])]
    told = data.provenance
    if done.empty:
        return [("So far", "no run is finished")]
    facts: Facts = []
    begin = told.get("started_at")
    end = told.get("finished_at")
    if begin is not None and end is not None:
        facts.append(("From the first start to the last end", f"{duration(end - begin)}, pauses included"))
    seconds = done["seconds_total"].dropna()
    facts.append(
        ("Time of the runs, added up", f"{duration(float(seconds.sum()))} in {_counted(len(seconds), 'run')}")
    )
    devices = done["num_devices"].astype("Float64").fillna(0).astype(float)
    gpu_hours = float((devices * done["seconds_total"].fillna(0)).sum()) / 3600
    names = ", ".join(told.get("devices", ()))
    facts.append(("GPU hours", f"{gpu_hours:,.2f} ({names})" if gpu_hours else "none: CPU only"))
    if done["num_tokens"].notna().any():
        facts.append(("Tokens trained on", f"{int(done['num_tokens'].dropna().sum()):,}"))
    if told.get("num_trainings") is not None:
        facts += _sharing(data, done)
    return facts


def _sharing(data: SweepData, done: pd.DataFrame) -> Facts:
    trained = data.provenance["num_trainings"]
    alone = data.provenance["num_trainings_without_sharing"]
    pretrained = data.provenance.get("num_pretrainings", 0)
    besides = f" and {_counted(pretrained, 'pretraining')}" if pretrained else ""
    facts = [("Trainings in the plan", f"{trained:,}{besides}")]
    if alone <= trained:
        return [*facts, ("Saved by sharing", "nothing: no two cells need the same run")]
    seconds = done.set_index("run_id")["seconds_total"].dropna().to_dict()
    cells = data.cells[data.cells["is_finished"]]
    chains = [chain.split(SEPARATOR) for chain in cells["chain"]]
    needed = [{*ends, *chain} for ends, chain in zip(cells[list(CELL_RUNS)].to_numpy(), chains, strict=True)]
    without = sum(seconds.get(run, 0.0) for runs in needed for run in runs)
    saved = without - sum(seconds.get(run, 0.0) for run in set().union(*needed))
    told = (
        f"{alone - trained:,} of {alone:,} trainings, if every cell trained its own supervisor, ceiling and "
        "student"
    )
    return [*facts, ("Saved by sharing", f"{told}; about {duration(saved)} of the runs' time so far")]


def provenance(data: SweepData, command: str) -> Facts:
    """Command, commit, when, where, seeds."""
    told = data.provenance
    commands = list(dict.fromkeys(filter(None, [command, *told.get("commands", ())])))
    commits = ", ".join(told.get("commits", ())) or "not recorded: not run in a git repository"
    dirty = (
        " with uncommitted changes (in each run's environment.json)"
        if told.get("has_uncommitted_changes")
        else ""
    )
    seeds = ", ".join(map(str, dict.fromkeys(data.cells["seed"])))
    facts = [("Command" if len(commands) < 2 else "Commands", "\n".join(commands))] if commands else []
    facts += [("Commit of the experiment", commits + dirty), ("Seeds", seeds)]
    if told.get("finished_at") is not None:
        facts.append(("Run", f"{_day(told['started_at'])} to {_day(told['finished_at'])} (UTC)"))
    if told.get("devices"):
        facts.append(("Devices", ", ".join(told["devices"])))
    return [*facts, ("This page", f"made by raysweep {importlib.metadata.version('raysweep')}")]


def versions(data: SweepData) -> Facts:
    """Versions of Python and of packages that can change a number."""
    told = data.provenance
    found = {"python": told.get("python", ()), **told.get("packages", {})}
    return [(name, ", ".join(values)) for name, values in found.items() if values]


def sources(data: SweepData) -> tuple[list[tuple[str, str, str, str, str]], Facts]:
    """Tasks (name, content, seeds of the division, examples in each split, parameters), and models with what
    they start from."""
    tasks: Mapping[str, Any] = data.provenance.get("tasks", {})
    models: Mapping[str, Mapping[str, Any]] = data.provenance.get("models", {})
    rows = [
        (
            label,
            str(task.get("content") or "unknown"),
            _division(task),
            ", ".join(f"{split} {count:,}" for split, count in task.get("num_examples", {}).items()),
            _plain(task.get("params", {})),
        )
        for label, task in tasks.items()
    ]
    bases = []
    for name, model in models.items():
        revision = model.get("commit") or model.get("content")
        parts = [
            model.get("base", "unknown"),
            f"revision {revision}" if revision else "",
            f"tuning {model.get('tuning')}",
        ]
        bases.append((name, ", ".join(filter(None, parts))))
    return rows, bases


def _division(task: Mapping[str, Any]) -> str:
    """The split seed of a task, and the seeds that draw its halves."""
    drawn = ", ".join(task.get("training_seeds", ()))
    return str(task.get("split_seed", "unknown")) + (f"; halves drawn by {drawn}" if drawn else "")


def duration(seconds: float) -> str:
    """Seconds in words: "43 s", "12 min", "3.4 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _plain(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in params.items()) or "none"


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _counted(count: int, noun: str, rest: str = "") -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}{rest}"


def worded(names: Sequence[str]) -> str:
    """Names in a sentence: "tasks, methods and seeds"."""
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1] if names else ""
