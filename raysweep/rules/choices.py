"""Rules that choose, example by example, whether to believe a source, or which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.rules.averages import mean, vote
from raysweep.rules.base import ALL_KINDS, Numbers, Rule, RuleContext, chosen, rules
from raysweep.spec.parameters import AtLeast, Between
from raysweep.transforms.base import keep_rows, scattered_rows


def agree(sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """Only where all sources say the same: the mean of what they say, and no label elsewhere.

    Sources say the same if their most probable class or their answer is the same. Where one of them gives an
    example no label, there is none.
    """
    found = mean(sources, context) if sources[0].answers is None else vote(sources, context)
    decisions = np.stack([source.decisions for source in sources])
    same = (decisions == decisions[0]).all(axis=0)
    return keep_rows(
        found, np.flatnonzero(same & np.all([source.covered for source in sources], axis=0)), "agree"
    )


def first(sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """The first source that gives an example a label: the union of sets, earlier ones first."""
    covered = np.stack([source.covered for source in sources])
    return chosen(sources, covered.argmax(axis=0), np.asarray(covered.any(axis=0)))


def rest(sources: Sequence[Predictions], context: RuleContext) -> Predictions:
    """The last source's labels of what none of the others gives a label."""
    *others, last = sources
    taken = np.any([source.covered for source in others], axis=0)
    return keep_rows(last, np.flatnonzero(~taken), "rest")


def where(
    sources: Sequence[Predictions], context: RuleContext, *, at_least: Annotated[float, AtLeast(0)] = 0.5
) -> Predictions:
    """The first source where it is sure, elsewhere the second (Selective W2SG: 2511.14166).

    It is sure if its largest class probability is at least `at_least`; if there is a third source, if that
    one's probability of class 1 is: a judge, such as one trained on `right_or_wrong`. From above 1 on, the
    second source is taken throughout. Where the source to be taken gives no label, there is none.
    """
    sure, other, *judge = sources
    score = judge[0].probabilities[:, 1] if judge else sure.probabilities.max(axis=1)
    which = np.where(score >= at_least, 0, 1)
    return chosen([sure, other], which, np.where(which == 0, sure.covered, other.covered))


def drop_disagreeing(
    sources: Sequence[Predictions], context: RuleContext, *, share: Annotated[float, Between(0, 1)] = 0.1
) -> Predictions:
    """The first source's labels without the share that the others disagree with most (EleutherAI/w2s).

    Disagreement is the total variation between the first source's class probabilities and the mean of the
    others', of two classes |p − q|. The share is of the examples that the first source labels, rounded (a
    half to the even number). Among equal ones the choice is pseudorandom but fixed, by a hash of the id.
    """
    labels, *judges = sources
    distance = np.abs(labels.probabilities - mean(judges, context).probabilities).sum(axis=1) / 2
    rows = scattered_rows(labels, "drop_disagreeing")
    rows = rows[labels.covered[rows]]
    rows = rows[np.argsort(distance[rows], kind="stable")]
    return keep_rows(labels, rows[: len(rows) - round(share * len(rows))], "drop_disagreeing")


def nearest(
    sources: Sequence[Predictions], context: RuleContext, *, keep: Annotated[float, Between(0, 1)] = 1.0
) -> Predictions:
    """Of several teachers the one nearest to a student, example by example (co-supervised learning:
    2402.15505).

    The first source is the student, the others are teachers; nearest is the least KL(teacher ‖ student), the
    earlier on a tie. Of the labels those `keep` (a share, rounded) with the least cross-entropy under the
    student stay.
    """
    student, *teachers = sources
    logs = np.log(np.maximum(student.probabilities, 1e-300))
    covered = np.stack([teacher.covered for teacher in teachers])
    distances = np.stack([_divergence(teacher.probabilities, logs) for teacher in teachers])
    which = np.where(covered | ~covered.any(axis=0), distances, np.inf).argmin(axis=0)
    labels = chosen(teachers, which, np.asarray(covered.any(axis=0)))
    losses = -(labels.probabilities * logs).sum(axis=1)
    rows = scattered_rows(labels, "nearest")
    rows = rows[labels.covered[rows]]
    rows = rows[np.argsort(losses[rows], kind="stable")]
    return keep_rows(labels, rows[: round(keep * len(rows))], "nearest")


def _divergence(probabilities: Numbers, logs: Numbers) -> Numbers:
    """(N,) KL(p ‖ q) of (N, K) probabilities p and logarithms of q, in nats."""
    own = np.log(np.maximum(probabilities, 1e-300))
    found: Numbers = (probabilities * (own - logs)).sum(axis=1)
    return found


def _require_some(*, num_sources: int, share: float = 0.1) -> None:
    if share == 1:
        raise InvalidInput("share is 1, which leaves no label; give less")


rules.add("agree", Rule(agree, is_symmetric=True, covers="all", kinds=ALL_KINDS))
rules.add("first", Rule(first, kinds=ALL_KINDS))
rules.add("rest", Rule(rest, least=2, kinds=ALL_KINDS))
rules.add("where", Rule(where, least=2, most=3))
rules.add("drop_disagreeing", Rule(drop_disagreeing, least=2, check=_require_some))
rules.add("nearest", Rule(nearest, least=2))
