"""Tables for people: a plan before it runs, the results after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from raysweep.planning.plan import Plan, PlannedRun
from raysweep.planning.search.studies import CHOICES
from raysweep.results.cells import Row
from raysweep.results.choices import Choice
from raysweep.results.comparisons import Comparison, OverTasks
from raysweep.store import Store


def plan_table(plan: Plan, store: Store) -> Table:
    """The graph of a plan: a row a run, in an order in which dependencies come first."""
    table = _table("run", "role", "task", "model", "seed", "objective", "depends on", "status")
    for run in plan.runs.values():
        spec = run.spec
        depends = " ".join(dependency.id[:8] for dependency in spec.dependencies)
        status = str(run.status(store))
        cells = (
            run.id[:8],
            run.role,
            spec.task.label,
            spec.model.name,
            str(spec.seed),
            _objective(run),
            depends,
            status,
        )
        table.add_row(*map(Text, cells))  # not markup: a name may hold brackets
    return table


def _objective(run: PlannedRun) -> str:
    """A run's objective; of a trial, with the values that are tried."""
    tried = run.study.values_of(run.id) if run.study else {}
    listed = ", ".join(f"{path.rpartition('.')[2]}={_value(value)}" for path, value in tried.items())
    return run.spec.objective.name + (f" ({listed})" if listed else "")


def plan_summary(plan: Plan, num_cached: int) -> str:
    """One line on the size of a plan and on what sharing saves."""
    saved = plan.num_trainings_without_sharing - plan.num_trainings
    besides = f" and {plan.num_pretrainings} pretrainings" if plan.num_pretrainings else ""
    num_cells = f"{len(plan.cells)} cells{' so far' if plan.num_open_cells else ''}"
    lines = [
        f"{plan.sweep.name}: {num_cells} need {plan.num_trainings} trainings{besides} "
        f"({plan.num_trainings_without_sharing} trainings without sharing: {saved} saved); {num_cached} of "
        f"{len(plan.runs)} runs are done already"
    ]
    if plan.driver is not None:
        studies = plan.driver.studies
        num_complete = sum(study.is_complete for study in studies.by_key.values())
        lines.append(
            f"search: {len(studies.by_key)} studies so far, {num_complete} of them complete, judged by "
            f"{studies.search.select_by}; {studies.num_open_cells} cells of the grid wait for what is chosen"
        )
    return "\n".join(lines)


def results_table(rows: list[Row]) -> Table:
    """A row a (task, pair, method): mean accuracies, PGR with its interval, agreement with the supervisor and
    its errors."""
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
        seeds = _seeds(row)
        pair = f"{row.weak} → {row.strong}"
        if row.gap is None:
            table.add_row(*map(Text, (row.task, pair, row.method, seeds, *["missing"] * 6)))
            continue
        accuracies = [row.gap.weak_accuracy, row.gap.student_accuracy, row.gap.ceiling_accuracy]
        pgr = _with_interval(row.gap.pgr, row.gap.interval, "z.2f", "undefined (gap in the noise)")
        agreements = [_share(row.agreement), _share(row.agreement_supervisor_wrong)]
        cells = (
            row.task,
            pair,
            row.method,
            seeds,
            *(f"{value:.3f}" for value in accuracies),
            pgr,
            *agreements,
        )
        table.add_row(*map(Text, cells))
    _note_one_seed(table, [row.gap.covers_seeds for row in rows if row.gap and row.gap.interval])
    return table


def comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    """A row a method and its baseline: both accuracies, their difference, its p-values, and the seeds that
    would show it."""
    table = _table(
        *("task", "weak → strong", "method", "against", "seeds", "accuracy", "baseline", "difference [90 %]"),
        *("PGR difference [90 %]", "p", f"p (Holm, of {len(comparisons)})", "seeds needed"),
    )
    _title(table, "Methods compared on the same seeds and test examples")
    for found in comparisons:
        names = (
            found.task,
            f"{found.weak} → {found.strong}",
            found.method,
            found.baseline,
            str(len(found.seeds)),
        )
        accuracies = (f"{found.method_accuracy:.3f}", f"{found.baseline_accuracy:.3f}")
        differences = (
            _with_interval(found.difference, found.interval, "+z.3f"),
            _with_interval(
                found.pgr_difference,
                found.pgr_interval,
                "+z.2f",
                "undefined" if found.same_gap else "another supervisor or ceiling",
            ),
        )
        p_values = (_p_value(found.p_value), _p_value(found.p_value_corrected))
        table.add_row(*map(Text, (*names, *accuracies, *differences, *p_values, _seeds_needed(found))))
    _note_one_seed(table, [found.covers_seeds for found in comparisons if found.interval])
    return table


def over_tasks_table(summaries: Sequence[OverTasks]) -> Table:
    """A row a (pair, method): mean accuracies over tasks, median and mean PGR, and the tasks whose PGR isn't
    known."""
    table = _table(
        *("weak → strong", "method", "tasks", "weak", "student", "ceiling"),
        *("median PGR", "mean PGR [90 % over tasks]", "without a PGR"),
    )
    _title(table, "Over tasks, PGR of those where it is defined")
    for found in summaries:
        num_absent = len(found.undefined) + len(found.missing)
        num_defined = str(len(found.defined)) + (
            f" of {len(found.defined) + num_absent}" if num_absent else ""
        )
        named = (("gap in the noise: ", found.undefined), ("missing: ", found.missing))
        absent = "; ".join(why + ", ".join(tasks) for why, tasks in named if tasks)
        names = (f"{found.weak} → {found.strong}", found.method, num_defined)
        accuracies = map(_share, (found.weak_accuracy, found.student_accuracy, found.ceiling_accuracy))
        pgrs = (
            _with_interval(found.median_pgr, None, "z.2f"),
            _with_interval(found.mean_pgr, found.interval, "z.2f"),
        )
        table.add_row(*map(Text, (*names, *accuracies, *pgrs, absent or "none")))
    return table


MeanRow = tuple[Row, Mapping[str, float]]
"""A row with the means of its cells' metrics: see `Results.means`."""

_ENDS = ("weak", "student", "ceiling")


def stops_table(rows: Sequence[MeanRow]) -> Table:
    """A row a (task, pair, method): the student read at its last step and at two stops, on the examples of
    its curve."""
    columns = [("weak", "weak_accuracy_at_last"), ("ceiling", "ceiling_accuracy_at_last")]
    for name, title in (
        ("last", "last"),
        ("ground_truth_stop", "ground-truth stop (oracle)"),
        ("weak_label_stop", "weak-label stop"),
    ):
        columns += [
            (title, f"student_accuracy_at_{name}"),
            ("PGR", f"pgr_at_{name}"),
            ("step", f"step_at_{name}"),
        ]
    return _means_table(
        "The student at three stops, test accuracy on the examples of its curve", rows, columns
    )


def quality_table(rows: Sequence[MeanRow]) -> Table:
    """A row a (task, pair, method): agreement with the supervisor's errors, calibration, AUROC, misfit and
    gain, on test."""
    columns = [
        ("with errors: student", "agreement_supervisor_wrong"),
        ("ceiling", "ceiling_agreement_supervisor_wrong"),
        *_ends("ECE", "expected_calibration_error"),
        *_ends("AUROC", "auroc"),
        *_ends("legality", "legality"),
        ("misfit²", "misfit_squared_error"),
        ("gain²", "gain_squared_error"),
    ]
    return _means_table(
        "Agreement with the supervisor's errors, calibration, misfit and gain (squared error), on test",
        rows,
        columns,
    )


def added_table(rows: Sequence[MeanRow], names: Sequence[str]) -> Table:
    """A row a (task, pair, method): numbers of the user's own metrics, on test."""
    columns = [column for name in names for column in _ends(name, name)]
    return _means_table("Added metrics, on test", rows, columns)


def search_table(choices: Sequence[Choice]) -> Table:
    """A row a study and a signal that chooses: how many trials there were, what was chosen, and how good it
    is."""
    table = _table(
        *(
            "study",
            "trials",
            "chosen by",
            "values",
            "weak val.",
            "true val.",
            "student on test",
            "oracle gains",
        )
    )
    _title(
        table,
        "What the search chose; accuracies, on validation of the search's seeds and on test of all seeds",
    )
    for choice in choices:
        ended = f"{choice.num_done} of {choice.num_trials}" + (
            f", {choice.num_stopped} stopped" if choice.num_stopped else ""
        )
        ended += f", {choice.num_failed} failed" if choice.num_failed else ""
        values = ", ".join(f"{path}={_value(value)}" for path, value in (choice.values or {}).items())
        signals = [
            _share(choice.signals.get(name)) for name in ("weak_validation", "ground_truth_validation")
        ]
        tests = [_share(choice.test_accuracy), "" if choice.gain is None else f"{choice.gain:+z.3f}"]
        chosen = values or ("no trial is done" if choice.is_complete else "not yet")
        cells = (
            choice.study,
            ended,
            _chosen_by(choice),
            chosen,
            *signals,
            *(tests if choice.role == "student" else ["", ""]),
        )
        table.add_row(*map(Text, cells))
    return table


def _chosen_by(choice: Choice) -> str:
    if choice.role != "student" and choice.chosen_by == "weak_validation":
        return "own labels on validation"
    return CHOICES[choice.chosen_by]


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _ends(title: str, name: str) -> list[tuple[str, str]]:
    return [(f"{title}: {end}" if end == "weak" else end, f"{end}_{name}") for end in _ENDS]


def _means_table(title: str, rows: Sequence[MeanRow], columns: Sequence[tuple[str, str]]) -> Table:
    """Means over seeds, a column a (header, metric); columns that no row has a number for are left out."""
    known = [(header, name) for header, name in columns if any(name in means for _, means in rows)]
    table = _table("task", "weak → strong", "method", "seeds", *(header for header, _ in known))
    _title(table, title)
    for row, means in rows:
        values = [_number(name, means) for _, name in known]
        table.add_row(*map(Text, (row.task, f"{row.weak} → {row.strong}", row.method, _seeds(row), *values)))
    return table


def _number(name: str, means: Mapping[str, float]) -> str:
    if name in means:
        return f"{means[name]:{'.0f' if name.startswith('step_') else 'z.2f' if name.startswith('pgr_') else 'z.3f'}}"
    if not means:
        return "missing"
    return "undefined" if name.startswith("pgr_") else "none"


def _seeds(row: Row) -> str:
    return str(len(row.seeds)) + (
        f" of {len(row.seeds) + len(row.missing_seeds)}" if row.missing_seeds else ""
    )


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _with_interval(
    value: float | None, interval: tuple[float, float] | None, form: str, without: str = "none"
) -> str:
    if value is None:
        return without
    return f"{value:{form}}" + (f" [{interval[0]:{form}}, {interval[1]:{form}}]" if interval else "")


def _p_value(value: float | None) -> str:
    if value is None:
        return "none"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _seeds_needed(found: Comparison) -> str:
    """For 80 % power; where no number of seeds is enough, the difference that the test set can tell."""
    power = found.power
    if found.difference == 0:
        return "none: no difference"
    if power.num_seeds is not None:
        return str(power.num_seeds)
    if power.seeds_deviation is None or power.resolvable is None:
        return "unknown"
    return f"none: this test set tells {power.resolvable:.3f} at best"


def _title(table: Table, title: str) -> None:
    table.title = Text(title)
    table.title_justify = "left"
    table.title_style = "bold"


def _note_one_seed(table: Table, cover_seeds: Sequence[bool]) -> None:
    """Say under a table what its intervals lack, if they do."""
    if not all(cover_seeds):
        table.caption = Text(
            "1 seed: intervals and p-values are of the test set's noise alone; that of training is unknown"
        )
        table.caption_justify = "left"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
