"""Which runs of a queue this sweep may execute, and which of them another sweep on the store is executing."""

from __future__ import annotations

import time
from collections.abc import Mapping

from raysweep.planning.graph import PlannedRun
from raysweep.store import RunStatus, Store
from raysweep.store.lease import UNKNOWN, Fence, Holder, Overtaken, fresh_names, require_current

_LOOK_SECONDS = 1.0
_LATE_SECONDS = 90.0


class Ownership:
    """The leases of a queue's runs.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._leases = store.leases()
        self._elsewhere: dict[str, PlannedRun] = {}
        self._looked = 0.0

    def fence(self, run_id: str) -> Fence | None:
        """By which a run that is ours is executed."""
        return self._leases.fence(self._store.run(run_id).folder)

    def take(self, run: PlannedRun) -> RunStatus | Holder:
        """Take a run for this sweep.

        Returns:
            WAITING if it is ours, to be executed; DONE or STOPPED if another sweep has ended it meanwhile; or
            who executes it. Then it is among those that `ended_elsewhere` looks at.

        Raises:
            RaysweepError: the store can't be written, or was deleted.
        """
        folder = self._store.run(run.id)
        folder.require_store()
        if self.fence(run.id):
            return RunStatus.WAITING
        # Looked at twice: what is done needs no lease; and before there was ours, another may have ended it.
        for _ in range(2):
            status = run.status(self._store)
            if status in (RunStatus.DONE, RunStatus.STOPPED):
                self._leases.release(folder.folder)
                return status
            taken = self._leases.take(folder.folder) if not self.fence(run.id) else None
            if isinstance(taken, Holder):
                self._elsewhere[run.id] = run
                return taken
        return RunStatus.WAITING

    def status_at_end(self, run: PlannedRun, *, has_succeeded: bool) -> RunStatus:
        """The status of a run that has ended here. If its processes told that they have succeeded, its result
        is waited for: a network file system may take a minute to show what another node wrote."""
        deadline = time.monotonic() + (_LATE_SECONDS if has_succeeded else 0.0)
        while True:
            fresh_names(self._store.run(run.id).folder)
            status = run.status(self._store)
            if status in (RunStatus.DONE, RunStatus.STOPPED) or time.monotonic() >= deadline:
                return status
            time.sleep(_LOOK_SECONDS)

    def release(self, run: PlannedRun, *, is_over: bool) -> None:
        """Give up a run that has ended.

        Args:
            run: the run.
            is_over: whether none of its processes can still be writing.
        """
        self._leases.release(self._store.run(run.id).folder, is_over=is_over)

    def lose(self, run: PlannedRun) -> None:
        """A try of a run was lost, and another follows: its lease stays with this sweep, and is taken anew
        for the next try, which shuts out what may be left of the lost one."""
        self._leases.forget(self._store.run(run.id).folder)

    def overtaken_by(self, run: PlannedRun) -> Holder | None:
        """Who has taken a run over while it was executed here, as this process had seemed to be dead; None if
        nobody has. Then it is among those that `ended_elsewhere` looks at."""
        folder = self._store.run(run.id).folder
        try:
            require_current(folder, self.fence(run.id))
        except Overtaken:
            self._leases.forget(folder)
            self._elsewhere[run.id] = run
            return self._leases.holder(folder) or UNKNOWN
        return None

    def ended_elsewhere(self) -> Mapping[str, RunStatus]:
        """The runs, of those that others executed, that have ended there, by id: DONE, STOPPED or FAILED, or
        MISSING if whoever executed it is dead or was interrupted. Each is told once. At most once a second it
        looks again."""
        if not self._elsewhere or time.monotonic() - self._looked < _LOOK_SECONDS:
            return {}
        self._looked = time.monotonic()
        ended = {}
        for run in self._elsewhere.values():
            folder = self._store.run(run.id).folder
            if self._leases.holder(folder) is None:
                ended[run.id] = run.status(self._store)
        for run_id in ended:
            del self._elsewhere[run_id]
        return ended

    def close(self) -> None:
        """Give up whatever is left."""
        self._leases.close()
