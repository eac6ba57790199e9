"""What the features of weak and strong model, beside each other, say of weak labels: measures, not probes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.probes.base import Numbers

Mask = npt.NDArray[np.bool_]


def representation_gap(weak: Numbers, strong: Numbers, targets: Numbers, ridge: float = 0.1) -> Numbers:
    """(N,) P_s(I − P_w)y: what of the targets the weak model's features miss and the strong model's hold.

    Its mean square predicts a student's loss against its ceiling, up to a factor (Xue et al. 2025,
    2502.00620); examples where it is large are those whose weak labels deserve least trust. With K = XXᵀ/N of
    centred features, P = K(K + ridge · tr(K)/N · I)⁻¹, so that a constant is in no model's features.

    Args:
        weak: (N, V) features.
        strong: (N, W) features of the same examples.
        targets: (N,) labels, such as the probability of class 1.
        ridge: not negative; at 0 both are projections.

    Raises:
        InvalidInput: they aren't of the same examples, or the ridge is negative.
    """
    if not len(weak) == len(strong) == len(targets):
        raise InvalidInput(
            f"features of {len(weak)} and {len(strong)} examples, and {len(targets)} targets; give all of "
            "the same examples"
        )
    if not ridge >= 0:
        raise InvalidInput(f"ridge is {ridge}; it must be at least 0")
    return _smoothed(strong, targets - _smoothed(weak, targets, ridge), ridge)


def _smoothed(features: Numbers, targets: Numbers, ridge: float) -> Numbers:
    """(N,) P·targets."""
    left, scales, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    own = np.where(scales > scales.max(initial=0) * max(features.shape) * np.finfo(float).eps, scales, 0) ** 2
    penalty = ridge * own.sum() / len(features)
    shares = np.where(own > 0, own / np.where(own > 0, own + penalty, 1), 0)
    found: Numbers = left @ (shares * (left.T @ targets))
    return found


class Overlap(NamedTuple):
    """How half B falls into three parts, which no example is outside of."""

    hard: Mask
    """(N,) the weak model isn't sure of."""
    overlap: Mask
    """(N,) it is sure of, and they look like hard ones to the strong model: from these it learns what it can
    carry over."""

    @property
    def density(self) -> float:
        """The share of the overlap."""
        return float(self.overlap.mean())


def overlap(weak_labels: Numbers, strong: Numbers) -> Overlap:
    """Easy, hard and overlapping examples (Shin et al. 2024, 2412.03881).

    In the order of the weak labels' confidence, 2|w − ½| of two classes, the best single change point ends
    the hard ones; among the rest, in the order of their largest |cosine| to a hard one in the strong model's
    features, another one begins the overlap.

    Args:
        weak_labels: (N, K) class probabilities.
        strong: (N, W) features of the same examples.

    Raises:
        InvalidInput: they aren't of the same examples, or are fewer than 3.
    """
    if len(weak_labels) != len(strong) or len(strong) < 3:
        raise InvalidInput(
            f"{len(weak_labels)} weak labels and features of {len(strong)} examples; give both of the same "
            "examples, at least 3"
        )
    num_classes = weak_labels.shape[1]
    hard = ~_after_change(weak_labels.max(axis=1) * num_classes / (num_classes - 1))
    rest = np.flatnonzero(~hard)
    found = np.zeros(len(strong), dtype=bool)
    if len(rest) > 1:
        lengths = np.linalg.norm(strong, axis=1, keepdims=True)
        directions = strong / np.where(lengths > 0, lengths, 1)
        found[rest] = _after_change(np.abs(directions[rest] @ directions[hard].T).max(axis=1))
    return Overlap(hard, found)


def change_point(values: Numbers) -> int:
    """Where a sequence (N,) is best cut into two constant pieces, by least squares: the number of values of
    the first piece, from 1 to N − 1; the first such place on a tie.

    Raises:
        InvalidInput: there are fewer than two values.
    """
    if len(values) < 2:
        raise InvalidInput(f"{len(values)} values have no change point; give at least 2")
    centred = values - values.mean()
    counts = np.arange(1, len(values))
    # Of centred values, the sum of squares that a cut explains is S²·N/(n(N − n)), S the sum of the first n.
    explained = np.cumsum(centred)[:-1] ** 2 / (counts * (len(values) - counts))
    return int(explained.argmax()) + 1


def _after_change(scores: Numbers) -> Mask:
    """(N,) whether a score is behind the change point of all in ascending order; none if all are equal, since
    equal ones stay together."""
    ascending = np.sort(scores)
    after: Mask = scores > ascending[change_point(ascending) - 1]
    return after
