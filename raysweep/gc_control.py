"""Python's garbage collector, kept from looking again and again through what is only ever added to."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def raise_gc_thresholds() -> None:
    """For the process of a command: with Python's thresholds a third of its imports' time goes into looking
    through the half million objects that they make, none of which is garbage."""
    gc.set_threshold(10_000, 50, 50)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Don't collect at all in the block."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
