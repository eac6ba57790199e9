"""Tasks, their examples, and the registry of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from raysweep.errors import InvalidInput
from raysweep.registry import Registry
from raysweep.spec import TaskKind
from raysweep.spec.validation import (
    require,
    require_bool,
    require_choice,
    require_int,
    require_name,
    require_stable,
    require_type,
)

POOLS = ("train", "validation", "test")
"""The pools of examples that a loader may return; "train" is required."""
TRAINING_SPLITS = ("supervisor", "transfer")
"""Half A of the training data, on which supervisors train, and half B, which they label for students."""
SPLITS = (*TRAINING_SPLITS, "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One example of a task."""

    id: str
    """Unique in the task, and the same each time the task is loaded."""
    group: str
    """The same for examples that share a passage, a question or a prompt. No group is in two splits."""
    texts: tuple[str, ...]
    """One text, which in generative tasks is the prompt. In preference tasks two, and `label` is the index of
    the better one."""
    label: int | None = None
    """The class by ground truth; None in tasks of kind "generative" and "text"."""
    target: str | None = None
    """Generative tasks: the right answer to the prompt."""
    allowed: tuple[str, ...] = ()
    """Generative tasks: all valid answers, right or wrong, such as the legal moves. Empty if any text is
    valid."""
    difficulty: float | None = None
    """Larger is harder; the unit is the task's own. None if it isn't known."""
    answer: str | None = None
    """The part of the text that is the candidate answer, if it has one. `leakage` looks at this part."""


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """What became of the rows of a table."""

    read: int = 0
    """Rows, of all pools."""
    rendered: int = 0
    """Examples that they gave, before the following were left out."""
    missing: int = 0
    """Rows that lack a value and gave no example."""
    blank: int = 0
    """Examples with a blank text."""
    repeated: int = 0
    """Examples with the texts of an earlier one."""
    contradictory: int = 0
    """Examples whose texts occur with several labels or answers."""


class Pools(dict[str, list[Example]]):
    """What a loader returns that knows how many rows it has read."""

    def __init__(self, pools: Mapping[str, list[Example]], rows: RowCounts) -> None:
        super().__init__(pools)
        self.rows = rows


@dataclass(frozen=True, kw_only=True)
class Task:
    """A loader of examples with the facts about them."""

    name: str
    summary: str
    """One line, which `raysweep list` shows."""
    kind: TaskKind
    num_classes: int = 2
    """K; 2 for preferences; 0 for kinds "generative" and "text"."""
    class_names: tuple[str, ...] = ()
    """A word for each class, for prompting. Empty for "no" and "yes" if there are two classes, else for their
    numbers."""
    load: Callable[..., Mapping[str, Iterable[Example]]]
    """Called with the `params` of the `TaskSpec`. Returns the pool "train", and "test" and "validation" if
    the data set has them. Splits without a pool of their own are cut from "train"."""
    max_answer_tokens: int = 32
    """Generative tasks: the most tokens of an answer, including the end token. Decoding stops there."""
    num_train: int = 10_000
    """Default number of examples in each half of the training data. The halves are of equal size, and smaller
    if there is less data."""
    num_validation: int = 1_000
    num_test: int = 5_000
    for_pretraining: bool = False
    """Whether there is one training split, "train", instead of two halves, and no test split. Always so for
    kind "text"."""
    balanced: bool = True
    """Whether the larger classes are undersampled in every split, as in Burns et al. 2023 (appendix A.1)."""

    def __post_init__(self) -> None:
        require_name(self, "name", "a non-empty name")
        require_choice(self, "kind", TaskKind)
        require(callable(self.load), self, "load", "a function that returns pools of examples")
        require_int(self, "num_classes", 0)
        if self.kind == "classification":
            require_int(self, "num_classes", 2)
        elif self.kind == "preference":
            require(self.num_classes == 2, self, "num_classes", "2 in a preference task")
        for name in ("max_answer_tokens", "num_train", "num_validation", "num_test"):
            require_int(self, name, 1)
        require_bool(self, "for_pretraining", "balanced")
        require_type(
            self, "class_names", (tuple, list), "a tuple or a list, since its order numbers the classes"
        )
        are_names = all(isinstance(name, str) and name.strip() for name in self.class_names)
        require(are_names, self, "class_names", "a tuple of words")
        require_stable(self, "class_names")
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if self.class_names and len(set(self.class_names)) != self.num_classes:
            raise InvalidInput(
                f"task {self.name!r}: class_names has {len(set(self.class_names))} different words, "
                f"{', '.join(map(repr, self.class_names[:20]))}, for {self.num_classes:,} classes; give one "
                "for each class, or none"
            )

    @property
    def has_halves(self) -> bool:
        """Whether the training data is divided between supervisors and students."""
        return not (self.for_pretraining or self.kind == "text")


tasks: Registry[Task] = Registry("task")


@dataclass(frozen=True)
class TaskData:
    """A task that was loaded and divided into splits."""

    task: Task
    splits: Mapping[str, list[Example]]
    rows: RowCounts | None = None
    """What became of the rows that the examples come from, if the loader has counted them."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Numbers of examples that are in no split, by reason."""

    def split(self, name: str) -> list[Example]:
        """The examples of a split.

        Raises:
            InvalidInput: there is no such split.
        """
        if name not in self.splits:
            raise InvalidInput(f"unknown split {name!r}; this task has {', '.join(self.splits)}")
        return self.splits[name]


def require_count(task: str, parameter: str, value: object, *, optional: bool = False) -> None:
    """Check that a parameter of a loader is a whole number of at least 1; if it is optional, None is allowed.

    Raises:
        InvalidInput: it isn't.
    """
    if optional and value is None:
        return
    if type(value) is not int or value < 1:
        allowed = "a whole number of at least 1" + (" or None" if optional else "")
        raise InvalidInput(f"task {task!r}: {parameter} is {value!r}; it must be {allowed}")
