"""Identity by content: one canonical form of values as JSON text, and digests of it.

Two values with the same canonical text are the same thing. A value without a stable form (a callable, a set,
NaN) is refused instead of getting an identity that changes from process to process.
"""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, Literal

from raysweep.errors import InvalidInput

SCHEMA = 2
"""Raised by one whenever a change to the code changes what an unchanged spec computes; part of every run
id."""

_Form = Literal["_identity_json", "_plain_json", "_record_json"]
"""Which fields of a dataclass are written, and in which order: those of its identity, sorted; the same in the
order in which they are declared; or all of them, label fields included, in that order. Also the name of the
attribute in which a frozen dataclass keeps that text."""
_IS_LATER = "later"
_NO_DEFAULT = object()


def label_field(**kwargs: Any) -> Any:
    """A dataclass field that is recorded but isn't part of the identity, such as a label or a path."""
    return dataclasses.field(compare=False, **kwargs)


def later_field(*, default: Any) -> Any:
    """A dataclass field that earlier versions hadn't. Where it has its default, it is left out of the
    identity, so that what was computed before keeps its id."""
    return dataclasses.field(default=default, metadata={_IS_LATER: True})


def canonical_json(value: Any) -> str:
    """The canonical form of a value as JSON text: sorted keys, no blanks, ASCII.

    A whole float is written as an integer. A dataclass becomes `{"type": name, field: value…}` without its
    label fields and later fields that have their default; one with an `identity` property is replaced by that
    (a run by its id), so that graphs hash in linear time. A frozen dataclass keeps its text, since it is part
    of many runs.

    Raises:
        InvalidInput: a value has no stable form.
    """
    return _encoded(value, "_identity_json")


def canonical(value: Any, *, labels: bool = False) -> Any:
    """The canonical form as plain JSON values, to be written down; raises as `canonical_json`.

    Args:
        value: what to reduce.
        labels: whether label fields are kept.
    """
    return json.loads(_encoded(value, "_record_json" if labels else "_plain_json"))


def digest(value: Any, length: int = 16) -> str:
    """The first `length` hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def _encoded(value: Any, form: _Form) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    kept: str | None = getattr(value, form, None)
    if kept is not None:
        return kept
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _encoded_float(value)
    if isinstance(value, list | tuple):
        return f"[{','.join([_encoded(item, form) for item in value])}]"
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InvalidInput(f"keys must be strings to have a stable identity, got {list(value)!r}")
        entries = [f"{encode_basestring_ascii(key)}:{_encoded(value[key], form)}" for key in sorted(value)]
        return f"{{{','.join(entries)}}}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encoded_dataclass(value, form)
    raise InvalidInput(
        f"{value!r} of type {type(value).__name__} has no stable identity; use numbers, strings, lists, dicts"
    )


def _encoded_float(value: float) -> str:
    if not math.isfinite(value):
        raise InvalidInput(f"{value} has no stable identity; use a finite number")
    if value == int(value) and abs(value) < 2**53:
        return str(int(value))
    return float.__repr__(value)


def _encoded_dataclass(value: Any, form: _Form) -> str:
    kind: Any = type(value)
    if hasattr(kind, "identity"):
        return _encoded(value.identity, form)
    layout = _layout(kind, form)
    entries = [
        key + (_encoded(getattr(value, name), form) if name else "")
        for key, name, default in layout
        if default is _NO_DEFAULT or getattr(value, name) != default
    ]
    text = f"{{{','.join(entries)}}}"
    if kind.__dataclass_params__.frozen and hasattr(value, "__dict__"):
        vars(value)[form] = text
    return text


@functools.cache
def _layout(kind: type, form: _Form) -> tuple[tuple[str, str, Any], ...]:
    """The entries of a dataclass's JSON object in their order: (key with its colon, name of the field, the
    value with which it is left out or `_NO_DEFAULT`), or (the whole entry, "", `_NO_DEFAULT`)."""
    fields = [field for field in dataclasses.fields(kind) if field.compare or form == "_record_json"]
    entries = {"type": (f'"type":"{kind.__name__}"', "", _NO_DEFAULT)}
    for field in fields:
        is_later = _IS_LATER in field.metadata and form != "_record_json"
        entries[field.name] = (f'"{field.name}":', field.name, field.default if is_later else _NO_DEFAULT)
    return tuple(entries[name] for name in (sorted(entries) if form == "_identity_json" else entries))


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_checksum(folder: Path) -> str:
    """SHA-256 of the names and bytes of all files below a folder except hidden ones, 64 hex digits."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    visible = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    lines = [f"{name} {file_checksum(folder / name)}" for name in visible]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def has_checksum(path: Path, checksum: str) -> bool:
    """Whether a file exists and has this checksum."""
    try:
        status = path.stat()
        state = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        return _checksum(str(path), *state) == checksum
    except OSError:
        return False


@functools.lru_cache(maxsize=100_000)
def _checksum(path: str, *state: int) -> str:
    """A file's checksum, kept as long as the file's state is the same: it is asked for far more often than
    files change."""
    return file_checksum(Path(path))
