"""A cell of the grid, and the runs that a recipe makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from raysweep.models.families import Model
from raysweep.registry import Registry
from raysweep.spec import Call, Evaluation, GroundTruth, RunSpec, TaskSpec, Unlabelled, WeakLabels


@dataclass(frozen=True, kw_only=True)
class CellRuns:
    """The three runs whose accuracies make a PGR."""

    supervisor: RunSpec
    student: RunSpec
    ceiling: RunSpec


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One point of the grid, all parts pinned."""

    task: TaskSpec
    weak: Model
    strong: Model
    seed: int
    ceiling_split: str
    evaluation: Evaluation

    def on_ground_truth(self, model: Model, split: str, transforms: Sequence[Call] = ()) -> RunSpec:
        """A model finetuned on the true labels of a half, after transforms of them."""
        return self._run(model, split, GroundTruth(transforms=tuple(transforms)), Call("cross_entropy"))

    def supervisor(self) -> RunSpec:
        """The supervisor: the weak model on ground truth of half A. Its accuracy is the floor."""
        return self._supervisor

    def ceiling(self) -> RunSpec:
        """The strong model on ground truth."""
        return self._ceiling

    # Every method asks a cell for the same two.
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
    ) -> RunSpec:
        """A model, by default the strong one, on a supervisor's labels of half B, after transforms of
        them."""
        labels = WeakLabels(supervisor=supervisor, transforms=tuple(transforms))
        return self._run(model or self.strong, "transfer", labels, objective or Call("cross_entropy"))

    def language_modelling(
        self, model: Model, split: str, epochs: float, learning_rate: float | None
    ) -> RunSpec:
        """A model trained on the texts of a half, without labels."""
        own = model.optimization
        optimization = replace(
            own, steps=None, epochs=epochs, learning_rate=learning_rate or own.learning_rate
        )
        adapted = replace(model, optimization=optimization)
        return self._run(adapted, split, Unlabelled(), Call("language_modelling"))

    def runs(
        self, student: RunSpec, supervisor: RunSpec | None = None, ceiling: RunSpec | None = None
    ) -> CellRuns:
        """A student with the ends of its gap: the usual supervisor and ceiling, unless others are given."""
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
"""(cell, **params) → its runs."""

recipes: Registry[Recipe] = Registry("method", Callable)
