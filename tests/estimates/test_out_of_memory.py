"""What a run that ran out of memory is tried again with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raysweep.estimates.out_of_memory import is_out_of_memory, with_more_memory
from raysweep.spec.resources import Resources

CAUSE = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"


@pytest.mark.parametrize(
    "cause",
    [
        CAUSE,
        "AcceleratorError: CUDA error: out of memory",
        "RuntimeError: CUDA driver error: cudaErrorMemoryAllocation",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:77, unhandled cuda error. Last error: "
        "Failed to CUDA calloc async 608 bytes",
        "DistBackendError: NCCL error: ncclUnhandledCudaError: Cuda failure 2 'out of memory'",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 4 bytes",
        "MemoryError: Unable to allocate 4 GiB",
        "OSError: [Errno 12] Cannot allocate memory",
    ],
)
def test_memory_that_could_not_be_had_is_recognised(cause: str) -> None:
    assert is_out_of_memory(cause)


@pytest.mark.parametrize(
    "cause",
    [
        "ValueError: the label is out of range",
        "DistBackendError: NCCL error: unhandled system error, NCCL version 2.27",
        "the process that trained it died; it may have run out of memory",
        "RuntimeError: CUDA error: device-side assert triggered",
    ],
)
def test_other_errors_are_not_tried_again(cause: str) -> None:
    assert not is_out_of_memory(cause)
    assert with_more_memory(Resources(gpus_per_worker=0.5), cause, 32) is None


def test_who_shares_a_device_gets_twice_as_much_of_it_first() -> None:
    small = Resources(gpus_per_worker=9 / 32)
    larger = with_more_memory(small, CAUSE, 32)
    assert larger == Resources(gpus_per_worker=9 / 16)
    assert with_more_memory(larger, CAUSE, 32) == Resources(gpus_per_worker=1)


@pytest.mark.parametrize(
    ("resources", "batch_size", "micro_batches"),
    [
        (Resources(gpus_per_worker=1), 32, [8, 4, 2, 1]),  # by default 16
        (Resources(num_workers=2, gpus_per_worker=1, micro_batch_size=12), 24, [6, 3, 1]),
        (Resources(num_workers=2, micro_batch_size=1), 32, [1]),  # evaluation is halved nevertheless
        (Resources(micro_batch_size=15), 30, [6, 3, 1]),
    ],
)
def test_whole_devices_halve_the_micro_batch_and_keep_the_global_one(
    resources: Resources, batch_size: int, micro_batches: list[int]
) -> None:
    tried = []
    now: Resources | None = resources
    while (now := with_more_memory(now, CAUSE, batch_size)) is not None:
        tried.append(now)
        assert batch_size % (now.micro_batch(batch_size) * now.world_size) == 0
    assert [item.micro_batch_size for item in tried][: len(micro_batches)] == micro_batches
    assert [item.evaluation_batch_size for item in tried] == [32, 16, 8, 4, 2, 1]
    assert {item.gpus_per_worker for item in tried} == {resources.gpus_per_worker}


def test_a_run_that_trains_on_nothing_gets_smaller_batches_of_evaluation_alone() -> None:
    """Features of frozen models: their batches needn't divide a global batch."""
    given = Resources(num_workers=3, gpus_per_worker=1, micro_batch_size=12, evaluation_batch_size=3)
    smaller = with_more_memory(given, CAUSE, None)
    assert smaller == replace(given, evaluation_batch_size=2)
    least = with_more_memory(smaller, CAUSE, None)
    assert least == replace(given, evaluation_batch_size=1) and with_more_memory(least, CAUSE, None) is None
