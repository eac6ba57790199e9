"""A registered function with its parameters, as specs hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raysweep.spec.validation import require_name, require_stable, require_type


@dataclass(frozen=True)
class Call:
    """A registered function (objective, transform, probe) by name, with its keyword parameters."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_name(self, "name", "a registered name or module:object")
        require_type(self, "params", Mapping, "a dict of keyword parameters")
        require_stable(self, "params")

    def __str__(self) -> str:
        params = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.name}({params})" if params else self.name
