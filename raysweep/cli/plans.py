"""Plans as a table and in a few lines."""

from __future__ import annotations

from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan
from raysweep.planning.sweep import Sweep
from raysweep.results.tables import Table, TableRow, shortest
from raysweep.store import Store


def plan_table(plan: Plan, store: Store) -> Table:
    """The graph of a plan: one row per run, dependencies first."""
    columns = ("run", "role", "task", "model", "seed", "objective", "depends on", "status")
    rows = tuple(TableRow(cells=(*_run(run), str(run.status(store)))) for run in plan.runs.values())
    return Table(columns=columns, rows=rows, num_names=1)


def _run(run: PlannedRun) -> tuple[str, ...]:
    spec = run.spec
    return (
        run.id[:8],
        run.role,
        spec.task.label,
        spec.model.name,
        str(spec.seed),
        _objective(run),
        " ".join(dependency.id[:8] for dependency in spec.dependencies),
    )


def _objective(run: PlannedRun) -> str:
    """A run's objective; of a trial, with the values that are tried."""
    tried = run.study.values_of(run.id) if run.study else {}
    listed = ", ".join(f"{path.rpartition('.')[2]}={shortest(value)}" for path, value in tried.items())
    return run.spec.objective.name + (f" ({listed})" if listed else "")


def plan_remarks(plan: Plan) -> list[str]:
    """What one should know of the tasks and of the intervals, before anything trains: a line each."""
    remarks = [f"{label}: {remark}" for label, facts in plan.tasks.items() for remark in facts.remarks]
    return [*remarks, _covered(plan.sweep)]


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
    """The size of a plan, what sharing saves, how much of each task is used, and how far the search is."""
    saved = plan.num_trainings_without_sharing - plan.num_trainings
    pretrainings = f" and {plan.num_pretrainings} pretrainings" if plan.num_pretrainings else ""
    num_cells = f"{len(plan.cells)} cells{' so far' if plan.num_open_cells else ''}"
    lines = [
        f"{plan.sweep.name}: {num_cells} need {plan.num_trainings} trainings{pretrainings} "
        f"({plan.num_trainings_without_sharing} trainings without sharing: {saved} saved); {num_cached} of "
        f"{len(plan.runs)} runs are done already",
        *(f"{label}: {facts.sizes}" for label, facts in plan.tasks.items()),
    ]
    if plan.driver is not None:
        studies = plan.driver.studies
        num_complete = sum(study.is_complete for study in studies.by_key.values())
        lines.append(
            f"search: {len(studies.by_key)} studies so far, {num_complete} of them complete, judged by "
            f"{studies.search.select_by}; {studies.num_open_cells} cells of the grid wait for what is chosen"
        )
    return "\n".join(lines)
