"""The form of a result.json."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any


def is_result(content: dict[str, Any]) -> bool:
    """Whether the fields of a result have their types, and its files are below the run's folder."""
    metrics, info, files = (content.get(name) for name in ("metrics", "info", "files"))
    if not (isinstance(metrics, dict) and isinstance(info, dict) and isinstance(files, dict)):
        return False
    return (
        isinstance(content.get("id"), str)
        and all(isinstance(value, int | float) for value in metrics.values())
        and all(isinstance(value, str) and _is_below(name) for name, value in files.items())
    )


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name
