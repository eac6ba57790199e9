"""What is said at the end of a sweep that lacks something."""

from __future__ import annotations

from raysweep.cli.exit_codes import FAILED, SUCCESS
from raysweep.cli.terminal import tell
from raysweep.planning.plan import Plan
from raysweep.results.frames import SweepData
from raysweep.scheduling.queue import RunQueue


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
    for queued in queue.failures:
        spec = queued.run.spec
        where = f"{spec.id} ({queued.run.role}, {spec.model.name} on {spec.task.label}, seed {spec.seed})"
        lines.append(f"  {where}: {queued.reason}")
    folder = queue.store.folder / "runs"
    lines.append(f"Tracebacks are in {folder}/<run>/error.txt; run the same command again to retry them.")
    tell("\n".join(lines))
    return FAILED


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
