"""`raysweep.plan`: what a sweep would train, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from raysweep.api.places import store_folder, sweep_of
from raysweep.cli.plans import plan_remarks, plan_summary
from raysweep.estimates.forecast import forecast
from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import Sweep
from raysweep.store import RunStatus, Store


@dataclass(frozen=True)
class PlannedSweep:
    """The plan of a sweep. Printed, it says what `raysweep plan` says below its table."""

    plan: Plan
    store: Store
    summary: str

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per distinct run, dependencies first: id, role, task, model, seed, depends_on (ids),
        status."""
        return pd.DataFrame(self.plan.to_json(self.store)["runs"])

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row per cell: task, weak, strong, method, seed, and the run ids supervisor, student,
        ceiling."""
        return pd.DataFrame(self.plan.to_json(self.store)["cells"])

    def __repr__(self) -> str:
        return self.summary


def plan(
    sweep: Sweep | str | Path, *, store: str | Path | None = None, gpus: int | None = None
) -> PlannedSweep:
    """Check a sweep and lay out its runs. Nothing is trained.

    Args:
        sweep: a sweep, or an experiment: FILE or FILE:function.
        store: the folder of all runs; None for $RAYSWEEP_STORE, or ./raysweep-store.
        gpus: also estimate the time that the open runs take on so many GPUs (CPU cores, if no run takes a
            GPU).

    Raises:
        InvalidInput: something in the sweep or its data can't be used.
    """
    folder = Store(store_folder(store))
    made = make_plan(sweep_of(sweep), folder)
    num_done = sum(run.status(folder) is RunStatus.DONE for run in made.runs.values())
    lines = [plan_summary(made, num_done), *plan_remarks(made)]
    if gpus is not None:
        lines.append(forecast(made, folder, gpus).lines())
    return PlannedSweep(made, folder, "\n".join(lines))
