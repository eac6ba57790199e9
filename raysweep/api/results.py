"""`raysweep.load`: a sweep's results as frames."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from raysweep.api.places import store_folder, tracking_address
from raysweep.cli.commands.loading import load as load_plan
from raysweep.cli.commands.loading import read_sweep
from raysweep.errors import InvalidInput
from raysweep.planning.sweep import Sweep
from raysweep.results.answer import answer
from raysweep.results.frames import SweepData
from raysweep.results.from_store import read_store
from raysweep.results.records import comparisons_frame, leads_frame, rows_frame
from raysweep.tracking.mlflow.reader import read_mlflow

_URI = re.compile(r"[a-z][\w+.-]*://|databricks")


@dataclass(frozen=True, repr=False)
class Results:
    """What a sweep found, finished or not. Frames are the caller's own, and read when they are first asked
    for."""

    data: SweepData

    @property
    def answer(self) -> str:
        """The answer in a few sentences, as the page and MLflow begin with it."""
        return " ".join(answer(self.data.rows, self.data.comparisons, self.data.leads))

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of the results table, one per task, pair and method: accuracies, PGR with its 90 %
        interval, agreement; see `raysweep.results.records.rows_frame`."""
        return rows_frame(self.data.rows)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row per planned cell: task, weak, strong, method, seed, the run ids supervisor, student and
        ceiling, status ("done", "failed", "missing"), and every number that metrics give, NaN where it is
        undefined."""
        found = self.data.cells.drop(columns=["chain", "is_finished"])
        found.insert(list(found).index("ceiling") + 1, "status", self.data.cell_statuses)
        return found

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The curves of the finished cells, one row per point: task, weak, strong, method, seed, name, step,
        value."""
        return self.data.curves.copy()

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per planned run: run_id, role, task, model, seed, status, reason, sizes, seconds, commit;
        see `raysweep.results.frames.SweepData.runs`."""
        return self.data.runs.copy()

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """Every method against the baseline of its task and pair: difference with its 90 % interval,
        p-values, seeds needed; see `raysweep.results.records.comparisons_frame`."""
        return comparisons_frame(self.data.comparisons)

    @cached_property
    def leads(self) -> pd.DataFrame:
        """Every method against the baseline over all tasks and pairs together; see
        `raysweep.results.records.leads_frame`."""
        return leads_frame(self.data.leads)

    def examples(self, run: str) -> pd.DataFrame:
        """The test examples on which a student and its supervisor differ, all of them, those first on which
        the student is right and the weak model wrong: texts, what each says and how sure it is, the truth,
        difficulty; see `raysweep.results.disagreements.disagreements`.

        Args:
            run: the id of a student's run, such as `results.cells["student"].iloc[0]`.

        Raises:
            InvalidInput: the sweep has no such student, it isn't done, or the results are from MLflow, which
                holds no texts.
        """
        return self.data.disagreements(run)

    def __repr__(self) -> str:
        statuses = self.data.cell_statuses.value_counts()
        counts = ", ".join(f"{count} {status}" for status, count in statuses.items())
        return f"{self.data.name}: {len(self.data.planned)} cells ({counts}). {self.answer}"


def load(source: Sweep | str | Path, sweep: str = "", *, store: str | Path | None = None) -> Results:
    """The results of a sweep, as far as it is finished.

    Args:
        source: a sweep, or an experiment, FILE or FILE:function, which are read from the store; or a tracking
            URI; or the name of a sweep in the MLflow of $MLFLOW_TRACKING_URI, or of ./mlflow.db.
        sweep: at a tracking URI with several sweeps, the name of one.
        store: the folder of all runs; None for $RAYSWEEP_STORE, or ./raysweep-store.

    Raises:
        InvalidInput: the experiment can't be planned, there is no such store, or MLflow has no such sweep.
    """
    if isinstance(source, Sweep):
        return Results(read_store(*load_plan(source, store_folder(store))))
    is_uri = isinstance(source, str) and _URI.match(source)
    if sweep and not is_uri:
        raise InvalidInput(
            f"load({str(source)!r}, {sweep!r}): a sweep's name stands beside a tracking URI, such as "
            '"sqlite:///mlflow.db", only'
        )
    if is_uri:
        return Results(read_mlflow(str(source), sweep))
    return Results(read_sweep(str(source), store_folder(store), tracking_address(None)))
