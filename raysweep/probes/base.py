"""The interface of a probe: what it is fitted on, and what it becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.registry import Registry
from raysweep.spec import Call, TaskKind
from raysweep.spec.parameters import Parameters

Numbers = npt.NDArray[np.float64]
Fitted = Callable[[Numbers], Numbers]
"""Features of examples, as those that the probe was fitted on → (M, K) class probabilities."""


@dataclass(frozen=True)
class LabelledFeatures:
    """What a probe is fitted on: the examples that have a label."""

    features: Numbers
    """(N, W); of preferences (N, 2, W), the features of both texts."""
    labels: Numbers
    """(N, K) class probabilities. Of preferences K is 2, and class k means that text k is the better one."""
    weights: Numbers
    """(N,) positive. A whole number n counts as n equal examples."""
    seed: int
    """Of the run, for a probe that draws random numbers."""

    @property
    def is_pairs(self) -> bool:
        """Whether examples are pairs of texts."""
        return self.features.ndim == 3

    @property
    def prior(self) -> Numbers:
        """(K,) the weighted mean of the labels."""
        return np.average(self.labels, axis=0, weights=self.weights)


@dataclass(frozen=True)
class ProbeFit:
    """How a probe is fitted."""

    fit: Callable[..., Fitted]
    """(data, **params) → the fitted probe. Its signature declares its parameters, from which they are checked
    (see `raysweep.spec.parameters`)."""
    _: KW_ONLY
    kinds: tuple[TaskKind, ...] = ("classification", "preference")
    """The kinds of tasks that it is for."""
    check: Callable[..., None] | None = None
    """Only for a rule that its parameters have to keep: see `Parameters.rule`."""
    only_reads: bool = False
    """Whether it is there to read out what features hold, so that it is fitted to ground truth alone."""
    takes_pairs: bool = False
    """Whether it is given preferences as pairs. Other probes are given the difference between the features of
    the two texts, in both orders, as an example of two classes."""

    @property
    def parameters(self) -> Parameters:
        """The parameters of the probe: those after the data."""
        return Parameters(self.fit, num_leading=1, rule=self.check)


probes: Registry[ProbeFit] = Registry("probe", ProbeFit)


def fit_probe(call: Call, data: LabelledFeatures) -> Fitted:
    """A probe by name, fitted.

    Raises:
        InvalidInput: it can't be fitted to these examples, or one of the user's own fails or gives something
            other than class probabilities.
    """
    entry = probes.get(call.name)
    as_difference = data.is_pairs and not entry.takes_pairs
    with probes.calling(call.name):
        fitted = entry.fit(_both_orders(data) if as_difference else data, **call.params)
    num_classes = data.labels.shape[1]

    def predict(features: Numbers) -> Numbers:
        with probes.calling(call.name):
            found = np.asarray(fitted(_difference(features) if as_difference else features))
        shape = (len(features), num_classes)
        if found.shape != shape or not np.isfinite(found).all() or (found < 0).any():
            raise InvalidInput(
                f"probe {call.name!r} gives {found.shape}, or numbers that are no probabilities; it must "
                f"give class probabilities of shape {shape}"
            )
        return found / found.sum(axis=1, keepdims=True)

    return predict


def require_fit(call: Call, kind: TaskKind) -> None:
    """Check a probe that is a parameter of another one.

    Raises:
        InvalidInput: it is unknown, doesn't take its parameters, or is for other kinds of tasks.
    """
    entry = probes.get(call.name)
    entry.parameters.check(call.params, f"probe {call.name!r}")
    if kind not in entry.kinds:
        raise InvalidInput(f"probe {call.name!r} is for tasks of kind {' or '.join(entry.kinds)}")


def _difference(pairs: Numbers) -> Numbers:
    difference: Numbers = pairs[:, 1] - pairs[:, 0]
    return difference


def _both_orders(data: LabelledFeatures) -> LabelledFeatures:
    """Preferences as an example of two classes each: what speaks for the second text of a pair speaks against
    it once the texts have changed places, so that no probe prefers a place."""
    difference = _difference(data.features)
    return replace(
        data,
        features=np.concatenate([difference, -difference]),
        labels=np.concatenate([data.labels, data.labels[:, ::-1]]),
        weights=np.tile(data.weights / 2, 2),
    )


def softmax(logits: Numbers) -> Numbers:
    """(M, K) probabilities of logits."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
