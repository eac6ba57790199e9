"""Rules that average what the sources say of an example."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.rules.base import (
    ALL_KINDS,
    Numbers,
    Rule,
    RuleContext,
    chosen,
    labelled,
    rules,
    stacked,
    symmetric_mean,
)


def mean(sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """The mean of the sources' class probabilities (bagging: Breiman 1996; Sang et al. 2402.00667).

    A source that gives an example no label has no say in it.
    """
    probabilities, has_say = stacked(sources)
    return labelled(sources, symmetric_mean(probabilities, has_say))


def log_mean(sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """The normalized geometric mean of the sources' class probabilities: a product of experts, as RAVEN's
    mean of logits (2510.21332).

    Of classifiers with one output layer it is the softmax of the mean of their logits. A probability of 0
    counts as 1e-300.
    """
    probabilities, has_say = stacked(sources)
    logs = np.log(np.maximum(probabilities, 1e-300))
    means = symmetric_mean(logs, has_say)
    powers = np.exp(means - means.max(axis=1, keepdims=True))
    mixed = powers / powers.sum(axis=1, keepdims=True)
    alone = has_say.sum(axis=0) == 1  # its logarithm's exponential isn't it to the last bit
    mixed[alone] = symmetric_mean(probabilities, has_say)[alone]
    return labelled(sources, mixed)


def vote(sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """The share of the sources that vote for each class; of answers, the one that most sources give.

    A source votes for its most probable class, the lowest on a tie. Of answers that equally many give, the
    one whose first giver comes first.
    """
    if sources[0].answers is not None:
        return _most_common_answer(sources)
    probabilities, has_say = stacked(sources)
    votes = np.eye(probabilities.shape[2])[probabilities.argmax(axis=2)]
    return labelled(sources, symmetric_mean(votes, has_say))


def _most_common_answer(sources: Sequence[Predictions]) -> Predictions:
    answers = np.stack([source.answers.astype(object) for source in sources])  # type: ignore[union-attr]
    covered = np.stack([source.covered for source in sources])
    has_say = covered | ~covered.any(axis=0)
    votes = ((answers[:, None] == answers[None]) & has_say[None]).sum(axis=1)
    return chosen(sources, np.where(has_say, votes, -1).argmax(axis=0), np.asarray(covered.any(axis=0)))


def weighted(
    sources: Sequence[Predictions], context: RuleContext, *, weights: Sequence[float]
) -> Predictions:
    """The mean of the sources' class probabilities with a weight for each source, in their order.

    A source that gives an example no label has no say in it.
    """
    return labelled(sources, weighted_mean(sources, np.asarray(weights, np.float64)))


def weighted_mean(sources: Sequence[Predictions], weights: Numbers) -> Numbers:
    """(N, K) the mean of the sources' probabilities by (M,) weights, which aren't negative. Where those that
    have a say weigh nothing, they weigh the same."""
    probabilities, has_say = stacked(sources)
    each = has_say * weights[:, None]
    each = np.where(each.any(axis=0), each, has_say)
    mixed = np.einsum("mn,mnk->nk", each, probabilities) / each.sum(axis=0)[:, None]
    alone = (each > 0).sum(axis=0) == 1
    mixed[alone] = symmetric_mean(probabilities, each > 0)[alone]  # w·p/w isn't p to the last bit
    return mixed


def _require_a_weight_each(*, num_sources: int, weights: Sequence[float]) -> None:
    if len(weights) != num_sources:
        raise InvalidInput(f"there are {len(weights)} weights for {num_sources} sources; give one for each")
    if min(weights) < 0 or not any(weights):
        raise InvalidInput("a weight is negative, or all are 0; weights are at least 0")


rules.add("mean", Rule(mean, is_symmetric=True))
rules.add("log_mean", Rule(log_mean, is_symmetric=True))
rules.add("vote", Rule(vote, is_symmetric=True, kinds=ALL_KINDS))
rules.add("weighted", Rule(weighted, check=_require_a_weight_each))
