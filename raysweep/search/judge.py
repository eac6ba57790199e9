"""What a trial does at the points of its curve: it measures itself, tells the referee, and is told whether to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raysweep.measure import point_reader
from raysweep.search.stopping import TrialOf
from raysweep.spec import RunSpec
from raysweep.store import Store

if TYPE_CHECKING:
    from raysweep.training.records import Records


class Judge:
    """Judges one run in the process that records it."""

    def __init__(self, spec: RunSpec, store: Store, trial: TrialOf) -> None:
        self._spec = spec
        self._trial = trial
        self._read = point_reader(spec, "validation", store)
        self.history: list[tuple[int, float, float]] = []
        """(step, per cent of the training, signal) at the points so far."""
        self.metrics: dict[str, float] = {}
        """Numbers at the last point."""
        self.records: Records | None = None

    def __call__(self, step: int, num_steps: int, records: Records) -> bool:
        """Whether the run must end."""
        self.records = records
        if self._trial.referee is None or "validation" not in records.points:
            return False
        self.metrics = self._read(records.points["validation"][-1])
        percent, signal = 100 * step / num_steps, self.metrics[self._trial.metric]
        self.history.append((step, percent, signal))
        return self._trial.referee.report(self._trial.study, self._spec.id, percent, signal)

    def content(self) -> dict[str, Any]:
        """What stopped.json says of how good the run was."""
        return {"metrics": self.metrics, "history": self.history}
