"""Tables of results as plain texts, which the command line and the page draw, each in its own way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from raysweep.metrics import declaration, metrics
from raysweep.metrics.gap import STOPS
from raysweep.planning.graph import CellGroup
from raysweep.planning.search.studies import CHOICES
from raysweep.results.cells import CELL_RUNS, Row, RowMeans
from raysweep.results.choices import Choice
from raysweep.results.elicited import SHARE
from raysweep.results.notes import ODD, note_on_bias, note_on_groups, note_on_odd_seeds, note_on_seeds
from raysweep.results.over_tasks import OverTasks

PAIR = "weak → strong"
GROUP_COLUMNS = ("task", PAIR, "method")
_ACCURACIES = ("weak", "student", "ceiling")
_STOPS = {
    "last": "last",
    "ground_truth_stop": "ground-truth stop (oracle)",
    "weak_label_stop": "weak-label stop",
}


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row of a table."""

    cells: tuple[str, ...]
    of: Mapping[str, str] = field(default_factory=dict)
    """What the row is about, by "task", "pair", "method" and "seed", for readers that filter rows."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts. The first `num_names` cells of a row say what the row is about."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    num_names: int
    caption: str = ""
    note: str = ""
    """Shown below the table."""


def results_table(rows: Sequence[Row]) -> Table:
    """One row per cell group: mean accuracies, PGR with its interval, agreement with the supervisor and with
    its errors. What runs near chance, or far from their other seeds, have a part in is marked; the note names
    them, and says where intervals are over groups of examples."""
    notes = (
        note_on_seeds(row.gap.covers_seeds for row in rows if row.gap and row.gap.interval),
        note_on_odd_seeds(rows),
        note_on_groups(rows),
    )
    return Table(
        columns=(
            *GROUP_COLUMNS,
            "seeds",
            *_ACCURACIES,
            "PGR [90 %]",
            "agreement",
            "agrees when weak is wrong",
        ),
        rows=tuple(row_of_group(row.group, _seeds(row), *_result(row)) for row in rows),
        num_names=3,
        note="\n".join(filter(None, notes)),
    )


def _result(row: Row) -> Sequence[str]:
    gap = row.gap
    if gap is None:
        return ["missing"] * 6
    odd = {item.run for item in row.odd_seeds}
    accuracies = (
        share_text(accuracy) + ODD * (run in odd)
        for run, accuracy in zip(
            CELL_RUNS, (gap.weak_accuracy, gap.student_accuracy, gap.ceiling_accuracy), strict=True
        )
    )
    pgr = with_interval(gap.pgr, gap.interval, "z.2f", "undefined (gap in the noise)")
    pgr += ODD * (row.doubt is not None)
    return [*accuracies, pgr, share_text(row.agreement), share_text(row.agreement_supervisor_wrong)]


def over_tasks_table(summaries: Sequence[OverTasks]) -> Table:
    """One row per (pair, method): mean accuracies over tasks, pooled, mean and median PGR, and the tasks
    without a PGR."""
    return Table(
        caption="Over tasks: PGR of all together, its interval of these tasks and that of all such tasks",
        columns=(
            *(PAIR, "method", "tasks", *_ACCURACIES),
            *("pooled PGR [90 %]", "[over tasks]"),
            *("mean PGR [over tasks]", "median PGR", "without a PGR"),
        ),
        rows=tuple(
            TableRow(
                cells=_over_tasks(found),
                of={"pair": f"{found.weak} → {found.strong}", "method": found.method},
            )
            for found in summaries
        ),
        num_names=2,
        note="\n".join(
            filter(None, [note_on_seeds(found.covers_seeds for found in summaries), note_on_bias(summaries)])
        ),
    )


def _over_tasks(found: OverTasks) -> tuple[str, ...]:
    num_absent = len(found.undefined) + len(found.missing)
    num_defined = len(found.defined)
    reasons = (("gap in the noise: ", found.undefined), ("missing: ", found.missing))
    absent = "; ".join(reason + ", ".join(tasks) for reason, tasks in reasons if tasks)
    return (
        f"{found.weak} → {found.strong}",
        found.method,
        f"{num_defined} of {num_defined + num_absent}" if num_absent else str(num_defined),
        *map(share_text, (found.weak_accuracy, found.student_accuracy, found.ceiling_accuracy)),
        with_interval(found.pooled_pgr, found.pooled_interval, "z.2f"),
        interval_text(found.pooled_interval_over_tasks, "z.2f") or "none",
        with_interval(found.mean_pgr, found.interval, "z.2f")
        + (f", biased {found.bias}" if found.bias else ""),
        with_interval(found.median_pgr, None, "z.2f"),
        absent or "none",
    )


def stops_table(rows: Sequence[RowMeans]) -> Table:
    """One row per cell group: the student read at its last step and at two early stops, on the examples of
    its curve."""
    columns = {"weak_accuracy_at_last": "weak", "ceiling_accuracy_at_last": "ceiling"}
    for stop, title in _STOPS.items():
        columns |= {f"student_accuracy_at_{stop}": title, f"pgr_at_{stop}": "PGR", f"step_at_{stop}": "step"}
    caption = "The student at three stops, test accuracy on the examples of its curve"
    return _means_table(caption, rows, columns)


def metrics_table(rows: Sequence[RowMeans], added: Iterable[str] = ()) -> Table:
    """One row per cell group: the numbers of all metrics, by the columns that each declares, then the numbers
    of metrics that declare nothing.

    Args:
        rows: rows with their means.
        added: metrics beside the registered ones, as `module:object`.
    """
    declared = [declaration(name) for name in dict.fromkeys([*(name for name, _ in metrics), *added])]
    columns: dict[str, str] = {}
    for own in declared:
        for number, title in (own.columns or {}).items():
            if title:
                columns |= _columns_of(number, title, own.compares_with_supervisor)
    columns[SHARE] = "elicited share"
    known = {number for own in declared for number in own.columns or {}}
    for number in _numbers_of_runs(rows):
        if number not in known:
            columns |= _columns_of(number, number, ())
    return _means_table("Metrics on test", rows, columns)


def _numbers_of_runs(rows: Sequence[RowMeans]) -> list[str]:
    """The numbers that supervisor, student or ceiling have, but for readings at early stops."""
    readings = {f"accuracy_at_{stop}" for stop in STOPS}
    names = dict.fromkeys(
        name.removeprefix(f"{end}_")
        for item in rows
        for name in item.means
        for end in _ACCURACIES
        if name.startswith(f"{end}_")
    )
    return [name for name in names if name not in readings]


def _columns_of(number: str, title: str, compared: Sequence[str]) -> dict[str, str]:
    """The names that a metric's number has in a cell, with the titles of their columns."""
    if not compared:
        ends = {f"{end}_{number}": end for end in _ACCURACIES}
    else:
        ends = {number if run == "student" else f"{run}_{number}": run for run in compared}
    first = next(iter(ends))
    return ends | {first: f"{title}: {ends[first]}" if len(ends) > 1 else title}


def search_table(choices: Sequence[Choice]) -> Table:
    """One row per study and signal: how many trials there were, what was chosen, and how good it is."""
    caption = (
        "What the search chose; accuracies, on validation of the search's seeds and on test of all seeds"
    )
    return Table(
        caption=caption,
        columns=(
            *("study", "trials", "chosen by", "values", "weak val.", "true val."),
            *("student on test", "oracle gains"),
        ),
        rows=tuple(TableRow(cells=_choice(choice)) for choice in choices),
        num_names=1,
    )


def _choice(choice: Choice) -> tuple[str, ...]:
    ended = f"{choice.num_done} of {choice.num_trials}"
    ended += f", {choice.num_stopped} stopped" if choice.num_stopped else ""
    ended += f", {choice.num_failed} failed" if choice.num_failed else ""
    values = ", ".join(f"{path}={shortest(value)}" for path, value in (choice.values or {}).items())
    is_student = choice.role == "student"
    is_own = choice.chosen_by == "weak_validation" and not is_student
    return (
        choice.study,
        ended,
        "own labels on validation" if is_own else CHOICES[choice.chosen_by],
        values or ("no trial is done" if choice.is_complete else "not yet"),
        share_text(choice.signals.get("weak_validation")),
        share_text(choice.signals.get("ground_truth_validation")),
        share_text(choice.test_accuracy) if is_student else "",
        f"{choice.gain:+z.3f}" if is_student and choice.gain is not None else "",
    )


def shortest(value: object) -> str:
    """A value that is searched, in few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def row_of_group(group: CellGroup, *cells: str) -> TableRow:
    of = {"task": group.task, "pair": group.pair, "method": group.method}
    return TableRow(cells=(group.task, group.pair, group.method, *cells), of=of)


def _means_table(caption: str, rows: Sequence[RowMeans], columns: Mapping[str, str]) -> Table:
    """Means over seeds, with a column for each number (by name, with its title) that any row has."""
    known = [name for name in columns if any(name in item.means for item in rows)]
    return Table(
        caption=caption,
        columns=(*GROUP_COLUMNS, "seeds", *(columns[name] for name in known)),
        rows=tuple(
            row_of_group(item.row.group, _seeds(item.row), *(_mean(name, item.means) for name in known))
            for item in rows
        ),
        num_names=3,
    )


def _mean(name: str, means: Mapping[str, float]) -> str:
    is_pgr = name.startswith("pgr_")
    if name in means:
        form = ".0f" if name.startswith("step_") else "z.2f" if is_pgr else "z.3f"
        return f"{means[name]:{form}}"
    if not means:
        return "missing"
    return "undefined" if is_pgr else "none"


def _seeds(row: Row) -> str:
    return str(len(row.seeds)) + (f" of {row.num_planned}" if row.missing_seeds else "")


def share_text(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def with_interval(
    value: float | None, interval: tuple[float, float] | None, form: str, without: str = "none"
) -> str:
    """A number with its interval, or what there is without one."""
    if value is None:
        return without
    return " ".join(filter(None, [f"{value:{form}}", interval_text(interval, form)]))


def interval_text(interval: tuple[float, float] | None, form: str) -> str:
    return f"[{interval[0]:{form}}, {interval[1]:{form}}]" if interval else ""
