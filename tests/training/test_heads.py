"""What a run reads off a model: classes, preferences, tokens. The references call transformers directly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import WORDS, TinyWorld, Trained
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.data.pinning import Pinner
from raysweep.spec import Call, Evaluation, HeadOnly, Optimization, RunSpec, TaskSpec, WeakLabels
from raysweep.store import Store
from raysweep.tasks.base import Example, Task
from raysweep.tasks.sandbox import load_attribute
from raysweep.training.model import build_model
from raysweep.training.sharding import Sharding

MISSING = -100  # what transformers leaves out of a loss


def load_pairs() -> Mapping[str, list[Example]]:
    """Pairs of sentences of unequal length, of which the one with the attribute is the better one."""
    pools = load_attribute(**WORDS, num_sentences=600, num_test_sentences=200)  # type: ignore[arg-type]
    pairs = {}
    for name, examples in pools.items():
        sides = [[example for example in examples if example.label == label] for label in (0, 1)]
        pairs[name] = [
            Example(
                id=f"{name}-{number}",
                group=f"{name}-{number}",
                texts=(good.texts[0], bad.texts[0]) if number % 2 == 0 else (bad.texts[0], good.texts[0]),
                label=number % 2,
            )
            for number, (bad, good) in enumerate(zip(*sides, strict=False))
        ]
    return pairs


PREFERENCE = Task(
    name="pairs",
    summary="pairs",
    kind="preference",
    load=load_pairs,
    num_train=80,
    num_validation=32,
    num_test=32,
)


def load_triples() -> Mapping[str, list[Example]]:
    """Sentences of three classes, told apart by one word."""
    words = {"a": 0, "b": 1, "c": 2}
    examples = [
        (f"bababa {word} dede {number % 7}", label) for number in range(60) for word, label in words.items()
    ]
    pools = {"train": examples[:120], "test": examples[120:]}
    return {
        name: [
            Example(id=f"{name}-{n}", group=f"{name}-{n}", texts=(text,), label=label)
            for n, (text, label) in enumerate(rows)
        ]
        for name, rows in pools.items()
    }


TRIPLES = Task(
    name="triples",
    summary="triples",
    kind="classification",
    num_classes=3,
    load=load_triples,
    num_train=48,
    num_validation=12,
    num_test=24,
)


@pytest.fixture
def preference(tiny_world: TinyWorld, tiny_store: Store) -> RunSpec:
    task = Pinner(tiny_store).task(TaskSpec(name="test_heads:PREFERENCE"))
    return tiny_world.finetuning(task=task)


def score(folder: Path, texts: list[str]) -> np.ndarray:
    """(N, outputs) of a saved classifier, one text at a time."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        rows = [model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0] for text in texts]
    return torch.stack(rows).double().numpy()


def test_a_preference_is_the_sigmoid_of_the_difference_of_two_scores(
    preference: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    run = trained(preference, tiny_store, save_weights=True, evaluation_batch_size=7)
    frame = read_split(preference.task, "test", tiny_store)
    first, second = (score(run.paths.model, [row[side] for row in frame["texts"]])[:, 0] for side in (0, 1))
    predicted = run.paths.read_predictions("test").align(frame["id"].tolist()).probabilities
    np.testing.assert_allclose(predicted[:, 1], 1 / (1 + np.exp(first - second)), atol=1e-5)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(predicted[:, 1]) > 0.01


def test_a_preference_model_learns_which_text_is_better(
    preference: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = replace(preference, optimization=Optimization(learning_rate=2e-2, batch_size=16, steps=60))
    assert trained(spec, tiny_store).paths.read_result()["metrics"]["test_accuracy"] > 0.75


def test_the_first_preference_loss_by_hand(
    preference: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = replace(preference, optimization=replace(preference.optimization, order="fixed"))
    model = build_model(RunInputs(spec, tiny_store), Sharding(None)).eval()
    assert model.config.num_labels == 1
    tokenizer = AutoTokenizer.from_pretrained(tiny_store.run(spec.model.base.id).model)  # type: ignore[union-attr]
    losses = []
    for texts, label in read_split(spec.task, "supervisor", tiny_store)[["texts", "label"]].itertuples(
        index=False
    ):
        with torch.no_grad():
            scores = [model(torch.tensor([tokenizer(text)["input_ids"]])).logits.item() for text in texts]
        losses.append(np.log1p(np.exp(scores[1 - label] - scores[label])))
    run = trained(spec, tiny_store, micro_batch_size=4)
    assert run.losses[0] == pytest.approx(np.mean(losses[:16]), abs=1e-6)


@pytest.mark.parametrize("objective", [Call("cross_entropy"), Call("confidence")])
def test_three_classes(
    objective: Call, tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    task = Pinner(tiny_store).task(TaskSpec(name="test_heads:TRIPLES"))
    plan = Optimization(learning_rate=1e-2, batch_size=12, steps=20)
    floor = tiny_world.finetuning(task=task, optimization=plan)
    trained(floor, tiny_store, save_weights=True)
    run = trained(
        tiny_world.student(
            task=task, optimization=plan, objective=objective, labels=WeakLabels(supervisor=floor)
        ),
        tiny_store,
        save_weights=True,
    )
    frame = read_split(task, "test", tiny_store)
    logits = score(run.paths.model, [row[0] for row in frame["texts"]])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = run.paths.read_predictions("test").align(frame["id"].tolist()).probabilities
    assert predicted.shape == (24, 3)
    np.testing.assert_allclose(predicted, expected, atol=1e-5)


@pytest.fixture
def more_pretraining(tiny_world: TinyWorld) -> RunSpec:
    """Goes on from the pretrained folder, which the reference can load too."""
    pretraining = tiny_world.model.base
    assert isinstance(pretraining, RunSpec)
    return replace(
        pretraining,
        model=tiny_world.model,
        optimization=Optimization(learning_rate=1e-3, batch_size=32, steps=3, order="fixed"),
        evaluation=Evaluation(every=1, num_examples=16),
    )


def language_model_loss(folder: Path, texts: list[str]) -> tuple[float, int]:
    """transformers' own loss of a batch of texts, and the number of tokens that it predicts."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, MISSING)
    with torch.no_grad():
        loss = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss
    return loss.item(), int(batch["attention_mask"].sum())


@pytest.mark.parametrize(
    "resources", [{"micro_batch_size": 32}, {"micro_batch_size": 8}, {"zero_stage": 3}], ids=str
)
def test_a_language_model_is_trained_on_the_mean_over_the_batch_s_tokens(
    resources: dict[str, Any], more_pretraining: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    folder = tiny_store.run(more_pretraining.model.base.id).model  # type: ignore[union-attr]
    texts = [row[0] for row in read_split(more_pretraining.task, "train", tiny_store)["texts"][:32]]
    assert len({len(text.split()) for text in texts}) > 3  # a mean of means would be another number
    expected, num_tokens = language_model_loss(folder, texts)
    run = trained(more_pretraining, tiny_store, **resources)
    assert run.losses[0] == pytest.approx(expected, abs=1e-5)
    curve = pd.read_parquet(run.paths.training_curve)
    assert curve["tokens"][0] == num_tokens == sum(len(text.split()) for text in texts)
    assert run.info["num_tokens"] == curve["tokens"].sum()
    assert abs(np.mean([language_model_loss(folder, [text])[0] for text in texts]) - expected) > 1e-4


def test_the_losses_of_a_language_model_s_curve_are_those_of_each_text(
    more_pretraining: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    run = trained(more_pretraining, tiny_store, save_weights=True)
    frame = read_split(more_pretraining.task, "validation", tiny_store)[:16]
    points = pd.read_parquet(run.paths.curve_predictions("validation"))
    assert points["step"].unique().tolist() == [1, 2, 3]
    last = points[points["step"] == 3].set_index("id").loc[frame["id"], "outputs"]
    expected = [language_model_loss(run.paths.model, [row[0]])[0] for row in frame["texts"]]
    np.testing.assert_allclose([row[0] for row in last], expected, atol=1e-5)


def test_points_of_the_curves_are_those_of_the_model_at_that_step(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    """The final point is that of the saved model; a point on the way that of a run that ends there, at a
    constant rate."""
    plan = Optimization(learning_rate=5e-3, batch_size=16, steps=12, schedule="constant")
    run = trained(tiny_world.student(optimization=plan), tiny_store)
    short = trained(tiny_world.student(optimization=replace(plan, steps=8)), tiny_store)
    for split in ("validation", "test"):
        points = pd.read_parquet(run.paths.curve_predictions(split))
        assert points.groupby("step").size().to_dict() == {4: 24, 8: 24, 12: 24}
        for step, ended in ((12, run), (8, short)):
            point = points[points["step"] == step]
            expected = ended.paths.read_predictions(split).align(point["id"].tolist()).probabilities
            np.testing.assert_allclose(np.stack(point["outputs"].to_list()), expected, atol=1e-6)


def test_dropout_is_for_training_only(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    run = trained(
        tiny_world.student(model=replace(tiny_world.model, dropout=True)), tiny_store, save_weights=True
    )
    without = trained(tiny_world.student(), tiny_store)
    assert np.abs(run.losses - without.losses).max() > 1e-3
    frame = read_split(tiny_world.task, "test", tiny_store)
    logits = score(run.paths.model, [row[0] for row in frame["texts"]])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = run.paths.read_predictions("test").align(frame["id"].tolist()).probabilities
    np.testing.assert_allclose(predicted, expected, atol=1e-5)


def test_a_head_alone_is_trained_on_the_frozen_model_s_features(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = tiny_world.finetuning(model=replace(tiny_world.model, tuning=HeadOnly()))
    before = {
        name: value.clone()
        for name, value in build_model(RunInputs(spec, tiny_store), Sharding(None)).named_parameters()
    }
    after = AutoModelForSequenceClassification.from_pretrained(
        trained(spec, tiny_store, save_weights=True).paths.model
    )
    changed = [name for name, value in after.named_parameters() if not torch.equal(value, before[name])]
    assert changed == ["score.weight"]
