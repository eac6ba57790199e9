"""The interface of a recipe: a cell of the grid, and the runs that answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from raysweep.models.families import Model
from raysweep.registry import Registry
from raysweep.spec import (
    Call,
    Combination,
    Evaluation,
    GroundTruth,
    ModelSpec,
    Optimization,
    RunSpec,
    TaskSpec,
    Unlabelled,
    WeakLabels,
)
from raysweep.spec.validation import MAX_NAME_LENGTH

LabelSource = Literal["ground_truth", "weak"]
"""Where a recipe's labels come from: the task, or the supervisor."""


_SEEDS_APART = 1_000_003


@dataclass(frozen=True, kw_only=True)
class CellRuns:
    """The three runs whose accuracies give the performance gap recovered (PGR)."""

    supervisor: RunSpec
    student: RunSpec
    ceiling: RunSpec


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One point of the grid, its task and models pinned to their content."""

    task: TaskSpec
    weak: Model
    strong: Model
    seed: int
    ceiling_split: str
    evaluation: Evaluation

    def on_ground_truth(self, model: Model, split: str, transforms: Sequence[Call] = ()) -> RunSpec:
        """A model finetuned on ground truth.

        Args:
            model: what is finetuned.
            split: the training split, "supervisor" (half A) or "transfer" (half B).
            transforms: applied to the labels, in this order.
        """
        return self._run(model, split, GroundTruth(transforms=tuple(transforms)), Call("cross_entropy"))

    def supervisor(self) -> RunSpec:
        """The supervisor: the weak model finetuned on ground truth of half A. Its accuracy is the floor."""
        return self._supervisor

    def ceiling(self) -> RunSpec:
        """The ceiling: the strong model finetuned on ground truth of the sweep's `ceiling_split`."""
        return self._ceiling

    def member(self, number: int, transforms: Sequence[Call] = ()) -> RunSpec:
        """One of several supervisors: the weak model finetuned on ground truth of half A with another seed.

        Args:
            number: from 0, the cell's own supervisor. The seeds of the others are far from those of a sweep,
                so that cells of different seeds share none.
            transforms: applied to the labels, in this order.
        """
        supervisor = self.on_ground_truth(self.weak, "supervisor", transforms)
        return replace(supervisor, seed=self.seed + _SEEDS_APART * number)

    def combine(
        self, rule: Call | str, *sources: RunSpec | WeakLabels | GroundTruth, name: str = ""
    ) -> RunSpec:
        """What a rule makes of several sources, as a run that trains nothing.

        Args:
            rule: one of `raysweep list rules`, or `module:object`.
            sources: runs, or labels with transforms of their own (see `labels`).
            name: in tables; made of the rule and the sources, if not given.
        """
        labels = tuple(
            WeakLabels(supervisor=source) if isinstance(source, RunSpec) else source for source in sources
        )
        combination = Combination(rule=Call(rule) if isinstance(rule, str) else rule, sources=labels)
        return RunSpec(
            task=self.task,
            model=ModelSpec(name=name or str(combination)[:MAX_NAME_LENGTH], base=combination),
            optimization=Optimization(learning_rate=1, steps=1),
            train_split="transfer",
            labels=Unlabelled(),
            evaluation=Evaluation(every=0),
            seed=self.seed,
        )

    @staticmethod
    def labels(run: RunSpec, transforms: Sequence[Call] = ()) -> WeakLabels:
        """A run's labels after transforms, as a source of `combine`."""
        return WeakLabels(supervisor=run, transforms=tuple(transforms))

    # Cached, since every method of a cell asks for the same two.
    @cached_property
    def _supervisor(self) -> RunSpec:
        return self.on_ground_truth(self.weak, "supervisor")

    @cached_property
    def _ceiling(self) -> RunSpec:
        return self.on_ground_truth(self.strong, self.ceiling_split)

    def student(
        self,
        supervisor: RunSpec,
        objective: Call | None = None,
        transforms: Sequence[Call] = (),
        model: Model | None = None,
        split: str = "transfer",
    ) -> RunSpec:
        """A model finetuned on a supervisor's labels of half B.

        Args:
            supervisor: the run that labels, or a combination.
            objective: cross-entropy, if not given.
            transforms: applied to the labels, in this order.
            model: what is finetuned; the strong model, if not given.
            split: the half; "supervisor", half A, only for the labels of a combination.
        """
        labels = WeakLabels(supervisor=supervisor, transforms=tuple(transforms))
        return self._run(model or self.strong, split, labels, objective or Call("cross_entropy"))

    def language_modelling(
        self, model: Model, split: str, epochs: float, learning_rate: float | None
    ) -> RunSpec:
        """A model trained on texts, without their labels.

        Args:
            model: what is trained.
            split: the split whose texts are used.
            epochs: replaces the steps or epochs of the model's optimization.
            learning_rate: replaces the model's own, if given.
        """
        own = model.optimization
        optimization = replace(
            own, steps=None, epochs=epochs, learning_rate=learning_rate or own.learning_rate
        )
        adapted = replace(model, spec=replace(model.spec, pooling=None), optimization=optimization)
        return self._run(adapted, split, Unlabelled(), Call("language_modelling"))

    def runs(
        self, student: RunSpec, supervisor: RunSpec | None = None, ceiling: RunSpec | None = None
    ) -> CellRuns:
        """A student with the ends of its gap: the cell's supervisor and ceiling, unless others are given."""
        return CellRuns(
            supervisor=supervisor or self.supervisor(), student=student, ceiling=ceiling or self.ceiling()
        )

    def _run(
        self, model: Model, split: str, labels: GroundTruth | WeakLabels | Unlabelled, objective: Call
    ) -> RunSpec:
        return RunSpec(
            task=self.task,
            model=model.spec,
            optimization=model.optimization,
            train_split=split,
            labels=labels,
            objective=objective,
            evaluation=self.evaluation,
            seed=self.seed,
        )


Recipe = Callable[..., CellRuns]
"""(cell, **params) → the runs of the cell. The signature declares the parameters, from which they are checked
(see `raysweep.spec.parameters`)."""

recipes: Registry[Recipe] = Registry("method", Callable)
