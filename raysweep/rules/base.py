"""The interface of a rule: a function from what several sources say to labels, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.registry import Registry
from raysweep.spec import Call, RunSpec, TaskKind
from raysweep.spec.parameters import Parameters

Numbers = npt.NDArray[np.float64]
ALL_KINDS: tuple[TaskKind, ...] = ("classification", "preference", "generative")
HALF_A = "supervisor"
"""The split that supervisors learn from."""


@dataclass(frozen=True)
class HalfA:
    """What the sources say of half A, and what is right there."""

    sources: Sequence[Predictions]
    """Over the same ids in the same order as `truth`."""
    truth: Predictions


@dataclass(frozen=True)
class RuleContext:
    """What a rule may look at beside the sources."""

    seed: int
    """Of the run that combines."""
    half_a: Callable[[], HalfA]
    """Reads half A; raises `InvalidInput` unless the rule declares `reads_half_a`."""


@dataclass(frozen=True)
class Rule:
    """A function from what several sources say to labels."""

    apply: Callable[..., Predictions]
    """(sources, context, **params) → labels over the ids of the sources, which all have the same ids in the
    same order. Examples that get no label stay in the table, not covered. Its signature declares its
    parameters, from which they are checked (see `raysweep.spec.parameters`)."""
    _: KW_ONLY
    least: int = 1
    """The smallest number of sources."""
    most: int | None = None
    """The largest number of sources; None for any."""
    kinds: tuple[TaskKind, ...] = ("classification", "preference")
    """The kinds of tasks that it is for."""
    is_symmetric: bool = False
    """Whether the order of the sources is nothing to it."""
    covers: Literal["any", "all"] = "any"
    """Which examples may get a label: those that any source gives one, or only those that all give one."""
    reads_half_a: bool = False
    """Whether it looks at what the sources say of half A, and at the truth there."""
    only_half_a: bool = False
    """Whether its labels are of half A, and only to train on."""
    check: Callable[..., None] | None = None
    """Only for what binds several parameters or the number of sources, given as `num_sources`."""

    @property
    def parameters(self) -> Parameters:
        """The parameters of the rule: those after sources and context."""
        return Parameters(self.apply, num_leading=2)

    def require_fit(self, call: Call, num_sources: int, kind: TaskKind | None, what: str) -> None:
        """Refuse a call of the rule that can't work, when it is planned.

        Args:
            call: of this rule.
            num_sources: how many sources it gets.
            kind: of the task.
            what: what calls it, at the beginning of the message.

        Raises:
            InvalidInput: it has parameters, or a number of sources, or is for a kind of task, that it isn't
                made for.
        """
        self.parameters.check(call.params, what)
        if num_sources < self.least or num_sources > (self.most or num_sources):
            allowed = f"{self.least}" if self.most == self.least else f"at least {self.least}"
            if self.most not in (None, self.least):
                allowed = f"{self.least} to {self.most}"
            raise InvalidInput(f"{what}: it has {num_sources} source(s); it takes {allowed}")
        if kind not in self.kinds:
            raise InvalidInput(
                f"{what}: it is for tasks of kind {' or '.join(self.kinds)}, this one is of kind {kind!r}"
            )
        if self.check is not None:
            try:
                self.check(num_sources=num_sources, **call.params)
            except InvalidInput as error:
                raise InvalidInput(f"{what}: {error}") from error


rules: Registry[Rule] = Registry("rule", Rule, of_function=Rule)


def predicts_only_half_a(spec: RunSpec) -> bool:
    """Whether a run is a combination whose labels are of half A, and only to train on."""
    return spec.combination is not None and rules.get(spec.combination.rule.name).only_half_a


def combine(call: Call, sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """What a rule makes of its sources. The order of their rows is nothing to it: a rule sees them in the
    order of the ids, and the result is in the order of the first source.

    Args:
        call: the rule and its parameters.
        sources: labels over the same ids, in any order.
        context: what else the rule may look at.

    Raises:
        InvalidInput: the sources aren't over the same ids and classes, or the rule fails, or one of the
            user's own returns something else than labels over them.
    """
    what = f"rule {call.name!r}"
    _require_alike(sources, what)
    ids = sources[0].ids
    order = np.argsort(ids, kind="stable")
    aligned = [source.align(ids[order]).read_only() for source in sources]
    try:
        with rules.calling(call.name):
            found: object = rules.get(call.name).apply(aligned, context, **call.params)
    except InvalidInput as error:
        raise InvalidInput(str(error) if what in str(error) else f"{what}: {error}") from error
    if not isinstance(found, Predictions):
        raise InvalidInput(f"{what} returned a {type(found).__name__}; it must return Predictions")
    if not np.array_equal(found.ids, aligned[0].ids) or (
        found.probabilities.shape != aligned[0].probabilities.shape
    ):
        raise InvalidInput(
            f"{what} returned labels over other ids or classes than its sources; it must keep both, with "
            "covered=False for examples that it gives no label"
        )
    return found.align(ids)


def _require_alike(sources: Sequence[Predictions], what: str) -> None:
    first = sources[0]
    for source in sources[1:]:
        if not np.array_equal(np.sort(source.ids), np.sort(first.ids)):
            raise InvalidInput(f"{what}: {first.source} and {source.source} are over different examples")
        if (source.answers is None) is not (first.answers is None) or (
            source.probabilities.shape[1] != first.probabilities.shape[1]
        ):
            raise InvalidInput(f"{what}: {first.source} and {source.source} are over different classes")


def stacked(sources: Sequence[Predictions]) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """What the sources say: (M, N, K) probabilities, and (M, N) which source has a say in which example.

    A source has a say where it covers the example. Where none does, all have: the example isn't covered, but
    what would be said is measured.
    """
    covered = np.stack([source.covered for source in sources])
    return np.stack([source.probabilities for source in sources]), covered | ~covered.any(axis=0)


def labelled(
    sources: Sequence[Predictions],
    probabilities: Numbers,
    covered: npt.NDArray[np.bool_] | None = None,
) -> Predictions:
    """Labels over the sources' ids.

    Args:
        sources: what was combined.
        probabilities: (N, K).
        covered: (N,) which examples get a label; those that a source covers, if not given.
    """
    _, has_say = stacked(sources)
    weights = np.stack([source.weight for source in sources])
    return replace(
        sources[0],
        probabilities=probabilities,
        weight=symmetric_mean(weights[..., None], has_say)[:, 0],
        covered=np.any([source.covered for source in sources], axis=0) if covered is None else covered,
    )


def chosen(
    sources: Sequence[Predictions], which: npt.NDArray[np.int64], covered: npt.NDArray[np.bool_]
) -> Predictions:
    """For each example what one of the sources says of it.

    Args:
        sources: at least one.
        which: (N,) the number of the source.
        covered: (N,) which examples get a label.
    """
    rows = np.arange(len(which))
    first = sources[0]
    answers = None
    if first.answers is not None:
        answers = np.stack([source.answers.astype(object) for source in sources])[which, rows].astype(str)  # type: ignore[union-attr]
    return replace(
        first,
        probabilities=np.stack([source.probabilities for source in sources])[which, rows],
        weight=np.stack([source.weight for source in sources])[which, rows],
        covered=covered,
        answers=answers,
    )


def symmetric_mean(values: Numbers, has_say: npt.NDArray[np.bool_]) -> Numbers:
    """(N, K) the mean of (M, N, K) values over the sources that have a say, the same to the last bit in
    whatever order the sources come: floating-point sums depend on their order, so the least is added first.
    Of one value it is that value."""
    counted = np.sort(np.where(has_say[..., None], values, 0.0), axis=0)
    mean: Numbers = counted.sum(axis=0) / has_say.sum(axis=0)[:, None]
    return mean
