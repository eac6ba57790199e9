"""From a planned run to the job that the processes which train it are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from raysweep.planning.graph import PlannedRun
from raysweep.scheduling.ownership import Ownership
from raysweep.store import Store
from raysweep.training.early_stopping import Stopper, TrialContext
from raysweep.training.run import Job


@dataclass(frozen=True)
class Jobs:
    """Makes the job of a planned run."""

    store: Store
    code: Mapping[str, Any]
    """The state of the user's code: commit, uncommitted changes, command."""
    ownership: Ownership | None = None
    """Of the runs, where other sweeps may use the store."""

    def make(
        self,
        run: PlannedRun,
        stopper: Stopper | None = None,
        *,
        num_workers: int | None = None,
        may_kill: bool = False,
    ) -> Job:
        """The job of a run.

        Args:
            run: the run.
            stopper: decides whether a trial of a search is ended early; None to end none.
            num_workers: in place of that of its resources: 0 for a runner that trains in one process.
            may_kill: whether the processes that execute it may be killed when they stand still.
        """
        if num_workers is None:
            num_workers = run.resources.num_workers
        resources = replace(run.resources, num_workers=num_workers, gpus_per_worker=run.resources.num_gpus)
        trial = None
        if run.study is not None and run.may_be_stopped:
            trial = TrialContext.make(run.study.key, run.study.search, stopper)
        folder = str(self.store.folder)
        fence = self.ownership.fence(run.id) if self.ownership else None
        return Job(
            run.spec,
            resources,
            folder,
            run.save_weights,
            self.code,
            trial,
            may_kill,
            fence,
            run.features,
            run.also_predicts,
        )
