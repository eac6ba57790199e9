"""Atomic writes, so that readers never see a half-written file, and JSON files."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raysweep.errors import CorruptFile


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, and rename it to `path` if the block succeeds.

    A file or folder that is already there is replaced. If the block raises, it stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically. NaN and infinity raise: a missing number is an error."""
    with written_atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        CorruptFile: there is no such file, or it isn't JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CorruptFile(f"{path} is missing; run the same command again") from error
    except ValueError as error:
        raise CorruptFile(
            f"{path} isn't valid JSON ({error}); delete it and run the same command again"
        ) from error
