"""Results as flat records, one name and one number or text each, for frames, CSV files and tracking."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from raysweep.results.cells import GROUP, Row
from raysweep.results.comparisons import Comparison
from raysweep.results.leads import Lead

_ROW = {
    **dict.fromkeys(GROUP, "str"),
    **dict.fromkeys(("num_seeds", "num_missing_seeds"), "int64"),
    **dict.fromkeys(("weak_accuracy", "student_accuracy", "ceiling_accuracy"), "float64"),
    **dict.fromkeys(("pgr", "pgr_low", "pgr_high"), "float64"),
    **dict.fromkeys(
        ("agreement", "agreement_supervisor_right", "agreement_supervisor_wrong"),
        "float64",
    ),
    **dict.fromkeys(("num_examples", "num_groups"), "Int64"),
    **dict.fromkeys(("runs_near_chance", "runs_far_from_others"), "int64"),
    **dict.fromkeys(("odd_seeds", "interval_doubt"), "str"),
}
_COMPARISON = {
    **dict.fromkeys((*GROUP, "baseline"), "str"),
    "num_seeds": "int64",
    **dict.fromkeys(("method_accuracy", "baseline_accuracy"), "float64"),
    **dict.fromkeys(("difference", "difference_low", "difference_high"), "float64"),
    **dict.fromkeys(("p_value", "p_value_corrected"), "float64"),
    **dict.fromkeys(("pgr_difference", "pgr_difference_low", "pgr_difference_high"), "float64"),
    "seeds_needed": "Int64",
}
_LEAD = {
    **dict.fromkeys(("method", "baseline"), "str"),
    "is_yardstick": "bool",
    **dict.fromkeys(("num_tasks", "num_compared", "num_ahead"), "int64"),
    **dict.fromkeys(("difference", "difference_low", "difference_high"), "float64"),
    **dict.fromkeys(("p_value", "p_value_corrected"), "float64"),
    **dict.fromkeys(("pgr", "pgr_low", "pgr_high", "baseline_pgr"), "float64"),
}
_OF_COMPARISON = ("difference", "difference_low", "difference_high", "p_value", "p_value_corrected")
"""Of a comparison, what stands beside the row of its method."""


def rows_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows of the results table, one each.

    Columns: task, weak, strong, method; num_seeds that are finished, and num_missing_seeds; weak_accuracy,
    student_accuracy and ceiling_accuracy, means over seeds on test; pgr, pgr_low and pgr_high (its 90 %
    interval), NaN where the gap is inside the noise; agreement with the supervisor, on all examples, where it
    is right and where it is wrong; num_examples and num_groups of test examples; runs_near_chance and
    runs_far_from_others, how many of the seeds' runs are; odd_seeds, which, and interval_doubt, why the
    interval is rough, "" where there is nothing to say.
    """
    return _frame(map(_row, rows), _ROW)


def comparisons_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Every method against the baseline of its (task, weak, strong), one row each.

    Columns: task, weak, strong, method, baseline; num_seeds; method_accuracy, baseline_accuracy; their
    difference with difference_low and difference_high (90 %); p_value and p_value_corrected (Holm's);
    pgr_difference with its ends; seeds_needed to tell the two apart. Unknown values are NaN or <NA>; see
    `raysweep.results.comparisons.Comparison`.
    """
    return _frame(map(_comparison, comparisons), _COMPARISON)


def leads_frame(found: Sequence[Lead]) -> pd.DataFrame:
    """Every method against the baseline over all tasks and pairs together, one row each.

    Columns: method, baseline, is_yardstick; num_tasks, num_compared, num_ahead; difference with its 90 %
    interval; p_value, p_value_corrected; pgr with its 90 % interval, baseline_pgr. Unknown values are NaN;
    see `raysweep.results.leads.Lead`.
    """
    return _frame(map(_lead, found), _LEAD)


def answer_frame(rows: Sequence[Row], comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """`rows_frame` with, of each method's comparison, baseline, difference and p-values beside it; "" and NaN
    for the baseline itself."""
    beside = comparisons_frame(comparisons)[[*GROUP, "baseline", *_OF_COMPARISON]]
    return rows_frame(rows).merge(beside, on=GROUP, how="left").fillna({"baseline": ""})


def group_numbers(row: Row, comparison: Comparison | None) -> dict[str, float]:
    """The numbers of `answer_frame` of one row by name; undefined ones are left out."""
    record = _row(row) | {name: value for name, value in _of(comparison).items() if name in _OF_COMPARISON}
    return {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def odd_seeds_text(row: Row) -> str:
    """Which seeds of a row ended near chance or far from the others; "" if none did."""
    return "; ".join(
        f"{item.run} of seed {item.seed}: {item.accuracy:.3f}, {item.why}" for item in row.odd_seeds
    )


def answer_numbers(rows: Sequence[Row], leads: Sequence[Lead]) -> dict[str, dict[str, float]]:
    """The answer of a sweep in numbers, by method and name; undefined ones are left out.

    pgr, pgr_low and pgr_high over all tasks and pairs, and of all methods but the baseline difference,
    difference_low, difference_high, p_value, p_value_corrected, num_ahead and num_compared. Of a sweep with
    one method there is a PGR if there is one task and pair.
    """
    found: dict[str, dict[str, float]] = {}
    if leads:
        found[leads[0].baseline] = _numbers({"pgr": leads[0].baseline_pgr})
    elif len(rows) == 1:
        record = _row(rows[0])
        found[rows[0].group.method] = _numbers(
            {name: record.get(name) for name in ("pgr", "pgr_low", "pgr_high")}
        )
    names = ("pgr", "pgr_low", "pgr_high", *_OF_COMPARISON, "num_ahead", "num_compared")
    for lead in leads:
        record = _lead(lead)
        found[lead.method] = _numbers({name: record.get(name) for name in names})
    return found


def _row(row: Row) -> dict[str, Any]:
    gap = row.gap
    seeds = {"num_seeds": len(row.seeds), "num_missing_seeds": len(row.missing_seeds)}
    known: dict[str, Any] = {}
    if gap is not None:
        known = {
            **{
                name: getattr(gap, name) for name in ("weak_accuracy", "student_accuracy", "ceiling_accuracy")
            },
            **_ends("pgr", gap.pgr, gap.interval),
            "num_examples": gap.num_examples,
            "num_groups": gap.num_groups,
        }
    names = ("agreement", "agreement_supervisor_right", "agreement_supervisor_wrong")
    return {
        **row.group._asdict(),
        **seeds,
        **known,
        **{name: getattr(row, name) for name in names},
        "runs_near_chance": sum(item.is_near_chance for item in row.odd_seeds),
        "runs_far_from_others": sum(item.is_far for item in row.odd_seeds),
        "odd_seeds": odd_seeds_text(row),
        "interval_doubt": row.doubt or "",
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    names = ("baseline", "method_accuracy", "baseline_accuracy", "p_value", "p_value_corrected")
    return {
        **found.group._asdict(),
        **{name: getattr(found, name) for name in names},
        "num_seeds": len(found.seeds),
        **_ends("difference", found.difference, found.interval),
        **_ends("pgr_difference", found.pgr_difference, found.pgr_interval),
        "seeds_needed": found.power.num_seeds,
    }


def _lead(found: Lead) -> dict[str, Any]:
    names = ("method", "baseline", "is_yardstick", "num_compared", "num_ahead", "p_value")
    return {
        **{name: getattr(found, name) for name in (*names, "p_value_corrected", "baseline_pgr")},
        "num_tasks": len(found.tasks),
        **_ends("difference", found.difference, found.interval),
        **_ends("pgr", found.pgr, found.pgr_interval),
    }


def _of(comparison: Comparison | None) -> dict[str, Any]:
    return {} if comparison is None else _comparison(comparison)


def _ends(name: str, value: float | None, interval: tuple[float, float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _numbers(record: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in record.items() if value is not None}


def _frame(records: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(records), columns=list(columns)).astype(columns)
