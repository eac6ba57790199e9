"""A task by name, how much of it is used, and the content of its examples once it is pinned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from raysweep.spec.identity import label_field
from raysweep.spec.validation import require_int, require_name, require_short, require_stable, require_type

TaskKind = Literal["classification", "preference", "generative", "text"]


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A registered task, or `module:object`, and how much of it is used. Identified by its name and the
    content of its examples."""

    name: str
    """The task's name in the registry, or `module:object`."""
    label: str = label_field(default="")
    """The task's name in tables; `name` if not given."""
    params: Mapping[str, Any] = label_field(default_factory=dict)
    """Keyword parameters of the task's loader. Recorded only: they enter the identity through the content."""
    num_train: int | None = label_field(default=None)
    """Examples in each half of the training data; here and below, None for the task's default."""
    num_validation: int | None = label_field(default=None)
    num_test: int | None = label_field(default=None)
    split_seed: int = label_field(default=0)
    """Seed of the division into splits. The seed of a run doesn't change its data, so that seeds are compared
    on the same examples."""
    training_seed: int | None = label_field(default=None)
    """Seed of the division into all splits but the test split, if it is another one than `split_seed`."""
    kind: TaskKind | None = label_field(default=None)  # noqa: RUF009
    num_classes: int | None = label_field(default=None)
    class_names: tuple[str, ...] = label_field(default=())
    content: str | None = None
    """Digest of the examples of all splits; filled in by pinning."""

    def __post_init__(self) -> None:
        require_name(self, "name", "a task's name or module:object")
        require_type(self, "label", str, "a string")
        for name in ("num_train", "num_validation", "num_test"):
            require_int(self, name, 1, optional=True)
        require_int(self, "split_seed", 0)
        require_int(self, "training_seed", 0, optional=True)
        require_type(self, "params", Mapping, "a dict of keyword parameters")
        require_stable(self, "params")
        if not self.label:
            object.__setattr__(self, "label", self.name)
        require_short(self, "label")
