"""Plans as a table and in a few lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from raysweep.estimates.gpu_sharing import GpuShares
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan
from raysweep.planning.sweep import Sweep
from raysweep.results.tables import Table, TableRow, shortest
from raysweep.spec import Features, Probe, WeakLabels
from raysweep.store import RunStatus, Store

_MOST_KINDS = 10
_MOST_TASKS = 4
_MOST_REMARKS = 3
"""Lines that `raysweep plan` shows of each, so that all of it fits a terminal of 25 lines."""


def plan_overview(plan: Plan, statuses: Sequence[RunStatus]) -> Table:
    """The runs of a plan, counted by role, model, supervisor and method.

    Args:
        plan: the plan.
        statuses: of its runs, in their order.
    """
    methods = _methods(plan)
    totals: Counter[tuple[str, ...]] = Counter()
    done: Counter[tuple[str, ...]] = Counter()
    for run, status in zip(plan.runs.values(), statuses, strict=True):
        kind = (run.role, run.spec.model.name, _supervisor(run), methods.get(run.id, ""))
        totals[kind] += 1
        done[kind] += status is RunStatus.DONE
    rows = [TableRow(cells=(*kind, str(total), str(done[kind]))) for kind, total in totals.items()]
    return Table(
        columns=("role", "model", "supervisor", "method", "runs", "done"),
        rows=tuple(rows[:_MOST_KINDS]),
        num_names=2,
        note=_and_more(len(rows) - _MOST_KINDS, "kinds of run"),
    )


def plan_table(plan: Plan, statuses: Sequence[RunStatus]) -> Table:
    """The graph of a plan: one row per run, dependencies first.

    Args:
        plan: the plan.
        statuses: of its runs, in their order.
    """
    columns = ("run", "role", "task", "model", "supervisor", "method", "seed", "objective", "depends on")
    methods = _methods(plan)
    rows = tuple(
        TableRow(cells=(*_run(run, methods.get(run.id, "")), str(status)))
        for run, status in zip(plan.runs.values(), statuses, strict=True)
    )
    return Table(columns=(*columns, "status"), rows=rows, num_names=1)


def _run(run: PlannedRun, method: str) -> tuple[str, ...]:
    spec = run.spec
    return (
        run.id[:8],
        run.role,
        spec.task.label,
        spec.model.name,
        _supervisor(run),
        method,
        str(spec.seed),
        _objective(run),
        " ".join(dependency.id[:8] for dependency in spec.dependencies),
    )


def _methods(plan: Plan) -> dict[str, str]:
    """The methods of each student, by its id."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for cell in plan.cells:
        found[cell.runs.student.id][cell.method] = None
    return {run_id: ", ".join(names) for run_id, names in found.items()}


def _supervisor(run: PlannedRun) -> str:
    """The model whose labels a run is trained on."""
    labels = run.spec.labels
    return labels.supervisor.model.name if isinstance(labels, WeakLabels) else ""


def _and_more(number: int, what: str) -> str:
    return f"and {number} more {what}" if number > 0 else ""


def _objective(run: PlannedRun) -> str:
    """A run's objective, or its probe; of a trial, with the values that are tried."""
    if run.spec.combination is not None:
        return str(run.spec.combination.rule)
    if isinstance(run.spec.model.tuning, Features):
        return ""
    if isinstance(run.spec.model.tuning, Probe):
        return str(run.spec.model.tuning.call)
    tried = run.study.values_of(run.id) if run.study else {}
    listed = ", ".join(f"{path.rpartition('.')[2]}={shortest(value)}" for path, value in tried.items())
    return run.spec.objective.name + (f" ({listed})" if listed else "")


def plan_remarks(plan: Plan, most: int | None = _MOST_REMARKS) -> list[str]:
    """What one should know of the tasks and of the intervals, before anything trains: a line each, of the
    tasks the first ones unless `most` is None."""
    remarks = [f"{label}: {remark}" for label, facts in plan.tasks.items() for remark in facts.remarks]
    shown = remarks[:most]
    return [*shown, *filter(None, [_and_more(len(remarks) - len(shown), "remarks")]), _covered(plan.sweep)]


def memory_warnings(plan: Plan, store: Store) -> list[str]:
    """A line for each model whose runs may not fit the memory of their GPUs."""
    waiting = [run for run in plan.runs.values() if run.resources.num_gpus]
    return GpuShares(store).warnings(waiting) if waiting else []


def _covered(sweep: Sweep) -> str:
    """What the intervals of a sweep's results cover, and what they don't."""
    halves = "the draw of the halves"
    if len(sweep.seeds) == 1:
        return f"Intervals cover the choice of test examples, not training (one seed) nor {halves}."
    noise = f"the choice of test examples and, by {len(sweep.seeds)} seeds, training"
    if sweep.seeds_draw_halves:
        return f"Intervals cover {noise} and {halves}."
    return f"Intervals cover {noise}, not {halves}: Sweep(seeds_draw_halves=True) lets seeds draw them too."


def plan_summary(plan: Plan, num_cached: int) -> str:
    """The size of a plan, what sharing saves, how much of each task is used, of the first ones, and how far
    the search is."""
    saved = plan.num_trainings_without_sharing - plan.num_trainings
    pretrainings = f" and {plan.num_pretrainings} pretrainings" if plan.num_pretrainings else ""
    if plan.num_feature_runs:
        pretrainings += f", features of {plan.num_feature_runs} frozen models"
    if plan.num_combinations:
        pretrainings += f", {plan.num_combinations} combinations"
    num_cells = f"{len(plan.cells)} cells{' so far' if plan.num_open_cells else ''}"
    lines = [
        f"{plan.sweep.name}: {num_cells} need {plan.num_trainings} trainings{pretrainings} "
        f"({plan.num_trainings_without_sharing} trainings without sharing: {saved} saved); {num_cached} of "
        f"{len(plan.runs)} runs are done already",
        *(f"{label}: {facts.sizes}" for label, facts in list(plan.tasks.items())[:_MOST_TASKS]),
        *filter(None, [_and_more(len(plan.tasks) - _MOST_TASKS, "tasks")]),
    ]
    if plan.driver is not None:
        studies = plan.driver.studies
        num_complete = sum(study.is_complete for study in studies.by_key.values())
        lines.append(
            f"search: {len(studies.by_key)} studies so far, {num_complete} of them complete, judged by "
            f"{studies.search.select_by}; {studies.num_open_cells} cells of the grid wait for what is chosen"
        )
    return "\n".join(lines)
