"""Recipes: a method is a small function from a cell of the grid to the runs that answer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raysweep.models.families import Model
from raysweep.registry import Registry
from raysweep.spec import Call, Evaluation, GroundTruth, RunSpec, TaskSpec, WeakLabels


@dataclass(frozen=True, kw_only=True)
class CellRuns:
    """The three runs whose accuracies make a PGR."""

    floor: RunSpec
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

    def on_ground_truth(self, model: Model, split: str) -> RunSpec:
        """A model finetuned on the true labels of a half."""
        return RunSpec(
            task=self.task,
            model=model.spec,
            optimization=model.optimization,
            train_split=split,
            labels=GroundTruth(),
            evaluation=self.evaluation,
            seed=self.seed,
        )

    def floor(self) -> RunSpec:
        """The supervisor: the weak model on ground truth of half A."""
        return self.on_ground_truth(self.weak, "supervisor")

    def ceiling(self) -> RunSpec:
        """The strong model on ground truth."""
        return self.on_ground_truth(self.strong, self.ceiling_split)

    def student(self, supervisor: RunSpec, objective: Call | None = None, transforms: tuple[Call, ...] = ()) -> RunSpec:
        """The strong model on a supervisor's labels of half B."""
        return RunSpec(
            task=self.task,
            model=self.strong.spec,
            optimization=self.strong.optimization,
            train_split="transfer",
            labels=WeakLabels(supervisor=supervisor, transforms=transforms),
            objective=objective or Call("cross_entropy"),
            evaluation=self.evaluation,
            seed=self.seed,
        )


Recipe = Callable[..., CellRuns]
"""(cell, **params) → its runs."""

recipes: Registry[Recipe] = Registry("method", Callable)


@recipes.register("naive")
def naive(cell: Cell) -> CellRuns:
    """Naive finetuning on the supervisor's soft labels (Burns et al. 2023, section 4.1)."""
    floor = cell.floor()
    return CellRuns(floor=floor, student=cell.student(floor), ceiling=cell.ceiling())


@recipes.register("confidence")
def confidence(cell: Cell, alpha_max: float = 0.5, warmup_fraction: float = 0.2, threshold: str = "prior") -> CellRuns:
    """Auxiliary confidence loss (Burns et al. 2023, appendix A.4); α_max 0.75 for the largest students, 0.5 else."""
    floor = cell.floor()
    params = {"alpha_max": alpha_max, "warmup_fraction": warmup_fraction, "threshold": threshold}
    return CellRuns(floor=floor, student=cell.student(floor, Call("confidence", params)), ceiling=cell.ceiling())


@recipes.register("confidence_openai")
def confidence_openai(cell: Cell, alpha_max: float = 0.5, warmup_fraction: float = 0.1) -> CellRuns:
    """Confidence loss as openai/weak-to-strong's code publishes it, with its warm-up (their issue 33)."""
    floor = cell.floor()
    objective = Call("confidence_openai", {"alpha_max": alpha_max, "warmup_fraction": warmup_fraction})
    return CellRuns(floor=floor, student=cell.student(floor, objective), ceiling=cell.ceiling())
