"""What a run took of its GPU's memory, so that later estimates of `raysweep.memory` are right."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from raysweep.errors import InvalidInput
from raysweep.memory import CONTEXT_BYTES, footprint

if TYPE_CHECKING:
    from raysweep.resources import Resources
    from raysweep.spec import RunSpec
    from raysweep.store import Store
    from raysweep.training.records import Records


def forget_peak() -> None:
    """Begin to watch this process's memory anew: it may have been kept from an earlier run."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def memory_info(spec: RunSpec, resources: Resources, store: Store, records: Records) -> dict[str, Any]:
    """For a run's info, if it ran on a GPU: in bytes, the most that torch held of it since `forget_peak`, with CUDA's own
    share, and all that it has; and what the run needed it for."""
    import torch

    if not resources.num_gpus or not torch.cuda.is_available():
        return {}
    counts = (records.num_parameters, records.num_trainable_parameters)
    with contextlib.suppress(InvalidInput):  # of an unusual model nothing is known, and its run is done all the same
        return {
            "device_memory_bytes": torch.cuda.max_memory_reserved() + CONTEXT_BYTES,
            "device_total_bytes": torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory,
            "footprint": asdict(footprint(spec, resources, store, counts)),
        }
    return {}
