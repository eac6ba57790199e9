"""A data set as MLflow shows it with a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from raysweep.tracking.entry import Dataset

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput


def dataset_input(dataset: Dataset) -> DatasetInput:
    import mlflow.entities

    profile = {"num_rows": sum(dataset.num_examples.values()), **dataset.num_examples}
    source = json.dumps(dataset.source)
    entity = mlflow.entities.Dataset(
        dataset.name, dataset.digest, "raysweep", source, profile=json.dumps(profile)
    )
    return mlflow.entities.DatasetInput(
        entity, [mlflow.entities.InputTag("mlflow.data.context", dataset.context)]
    )
