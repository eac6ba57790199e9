"""Trust: a probe that tells from the features whether the supervisor is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.probes.base import Fitted, LabelledFeatures, Numbers, ProbeFit, fit_probe, probes, require_fit
from raysweep.spec import Call
from raysweep.spec.parameters import AtLeast

_LEAST = 1e-6
_LEAD = 1e-4
"""By how much a label that isn't trusted is still more probable than 1/K, in single precision too."""


def out_of_fold(data: LabelledFeatures, call: Call, folds: int) -> Numbers:
    """(N, K) what a probe says of each example when it was fitted to the other folds alone.

    Args:
        data: examples; its seed deals them out to the folds, which differ in size by at most one.
        call: the probe.
        folds: how many, at most N.

    Raises:
        InvalidInput: the probe can't be fitted to a part of the examples.
    """
    order = np.random.default_rng([data.seed, *b"out_of_fold"]).permutation(len(data.features))
    found = np.empty_like(data.labels)
    for asked in np.array_split(order, folds):
        rest = np.setdiff1d(order, asked)
        found[asked] = fit_probe(call, _rows(data, rest))(data.features[asked])
    return found


def _rows(data: LabelledFeatures, rows: npt.NDArray[np.int64]) -> LabelledFeatures:
    return replace(data, features=data.features[rows], labels=data.labels[rows], weights=data.weights[rows])


def _correctness(
    data: LabelledFeatures,
    of: Call | None = None,
    judge: Call | None = None,
    folds: Annotated[int, AtLeast(2)] = 5,
) -> Fitted:
    """Trust: labels of a probe `of`, as probable as a `judge` takes them to be right (cf. 2606.01000).

    The supervisor is the probe `of` on the same features. For each example its label is asked of a fit to the
    other folds, so that the judge learns how often it is right where it hasn't seen the truth. The judge, a
    probe too, is given the features and the log-odds of the label. Both are logistic regression if not given;
    the paper has a multilayer perceptron. The other classes share the rest; a label that is distrusted stays
    the most probable one, just above 1/K.
    """
    of = of or Call("logistic")
    if len(data.features) < folds:
        raise InvalidInput(f"probe 'correctness': {folds} folds of {len(data.features)} examples")
    says = out_of_fold(data, of, folds)
    right = np.take_along_axis(data.labels, says.argmax(axis=1)[:, None], axis=1)[:, 0]
    share = float(np.average(right, weights=data.weights))
    judged = replace(data, features=_asked(data.features, says), labels=np.stack([1 - right, right], axis=1))
    # All right or all wrong, there is nothing to tell apart.
    trust = fit_probe(judge or Call("logistic"), judged) if 0 < share < 1 else None
    supervisor = fit_probe(of, data)
    num_classes = data.labels.shape[1]

    def predict(features: Numbers) -> Numbers:
        own = supervisor(features)
        is_right = np.full(len(own), share) if trust is None else trust(_asked(features, own))[:, 1]
        is_right = np.maximum(is_right, 1 / num_classes + _LEAD)[:, None]
        named = np.eye(num_classes)[own.argmax(axis=1)]
        spread: Numbers = named * is_right + (1 - named) * (1 - is_right) / (num_classes - 1)
        return spread

    return predict


def _asked(features: Numbers, says: Numbers) -> Numbers:
    """(M, W + 1) what the judge is given."""
    most = np.clip(says.max(axis=1), _LEAST, 1 - _LEAST)
    return np.hstack([features, (np.log(most) - np.log(1 - most))[:, None]])


def _require_probes(*, of: Call | None, judge: Call | None, folds: int) -> None:
    for name, call in {"of": of, "judge": judge}.items():
        if call is not None and call.name == "correctness":
            raise InvalidInput(f"{name} is 'correctness' itself; name the probe whose labels it judges")
        if call is not None:
            require_fit(call, "classification")


probes.add("correctness", ProbeFit(_correctness, kinds=("classification",), check=_require_probes))
