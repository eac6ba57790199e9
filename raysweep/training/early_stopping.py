"""What a trial does at the points of its curve: it measures itself, tells the stopper, and is told whether to
go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from raysweep.planning.search.config import METRICS, Search
from raysweep.results.measure import point_measurer
from raysweep.spec import RunSpec
from raysweep.store import Store

if TYPE_CHECKING:
    from raysweep.training.history import History


class TrialMonitor:
    """Judges one run in the process that records it."""

    def __init__(self, spec: RunSpec, store: Store, trial: TrialContext) -> None:
        self._spec = spec
        self._trial = trial
        self._read = point_measurer(spec, "validation", store)
        self.history: list[tuple[int, float, float]] = []
        """(step, per cent of the training, signal) at the points so far."""
        self.metrics: dict[str, float] = {}
        """Numbers at the last point."""
        self.records: History | None = None

    def should_stop(self, step: int, num_steps: int, records: History) -> bool:
        """Whether the run must end."""
        self.records = records
        if self._trial.stopper is None or "validation" not in records.points:
            return False
        self.metrics = self._read(records.points["validation"][-1])
        percent = 100 * step / num_steps
        signal = self.metrics[self._trial.metric]
        self.history.append((step, percent, signal))
        return self._trial.stopper.report(self._trial.study, self._spec.id, percent, signal)

    def content(self) -> dict[str, Any]:
        """What stopped.json says of how good the run was."""
        return {"metrics": self.metrics, "history": self.history}


class Stopper(Protocol):
    """A stopper, or the handle of one in another process."""

    def report(self, study: str, run_id: str, percent: float, signal: float) -> bool:
        """See `EarlyStopper.report`."""


@dataclass(frozen=True)
class TrialContext:
    """What a run that is a trial knows of its study."""

    study: str
    metric: str
    """The number that it is judged by."""
    stopper: Stopper | None
    """None if nothing is stopped early."""

    @classmethod
    def make(cls, study: str, search: Search, stopper: Stopper | None) -> TrialContext:
        """A trial's part in a study."""
        return cls(study, METRICS[search.select_by], stopper if search.stopping_call else None)
