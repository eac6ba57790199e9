"""What an objective of the user's own may do and return, as the trainer calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import TinyWorld, Trained
from torch import Tensor

from raysweep.errors import InvalidInput
from raysweep.objectives import BatchContext, LossCall, Objective, cross_entropy, objectives
from raysweep.spec import Call
from raysweep.store import Store

LOGITS = torch.tensor([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]])
LABELS = torch.tensor([[0.9, 0.1], [0.2, 0.8], [1.0, 0.0]])


def own(change: Callable[[Tensor], object]) -> Objective:
    """Cross-entropy whose losses (B,) are changed into something else."""

    def loss(logits: Tensor, labels: Tensor, context: BatchContext) -> Any:
        return change(cross_entropy(logits, labels, context))

    return Objective(loss)


def leave() -> None:
    sys.exit(0)


def writing(write: Callable[[Tensor, Tensor, BatchContext], object]) -> Objective:
    """Cross-entropy that does something to what it is given first."""

    def loss(logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
        write(logits, labels, context)
        return cross_entropy(logits, labels, context)

    return Objective(loss)


FINE = own(lambda losses: 2 * losses)
SCALAR = own(lambda losses: losses.mean())
COLUMN = own(lambda losses: losses[:, None])
ONE = own(lambda losses: losses[:1])
PYTHON = own(lambda losses: losses.mean().item())
WHOLE = own(lambda losses: (losses > 0).long())
DETACHED = own(lambda losses: losses.detach())
NAN = own(lambda losses: losses * torch.tensor([1.0, torch.nan, 1.0])[: len(losses)])
BROKEN = own(lambda losses: losses[7])
LEAVES = own(lambda losses: leave())
LABELS_CHANGED = writing(lambda logits, labels, context: labels.mul_(0))
ALL_CHANGED = writing(lambda logits, labels, context: context.labels.add_(1))
PRIOR_CHANGED = writing(lambda logits, labels, context: context.prior.numpy().fill(0))
BATCH_CHANGED = writing(lambda logits, labels, context: context.batch_labels.zero_())  # type: ignore[union-attr]
LATE = writing(lambda logits, labels, context: context.step < 7 or context.labels.zero_())


def call(name: str, **context: Any) -> Tensor:
    logits = LOGITS.clone().requires_grad_()
    labels = LABELS.clone()
    batch = BatchContext(0.0, 0, labels.mean(dim=0), logits.detach().clone(), labels.clone(), labels.clone())
    return LossCall(Call(name))(logits, labels, replace(batch, **context))


def test_a_loss_for_each_example_is_taken_as_it_is() -> None:
    expected = -2 * (LABELS * LOGITS.log_softmax(dim=1)).sum(dim=1)
    torch.testing.assert_close(call("test_objective_calls:FINE").detach(), expected)


@pytest.mark.parametrize("name", [name for name, entry in objectives if "text" not in entry.kinds])
def test_raysweep_s_own_pass_the_checks(name: str) -> None:
    assert call(name).shape == (3,)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "SCALAR",
            r"returned a tensor of shape \(\); it must return a loss for each example, of shape \(3,\)",
        ),
        ("COLUMN", r"returned a tensor of shape \(3, 1\); it must"),
        ("ONE", r"returned a tensor of shape \(1,\); it must"),
        ("PYTHON", "returned a float; it must return a loss for each example"),
        ("WHOLE", "returned a tensor of torch.int64; it must be one of floats"),
        ("DETACHED", "returned a loss that doesn't depend on the logits"),
        ("NAN", "returned nan in the first step, whose logits and labels are finite"),
        ("BROKEN", r"failed:(?s:.*)IndexError"),
        ("LEAVES", r"failed:(?s:.*)SystemExit: 0"),
        ("LABELS_CHANGED", "wrote into labels; it must leave what it is given as it is"),
        ("ALL_CHANGED", "wrote into context.labels"),
        ("PRIOR_CHANGED", "wrote into context.prior"),
        ("BATCH_CHANGED", "wrote into context.batch_labels"),
    ],
)
def test_what_is_no_loss_is_refused_by_the_name_that_the_user_gave(name: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^objective 'test_objective_calls:{name}' {told}"):
        call(f"test_objective_calls:{name}")


def test_an_input_is_watched_at_every_call() -> None:
    labels = LABELS.clone()
    context = BatchContext(0.0, 0, labels.mean(dim=0), None, None, labels)
    loss = LossCall(Call("test_objective_calls:LATE"))
    for step in (0, 6):
        loss(LOGITS.clone().requires_grad_(), LABELS, replace(context, step=step))
    with pytest.raises(InvalidInput, match=r"LATE' wrote into context\.labels"):
        loss(LOGITS.clone().requires_grad_(), LABELS, replace(context, step=7))


@pytest.mark.parametrize(
    ("name", "told"),
    [("SCALAR", "returned a tensor of shape ()"), ("LEAVES", "SystemExit")],
)
def test_a_run_fails_with_the_name_of_its_objective(
    name: str, told: str, tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = tiny_world.student(objective=Call(f"test_objective_calls:{name}"))
    with pytest.raises(InvalidInput, match=f"objective 'test_objective_calls:{name}'"):
        trained(spec, tiny_store)
    paths = tiny_store.run(spec.id)
    first_line = paths.error.read_text().splitlines()[0]
    assert f"objective 'test_objective_calls:{name}'" in first_line and told in first_line
    assert not paths.result.exists()
