"""Rules that estimate how good each source is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.rules.averages import weighted_mean
from raysweep.rules.base import HalfA, Numbers, Rule, RuleContext, labelled, rules, stacked, symmetric_mean
from raysweep.spec.parameters import AtLeast

_TINY = 1e-300


def dawid_skene(
    sources: Sequence[Predictions],
    context: RuleContext,
    *,
    iterations: Annotated[int, AtLeast(1)] = 100,
    smoothing: Annotated[float, AtLeast(0)] = 0.0,
) -> Predictions:
    """The classes that best explain what sources of unknown quality say (Dawid & Skene 1979).

    Expectation-maximization over a confusion matrix of each source and the class shares, from the sources'
    votes on; no truth is read. Labels are the posterior. `smoothing` is added to every count of a confusion
    matrix, so that no source is believed never to err.
    """
    probabilities, has_say = stacked(sources)
    num_classes = probabilities.shape[2]
    votes = np.eye(num_classes)[probabilities.argmax(axis=2)] * has_say[..., None]
    posterior = symmetric_mean(votes, has_say)
    for _ in range(iterations):
        earlier = posterior
        # (M, true class, said class) counts
        counts = np.einsum("nk,mnl->mkl", posterior, votes) + smoothing
        confusion = counts / np.maximum(counts.sum(axis=2, keepdims=True), _TINY)
        prior = posterior.mean(axis=0)
        said = np.einsum("mnl,mkl->mnk", votes, np.log(np.maximum(confusion, _TINY)))
        # Sorted, so that the order of the sources is nothing to the last bit.
        logs = np.log(np.maximum(prior, _TINY)) + np.sort(said, axis=0).sum(axis=0)
        powers = np.exp(logs - logs.max(axis=1, keepdims=True))
        posterior = powers / powers.sum(axis=1, keepdims=True)
        if np.abs(posterior - earlier).max() < 1e-9:
            break
    return labelled(sources, posterior)


def boosting(half: HalfA, what: str) -> tuple[Numbers, Numbers]:
    """AdaBoost over sources that were trained one after another: (M,) the say α of each, and (N,) the weights
    of half A's examples after the last one, which sum to 1.

    α = ½ (log((1 − e)/e) + log(K − 1)) with e the error under the weights of the sources before; weights are
    multiplied by exp(±α) and normalized (Freund & Schapire 1997; for K classes Zhu et al. 2009, SAMME). An
    error of 0 counts as half an example. A source that is no better than chance, and all after it, get no
    say.

    Args:
        half: the sources and the truth of half A.
        what: the rule, for the message.

    Raises:
        InvalidInput: the first source is no better than chance.
    """
    num_examples, num_classes = half.truth.probabilities.shape
    weights = np.full(num_examples, 1 / num_examples)
    say = np.zeros(len(half.sources))
    for number, source in enumerate(half.sources):
        is_wrong = source.classes != half.truth.classes
        error = max(float(weights[is_wrong].sum()), 0.5 / num_examples)
        if error >= 1 - 1 / num_classes:
            if number == 0:
                raise InvalidInput(
                    f"{what}: its first source has the error {error:.3f} on half A, no better than chance "
                    f"among {num_classes} classes; train it better"
                )
            break
        say[number] = 0.5 * (np.log((1 - error) / error) + np.log(num_classes - 1))
        weights = weights * np.exp(np.where(is_wrong, say[number], -say[number]))
        weights /= weights.sum()
    return say, weights


def adaboost(sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """The sources' class probabilities by AdaBoost's weights (Sang et al. 2402.00667; EnsemW2S 2505.21959).

    The weights come from the weighted errors on half A, in the order of the sources, each of which is trained
    on the labels that `reweighted` makes of those before it.
    """
    say, _ = boosting(context.half_a(), "rule 'adaboost'")
    return labelled(sources, weighted_mean(sources, say))


def reweighted(sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """Truth of half A with AdaBoost's weights after these sources, to train the next one on.

    The weights are scaled to a mean of 1.
    """
    half = context.half_a()
    _, weights = boosting(half, "rule 'reweighted'")
    return replace(half.truth, weight=weights * len(weights))


def right_or_wrong(sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """Whether a source is right on half A, to train a judge on: class 1 if it is, 0 if not (P(IK): Kadavath
    et al. 2207.05221; Selective W2SG: 2511.14166)."""
    half = context.half_a()
    is_right = half.sources[0].classes == half.truth.classes
    num_classes = half.truth.probabilities.shape[1]
    return replace(half.truth, probabilities=np.eye(num_classes)[is_right.astype(int)])


rules.add("dawid_skene", Rule(dawid_skene, is_symmetric=True))
rules.add("adaboost", Rule(adaboost, reads_half_a=True))
rules.add("reweighted", Rule(reweighted, reads_half_a=True, only_half_a=True))
rules.add(
    "right_or_wrong",
    Rule(right_or_wrong, most=1, kinds=("classification",), reads_half_a=True, only_half_a=True),
)
