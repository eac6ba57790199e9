"""What is said at the end of a sweep that lacks something."""

from __future__ import annotations

from raysweep.cli.exit_codes import FAILED, SUCCESS, TRY_AGAIN
from raysweep.cli.terminal import tell
from raysweep.planning.plan import Plan
from raysweep.results.frames import SweepData
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import QueuedRun
from raysweep.store.logs import is_own_line, last_lines, logs_of

_MOST_NAMED = 5
"""Runs of one cause; the others are counted."""
_MOST_LINES = 3
"""Of what one process printed last."""
_LOOKED_AT = 200
"""Lines of a log: more than a traceback has."""


def tell_end(queue: RunQueue, data: SweepData) -> int:
    """Tell what failed, couldn't be chosen or is missing; returns the exit code."""
    return _tell_failures(queue) or _tell_studies_without_choice(queue.plan) or _tell_missing(data)


def _tell_failures(queue: RunQueue) -> int:
    if not queue.failures:
        return SUCCESS
    own = sum(queue.store.run(queued.run.id).error.exists() for queued in queue.failures)
    besides = (
        f", and {len(queue.failures) - own} that need them can't be trained"
        if own < len(queue.failures)
        else ""
    )
    lines = [f"{own} of {len(queue.runs)} runs failed{besides}:"]
    for cause, failed in _by_cause(queue.failures).items():
        if len(failed) > 1:
            lines.append(f"  {len(failed)} runs: {cause}")
            lines += [f"    {_name(queued)}" for queued in failed[:_MOST_NAMED]]
            lines += [f"    and {len(failed) - _MOST_NAMED} more"] if len(failed) > _MOST_NAMED else []
        else:
            lines.append(f"  {_name(failed[0])}: {cause}")
        lines += _last_words(queue, failed[0])
    folder = queue.store.folder / "runs"
    lines.append(
        f"Tracebacks are in {folder}/<run>/error.txt, and raysweep logs <run> shows what a run printed; "
        "run the same command again to retry them."
    )
    tell("\n".join(lines))
    return TRY_AGAIN if all(queued.is_lost for queued in queue.failures) else FAILED


def _by_cause(failures: list[QueuedRun]) -> dict[str, list[QueuedRun]]:
    """The failures by their causes, in the order in which these come first."""
    found: dict[str, list[QueuedRun]] = {}
    for queued in failures:
        found.setdefault(queued.reason, []).append(queued)
    return found


def _name(queued: QueuedRun) -> str:
    spec = queued.run.spec
    return f"{spec.id} ({queued.run.role}, {spec.model.name} on {spec.task.label}, seed {spec.seed})"


def _last_words(queue: RunQueue, queued: QueuedRun) -> list[str]:
    """The last lines that the processes of a failed run printed, before its traceback."""
    found: list[str] = []
    if queued.is_dependent:
        return found
    for log in logs_of(queue.store.run(queued.run.id)):
        lines = last_lines(log, _LOOKED_AT)
        traces = [place for place, line in enumerate(lines) if line.startswith("Traceback (most recent")]
        said = [line for line in lines[: traces[-1] if traces else None] if not is_own_line(line)]
        found += [f"      {log.name}: {line}" for line in said[-_MOST_LINES:]]
    return found


def _tell_missing(data: SweepData) -> int:
    """Cells without a result though no run of theirs failed here: something outside removed it."""
    missing = sum(len(row.missing_seeds) for row in data.rows)
    if missing:
        tell(f"{missing} cells have no result any more; run the same command again")
    return FAILED if missing else SUCCESS


def _tell_studies_without_choice(plan: Plan) -> int:
    studies = plan.driver.studies.without_choice if plan.driver else []
    for study in studies:
        tell(
            f"nothing can be chosen for {study.scope}: none of its {len(study.trials)} trials is "
            "done; search other values, or more of them (the report says how each ended)"
        )
    return FAILED if studies else SUCCESS
