"""Numbers that several figures need: PGRs with their intervals, means over seeds, tasks and pairs, models by
size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from raysweep.report.figures.base import listed, sentences
from raysweep.report.figures.theme import MAX_PANELS, worded
from raysweep.results.cells import GROUP
from raysweep.results.frames import SweepData
from raysweep.results.noise import CONFIDENCE

PAIR = "pair"
UNDEFINED = "undefined: the gap is inside the noise"
MISSING = "missing: no finished seed"
_GAP = ("weak_accuracy", "student_accuracy", "ceiling_accuracy", "pgr")


class Summary:
    """A sweep's finished cells, and what figures compute of them, each once for all figures."""

    def __init__(self, data: SweepData) -> None:
        self.data = data
        pairs = [
            f"{weak} → {strong}"
            for weak, strong in zip(data.cells["weak"], data.cells["strong"], strict=True)
        ]
        self.planned = data.cells.assign(**{PAIR: pairs})
        self.finished: pd.DataFrame = self.planned[self.planned["is_finished"]]

    def names(self, column: str) -> list[str]:
        """The values that the finished cells have in a column, in the plan's order."""
        there = set(self.finished[column])
        return [name for name in dict.fromkeys(self.planned[column]) if name in there]

    @cached_property
    def gaps(self) -> pd.DataFrame:
        """One row per planned cell group: task, weak, strong, method; pair; num_seeds; weak_, student_ and
        ceiling_accuracy; pgr, low, high; pgr_status ("" where the PGR is defined)."""
        rows = []
        for row in self.data.rows:
            found: dict[str, Any] = row.group._asdict() | {PAIR: row.group.pair, "num_seeds": len(row.seeds)}
            found["pgr_status"] = MISSING
            if row.gap is not None:
                low, high = row.gap.interval or (None, None)
                found |= {name: getattr(row.gap, name) for name in _GAP}
                found |= {"low": low, "high": high, "pgr_status": UNDEFINED if row.gap.pgr is None else ""}
            rows.append(found)
        numbers = (*_GAP, "low", "high")
        frame = pd.DataFrame(rows, columns=[*GROUP, PAIR, "num_seeds", *numbers, "pgr_status"])
        return frame.astype(dict.fromkeys(numbers, float))

    def pgr_by(self, keys: Sequence[str]) -> pd.DataFrame:
        """PGRs by some of task, weak, strong, method and pair.

        Returns:
            `keys`; num_groups, num_defined, num_missing (of cell groups); pgr, low, high; and pgr_status. Of
            one cell group, low and high are its 90 % interval; of several, pgr is the median of the defined
            ones, and low and high are their quartiles.
        """
        rows = []
        for key, group in self.gaps.groupby(list(keys), sort=False):
            defined = group.dropna(subset=["pgr"])
            row: dict[str, Any] = dict(zip(keys, key, strict=True))
            row |= {
                "num_groups": len(group),
                "num_defined": len(defined),
                "num_missing": int((group["num_seeds"] == 0).sum()),
            }
            row |= {"pgr": None, "low": None, "high": None, "pgr_status": ""}
            if defined.empty:
                row["pgr_status"] = MISSING if row["num_missing"] == len(group) else UNDEFINED
            elif len(group) == 1:
                row |= {name: float(defined[name].iloc[0]) for name in ("pgr", "low", "high")}
            else:
                row["pgr"] = float(defined["pgr"].median())
                if len(defined) > 1:
                    row |= {
                        "low": float(defined["pgr"].quantile(0.25)),
                        "high": float(defined["pgr"].quantile(0.75)),
                    }
            rows.append(row)
        columns = [*keys, "num_groups", "num_defined", "num_missing", "pgr", "low", "high", "pgr_status"]
        return pd.DataFrame(rows, columns=columns).astype({"pgr": float, "low": float, "high": float})

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Numbers of parameters by model, as far as its finished runs have recorded them."""
        known = self.data.runs[~self.data.runs["role"].str.contains("pretrain|features")].dropna(
            subset=["num_parameters"]
        )
        counts = known.groupby("model")["num_parameters"].median()
        return {str(model): int(count) for model, count in counts.items()}

    def by_size(self, column: str) -> list[str]:
        """The finished cells' models in a column (weak, strong), the smallest first; in the plan's order if a
        size is unknown."""
        names = self.names(column)
        return sorted(names, key=lambda name: self.sizes[name]) if set(names) <= set(self.sizes) else names

    @property
    def progress_note(self) -> str:
        """A sentence on how many seeds there are, and what is missing."""
        seeds = self.finished.groupby(GROUP, sort=False)["seed"].nunique()
        if seeds.empty:
            return "Nothing is finished."
        least = int(seeds.min())
        most = int(seeds.max())
        count = f"{most} seed{'s' * (most != 1)}" if least == most else f"{least} to {most} seeds"
        statuses = self.data.cell_statuses.value_counts()
        failed = int(statuses.get("failed", 0))
        missing = int(statuses.get("missing", 0))
        lacking = " and ".join(
            [f"{failed} failed"] * (failed > 0) + [f"{missing} not finished yet"] * (missing > 0)
        )
        return f"{count}." + (
            f" Of {len(self.planned)} planned cells {lacking}; they aren't in the figure." if lacking else ""
        )

    def panels(self) -> tuple[list[str], pd.DataFrame, str]:
        """How small multiples divide the finished cells: at most six panels, by task and method, or by method
        over all tasks.

        Returns:
            The panels' names; the finished cells, each with its `panel`, None where it isn't shown; and a
            note for the caption.
        """
        tasks = self.names("task")
        methods = self.names("method")
        cells = self.finished
        note = ""
        by_task = len(tasks) * len(methods) <= MAX_PANELS
        shown = methods[:MAX_PANELS]
        if len(shown) < len(methods):
            note = f"Shown are the first {len(shown)} of {len(methods)} methods; the CSV has all."
        if not by_task and len(tasks) > 1:
            cells, over = self.on_complete_tasks(cells, ["weak", "strong", "method"])
            note = sentences(over, note)
        parts = [*(["task"] if by_task and len(tasks) > 1 else []), *(["method"] if len(methods) > 1 else [])]
        names = [
            ": ".join(map(worded, row)) if row else ""
            for row in cells[parts].drop_duplicates().itertuples(index=False, name=None)
        ]
        label = (
            [": ".join(map(worded, row)) for row in cells[parts].itertuples(index=False, name=None)]
            if parts
            else ""
        )
        keep = cells["method"].isin(shown)
        cells = cells.assign(panel=label)
        cells["panel"] = cells["panel"].where(keep, None)
        return [name for name in dict.fromkeys(names) if name in set(cells["panel"])] or [""], cells, note

    def on_complete_tasks(self, cells: pd.DataFrame, keys: list[str]) -> tuple[pd.DataFrame, str]:
        """Cells of those tasks that have a finished seed in every group of `keys` that is compared, so that
        means over tasks are of the same tasks everywhere; all cells if there is no such task. With them, a
        note for the caption."""
        tasks = list(dict.fromkeys(cells["task"]))
        if len(tasks) < 2:
            return cells, ""
        num_groups = len(self.planned[keys].drop_duplicates())
        complete = [
            task
            for task in tasks
            if len(cells.loc[cells["task"] == task, keys].drop_duplicates()) == num_groups
        ]
        num_planned = self.planned["task"].nunique()
        if not complete:
            return (
                cells,
                f"Means over the tasks that are finished, not the same ones everywhere (of {num_planned}).",
            )
        if len(complete) == num_planned:
            return cells, f"Means over {num_planned} tasks."
        return cells[cells["task"].isin(complete)], (
            f"Means over the {len(complete)} of {num_planned} tasks that are finished everywhere "
            f"({listed(complete)})."
        )


def means(
    cells: pd.DataFrame,
    value: str,
    by: Sequence[str],
    unit: Sequence[str],
    run: str = "student",
    *,
    is_share: bool = True,
) -> pd.DataFrame:
    """Means of a number over seeds, then over units (tasks, pairs…), with 90 % intervals of the noise of
    seeds.

    Every run counts once. With S_u seeds of unit u, U units and s² the variance within units, pooled with f =
    Σ(S_u − 1) degrees of freedom, the mean of the units' means has the half width t_f · s · √(Σ 1/S_u) / U:
    Student's interval if there is one unit. Units themselves are taken as given.

    Args:
        cells: finished cells.
        value: the column.
        by: columns of a group.
        unit: columns that tell a group's units apart; the seeds of each are repetitions.
        run: the column of the run whose number it is, since cells share supervisors and ceilings.
        is_share: whether the number is in [0, 1]; intervals end there.

    Returns:
        One row per group: `by`, mean, low and high (NaN if no unit has two seeds), num_seeds (of the unit
        with most), num_units.
    """
    from scipy.special import stdtrit

    found = cells.dropna(subset=[value]).drop_duplicates(subset=list(dict.fromkeys([*by, *unit, run])))
    rows = []
    for key, group in found.groupby(list(by), sort=False) if by else [((), found)]:
        parts = group.groupby(list(unit), sort=False)[value] if unit else group.groupby(lambda _: 0)[value]
        counts = parts.count()
        centre = float(parts.mean().mean())
        freedom = int((counts - 1).sum())
        half = float("nan")
        if freedom:
            variance = float(((group[value] - parts.transform("mean")) ** 2).sum()) / freedom
            quantile = float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
            half = quantile * float(np.sqrt(variance * (1 / counts).sum())) / len(counts)
        row = dict(zip(by, key, strict=True))
        rows.append(row | {"mean": centre, "low": centre - half, "high": centre + half})
        rows[-1] |= {"num_seeds": int(counts.max()), "num_units": len(counts)}
    frame = pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "num_seeds", "num_units"])
    return (
        frame.assign(low=frame["low"].clip(lower=0), high=frame["high"].clip(upper=1)) if is_share else frame
    )


def interval_words(frame: pd.DataFrame) -> str:
    """A sentence on the intervals of `means`, or that there are none."""
    if frame["low"].notna().any():
        return "Bars: 90 % t intervals over seeds."
    return "One seed: no intervals over seeds."
