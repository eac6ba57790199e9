"""A study: the trials of one role in one place of the grid, and what they choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from raysweep.planning.search.config import Search, SearchedRole, Signal
from raysweep.planning.search.overrides import has_field, suggested, with_overrides
from raysweep.planning.search.sampling import Overrides, Sampler, make_sampler
from raysweep.spec import RunSpec
from raysweep.spec.identity import digest
from raysweep.store import RunStatus


@dataclass(frozen=True)
class RunOutcome:
    """How a run of a trial has ended."""

    status: RunStatus
    signals: Mapping[Signal, float] = field(default_factory=dict)
    """Of a stopped run, those of its last point; empty for a run that failed or diverged."""


OutcomeOf = Callable[[RunSpec], RunOutcome | None]
"""Returns the outcome of a run; None while it hasn't ended."""


@dataclass(frozen=True)
class Trial:
    """Suggested values, and the runs that have them."""

    values: Overrides
    runs: tuple[RunSpec, ...]
    """One per seed of the search."""


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that has ended."""

    trial: Trial
    status: RunStatus
    """DONE if all of its runs are done."""
    signals: Mapping[Signal, float]
    """Means over its runs; a signal that one of them lacks is absent."""


@dataclass(frozen=True, kw_only=True)
class StudyScope:
    """The place of a study in the grid, in names for people."""

    role: SearchedRole
    task: str
    model: str
    weak: str
    strong: str
    method: str = ""
    """"" if several methods share what is chosen."""

    def __str__(self) -> str:
        supervisor = f" of {self.weak}" if self.role == "student" else ""
        method = f", {self.method}" if self.method else ""
        return f"{self.role} {self.model}{supervisor} on {self.task}{method}"


class Study:
    """Suggests trials batch by batch, is told how they ended, and chooses. It is the same again whenever it
    is made anew."""

    def __init__(self, scope: StudyScope, bases: Sequence[RunSpec], search: Search) -> None:
        self.scope = scope
        self.trials: list[Trial] = []
        self.run_ids: set[str] = set()
        self.is_complete = False
        self._bases = tuple(bases)
        self.search = search
        self._space = searched_space(search, scope.role, bases[0])
        self._judged: list[FinishedTrial] = []

    @cached_property
    def key(self) -> str:
        """Identifies the study: its role and the runs it starts from."""
        return digest([self.scope.role, [base.id for base in self._bases]])

    @cached_property
    def _suggester(self) -> Sampler:
        return make_sampler(self._space, self.search)

    def advance(self, outcome_of: OutcomeOf) -> None:
        """Suggest more trials if all earlier ones have ended; the study is complete when there are no more.

        Raises:
            InvalidInput: the searcher suggests values that can't be used.
        """
        while not self.is_complete:
            batch = self.trials[len(self._judged) :]
            judged = [_judge(trial, outcome_of) for trial in batch]
            told = [found for found in judged if found is not None]
            if len(told) < len(batch):
                return
            for found in told:
                self._suggester.tell(len(self._judged), found.signals.get(self.search.select_by))
                self._judged.append(found)
            size = self._suggester.batch_size
            batch_of_values = [
                values for _ in range(size) if (values := self._suggester.suggest()) is not None
            ]
            self.trials += [self._trial(values) for values in batch_of_values]
            self.run_ids.update(run.id for trial in self.trials[len(self._judged) :] for run in trial.runs)
            self.is_complete = not batch_of_values

    def _trial(self, values: Overrides) -> Trial:
        with suggested(self.scope.role, values):
            return Trial(values, tuple(with_overrides(base, values) for base in self._bases))

    @property
    def ended(self) -> list[FinishedTrial]:
        """The trials that the searcher was told of, in the order in which they were suggested."""
        return list(self._judged)

    def chosen(self, signal: Signal) -> FinishedTrial | None:
        """The finished trial with the best signal, the earliest on a tie; None if no finished trial has the
        signal."""
        finished = [
            found for found in self._judged if found.status is RunStatus.DONE and signal in found.signals
        ]
        return max(finished, key=lambda found: found.signals[signal], default=None)

    def runs(self) -> Iterator[RunSpec]:
        """All suggested runs."""
        for trial in self.trials:
            yield from trial.runs

    def values_of(self, run_id: str) -> Overrides:
        """The values that were suggested for a run of a trial."""
        return next(trial.values for trial in self.trials if run_id in [run.id for run in trial.runs])


def searched_space(search: Search, role: SearchedRole, base: RunSpec) -> Mapping[str, object]:
    """The part of a role's space whose fields a run has."""
    return {path: domain for path, domain in search.space(role).items() if has_field(base, path)}


def _judge(trial: Trial, outcome_of: OutcomeOf) -> FinishedTrial | None:
    outcomes = [outcome_of(run) for run in trial.runs]
    ended = [outcome for outcome in outcomes if outcome is not None]
    if len(ended) < len(outcomes):
        return None
    statuses = [outcome.status for outcome in ended]
    names = set.intersection(*(set(outcome.signals) for outcome in ended))
    means = {name: sum(outcome.signals[name] for outcome in ended) / len(ended) for name in sorted(names)}
    return FinishedTrial(
        trial, max(statuses, key=(RunStatus.DONE, RunStatus.STOPPED, RunStatus.FAILED).index), means
    )
