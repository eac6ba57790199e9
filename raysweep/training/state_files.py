"""Files of states as DeepSpeed writes and reads them in a checkpoint: hashed while they are written, and read
without running code that they name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO


class StateFiles:
    """Saves and loads files in place of DeepSpeed's checkpoint engine.

    Args:
        classes: what may be in a file beside tensors and Python's own containers and numbers.
    """

    def __init__(self, classes: Sequence[type]) -> None:
        self._classes: list[Any] = list(classes)
        self.checksums: dict[Path, str] = {}
        """SHA-256 of each file that this process has written since the last `clear`."""

    def save(self, state_dict: Any, path: str) -> None:
        """Write a file."""
        import torch

        with Path(path).open("wb") as file:
            hashing = _Hashing(file)
            torch.save(state_dict, hashing)  # type: ignore[arg-type]  # it only writes
        self.checksums[Path(path)] = hashing.digest.hexdigest()

    def load(self, path: str, map_location: Any = None) -> Any:
        """Read a file; what it names beside tensors and `classes` is refused.

        Raises:
            UnpicklingError: it names something else.
        """
        import torch

        with torch.serialization.safe_globals(self._classes):
            return torch.load(path, map_location=map_location, weights_only=True)


class _Hashing:
    """A file that is only written, from its beginning to its end, and hashed meanwhile."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
