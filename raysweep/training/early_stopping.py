"""Early stopping inside a trial of a search: at each point of its curve it is measured, and the stopper
decides whether it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from raysweep.data.inputs import RunInputs
from raysweep.planning.search.config import METRICS, Search
from raysweep.results.measure import point_measurer

if TYPE_CHECKING:
    from raysweep.training.history import History


class TrialMonitor:
    """Measures a trial while it trains, in the process of rank 0."""

    def __init__(self, inputs: RunInputs, trial: TrialContext) -> None:
        self._spec = inputs.spec
        self._trial = trial
        self._measure = point_measurer(inputs, "validation")
        self.signals: list[tuple[int, float, float]] = []
        """(step, percentage of the training, signal) at the points so far."""
        self.metrics: dict[str, float] = {}
        """Metrics at the last point."""
        self.history: History | None = None
        """The run's history at the last point."""

    def should_stop(self, step: int, num_steps: int, history: History) -> bool:
        """Whether the run must end after `step` of `num_steps` steps."""
        self.history = history
        if self._trial.stopper is None or "validation" not in history.points:
            return False
        self.metrics = self._measure(history.points["validation"][-1])
        percent = 100 * step / num_steps
        signal = self.metrics[self._trial.metric]
        self.signals.append((step, percent, signal))
        return self._trial.stopper.report(self._trial.study, self._spec.id, percent, signal)

    def content(self) -> dict[str, Any]:
        """What stopped.json records of the trial's quality."""
        return {"metrics": self.metrics, "history": self.signals}


class Stopper(Protocol):
    """A stopper, or a handle of one in another process."""

    def report(self, study: str, run_id: str, percent: float, signal: float) -> bool:
        """See `EarlyStopper.report`."""


@dataclass(frozen=True)
class TrialContext:
    """What a trial knows of its study."""

    study: str
    metric: str
    """The metric that decides."""
    stopper: Stopper | None
    """None if the search stops no trials."""

    @classmethod
    def make(cls, study: str, search: Search, stopper: Stopper | None) -> TrialContext:
        """The context of the trials of a study."""
        return cls(study, METRICS[search.select_by], stopper if search.stopping_call else None)
