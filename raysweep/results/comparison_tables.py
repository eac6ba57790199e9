"""Tables of methods compared: each on its own task and pair, and over all of them together."""

from __future__ import annotations

from collections.abc import Sequence

from raysweep.results.comparisons import Comparison
from raysweep.results.leads import Lead
from raysweep.results.notes import note_on_seeds
from raysweep.results.tables import GROUP_COLUMNS, Table, TableRow, row_of_group, share_text, with_interval


def leads_table(found: Sequence[Lead]) -> Table:
    """One row per method but the baseline: its PGR and its lead over all tasks and pairs together."""
    return Table(
        caption="Methods over all tasks, pairs and seeds together",
        columns=(
            *("method", "against", "tasks", "ahead in", "lead in accuracy [90 %]", "p", "p (Holm)"),
            *("pooled PGR [90 %]", "baseline's"),
        ),
        rows=tuple(TableRow(cells=_lead(item), of={"method": item.method}) for item in found),
        num_names=2,
        note=_note(found),
    )


def _lead(found: Lead) -> tuple[str, ...]:
    p_values = (found.p_value, found.p_value_corrected)
    return (
        found.method,
        found.baseline,
        str(len(found.tasks)),
        f"{found.num_ahead} of {found.num_compared}",
        with_interval(found.difference, found.interval, "+z.3f"),
        *("1 seed can't tell" if value is None else p_value_text(value) for value in p_values),
        with_interval(found.pgr, found.pgr_interval, "z.2f", "undefined"),
        with_interval(found.baseline_pgr, None, "z.2f", "undefined"),
    )


def _note(found: Sequence[Lead]) -> str:
    notes = []
    if any(item.is_yardstick for item in found):
        notes.append("Controls and baselines are corrected by themselves")
    if any(item.noise == "between tasks" for item in found):
        notes.append(
            "with one seed, what tells is how a lead varies between tasks, and p is of all such tasks"
        )
    return "; ".join(notes)


def comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    """One row per method that is compared with a baseline: both accuracies, their difference, its p-values,
    and the seeds that would show it."""
    num_tested = sum(found.p_value_corrected is not None for found in comparisons)
    return Table(
        caption="Methods compared on the same seeds and test examples",
        columns=(
            *(*GROUP_COLUMNS, "against", "seeds", "accuracy", "baseline", "difference [90 %]"),
            *(
                "PGR difference [90 %]",
                "p",
                f"p (Holm, of {num_tested})" if num_tested else "p (Holm)",
                "seeds needed",
            ),
        ),
        rows=tuple(row_of_group(found.group, *_comparison(found)) for found in comparisons),
        num_names=4,
        note=note_on_seeds(found.covers_seeds for found in comparisons if found.interval),
    )


def _comparison(found: Comparison) -> Sequence[str]:
    no_pgr = "undefined" if found.same_gap else "another weak model or ceiling"
    return (
        found.baseline,
        str(len(found.seeds)),
        share_text(found.method_accuracy),
        share_text(found.baseline_accuracy),
        with_interval(found.difference, found.interval, "+z.3f"),
        with_interval(found.pgr_difference, found.pgr_interval, "+z.2f", no_pgr),
        *(
            p_value_text(value) if found.covers_seeds else "1 seed can't tell"
            for value in (found.p_value, found.p_value_corrected)
        ),
        _seeds_needed(found),
    )


def p_value_text(value: float | None) -> str:
    """A p-value to three digits."""
    if value is None:
        return "none"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _seeds_needed(found: Comparison) -> str:
    """Seeds for 80 % power; where no number of seeds is enough, the difference that the test set can tell."""
    power = found.power
    if found.difference == 0:
        return "none: no difference"
    if power.num_seeds is not None:
        return str(power.num_seeds)
    if power.seeds_deviation is None or power.resolvable is None:
        return "unknown"
    return f"none: this test set tells {power.resolvable:.3f} at best"
