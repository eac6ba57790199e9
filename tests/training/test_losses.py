"""A run that diverges fails at once, says at which step and what is still good, and leaves no result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TinyWorld, Trained
from torch import Tensor

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput, TrainingDiverged
from raysweep.objectives import BatchContext, Objective, cross_entropy
from raysweep.spec import Call, Optimization
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.store.run_folder import RunFolder
from raysweep.store.status import RunStatus
from raysweep.training.checkpoint import Checkpoints
from raysweep.training.engine import Engine, process_group
from raysweep.training.history import History
from raysweep.training.losses import PendingLosses, require_finite
from raysweep.training.model import build_model
from raysweep.training.process import clean_process
from raysweep.training.sharding import Sharding


def _nan_loss(logits: Tensor, labels: Tensor, context: BatchContext, *, step: int) -> Tensor:
    """Cross-entropy that is NaN from a step of twelve on."""
    losses = cross_entropy(logits, labels, context)
    return losses * float("nan") if round(context.step_fraction * 12) >= step else losses


def _nan_gradient(logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
    """Cross-entropy whose value is right and whose gradient is NaN in the second half of the run."""
    losses = cross_entropy(logits, labels, context)
    return losses + (logits[:, 0] * 0).sqrt() if context.step_fraction >= 0.5 else losses


NAN_LOSS = Objective(_nan_loss)
NAN_GRADIENT = Objective(_nan_gradient)


def test_finite_numbers_of_any_shape_pass_and_the_first_other_one_is_named(tmp_path: Path) -> None:
    checkpoints = Checkpoints(RunFolder(tmp_path), Resources())
    require_finite(0.5, "the loss", 3, checkpoints)
    require_finite(np.zeros((2, 0)), "a prediction", 3, checkpoints)
    with pytest.raises(TrainingDiverged, match=r"a prediction became inf at step 3; .* none was written"):
        require_finite(np.array([[0.0, np.inf], [np.nan, 1.0]]), "a prediction", 3, checkpoints)


def test_losses_reach_the_history_when_they_are_flushed(tiny_world: TinyWorld, tmp_path: Path) -> None:
    spec = tiny_world.finetuning()
    checkpoints = Checkpoints(RunFolder(tmp_path), Resources())
    with clean_process(), process_group(on_gpu=False):
        model = build_model(RunInputs(spec, Store(tiny_world.folder)), Sharding(None))
        with closing(Engine(model, spec.optimization, Resources())) as engine:
            del model
            pending = PendingLosses(engine, checkpoints)
            history = History()
            pending.flush(history)
            for step, loss in enumerate((0.75, 0.5)):
                pending.add(step, torch.tensor(loss), 1e-3 / (step + 1), 10 + step)
            assert history.training["loss"] == []
            pending.flush(history)
            pending.flush(history)
            recorded = {
                "step": [0, 1],
                "loss": [0.75, 0.5],
                "learning_rate": [1e-3, 5e-4],
                "tokens": [10, 11],
            }
            assert history.training == recorded and history.num_tokens == 21
            pending.add(2, torch.tensor(0.25), 1e-3, 5)
            pending.add(3, torch.tensor(float("nan")), 1e-3, 5)
            pending.add(4, torch.tensor(float("inf")), 1e-3, 5)
            with pytest.raises(TrainingDiverged, match="the loss became nan at step 3"):
                pending.flush(history)
            assert history.training["step"] == [0, 1, 2]


@pytest.mark.parametrize("stage", [0, 2])
def test_an_absurd_learning_rate_fails_with_the_step(
    stage: int, tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = tiny_world.finetuning(optimization=Optimization(learning_rate=1e20, batch_size=16, steps=12))
    with pytest.raises(
        TrainingDiverged, match=r"the loss became (nan|inf) at step 1; last good checkpoint: none"
    ) as caught:
        trained(spec, tiny_store, checkpoint_every=1, zero_stage=stage)
    paths = tiny_store.run(spec.id)
    cause, _, rest = paths.error.read_text().partition("\n")
    assert cause == str(caught.value)
    assert "Traceback" in rest and "require_finite" in rest
    assert "learning_rate" in cause  # what to do about it
    assert not paths.result.exists() and tiny_store.status(spec) is RunStatus.FAILED


@pytest.mark.parametrize(
    ("step", "good"), [(7, "step-00000006"), (6, "step-00000003"), (2, "none was written before")]
)
def test_the_last_good_checkpoint_is_one_whose_loss_was_finite(
    step: int, good: str, tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = tiny_world.finetuning(objective=Call("test_losses:NAN_LOSS", {"step": step}))
    for _ in range(2):  # when run again, it resumes and fails in the same way
        with pytest.raises(
            TrainingDiverged, match=rf"the loss became nan at step {step}; last good checkpoint: .*{good}"
        ):
            trained(spec, tiny_store, checkpoint_every=3)
    assert not tiny_store.run(spec.id).result.exists()


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_gradient_that_is_not_finite_fails_the_run_under_every_stage(
    stage: int, tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    """DeepSpeed's ZeRO would leave out the update and go on, so that a run's result depended on the stage."""
    spec = tiny_world.finetuning(objective=Call("test_losses:NAN_GRADIENT"))
    with pytest.raises(TrainingDiverged, match=r"at step (6|7); last good checkpoint: .*step-00000005"):
        trained(spec, tiny_store, checkpoint_every=5, zero_stage=stage)
    assert not tiny_store.run(spec.id).result.exists()


def test_weights_that_the_last_step_ruins_are_noticed(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = tiny_world.finetuning(optimization=Optimization(learning_rate=1e38, batch_size=16, steps=1))
    with pytest.raises(TrainingDiverged, match="a prediction on transfer became nan at step 1"):
        trained(spec, tiny_store)
    pretraining = replace(tiny_world.model.base, optimization=spec.optimization)  # type: ignore[type-var]
    with pytest.raises(TrainingDiverged, match=r"a prediction on validation became (nan|inf) at step 1"):
        trained(pretraining, tiny_store)


def test_a_run_that_succeeds_the_second_time_is_done(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = tiny_world.student()
    supervisor = tiny_store.run(tiny_world.supervisor.id)
    labels = supervisor.predictions("transfer")
    hidden = labels.rename(labels.with_suffix(".away"))
    with pytest.raises(Exception, match="isn't what raysweep wrote"):
        trained(spec, tiny_store)
    assert tiny_store.status(spec) is RunStatus.FAILED
    hidden.rename(labels)
    damaged = supervisor.result.with_suffix(".damaged")
    damaged.rename(supervisor.result)
    trained(spec, tiny_store)
    assert tiny_store.status(spec) is RunStatus.DONE and not tiny_store.run(spec.id).error.exists()


def test_too_few_examples_for_a_batch_are_refused(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = tiny_world.finetuning(optimization=Optimization(learning_rate=1e-3, batch_size=1024))
    with pytest.raises(
        InvalidInput, match=r"'supervisor' of task 'sandbox' has 160 labelled examples.* batch of 1024"
    ):
        trained(spec, tiny_store)
