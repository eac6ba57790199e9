"""How a run is trained and looked at: the part of a `RunSpec` that knows no data and no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raysweep.spec.validation import require, require_choice, require_int, require_number

Precision = Literal["float32", "bfloat16"]
Schedule = Literal["cosine", "linear", "constant"]
Order = Literal["shuffled", "fixed"]


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """Adam with decoupled weight decay (with 0, plain Adam) and its schedule. Defaults are
    openai/weak-to-strong's."""

    learning_rate: float
    batch_size: int = 32
    """Global: examples in one optimizer step, over all workers and micro batches."""
    epochs: float = 2.0
    steps: int | None = None
    """Optimizer steps instead of epochs."""
    schedule: Schedule = "cosine"
    warmup_fraction: float = 0.0
    """Share of the steps in which the learning rate grows linearly from 0."""
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    gradient_clipping: float | None = None
    """Largest global norm of the gradient."""
    precision: Precision = "float32"
    order: Order = "shuffled"
    """"shuffled": a new order each epoch; "fixed": the split's own order each epoch, as
    openai/weak-to-strong."""

    def __post_init__(self) -> None:
        require_number(self, "learning_rate", 0, above=True)
        require_int(self, "batch_size", 1)
        require_number(self, "epochs", 0, above=True)
        require_int(self, "steps", 1, optional=True)
        require_choice(self, "schedule", Schedule)
        require_number(self, "warmup_fraction", 0, 1)
        are_two = isinstance(self.betas, tuple | list) and len(self.betas) == 2
        in_range = are_two and all(isinstance(beta, float | int) and 0 <= beta < 1 for beta in self.betas)
        require(in_range, self, "betas", "two numbers in [0, 1)")
        require_number(self, "epsilon", 0, above=True)
        require_number(self, "weight_decay", 0)
        if self.gradient_clipping is not None:
            require_number(self, "gradient_clipping", 0, above=True)
        require_choice(self, "precision", Precision)
        require_choice(self, "order", Order)

    def num_steps(self, num_examples: int) -> int:
        """Optimizer steps on a training set: whole global batches of the stream of epochs, as
        openai/weak-to-strong."""
        return self.steps or int(num_examples * self.epochs) // self.batch_size


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is looked at while a run trains; the whole splits are always evaluated at the end."""

    every: int = 50
    """Steps between two points of the curves; 0 for no curves."""
    num_examples: int = 500
    """The first that many examples of `validation` and of `test` are evaluated at a point of the curves."""

    def __post_init__(self) -> None:
        require_int(self, "every", 0)
        require_int(self, "num_examples", 1)
