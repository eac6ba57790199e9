"""What is kept of a model's hidden states: the splits, layers and poolings that some run of the plan reads.

A features run is identified by model, task and precision, not by what it keeps, so that the runs that read
it have the same ids whatever else is in the grid. It computes all that the plan asks for in one pass over the
texts. If a later plan asks for more, it is executed again for what is lacking.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import get_args

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.models.layers import num_layers
from raysweep.planning.graph import PlannedRun
from raysweep.spec.tuning import Feature, Pooling
from raysweep.store import Store


def with_features(runs: Mapping[str, PlannedRun], store: Store, *, all_layers: bool) -> dict[str, PlannedRun]:
    """The runs of a plan, in which features runs know what is read of them.

    Args:
        runs: by id; their tokenizers are made.
        store: where their tasks are.
        all_layers: whether features runs keep all layers, poolings and splits: a search names what it tries
            only as it goes on.

    Raises:
        InvalidInput: a run reads a layer that its model doesn't have; says which run.
    """
    wanted: dict[str, set[Feature]] = defaultdict(set)
    for run in runs.values():
        source = run.spec.features
        if source is None:
            continue
        inputs = RunInputs(run.spec, store, run.also_predicts)
        wanted[source.id].update(features_read(run, store))
        if all_layers:
            layers = range(num_layers(inputs) + 1)
            wanted[source.id].update(
                Feature(*names) for names in product(inputs.split_sizes, layers, get_args(Pooling))
            )
    return {
        run_id: replace(run, features=frozenset(wanted[run_id])) if run_id in wanted else run
        for run_id, run in runs.items()
    }


def features_read(run: PlannedRun, store: Store) -> list[Feature]:
    """What a run reads; nothing unless it is one on features.

    Raises:
        InvalidInput: it reads a layer that its model doesn't have; says which run.
    """
    try:
        return RunInputs(run.spec, store, run.also_predicts).features_read
    except InvalidInput as error:
        raise InvalidInput(
            f"{run.role} run of {run.spec.model.name!r} on task {run.spec.task.label!r}: {error}"
        ) from error
