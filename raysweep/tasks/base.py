"""What a task is: examples by split, each with its texts, its label, its group and, where known, its
difficulty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from raysweep.errors import InvalidInput
from raysweep.registry import Registry
from raysweep.spec import TaskKind

TRAINING_SPLITS = ("supervisor", "transfer")
"""Half A, which the supervisor learns from, and half B, which it labels for the student."""
SPLITS = (*TRAINING_SPLITS, "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One example of a task, as models see it."""

    id: str
    """Unique in the task, stable from load to load."""
    group: str
    """Examples that share a passage, a question or a prompt share a group; no group straddles two splits."""
    texts: tuple[str, ...]
    """One text; in preferences two, of which `label` is the index of the better one; in generative tasks the
    prompt."""
    label: int | None = None
    """The ground-truth class; None in tasks of kind "generative" and "text"."""
    target: str | None = None
    """Generative: the true answer to the prompt."""
    allowed: tuple[str, ...] = ()
    """Generative: all answers that are valid, right or wrong (the legal moves); empty where any text is."""
    difficulty: float | None = None
    """Larger is harder; in a unit of the task's own."""
    answer: str | None = None
    """The part of the text that is the candidate answer, if there is one: what the leak lint looks at."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A loader with the facts about it. The first line of `summary` is what `raysweep list` shows."""

    name: str
    summary: str
    kind: TaskKind
    num_classes: int = 2
    """K; 2 for preferences; 0 for kinds "generative" and "text"."""
    class_names: tuple[str, ...] = ()
    """A word for each class, for prompting; empty for "no" and "yes", or the class's number if there are more
    than two."""
    load: Callable[..., Mapping[str, Iterable[Example]]]
    """Called with the `params` of the `TaskSpec`; returns the pools "train" and "test" (and "validation"
    where the data set has its own). Without a "test" pool, one is cut from "train"."""
    max_answer_tokens: int = 32
    """Generative: room for an answer in tokens, the end token counted; decoding stops there."""
    num_train: int = 10_000
    """Default number of examples in each half of the training data. The halves are equal; less data gives
    less."""
    num_validation: int = 1_000
    num_test: int = 5_000
    for_pretraining: bool = False
    """One training split, "train", in place of the two halves, and no test; always so for kind "text"."""
    balanced: bool = True
    """Undersample the larger classes in every split, as Burns et al. 2023 (appendix A.1) do."""

    @property
    def has_halves(self) -> bool:
        """Whether the training data is divided between supervisor and student."""
        return not (self.for_pretraining or self.kind == "text")


tasks: Registry[Task] = Registry("task")


@dataclass(frozen=True)
class TaskData:
    """A loaded and divided task."""

    task: Task
    splits: Mapping[str, list[Example]]

    def split(self, name: str) -> list[Example]:
        """The examples of a split.

        Raises:
            InvalidInput: there is no such split.
        """
        if name not in self.splits:
            raise InvalidInput(f"unknown split {name!r}; this task has {', '.join(self.splits)}")
        return self.splits[name]
