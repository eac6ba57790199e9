"""Runs that ran out of memory, and what they are tried again with."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from raysweep.spec.resources import Resources

_SIGNS = re.compile(
    r"OutOfMemoryError|(?<!run )out of memory|MemoryError|cudaErrorMemoryAllocation"
    r"|(CUBLAS|CUDNN|CUSOLVER|CUSPARSE|CUFFT)_STATUS_(ALLOC_FAILED|ALLOCATION_FAILED|NOT_ENOUGH_WORKSPACE)"
    r"|Failed to CUDA (c|m)alloc|can't allocate memory|Cannot allocate memory",
    re.IGNORECASE,
)
"""How torch, CUDA, its libraries, NCCL (which asks CUDA for buffers of its own) and the operating system say
that there is no more memory; not that a process that died "may have run out of memory"."""


def is_out_of_memory(cause: str) -> bool:
    """Whether the first line of an error tells of memory that couldn't be had."""
    return _SIGNS.search(cause) is not None


def with_more_memory(resources: Resources, cause: str, batch_size: int | None) -> Resources | None:
    """What a run that has just failed is tried again with, if memory was the cause: twice the fraction of a
    GPU while it shares one; after that half the micro batch and half the evaluation batch. Its global batch
    stays, so that its result does.

    Args:
        resources: what it was tried with.
        cause: the first line of its error.
        batch_size: examples of its global batch; None if it trains on none.

    Returns:
        None if something else was the cause, or if nothing is left to be halved.
    """
    if not is_out_of_memory(cause):
        return None
    if 0 < resources.num_gpus < 1:
        return replace(resources, gpus_per_worker=min(1.0, 2 * resources.num_gpus))
    evaluation = math.ceil(resources.evaluation_batch_size / 2)
    if batch_size is None:
        is_least = evaluation == resources.evaluation_batch_size
        return None if is_least else replace(resources, evaluation_batch_size=evaluation)
    micro_batch = resources.micro_batch(batch_size)
    share = batch_size // resources.world_size
    smaller = max(size for size in range(1, max(1, micro_batch // 2) + 1) if share % size == 0)
    if (smaller, evaluation) == (micro_batch, resources.evaluation_batch_size):
        return None
    return replace(resources, micro_batch_size=smaller, evaluation_batch_size=evaluation)
