"""Rows of a results table: one for each (task, weak, strong, method), over the seeds that are finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from raysweep.metrics import performance_gap_recovered
from raysweep.metrics.gap import STOPS
from raysweep.planning.graph import CellGroup
from raysweep.results.elicited import SHARE, elicited_share
from raysweep.results.seeds import OddSeed, doubt, odd_seeds
from raysweep.results.statistics import GapRecovered, Outcomes, gap_recovered, stacked

GROUP = list(CellGroup._fields)
"""Columns of a frame that name the cell group of a row."""
CELL = (*CellGroup._fields, "seed")
"""Columns that tell a cell from the others of its sweep."""
CELL_RUNS = ("supervisor", "student", "ceiling")
"""Columns with the ids of a cell's three runs."""


def groups_of(cells: pd.DataFrame) -> Iterator[tuple[CellGroup, pd.DataFrame]]:
    """The rows of a frame by cell group, in the order in which the groups come."""
    for key, of_group in cells.groupby(GROUP, sort=False):
        yield CellGroup(*map(str, key)), of_group


@dataclass(frozen=True, kw_only=True)
class Row:
    """The finished seeds of one cell group."""

    group: CellGroup
    seeds: tuple[int, ...]
    missing_seeds: tuple[int, ...]
    gap: GapRecovered | None
    """None if no seed is finished."""
    agreement: float | None
    agreement_supervisor_right: float | None
    agreement_supervisor_wrong: float | None
    """Agreement of student and supervisor on test, the mean over seeds: on all examples, on those that the
    supervisor gets right, and on those that it gets wrong. None where no seed has any such example."""
    accuracies: Mapping[str, tuple[float, ...]]
    """By "supervisor", "student" and "ceiling", the test accuracies of the finished seeds."""
    odd_seeds: tuple[OddSeed, ...]
    """Those that ended near chance, or far from the others."""

    @property
    def num_planned(self) -> int:
        """How many seeds the plan has."""
        return len(self.seeds) + len(self.missing_seeds)

    @property
    def doubt(self) -> str | None:
        """Why the interval of the PGR can't be trusted; None if it can, or there is none."""
        return doubt(self.odd_seeds) if self.gap is not None and self.gap.interval is not None else None

    def to_json(self) -> dict[str, Any]:
        """A flat dict for `raysweep results --format json`."""
        flat = asdict(self)
        group = flat.pop("group")._asdict()
        gap = flat.pop("gap") or dict.fromkeys(GapRecovered.__dataclass_fields__)
        return group | gap | flat | {"interval_doubt": self.doubt}


def result_rows(cells: pd.DataFrame, outcomes: Callable[[str], Outcomes]) -> list[Row]:
    """One row for each cell group, in the order in which they come.

    Args:
        cells: one row per planned cell: task, weak, strong, method, seed, the run ids supervisor, student and
            ceiling, is_finished, and the numbers of the finished cells. Of these, `majority_share` is the
            share of the most frequent class of the test examples.
        outcomes: run id → its outcomes on the test examples, in the same order for all runs of a task.
    """
    return [_row(group, of_group, outcomes) for group, of_group in groups_of(cells)]


def _row(group: CellGroup, cells: pd.DataFrame, outcomes: Callable[[str], Outcomes]) -> Row:
    done = cells[cells["is_finished"]]
    seeds = tuple(map(int, done["seed"]))
    ends = {role: [outcomes(run) for run in done[role]] for role in CELL_RUNS}
    gap = None
    if seeds:
        weak, student, ceiling = map(stacked, ends.values())
        gap = gap_recovered(weak, student, ceiling, ends["student"][0].groups)
    return Row(
        group=group,
        seeds=seeds,
        missing_seeds=tuple(map(int, cells.loc[~cells["is_finished"], "seed"])),
        gap=gap,
        agreement=_mean(done, "agreement"),
        agreement_supervisor_right=_mean(done, "agreement_supervisor_right"),
        agreement_supervisor_wrong=_mean(done, "agreement_supervisor_wrong"),
        accuracies={role: tuple(float(own.right.mean()) for own in found) for role, found in ends.items()},
        odd_seeds=odd_seeds(seeds, ends, _mean(done, "majority_share")),
    )


def gap_numbers(outcomes: Mapping[str, Outcomes], majority_share: float) -> dict[str, float]:
    """The numbers of one cell that tell its gap.

    `weak_accuracy`, `student_accuracy` and `ceiling_accuracy`; `pgr`, left out where the gap between these
    very models can't be told from 0, and `pgr_is_undefined`, 1 there and else 0; `runs_near_chance`, how many
    of the three runs are, see `raysweep.results.seeds`; and of the test examples `num_examples`,
    `num_groups` and `majority_share`.

    Args:
        outcomes: of supervisor, student and ceiling.
        majority_share: the share of the most frequent class, or answer, of the test examples.
    """
    ends = {role: [own] for role, own in outcomes.items()}
    weak, student, ceiling = map(stacked, ends.values())
    gap = gap_recovered(weak, student, ceiling, outcomes["student"].groups)
    numbers = {
        "weak_accuracy": gap.weak_accuracy,
        "student_accuracy": gap.student_accuracy,
        "ceiling_accuracy": gap.ceiling_accuracy,
        "pgr_is_undefined": float(gap.pgr is None),
        "runs_near_chance": float(len(odd_seeds([0], ends, majority_share))),
        "num_examples": float(gap.num_examples),
        "num_groups": float(gap.num_groups or gap.num_examples),
        "majority_share": majority_share,
    }
    pgr = performance_gap_recovered(gap.weak_accuracy, gap.student_accuracy, gap.ceiling_accuracy)
    return numbers if gap.pgr is None or pgr is None else numbers | {"pgr": pgr}


def _mean(cells: pd.DataFrame, name: str) -> float | None:
    known = cells[name].dropna() if name in cells else pd.Series(dtype=float)
    return float(known.mean()) if len(known) else None


@dataclass(frozen=True, kw_only=True)
class RowMeans:
    """A row with the means over its finished seeds of every number of its cells."""

    row: Row
    means: dict[str, float]
    """By name; undefined numbers are left out. PGRs and elicited shares are those of the mean accuracies;
    PGRs are left out where the row's gap is inside the noise."""


def row_means(rows: Sequence[Row], cells: pd.DataFrame) -> list[RowMeans]:
    """Means of all numbers for each row.

    Args:
        rows: the rows of these cells.
        cells: one row per planned cell with all its numbers, the readings at the stops included.
    """
    numbers = {group: numbers_of(of_group) for group, of_group in groups_of(cells[cells["is_finished"]])}
    return [RowMeans(row=row, means=_means(row, numbers.get(row.group, pd.DataFrame()))) for row in rows]


def _means(row: Row, numbers: pd.DataFrame) -> dict[str, float]:
    quotients = ("pgr", SHARE)
    known = [name for name in numbers if name not in quotients and not str(name).startswith("pgr_at_")]
    means = numbers[known].mean().dropna()
    found = {str(name): float(value) for name, value in means.items()}
    share = elicited_share(numbers)
    found |= {} if share is None else {SHARE: share}
    if row.gap is None or row.gap.pgr is None:
        return found
    found["pgr"] = row.gap.pgr
    for stop in STOPS:
        names = ["weak_accuracy_at_last", f"student_accuracy_at_{stop}", "ceiling_accuracy_at_last"]
        if names[1] in found:
            # Means over the seeds that have this stop.
            pgr = performance_gap_recovered(*numbers.dropna(subset=names)[names].mean().to_list())
            found |= {} if pgr is None else {f"pgr_at_{stop}": pgr}
    return found


def numbers_of(cells: pd.DataFrame) -> pd.DataFrame:
    """The columns of a cells frame that are numbers of the cells."""
    return cells.drop(columns=[*CELL, *CELL_RUNS, "chain", "is_finished"])


def cells_to_json(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """The finished cells with their defined numbers, for `raysweep results --format json`."""
    done = cells[cells["is_finished"]]
    numbers = numbers_of(done).to_dict("records")
    return [
        {str(name): value for name, value in names.items()}
        | {str(name): value for name, value in own.items() if not np.isnan(value)}
        for names, own in zip(done[list(CELL)].to_dict("records"), numbers, strict=True)
    ]
