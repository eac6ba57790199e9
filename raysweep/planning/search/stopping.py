"""Early stopping of bad trials by Ray Tune's rules.

A rule is told of every trial of a study, wherever it trains, and answers at once, so that a run in a worker
group can be stopped as well as one in a trial's own process. On a cluster the stopper is an actor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.errors import InvalidInput, user_code
from raysweep.planning.search.config import Search
from raysweep.spec import Call

_TIME = "percent"
_SIGNAL = "signal"
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "asha": {"grace_period": 10, "reduction_factor": 3},
    "median": {"grace_period": 20, "min_samples_required": 3},
}

SignalHistory = Sequence[tuple[float, float]]
"""(per cent of the training, signal) at the points of a trial's curve."""


class EarlyStopper:
    """Decides which trials go on. It keeps one rule per study, made when the study's first trial reports.

    Args:
        search: the search with its stopping rule.
        signal_histories: by study and run id, what earlier trials have reported, for a sweep that goes on.
    """

    def __init__(self, search: Search, signal_histories: Mapping[str, Mapping[str, SignalHistory]]) -> None:
        self._search = search
        self._rules: dict[str, Any] = {}
        self._trials: dict[tuple[str, str], _Trial] = {}
        for study, trials in signal_histories.items():
            for run_id, history in trials.items():
                for percent, signal in history:
                    self.report(study, run_id, percent, signal)
                self._forget(study, run_id, history)

    def report(self, study: str, run_id: str, percent: float, signal: float) -> bool:
        """Whether a trial must stop that has come this far with this signal."""
        rule = self._rule(study)
        if (study, run_id) not in self._trials:
            self._trials[study, run_id] = _Trial(run_id)
            rule.on_trial_add(_NoController(), self._trials[study, run_id])
        result = {_TIME: percent, _SIGNAL: signal}
        return bool(rule.on_trial_result(_NoController(), self._trials[study, run_id], result) == "STOP")

    def _rule(self, study: str) -> Any:
        if study not in self._rules:
            self._rules[study] = make_stopping_rule(self._search)
        return self._rules[study]

    def _forget(self, study: str, run_id: str, history: SignalHistory) -> None:
        """An earlier trial won't report again; what it reported stays with the rule."""
        if history:
            percent, signal = history[-1]
            trial = self._trials.pop((study, run_id))
            self._rule(study).on_trial_complete(_NoController(), trial, {_TIME: percent, _SIGNAL: signal})


def make_stopping_rule(search: Search) -> Any:
    """Ray Tune's scheduler of a search's stopping rule.

    Raises:
        InvalidInput: it doesn't take the parameters.
    """
    from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule

    call = search.stopping_call or Call("asha")
    fixed: dict[str, Any] = {"time_attr": _TIME, "metric": _SIGNAL, "mode": "max"}
    chosen = {**_DEFAULTS[call.name], **call.params}
    if fixed.keys() & chosen.keys():
        raise InvalidInput(
            f"Search.stopping {call}: {', '.join(sorted(fixed))} are raysweep's; leave them out"
        )
    with user_code(f"Search.stopping {call}"):
        if call.name == "median":
            return MedianStoppingRule(**fixed, **chosen)
        return ASHAScheduler(**fixed, **{"max_t": 100, **chosen})


class _Trial:
    """The part of a trial that Ray Tune's rules look at."""

    def __init__(self, run_id: str) -> None:
        self.trial_id = run_id


class _NoController:
    """In place of the controller that Ray Tune's rules are handed, of which they ask nothing else here."""

    def get_live_trials(self) -> list[Any]:
        return []
