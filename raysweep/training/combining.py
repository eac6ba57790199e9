"""Combine what other runs have predicted: a run that trains nothing, reads no text and loads no model."""

from __future__ import annotations

import time

from raysweep.data.inputs import RunInputs
from raysweep.training.history import History


def combine_sources(inputs: RunInputs) -> History:
    """Write the predictions of a combination, split by split.

    Returns:
        A history without steps.

    Raises:
        InvalidInput, CorruptFile: see `RunInputs.combined`.
    """
    paths = inputs.store.run(inputs.spec.id)
    history = History()
    started = time.perf_counter()
    for split in inputs.evaluated_splits:
        inputs.combined(split).write(paths.predictions(split))
    history.seconds["evaluation"] += time.perf_counter() - started
    history.save(paths)
    return history
