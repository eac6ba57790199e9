"""Sizes in a model's configuration that no machine can build: refused before transformers acts on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MOST_PARAMETERS = 4 * 10**12
"""More than any model that is published; four bytes of each are 16 TB."""
_COUNTS = {
    r"(n|num)_(\w+_)?layers?|(\w+_)?layers|(n|num)_blocks": (0, 10_000),
    r"(n|num)_(\w+_)?(experts?|heads?|groups|labels|buckets|hashes|landmarks)": (-1, 1_000_000),
}
"""Least and most of what a configuration counts, by the names of such values. Each is an object of Python,
and the largest published models have some hundred layers and experts. Some write -1 for none."""


def size_problem(values: Mapping[str, Any]) -> str | None:
    """Which number in the values of a configuration is too large, or is negative though it counts something;
    None if none is.

    transformers makes lists and modules from these numbers, also where it lays a model out without memory: a
    billion layers would fill the machine.
    """
    for name, number in _numbers(values):
        for pattern, (least, most) in _COUNTS.items():
            if re.fullmatch(pattern, name) and not least <= number <= most:
                return f"has {name} {number:,}; it must be between {least} and {most:,}"
    found = dict(_numbers(values))
    width = max((found.get(name, 0) for name in ("hidden_size", "n_embd", "d_model", "dim")), default=0)
    layers = max((found.get(name, 0) for name in ("num_hidden_layers", "n_layer", "num_layers")), default=0)
    vocabulary = found.get("vocab_size", 0)
    size = layers * 12 * width**2 + vocabulary * width
    if size > MOST_PARAMETERS:
        return (
            f"describes a model of some {size:.0e} parameters (width {width:,}, {layers:,} layers, "
            f"vocabulary {vocabulary:,}); at most {MOST_PARAMETERS:.0e} can be built"
        )
    return None


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The whole numbers of a configuration and of those inside it."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield name, value
