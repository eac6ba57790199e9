"""One optimizer step: the loss of the global batch, its micro batches, and statistics over all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.objectives import BatchContext, LossCall
from raysweep.training.batching import Rows, micro_batches
from raysweep.training.heads import AnswerHead, Head, LanguageModelHead
from raysweep.training.tokenized import TokenizedSplit

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TrainingSet:
    """The examples that a run is trained on, with their labels."""

    split: TokenizedSplit
    rows: Rows
    """Rows of the split that have a label. The others are never drawn."""
    weights: npt.NDArray[np.float64]
    """(N,) weight of each row in the mean over a global batch, multiplied by its number of targets where
    tokens are learnt."""
    labels: Tensor
    """(N, K) labels on the device; (N, 0) where tokens are learnt."""
    known: Tensor
    """(R, K) labels of `rows`."""

    @cached_property
    def prior(self) -> Tensor:
        """(K,) mean label."""
        return self.known.mean(dim=0)

    @classmethod
    def load(cls, inputs: RunInputs, split: TokenizedSplit, head: Head) -> TrainingSet:
        """A run's training split with its labels.

        Raises:
            InvalidInput: the labelled examples are none, or fewer than one global batch; see also
                `RunInputs.labels`.
        """
        import torch

        spec = inputs.spec
        if spec.kind == "text":
            probabilities = np.zeros((len(split), 0))
            weights = split.num_targets.astype(np.float64)
        else:
            given = inputs.labels(spec.train_split).align(split.ids)
            probabilities = given.probabilities
            weights = given.weight * given.covered
            if given.answers is not None:
                assert isinstance(head, AnswerHead)
                split = split.continued(head.targets(given.answers.tolist()))
                weights = weights * split.num_targets
        rows = np.flatnonzero(weights > 0)
        if not len(rows):
            raise InvalidInput(
                f"split {spec.train_split!r} of task {spec.task.name!r} has nothing to learn from: the "
                f"weights of all {len(weights)} examples are 0"
            )
        if spec.optimization.num_steps(len(rows)) == 0:
            raise InvalidInput(
                f"split {spec.train_split!r} of task {spec.task.name!r} has {len(rows)} labelled examples: "
                f"with {spec.optimization.epochs:g} epochs that is less than one batch of "
                f"{spec.optimization.batch_size}"
            )
        labels = torch.tensor(probabilities, dtype=torch.float32, device=head.engine.device)
        return cls(split, rows, weights, labels, labels[torch.as_tensor(rows, device=labels.device)])


def training_step(
    head: Head,
    data: TrainingSet,
    batch: Rows,
    micro_batch: int,
    objective: LossCall,
    step: int,
    num_steps: int,
    rate: float,
) -> Tensor:
    """Forward pass, backward pass and update on a global batch.

    An objective that needs the whole batch gets the logits of all ranks and micro batches: those of the
    forward pass if each rank has a single micro batch, otherwise those of an extra pass without gradients.

    Args:
        head: of the run.
        data: what it is trained on.
        batch: (batch_size,) rows of the split.
        micro_batch: examples in one forward pass.
        objective: of the run.
        step: from 0.
        num_steps: of the run.
        rate: learning rate of this step.

    Returns:
        Scalar, this rank's share of the mean loss of the global batch.
    """
    import torch

    engine = head.engine
    lengths = data.split.lengths
    parts = micro_batches(batch, lengths, micro_batch, engine.rank, engine.world_size)
    outputs = [head.outputs(data.split, parts[0])] if len(parts) == 1 else None
    context = BatchContext(step / num_steps, step, data.prior, None, None, data.known)
    if objective.needs_global_batch:
        if outputs is not None:
            own_logits = outputs[0].detach()
        else:
            with torch.no_grad():
                own_logits = torch.cat([head.outputs(data.split, rows) for rows in parts])
        every_rank = [
            micro_batches(batch, lengths, micro_batch, rank, engine.world_size)
            for rank in range(engine.world_size)
        ]
        order = np.concatenate([rows for rank_parts in every_rank for rows in rank_parts])
        labels = data.labels[torch.as_tensor(order)]
        context = replace(context, batch_logits=engine.gather(own_logits), batch_labels=labels)
    total_weight = float(data.weights[batch].sum())
    own_loss = torch.zeros((), device=engine.device)
    for number, rows in enumerate(parts):
        logits = outputs[number] if outputs is not None else head.outputs(data.split, rows)
        if isinstance(head, LanguageModelHead):
            losses = logits[:, 0]
        else:
            losses = objective(logits, data.labels[torch.as_tensor(rows)], context)
        weights = torch.as_tensor(data.weights[rows], dtype=losses.dtype, device=engine.device)
        loss = (losses * weights).sum() / total_weight
        engine.backward(loss)
        engine.step(rate)
        own_loss += loss.detach()
    return own_loss
