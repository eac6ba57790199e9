"""Probes that look at the nearest labelled examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt

from raysweep.probes.base import Fitted, LabelledFeatures, Numbers, ProbeFit, probes
from raysweep.probes.geometry import overlap
from raysweep.spec.parameters import AtLeast, Between


def _nearest_neighbours(data: LabelledFeatures, k: Annotated[int, AtLeast(1)] = 50) -> Fitted:
    """The mean label of the k nearest labelled examples, of which an example itself may be one
    (EleutherAI/w2s)."""
    from sklearn.neighbors import NearestNeighbors

    num_nearest = min(k, len(data.features))
    index = NearestNeighbors(n_neighbors=num_nearest, n_jobs=1).fit(data.features)

    def predict(features: Numbers) -> Numbers:
        nearest = index.kneighbors(features, return_distance=False)
        weights = data.weights[nearest][..., None]
        found: Numbers = (weights * data.labels[nearest]).sum(axis=1) / weights.sum(axis=1)
        return found

    return predict


def topologically_clean(data: LabelledFeatures, k: int, share: float) -> npt.NDArray[np.bool_]:
    """(N,) the examples that the topology of the features speaks for (Wu et al. 2020, 2012.04835).

    Of each class, by its most probable label, those are kept that are in the largest strongly connected
    component of the graph in which an example points to its k nearest ones. Of these, the ones whose label is
    farthest from the mean label of their k nearest kept examples are dropped, until `share` of all are gone.
    Like EleutherAI/w2s, which this is told from.
    """
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import NearestNeighbors

    num = len(data.features)
    index = NearestNeighbors(n_neighbors=min(k, num), n_jobs=1).fit(data.features)
    graph = index.kneighbors_graph(data.features)
    classes = data.labels.argmax(axis=1)
    kept = np.zeros(num, dtype=bool)
    for number in np.unique(classes):
        rows = np.flatnonzero(classes == number)
        _, component = connected_components(graph[rows][:, rows], connection="strong")
        kept[rows[component == np.bincount(component).argmax()]] = True
    too_many = int(share * num) - int((~kept).sum())
    if too_many > 0:
        rows = np.flatnonzero(kept)
        among = replace(
            data, features=data.features[rows], labels=data.labels[rows], weights=data.weights[rows]
        )
        distance = np.abs(data.labels[rows] - _nearest_neighbours(among, k)(among.features)).sum(axis=1)
        kept[rows[np.argsort(-distance, kind="stable")[:too_many]]] = False
    return kept


def _topological(
    data: LabelledFeatures,
    k: Annotated[int, AtLeast(1)] = 50,
    share: Annotated[float, Between(0, 0.9)] = 0.1,
) -> Fitted:
    """Nearest neighbours among the examples that the topology of the features speaks for (TopoFilter).

    At least those outside of the largest component of their class are left out, and in all `share` of the
    examples.
    """
    kept = topologically_clean(data, k, share)
    rest = replace(data, features=data.features[kept], labels=data.labels[kept], weights=data.weights[kept])
    return _nearest_neighbours(rest, k)


def _overlap(data: LabelledFeatures, part: Literal["overlap", "easy"] = "overlap") -> Fitted:
    """The label of the nearest example if that is in the overlap, else none: all classes alike (2412.03881).

    The overlap are examples that the supervisor is sure of and that look like ones it isn't sure of;
    part="easy" is the rest of those it is sure of. See `raysweep.probes.geometry.overlap`.
    """
    from sklearn.neighbors import NearestNeighbors

    found = overlap(data.labels, data.features)
    is_in = found.overlap if part == "overlap" else ~(found.hard | found.overlap)
    labels = np.where(is_in[:, None], data.labels, 1 / data.labels.shape[1])
    index = NearestNeighbors(n_neighbors=1, n_jobs=1).fit(data.features)

    def predict(features: Numbers) -> Numbers:
        nearest: Numbers = labels[index.kneighbors(features, return_distance=False)[:, 0]]
        return nearest

    return predict


probes.add("overlap", ProbeFit(_overlap, kinds=("classification",)))
probes.add("topological", ProbeFit(_topological))
probes.add("nearest_neighbours", ProbeFit(_nearest_neighbours))
