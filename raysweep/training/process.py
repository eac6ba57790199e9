"""Processes that are kept from run to run: a run must leave nothing behind, or the process ends."""

from __future__ import annotations

import functools
import gc
import os
import random
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from raysweep.gc_control import gc_paused


class ProcessNotClean(Exception):
    """A run left threads, a process group or GPU memory behind, so the process must end."""


_PATIENCE = 10.0
"""Seconds that a thread may take to end after a run."""
_GPU_SLACK_BYTES = 64 * 2**20
"""What else CUDA libraries may keep after their first use, beside the workspaces of cuBLAS."""
_LAUNCHERS = ("LOCAL_SIZE", "NODE_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_WORLD_SIZE")
_RENDEZVOUS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def clean_process(*, keeps_group: bool = False) -> Iterator[None]:
    """After the block, restore random states, environment, number of threads and torch's defaults, and check
    what it left behind.

    Without a process group of its own, the block sees nothing of a launcher around this process, such as
    torchrun or srun: Ray Train, torch and DeepSpeed would take it for one of that launcher's ranks.

    Args:
        keeps_group: whether torch's process group stays, as in a worker group.

    Raises:
        ProcessNotClean: the block succeeded but left something that can't be undone.
    """
    _import_libraries()
    import torch

    _quiet_libraries()
    environment = dict(os.environ)
    random_state = random.getstate()
    numpy_state = np.random.get_state()
    torch_state = torch.get_rng_state()
    num_threads = torch.get_num_threads()
    dtype = torch.get_default_dtype()
    grad = torch.is_grad_enabled()
    excepthook = sys.excepthook  # torch.distributed wraps it once more for every process group
    threads = set(threading.enumerate())
    memory = _gpu_bytes()
    if not keeps_group:
        for name in (*_RENDEZVOUS, *_LAUNCHERS):
            os.environ.pop(name, None)
    try:
        yield
    finally:
        # Only what differs is written, since other threads of a driver may read the environment.
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        for name in [name for name, value in environment.items() if os.environ.get(name) != value]:
            os.environ[name] = environment[name]
        random.setstate(random_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        torch.set_num_threads(num_threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        sys.excepthook = excepthook
        gc.collect()
        _freeze_libraries()
        left_bytes = _gpu_bytes() - memory
    left = _still_running(set(threading.enumerate()) - threads)
    if left:
        raise ProcessNotClean(f"threads are still running: {', '.join(sorted(left))}")
    if torch.distributed.is_initialized() and not keeps_group:
        raise ProcessNotClean("a process group is still there")
    if left_bytes > _GPU_SLACK_BYTES:
        raise ProcessNotClean(f"{left_bytes / 2**20:.0f} MiB of GPU memory are still held")


def _gpu_bytes() -> int:
    """GPU memory that tensors of this process hold; 0 in one that hasn't used a GPU, which this leaves so.

    cuBLAS keeps a workspace for each handle and stream, on Hopper 32 MiB each, which are no run's.
    """
    import torch

    if not torch.cuda.is_initialized():
        return 0
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated()


def _still_running(threads: Iterable[threading.Thread]) -> list[str]:
    """The names of those threads that don't end by themselves soon, as threads of a pool do; in a driver,
    which writes to the tracking server meanwhile, they may not even be the run's."""
    ours = [thread for thread in threads if not _belongs_to_ray(thread)]
    deadline = time.monotonic() + _PATIENCE
    for thread in ours:
        thread.join(max(deadline - time.monotonic(), 0))
    return [thread.name for thread in ours if thread.is_alive()]


@functools.cache
def _import_libraries() -> None:
    """Once: import what every run needs, without garbage collection, which would take a third of the time."""
    with gc_paused():
        import sklearn.metrics  # noqa: F401
        import torch  # noqa: F401
        import transformers.modeling_utils  # noqa: F401
    gc.freeze()


@functools.cache
def _freeze_libraries() -> None:
    """Once: exclude what the first run imported from garbage collection. To go through it (and even to count
    it with `gc.get_freeze_count`) would take longer than a small run."""
    gc.freeze()


def _belongs_to_ray(thread: threading.Thread) -> bool:
    return thread.name.startswith(("ray", "Ray", "asyncio", "AsyncIO"))


def _quiet_libraries() -> None:
    """Show no progress bars, since tqdm would leave its monitor thread behind, and log only warnings."""
    import logging

    import tqdm
    import transformers

    tqdm.tqdm.monitor_interval = 0
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
