"""Losses on numpy arrays, for tests that work them out otherwise."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special
import torch

from raysweep.objectives import BatchContext, objectives

Array = npt.NDArray[np.float64]


def loss(name: str, logits: Array, labels: Array, **context: Any) -> Array:
    """An objective's losses on a global batch that is one micro batch."""
    return per_example(name, logits, labels, logits, labels, **context)


def per_example(
    name: str, logits: Array, labels: Array, batch_logits: Array, batch_labels: Array, **context: Any
) -> Array:
    """An objective's losses on a micro batch of a global batch."""
    batch = BatchContext(
        context.get("step_fraction", 0.5),
        context.get("step", 50),
        torch.tensor(context.get("prior", batch_labels.mean(axis=0))),
        torch.tensor(batch_logits),
        torch.tensor(batch_labels),
        torch.tensor(context.get("all_labels", batch_labels)),
    )
    function = objectives.get(name).loss
    return function(torch.tensor(logits), torch.tensor(labels), batch, **context.get("params", {})).numpy()


def gradient(name: str, logits: Array, labels: Array, **context: Any) -> Array:
    """Of the sum of an objective's losses on a global batch with respect to the logits, by autograd."""
    variable = torch.tensor(logits, requires_grad=True)
    fixed = torch.tensor(labels)
    batch = BatchContext(
        context.get("step_fraction", 0.5),
        context.get("step", 50),
        fixed.mean(dim=0),
        variable.detach(),
        fixed,
        fixed,
    )
    objectives.get(name).loss(variable, fixed, batch, **context.get("params", {})).sum().backward()
    assert variable.grad is not None
    return variable.grad.numpy()


def finite_differences(name: str, logits: Array, labels: Array, **context: Any) -> Array:
    """The same by central differences: what the loss's value does, whatever autograd was told to leave
    out."""
    slopes = np.empty_like(logits)
    for place in np.ndindex(*logits.shape):
        shift = np.zeros_like(logits)
        shift[place] = 1e-5
        above, below = (loss(name, logits + sign * shift, labels, **context).sum() for sign in (1, -1))
        slopes[place] = (above - below) / 2e-5
    return slopes


def cross_entropies(logits: Array, targets: Array) -> Array:
    return -(targets * scipy.special.log_softmax(logits, axis=1)).sum(axis=1)


def random_batch(seed: int, size: int, num_classes: int, spread: float = 1.0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, spread, (size, num_classes)), rng.dirichlet(np.ones(num_classes), size)
