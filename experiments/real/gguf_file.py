"""GGUF files of versions 2 and 3, read without llama.cpp: their values, and their tensors as float32.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Numbers are little-endian. A quantized
tensor is a row of blocks of 32 numbers each, with scales in float16:

    Q4_0   scale, 16 bytes          number = scale · (q − 8)
    Q4_1   scale, least, 16 bytes   number = scale · q + least
    Q8_0   scale, 32 int8           number = scale · q

Of the bytes with two numbers of 4 bits, the lower halves are numbers 0 to 15 of the block, the upper halves
numbers 16 to 31.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raysweep import InvalidInput

BLOCK = 32
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Of a value's type, the letter of `struct`; 8 is a text and 9 a list."""
PLAIN: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2")}
"""Of a tensor's type, its numbers, where they aren't quantized."""
BLOCK_BYTES = {2: 18, 3: 20, 8: 34}
"""Of a quantized tensor's type (Q4_0, Q4_1, Q8_0), the size of a block."""
KNOWN = "F32, F16, Q4_0, Q4_1 and Q8_0"


@dataclass(frozen=True)
class Place:
    """Where a tensor is."""

    shape: tuple[int, ...]
    kind: int
    offset: int
    """From the start of the file."""


@dataclass(frozen=True)
class GgufFile:
    """An open file."""

    path: Path
    data: npt.NDArray[np.uint8]
    values: dict[str, Any]
    places: dict[str, Place]

    def value(self, name: str) -> Any:
        """A value by its name.

        Raises:
            InvalidInput: the file doesn't have it.
        """
        if name not in self.values:
            raise InvalidInput(f"{self.path} has no value {name!r}")
        return self.values[name]

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """A tensor as numbers.

        Raises:
            InvalidInput: its type isn't read here, or the file ends before it does.
        """
        place = self.places[name]
        count = math.prod(place.shape)
        if place.kind in PLAIN:
            size = count * PLAIN[place.kind].itemsize
        elif place.kind in BLOCK_BYTES and count % BLOCK == 0:
            size = count // BLOCK * BLOCK_BYTES[place.kind]
        else:
            raise InvalidInput(f"{self.path}: tensor {name} has type {place.kind}; only {KNOWN} are read")
        found = self.data[place.offset : place.offset + size]
        if len(found) < size:
            raise InvalidInput(f"{self.path} ends within tensor {name}; it isn't whole")
        return numbers(found, place.kind).reshape(place.shape)


def numbers(data: npt.NDArray[np.uint8], kind: int) -> npt.NDArray[np.float32]:
    """The numbers of a whole tensor's bytes, in their order."""
    if kind in PLAIN:
        return data.view(PLAIN[kind]).astype(np.float32)
    blocks = data.reshape(-1, BLOCK_BYTES[kind])
    scale = _halves(blocks[:, :2])
    if kind == 8:
        return (scale * blocks[:, 2:].view(np.int8)).astype(np.float32).ravel()
    packed = blocks[:, -BLOCK // 2 :]
    quantized = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
    if kind == 2:
        return (scale * (quantized - 8)).ravel()
    return (scale * quantized + _halves(blocks[:, 2:4])).ravel()


def _halves(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Two bytes a row as one number."""
    return np.ascontiguousarray(data).view("<f2").astype(np.float32)


def open_gguf(path: Path) -> GgufFile:
    """Read the values of a file, and where its tensors are.

    Raises:
        InvalidInput: it isn't such a file, or isn't whole.
    """
    data = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
    reader = _Reader(path, data)
    if bytes(data[:4]) != b"GGUF":
        raise InvalidInput(f"{path} isn't a GGUF file")
    reader.at = 4
    version = reader.scalar("I")
    if version not in (2, 3):
        raise InvalidInput(f"{path} is GGUF of version {version}; only versions 2 and 3 are read")
    num_tensors, num_values = reader.scalar("Q"), reader.scalar("Q")
    values = {}
    for _ in range(num_values):
        name = reader.text()
        values[name] = reader.value(reader.scalar("I"))
    found = []
    for _ in range(num_tensors):
        name, rank = reader.text(), reader.scalar("I")
        # The dimension along which numbers are neighbours comes first.
        shape = tuple(reader.scalar("Q") for _ in range(rank))[::-1]
        found.append((name, shape, reader.scalar("I"), reader.scalar("Q")))
    alignment = values.get("general.alignment", 32)
    start = -(-reader.at // alignment) * alignment
    places = {name: Place(shape, kind, start + offset) for name, shape, kind, offset in found}
    return GgufFile(path, data, values, places)


@dataclass
class _Reader:
    """Values one after another."""

    path: Path
    data: npt.NDArray[np.uint8]
    at: int = 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if self.at + size > len(self.data):
            raise InvalidInput(f"{self.path} ends within its header; it isn't whole")
        self.at += size
        return bytes(self.data[self.at - size : self.at])

    def scalar(self, letter: str) -> Any:
        """A number, by its letter of `struct`."""
        return struct.unpack(f"<{letter}", self.take(struct.calcsize(f"<{letter}")))[0]

    def text(self) -> str:
        """A text with its length before it."""
        try:
            return self.take(self.scalar("Q")).decode()
        except UnicodeDecodeError:
            raise InvalidInput(f"{self.path} has a text in its header that isn't UTF-8") from None

    def value(self, kind: int) -> Any:
        """A value of a type."""
        if kind == 8:
            return self.text()
        if kind == 9:
            element, length = self.scalar("I"), self.scalar("Q")
            return [self.value(element) for _ in range(length)]
        if kind not in SCALARS:
            raise InvalidInput(f"{self.path} has a value of type {kind}, which GGUF doesn't have")
        return self.scalar(SCALARS[kind])
