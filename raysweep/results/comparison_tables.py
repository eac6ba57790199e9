"""The table of how far methods lead over all tasks and pairs."""

from __future__ import annotations

from collections.abc import Sequence

from raysweep.results.leads import Lead
from raysweep.results.tables import Table, TableRow, p_value_text, with_interval


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
