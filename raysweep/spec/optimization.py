"""How a run is trained and evaluated: the parts of a `RunSpec` that depend on no data and no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raysweep.spec.validation import plain, require, require_choice, require_int, require_number

Precision = Literal["float32", "bfloat16"]
Schedule = Literal["cosine", "linear", "constant"]
Order = Literal["shuffled", "fixed"]


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """Adam with decoupled weight decay (plain Adam at 0) and its schedule. The defaults are those of
    openai/weak-to-strong."""

    learning_rate: float
    """There is no default, since it depends on a model's size and depth. The families of models have their
    own; for other models, `experiments/tune_learning_rates.py own` finds it on ground truth."""
    batch_size: int = 32
    """Examples in one optimizer step, over all workers and micro batches."""
    epochs: float = 2.0
    steps: int | None = None
    """Number of optimizer steps; None to train for `epochs`."""
    schedule: Schedule = "cosine"
    warmup_fraction: float = 0.0
    """Share of the steps during which the learning rate grows linearly from 0."""
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    """Of matrices and embeddings. Biases and scales of norms don't decay, as in transformers' `Trainer` and
    so in EleutherAI/w2s, which has 0.1."""
    gradient_clipping: float | None = None
    """Largest global norm of the gradient; None for no clipping."""
    precision: Precision = "float32"
    order: Order = "shuffled"
    """"shuffled": a new order in each epoch; "fixed": the split's own order, as in openai/weak-to-strong."""

    def __post_init__(self) -> None:
        require_number(self, "learning_rate", 0, above=True)
        require_int(self, "batch_size", 1)
        require_number(self, "epochs", 0, above=True)
        require_int(self, "steps", 1, optional=True)
        require_choice(self, "schedule", Schedule)
        require_number(self, "warmup_fraction", 0, 1)
        object.__setattr__(self, "betas", plain(self.betas))
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
        """Optimizer steps on a training set: the whole global batches in `epochs` passes over it, as in
        openai/weak-to-strong."""
        return self.steps or int(num_examples * self.epochs) // self.batch_size


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is evaluated while a run trains. Whole splits are always evaluated at the end."""

    every: int = 50
    """Steps between two points of the evaluation curves; 0 for no points before the end."""
    num_examples: int = 500
    """How many examples of `validation` and of `test` are evaluated at a point of the curves: the first
    ones."""

    def __post_init__(self) -> None:
        require_int(self, "every", 0)
        require_int(self, "num_examples", 1)
