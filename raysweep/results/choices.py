"""The choices of a sweep's studies, and what an oracle would have chosen and gained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raysweep.planning.graph import CellGroup
from raysweep.planning.plan import Plan
from raysweep.planning.search.config import Signal
from raysweep.planning.search.studies import CHOICES
from raysweep.planning.search.study import Study
from raysweep.results.cells import GROUP
from raysweep.results.frames import SweepData
from raysweep.store import RunStatus


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The trial of a study that a signal chooses. A study of students has two choices, by `weak_validation`
    first; the others have one."""

    study: str
    role: str
    chosen_by: Signal
    num_trials: int
    """Trials suggested so far; `num_done`, `num_stopped` and `num_failed` of them have ended."""
    num_done: int
    num_stopped: int
    num_failed: int
    is_complete: bool
    """Whether the study suggests no more trials; until then nothing is chosen."""
    values: Mapping[str, Any] | None
    """The chosen values by path; None if nothing is chosen yet, or no trial is done."""
    signals: Mapping[Signal, float]
    """Both signals of the chosen trial."""
    test_accuracy: float | None
    """Of students, the mean over the seeds whose cells of both choices are finished; None if there is no such
    seed."""
    gain: float | None
    """Of the oracle's choice of students, its test accuracy less that of the honest choice."""


def choices(plan: Plan, data: SweepData) -> list[Choice]:
    """The choices of all studies of a sweep, in the order of the grid; empty for a sweep that doesn't
    search."""
    if plan.driver is None:
        return []
    select_by = plan.driver.studies.search.select_by
    found: list[Choice] = []
    for study in plan.driver.studies.by_key.values():
        if study.scope.role != "student":
            found.append(_choice(study, select_by, None, None))
            continue
        accuracies = _accuracies(study, data)
        gain = None
        if accuracies:
            gain = accuracies["ground_truth_validation"] - accuracies["weak_validation"]
        for signal in CHOICES:
            is_oracle = signal == "ground_truth_validation"
            found.append(_choice(study, signal, accuracies.get(signal), gain if is_oracle else None))
    return found


def _choice(study: Study, signal: Signal, accuracy: float | None, gain: float | None) -> Choice:
    chosen = study.chosen(signal) if study.is_complete else None
    statuses = [trial.status for trial in study.ended]
    return Choice(
        study=str(study.scope),
        role=study.scope.role,
        chosen_by=signal,
        num_trials=len(study.trials),
        num_done=statuses.count(RunStatus.DONE),
        num_stopped=statuses.count(RunStatus.STOPPED),
        num_failed=statuses.count(RunStatus.FAILED),
        is_complete=study.is_complete,
        values=chosen.trial.values if chosen else None,
        signals=chosen.signals if chosen else {},
        test_accuracy=accuracy,
        gain=gain,
    )


def _accuracies(study: Study, data: SweepData) -> dict[Signal, float]:
    """Mean test accuracies of the students of both choices, over the seeds for which both are finished; empty
    if there is no such seed."""
    scope = study.scope
    finished = data.planned[data.planned["is_finished"]]
    students: dict[Signal, dict[int, str]] = {}
    for signal, label in CHOICES.items():
        group = CellGroup(scope.task, scope.weak, scope.strong, f"{scope.method} ({label})")
        cells = finished[(finished[GROUP] == group).all(axis=1)]
        students[signal] = dict(zip(cells["seed"], cells["student"], strict=True))
    seeds = set.intersection(*(set(of_seeds) for of_seeds in students.values()))
    return {
        signal: sum(float(data.right(of_seeds[seed]).mean()) for seed in seeds) / len(seeds)
        for signal, of_seeds in students.items()
        if seeds
    }
