"""Tables for people: a plan before it runs, the results after it."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from raysweep.plan import Plan
from raysweep.results import Row
from raysweep.store import Store


def plan_table(plan: Plan, store: Store) -> Table:
    """The graph of a plan: a row a run, in an order in which dependencies come first."""
    table = _table("run", "kind", "task", "model", "seed", "objective", "depends on", "state")
    for run in plan.runs.values():
        spec = run.spec
        depends = " ".join(dependency.id[:8] for dependency in spec.dependencies)
        state = str(plan.state(run, store))
        cells = (run.id[:8], run.kind, spec.task.label, spec.model.name, str(spec.seed), spec.objective.name, depends, state)
        table.add_row(*map(Text, cells))  # not markup: a name may hold brackets
    return table


def plan_summary(plan: Plan, num_cached: int) -> str:
    """One line on the size of a plan and on what sharing saves."""
    saved = plan.num_trainings_without_sharing - plan.num_trainings
    besides = f" and {plan.num_pretrainings} pretrainings" if plan.num_pretrainings else ""
    return (
        f"{plan.sweep.name}: {len(plan.cells)} cells need {plan.num_trainings} trainings{besides} "
        f"({plan.num_trainings_without_sharing} trainings without sharing: {saved} saved); {num_cached} of {len(plan.runs)} "
        "runs are done already"
    )


def results_table(rows: list[Row]) -> Table:
    """A row a (task, pair, method): mean accuracies, PGR with its interval, agreement with the supervisor and its errors."""
    table = _table(
        "task",
        "weak → strong",
        "method",
        "seeds",
        "weak",
        "student",
        "ceiling",
        "PGR [90 %]",
        "agreement",
        "with errors",
    )
    for row in rows:
        seeds = str(len(row.seeds)) + (f" of {len(row.seeds) + len(row.missing_seeds)}" if row.missing_seeds else "")
        pair = f"{row.weak} → {row.strong}"
        if row.gap is None:
            table.add_row(*map(Text, (row.task, pair, row.method, seeds, *["missing"] * 6)))
            continue
        accuracies = [row.gap.weak_accuracy, row.gap.student_accuracy, row.gap.ceiling_accuracy]
        pgr = "undefined (gap in the noise)"
        if row.gap.pgr is not None and row.gap.interval is not None:
            pgr = f"{row.gap.pgr:.2f} [{row.gap.interval[0]:.2f}, {row.gap.interval[1]:.2f}]"
        agreements = [_share(row.agreement), _share(row.agreement_supervisor_wrong)]
        cells = (row.task, pair, row.method, seeds, *(f"{value:.3f}" for value in accuracies), pgr, *agreements)
        table.add_row(*map(Text, cells))
    return table


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
