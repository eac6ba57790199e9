"""A read-out of a few sparse codes of the features."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Annotated

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.probes.base import Fitted, LabelledFeatures, Numbers, ProbeFit, fit_probe, probes
from raysweep.spec import Call
from raysweep.spec.parameters import Above, AtLeast


def sparse_codes(features: Numbers, dictionary: Numbers, active: int) -> Numbers:
    """(N, C) codes of which at most `active` of a row aren't 0, by orthogonal matching pursuit (Pati et al.
    1993).

    Args:
        features: (N, W) centred.
        dictionary: (C, W) rows of length 1.
        active: at most C.
    """
    from sklearn.linear_model import orthogonal_mp_gram

    with warnings.catch_warnings():
        # Said of rows that fewer codes reconstruct wholly, too.
        warnings.filterwarnings("ignore", "Orthogonal matching pursuit ended prematurely")
        codes: Numbers = orthogonal_mp_gram(
            dictionary @ dictionary.T, dictionary @ features.T, n_nonzero_coefs=active
        )
    return codes.reshape(len(dictionary), len(features)).T


def learn_dictionary(features: Numbers, num_codes: int, active: int, rounds: int, seed: int) -> Numbers:
    """(C, W) rows of length 1 of which the features are sparse combinations: the method of optimal directions
    (Engan et al. 1999), begun with random directions. A code that nothing uses stays as it was.

    Args:
        features: (N, W) centred.
        num_codes: C.
        active: codes of a row that aren't 0.
        rounds: of coding and fitting.
        seed: of the first dictionary.
    """
    rng = np.random.default_rng([seed, *b"sparse_code"])
    dictionary = _of_length_1(rng.normal(size=(num_codes, features.shape[1])), rng)
    for _ in range(rounds):
        codes = sparse_codes(features, dictionary, active)
        used = codes.any(axis=0)
        dictionary[used] = np.linalg.lstsq(codes[:, used], features, rcond=None)[0]
        dictionary = _of_length_1(dictionary, rng)
    return dictionary


def _of_length_1(rows: Numbers, rng: np.random.Generator) -> Numbers:
    """Rows divided by their lengths; one of length 0 becomes a random direction."""
    is_zero = np.linalg.norm(rows, axis=1) == 0
    rows = np.where(is_zero[:, None], rng.normal(size=rows.shape), rows)
    divided: Numbers = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return divided


def _sparse_code(
    data: LabelledFeatures,
    num_codes: Annotated[int, AtLeast(1)] = 64,
    active: Annotated[int, AtLeast(1)] = 8,
    keep: Annotated[int, AtLeast(1)] = 16,
    rounds: Annotated[int, AtLeast(0)] = 10,
    l2: Annotated[float, Above(0)] = 1e-3,
) -> Fitted:
    """Logistic regression on those sparse codes of the features that go most with the labels.

    The dictionary is learnt without labels, `active` codes an example; the `keep` codes of the largest
    correlation with a class stay. A read-out only: as selectors of weak labels, sparse codes were tried and
    dropped.
    """
    center = data.features.mean(axis=0)
    dictionary = learn_dictionary(data.features - center, num_codes, active, rounds, data.seed)
    codes = sparse_codes(data.features - center, dictionary, active)
    chosen = np.argsort(-_correlation(codes, data), kind="stable")[:keep]
    scale = codes[:, chosen].std(axis=0)
    scale = np.where(scale > 0, scale, np.inf)
    read = fit_probe(Call("logistic", {"l2": l2}), replace(data, features=codes[:, chosen] / scale))
    return lambda features: read(sparse_codes(features - center, dictionary, active)[:, chosen] / scale)


def _correlation(codes: Numbers, data: LabelledFeatures) -> Numbers:
    """(C,) the largest absolute correlation of each code with the labels of a class; 0 of a constant code."""
    shares = (data.weights / data.weights.sum())[:, None]
    centred = codes - (shares * codes).sum(axis=0)
    labels = data.labels - data.prior
    products = np.abs((shares * centred).T @ labels)
    lengths = np.sqrt((shares * centred**2).sum(axis=0))[:, None] * np.sqrt((shares * labels**2).sum(axis=0))
    found: Numbers = (products / np.where(lengths > 0, lengths, np.inf)).max(axis=1)
    return found


def _require_as_many(*, num_codes: int, active: int, keep: int, rounds: int, l2: float) -> None:
    for name, number in {"active": active, "keep": keep}.items():
        if number > num_codes:
            raise InvalidInput(f"{name} is {number}; with num_codes={num_codes} it must be at most that")


probes.add(
    "sparse_code",
    ProbeFit(_sparse_code, kinds=("classification",), check=_require_as_many, only_reads=True),
)
