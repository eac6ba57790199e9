"""Overrides of fields by path: "optimization.learning_rate" of a run's spec, "objective.alpha_max" of its
loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from raysweep.errors import InvalidInput, RaysweepError, did_you_mean
from raysweep.spec import Call, Probe, Prompting, RunSpec

_ROOTS = ("optimization", "model", "objective", "labels.transforms")
_FIXED = ("model.name", "model.base")


def require_path(path: object, where: str) -> None:
    """Refuse a path that names nothing that may be searched.

    Raises:
        InvalidInput: says which paths there are.
    """
    begins = isinstance(path, str) and any(path.startswith(f"{root}.") for root in _ROOTS)
    if not begins or str(path).startswith(_FIXED):
        raise InvalidInput(
            f"{where} names {path!r}; a path begins with one of {', '.join(_ROOTS)} (but not "
            f"{' or '.join(_FIXED)}), such as 'optimization.learning_rate'. Tasks, models, methods and seeds "
            "are the sweep's grid"
        )


def has_field(spec: RunSpec, path: str) -> bool:
    """Whether a run has the field that a path names. A model that is only prompted and a combination have
    none, since nothing is trained; a probe has those of its model alone."""
    tuning = spec.model.tuning
    if (
        spec.combination
        or isinstance(tuning, Prompting)
        or (isinstance(tuning, Probe) and not path.startswith("model."))
    ):
        return False
    try:
        with_overrides(spec, {path: None})
    except _NoSuchField:
        return False
    except RaysweepError:  # None isn't a value for it
        return True
    return True


def with_overrides(spec: RunSpec, values: Mapping[str, Any]) -> RunSpec:
    """A run with other values of some fields.

    Raises:
        InvalidInput: there is no such field, or a value isn't one for it.
    """
    for path, value in values.items():
        spec = _replaced(spec, path.split("."), value, path)
    return spec


@contextmanager
def suggested(role: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Say in an `InvalidInput` of the block which suggestion it is about."""
    try:
        yield
    except InvalidInput as error:
        told = ", ".join(f"{path}={value}" for path, value in values.items())
        raise InvalidInput(f"Search.{role} suggests {told}: {error}") from error


class _NoSuchField(InvalidInput):
    """A path leads nowhere in this spec."""


def _replaced(part: Any, names: list[str], value: Any, path: str) -> Any:
    name, *rest = names
    if isinstance(part, Call):
        if rest or not _takes(part, name, path):
            raise _NoSuchField(f"{path}: {part.name!r} has no parameter {'.'.join(names)!r}")
        return dataclasses.replace(part, params={**part.params, name: value})
    if isinstance(part, tuple):  # transforms, by name
        if name not in [call.name for call in part]:
            raise _NoSuchField(
                f"{path}: there is no transform {name!r}; there is {', '.join(map(str, part)) or 'none'}"
            )
        return tuple(
            _replaced(call, rest or [""], value, path) if call.name == name else call for call in part
        )
    fields = [item.name for item in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else []
    if name not in fields:
        raise _NoSuchField(
            f"{path}: {type(part).__name__} has no field {name!r}{did_you_mean(name, fields)}; it has "
            f"{', '.join(fields) or 'none'}"
        )
    return dataclasses.replace(
        part, **{name: _replaced(getattr(part, name), rest, value, path) if rest else value}
    )


def _takes(call: Call, name: str, path: str) -> bool:
    # Here, since `import raysweep` imports this module, and transforms import pandas.
    from raysweep.objectives import objectives
    from raysweep.probes import probes
    from raysweep.transforms import transforms

    if path.startswith("objective."):
        return name in objectives.get(call.name).parameters.names
    if path.startswith("model.tuning."):
        return name in probes.get(call.name).parameters.names
    return name in transforms.get(call.name).parameters.names
