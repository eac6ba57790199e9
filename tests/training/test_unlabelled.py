"""Language modelling on a labelled task's texts, and the students that start from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from test_heads import load_pairs as load_pairs
from tiny import TinyWorld, Trained
from transformers import AutoModelForCausalLM, AutoTokenizer

from raysweep.data.examples import read_split
from raysweep.data.pinning import Pinner
from raysweep.errors import InvalidInput
from raysweep.spec import Call, Optimization, RunSpec, TaskSpec, Unlabelled
from raysweep.store import Store
from raysweep.tasks.base import Example, Task


def adapted(world: TinyWorld, **changes: object) -> RunSpec:
    return world.finetuning(
        **{"train_split": "transfer", "labels": Unlabelled(), "objective": Call("language_modelling")}
        | changes
    )


def nats(run: Trained, texts: list[str]) -> float:
    """The mean negative log-likelihood of all tokens of texts but each text's first, by the run's saved
    model."""
    model = AutoModelForCausalLM.from_pretrained(run.paths.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(run.paths.model)
    total = 0.0
    count = 0
    for text in texts:
        tokens = tokenizer(text)["input_ids"]
        with torch.no_grad():
            scores = model(torch.tensor([tokens])).logits[0].log_softmax(dim=-1)
        total -= float(sum(scores[place, token] for place, token in enumerate(tokens[1:])))
        count += len(tokens) - 1
    return total / count


def load_words() -> Mapping[str, list[Example]]:
    """Texts of one word each, which no other word follows."""
    return {
        name: [
            Example(id=f"{name}-{n}", group=f"{name}-{n}", texts=(word,), label=n % 2)
            for n, word in enumerate(["ba", "de"] * 30)
        ]
        for name in ("train", "test")
    }


LONE_WORDS = Task(
    name="words",
    summary="words",
    kind="classification",
    num_classes=2,
    load=load_words,
    num_train=20,
    num_validation=10,
    num_test=20,
)


def test_texts_without_a_second_token_are_refused(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    """With a number of steps, not of epochs, it would look for a batch for ever."""
    task = Pinner(tiny_store).task(TaskSpec(name="test_unlabelled:LONE_WORDS"))
    spec = adapted(tiny_world, task=task)
    assert spec.optimization.steps
    with pytest.raises(InvalidInput, match="has nothing to learn from: the weights of all 20 examples are 0"):
        trained(spec, tiny_store)


def test_the_texts_of_a_half_are_learnt_without_labels(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = adapted(tiny_world, optimization=Optimization(learning_rate=1e-2, batch_size=16, steps=80))
    run = trained(spec, tiny_store)
    assert run.losses[-10:].mean() < run.losses[:10].mean() - 0.1
    assert run.paths.read_result()["metrics"].keys() == {"validation_loss"}
    assert not run.paths.predictions("test").exists() and not run.paths.curve_predictions("test").exists()


def test_both_texts_of_a_preference_are_learnt(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    task = Pinner(tiny_store).task(TaskSpec(name="test_heads:PREFERENCE"))
    one_step = Optimization(learning_rate=1e-9, batch_size=16, steps=1, order="fixed")
    run = trained(
        adapted(tiny_world, task=task, optimization=one_step),
        tiny_store,
        save_weights=True,
        micro_batch_size=4,
    )
    frame = read_split(task, "transfer", tiny_store).iloc[:16]
    assert run.losses[0] == pytest.approx(
        nats(run, [text for row in frame["texts"] for text in row]), rel=1e-5
    )


def test_a_student_starts_from_the_adapted_weights(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    base = adapted(tiny_world)
    trained(base, tiny_store, save_weights=True)
    student = tiny_world.student(model=replace(tiny_world.model, base=base))
    assert base in student.dependencies
    plain, from_adapted = (trained(spec, tiny_store) for spec in (tiny_world.student(), student))
    assert not np.allclose(plain.losses, from_adapted.losses)
    assert len(pd.read_parquet(from_adapted.paths.training_curve)) == 12
