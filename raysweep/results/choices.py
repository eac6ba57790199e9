"""What a sweep's studies chose, beside what an oracle would have chosen and gained, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raysweep.planning.search.config import Signal
from raysweep.planning.search.studies import CHOICES
from raysweep.planning.search.study import Study
from raysweep.store import RunStatus

if TYPE_CHECKING:
    from raysweep.planning.plan import Plan
    from raysweep.results.cells import Results


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The trial of a study that a signal chooses. Of students there are two; the first is by
    `weak_validation`."""

    study: str
    role: str
    chosen_by: Signal
    num_trials: int
    """That have been suggested; of these:"""
    num_done: int
    num_stopped: int
    num_failed: int
    is_complete: bool
    """Whether the study has no more to suggest; until then nothing is chosen."""
    values: Mapping[str, Any] | None
    """What was chosen, by path; None if nothing is, or no trial is done."""
    signals: Mapping[Signal, float]
    """Of the chosen trial, both."""
    test_accuracy: float | None
    """Of students: the mean over the seeds whose cells of both choices are finished; None if there is
    none."""
    gain: float | None
    """Of the oracle's choice of students: its test accuracy less that of the honest choice."""


def choices(plan: Plan, results: Results) -> list[Choice]:
    """The choices of all studies of a sweep, in the order of the grid; none for a sweep that doesn't
    search."""
    if plan.driver is None:
        return []
    select_by = plan.driver.studies.search.select_by
    found: list[Choice] = []
    for study in plan.driver.studies.by_key.values():
        if study.scope.role != "student":
            found.append(_choice(study, select_by, None, None))
            continue
        accuracies = _accuracies(study, plan, results)
        honest = accuracies.get("weak_validation")
        for signal in CHOICES:
            accuracy = accuracies.get(signal)
            is_oracle = signal == "ground_truth_validation" and accuracy is not None and honest is not None
            found.append(
                _choice(
                    study, signal, accuracy, accuracy - honest if is_oracle and accuracy and honest else None
                )
            )
    return found


def _choice(study: Study, signal: Signal, accuracy: float | None, gain: float | None) -> Choice:
    chosen = study.chosen(signal) if study.is_complete else None
    statuses = [judged.status for judged in study.ended]
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


def _accuracies(study: Study, plan: Plan, results: Results) -> dict[Signal, float]:
    """Mean test accuracies of the students of both choices, over the seeds for which both are finished."""
    scope = study.scope
    cells: dict[Signal, dict[int, float]] = {}
    for signal, label in CHOICES.items():
        names = (scope.task, scope.weak, scope.strong, f"{scope.method} ({label})")
        cells[signal] = {
            cell.seed: float(results.right(cell.runs.student.id).mean())
            for cell in plan.cells
            if (cell.task, cell.weak, cell.strong, cell.method) == names and results.is_finished(cell)
        }
    seeds = set.intersection(*(set(of_seeds) for of_seeds in cells.values()))
    return {signal: sum(cells[signal][seed] for seed in seeds) / len(seeds) for signal in cells if seeds}
