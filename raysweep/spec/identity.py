"""Identity by content: a canonical JSON form, and digests of it.

Two values with the same canonical JSON are the same thing. A value without a stable form (a callable, a set,
NaN) raises instead of getting an identity that changes from process to process.
"""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any

from raysweep.errors import InvalidInput

SCHEMA = 1
"""Raised by one whenever a change to the code changes what an unchanged spec computes; part of every run
id."""


_TEXT = "_canonical_json"
"""Where a frozen dataclass keeps its canonical JSON text."""


def label_field(**kwargs: Any) -> Any:
    """A dataclass field that is recorded but isn't part of the identity (a label, a path)."""
    return dataclasses.field(compare=False, **kwargs)


def canonical(value: Any, *, labels: bool = False) -> Any:
    """Reduce a value to plain JSON types in a stable form.

    Dataclasses become `{"type": name, field: value…}` without their label fields, unless `labels` is set (for
    records). An object with an `identity` property is replaced by what that returns (a run by its id), so
    that graphs hash in linear time.

    Raises:
        InvalidInput: a value has no stable form.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(f"{value} has no stable identity; use a finite number")
        return int(value) if value == int(value) and abs(value) < 2**53 else value
    if isinstance(value, list | tuple):
        return [canonical(item, labels=labels) for item in value]
    if isinstance(value, Mapping):
        _require_strings(value)
        return {key: canonical(value[key], labels=labels) for key in sorted(value)}
    if hasattr(value, "identity") and not isinstance(value, type):
        return value.identity
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.compare or labels]
        return {"type": type(value).__name__} | {
            name: canonical(getattr(value, name), labels=labels) for name in names
        }
    raise InvalidInput(
        f"{value!r} of type {type(value).__name__} has no stable identity; use numbers, strings, lists, dicts"
    )


def _require_strings(keys: Mapping[Any, Any]) -> None:
    if not all(isinstance(key, str) for key in keys):
        raise InvalidInput(f"keys must be strings to have a stable identity, got {list(keys)!r}")


def canonical_json(value: Any) -> str:
    """The canonical form as JSON text: sorted keys, no blanks, ASCII. A frozen dataclass keeps its text,
    since it is part of many runs; raises as `canonical`."""
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is int:
        return str(value)
    if kind is list or kind is tuple:
        return f"[{','.join(map(canonical_json, value))}]"
    if kind is dict:
        _require_strings(value)
        return f"{{{','.join([f'{encode_basestring_ascii(key)}:{canonical_json(value[key])}' for key in sorted(value)])}}}"
    if not dataclasses.is_dataclass(kind):
        return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    if hasattr(value, "identity"):
        return canonical_json(value.identity)
    kept = vars(value) if hasattr(value, "__dict__") and value.__dataclass_params__.frozen else {}
    if _TEXT not in kept:
        texts = [key + (canonical_json(getattr(value, name)) if name else "") for key, name in _layout(kind)]
        kept[_TEXT] = f"{{{','.join(texts)}}}"
    text: str = kept[_TEXT]
    return text


@functools.cache
def _layout(kind: type) -> tuple[tuple[str, str], ...]:
    """What the JSON object of a dataclass is made of, in order: a key with its colon, and the field; or a
    whole entry."""
    names = [field.name for field in dataclasses.fields(kind) if field.compare]
    entries = {"type": (f'"type":"{kind.__name__}"', "")} | {name: (f'"{name}":', name) for name in names}
    return tuple(entries[name] for name in sorted(entries))


def digest(value: Any, length: int = 16) -> str:
    """The first `length` hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_checksum(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files below a folder, hidden ones left out, 64 hex digits."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    visible = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    return hashlib.sha256(
        "\n".join(f"{name} {file_checksum(folder / name)}" for name in visible).encode()
    ).hexdigest()


def has_checksum(path: Path, checksum: str) -> bool:
    """Whether a file is there and has this checksum."""
    try:
        status = path.stat()
        return (
            _checksum(str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            == checksum
        )
    except OSError:
        return False


@functools.lru_cache(maxsize=100_000)
def _checksum(path: str, *status: int) -> str:
    """A file's checksum, computed again when the file has changed: a state is asked for far more often than
    files change."""
    return file_checksum(Path(path))
