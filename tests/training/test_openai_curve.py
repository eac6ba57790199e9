"""A run follows openai/weak-to-strong's training step by step.

The reference is plain PyTorch without raysweep's training code: the loop of their `train_model`, the head of
their `TransformerWithHead` (zeros, no bias, on the last token), their `xent_loss` and `logconf_loss_fn`, Adam
and CosineAnnealingLR. It starts from the same pretrained folder and reads the same Parquet files.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import TinyWorld, Trained
from transformers import AutoModel, AutoTokenizer

from raysweep.spec import Call, Optimization, RunSpec
from raysweep.store import Store


def xent_loss(logits: torch.Tensor, labels: torch.Tensor, step_frac: float) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits, labels)


def logconf_loss(logits: torch.Tensor, labels: torch.Tensor, step_frac: float) -> torch.Tensor:
    coef = 0.5 * (1.0 if step_frac > 0.1 else step_frac)
    preds = torch.softmax(logits, dim=-1)
    threshold = torch.quantile(preds[:, 0], labels.mean(dim=0)[1])
    strong = torch.stack([preds[:, 0] >= threshold, preds[:, 0] < threshold], dim=1).float().detach()
    return torch.nn.functional.cross_entropy(logits, labels * (1 - coef) + strong * coef)


class Reference:
    """openai/weak-to-strong's training of a GPT-2 on soft labels, one example at a time where that changes
    nothing."""

    def __init__(self, spec: RunSpec, store: Store) -> None:
        folder = store.run(spec.model.base.id).model  # type: ignore[union-attr]
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.body = AutoModel.from_pretrained(folder).eval()
        self.head = torch.nn.Linear(self.body.config.hidden_size, 2, bias=False)
        torch.nn.init.zeros_(self.head.weight)
        self.plan = spec.optimization
        self.tasks = store.task(spec.task.content or "")
        weak = pd.read_parquet(store.run(spec.labels.supervisor.id).predictions("transfer"))  # type: ignore[union-attr]
        self.weak = dict(zip(weak["id"], weak["probabilities"], strict=True))

    def logits(self, text: str) -> torch.Tensor:
        tokens = torch.tensor([self.tokenizer(text)["input_ids"]])
        return self.head(self.body(tokens).last_hidden_state[0, -1])

    def train(self, loss_fn: Callable[..., torch.Tensor], clip: float | None = None) -> Iterator[float]:
        examples = pd.read_parquet(self.tasks / "transfer.parquet")
        nsteps = int(len(examples) * self.plan.epochs) // self.plan.batch_size
        stream = itertools.cycle(zip(examples["id"], examples["texts"], strict=True))
        parameters = [*self.body.parameters(), *self.head.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=self.plan.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, nsteps)
        for step in range(nsteps):
            batch = list(itertools.islice(stream, self.plan.batch_size))
            logits = torch.stack([self.logits(texts[0]) for _, texts in batch])
            labels = torch.tensor(
                np.stack([self.weak[identifier] for identifier, _ in batch]), dtype=torch.float32
            )
            loss = loss_fn(logits, labels, step / nsteps)
            optimizer.zero_grad()
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            schedule.step()
            yield loss.item()

    @torch.no_grad()
    def probabilities(self, split: str) -> np.ndarray:
        texts = pd.read_parquet(self.tasks / f"{split}.parquet")["texts"]
        return torch.stack([self.logits(row[0]).softmax(dim=-1) for row in texts]).numpy()


def student(world: TinyWorld, objective: str, **optimization: Any) -> RunSpec:
    return world.student(
        model=replace(world.model, head_init="zeros"),
        objective=Call(objective),
        optimization=Optimization(
            **{"learning_rate": 5e-3, "batch_size": 32, "epochs": 2.0, "order": "fixed"} | optimization
        ),
    )


@pytest.mark.parametrize(
    ("objective", "loss_fn", "optimization", "num_steps"),
    [
        ("cross_entropy", xent_loss, {}, 10),
        ("confidence_openai", logconf_loss, {"epochs": 4.0}, 20),
        (
            "cross_entropy",
            xent_loss,
            {"batch_size": 48},
            6,
        ),  # batches that hold the end of an epoch and the next one's start
        ("cross_entropy", xent_loss, {"gradient_clipping": 0.05}, 10),
    ],
    ids=["xent", "logconf", "across epochs", "clipped"],
)
def test_losses_and_predictions_follow_the_published_loop(
    objective: str,
    loss_fn: Callable[..., torch.Tensor],
    optimization: dict[str, Any],
    num_steps: int,
    tiny_world: TinyWorld,
    tiny_store: Store,
    trained: Callable[..., Trained],
) -> None:
    spec = student(tiny_world, objective, **optimization)
    reference = Reference(spec, tiny_store)
    losses = list(reference.train(loss_fn, optimization.get("gradient_clipping")))
    run = trained(spec, tiny_store, micro_batch_size=8)
    assert len(losses) == num_steps
    assert losses[0] == pytest.approx(np.log(2), abs=1e-6)
    assert max(losses) - min(losses) > 0.02  # it learns: the curves aren't equal for being flat
    np.testing.assert_allclose(run.losses, losses, rtol=0, atol=1e-4)
    np.testing.assert_allclose(run.probabilities("test"), reference.probabilities("test"), rtol=0, atol=1e-3)


def test_clipping_and_the_published_confidence_loss_are_seen_in_the_curves(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    """The test above could pass with them left out only if they changed nothing."""
    plain = trained(student(tiny_world, "cross_entropy"), tiny_store).losses
    clipped = trained(student(tiny_world, "cross_entropy", gradient_clipping=0.05), tiny_store).losses
    confident = trained(student(tiny_world, "confidence_openai"), tiny_store).losses
    assert np.abs(clipped - plain).max() > 1e-3
    assert np.abs(confident - plain).max() > 1e-2
