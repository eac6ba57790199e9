"""Fewer garbage collections: Python's collector rescans large heaps that only ever grow."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def raise_gc_thresholds() -> None:
    """Raise the collector's thresholds for the rest of the process.

    For commands, whose imports make half a million objects, none of them garbage: with Python's own
    thresholds a third of the time of the imports goes into scanning them.
    """
    gc.set_threshold(10_000, 50, 50)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Collect no garbage in the block."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
