"""Zero- and few-shot prompting. The reference asks the language model with transformers, one text at a
time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TinyWorld, Trained
from transformers import AutoModelForCausalLM, AutoTokenizer

from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.data.pinning import Pinner
from raysweep.errors import InvalidInput
from raysweep.spec import Optimization, Prompting, RunSpec, TaskSpec, WeakLabels
from raysweep.store import Store
from raysweep.training.prompting import Prompts

UNTRAINED = Optimization(learning_rate=1.0, steps=1)
WORDS = ("ba", "de")


def asked(world: TinyWorld, **changes: object) -> RunSpec:
    model = replace(world.model, tuning=Prompting(words=WORDS, question=" da", separator=" be ", **changes))  # type: ignore[arg-type]
    return world.finetuning(model=model, optimization=UNTRAINED)


def shots(spec: RunSpec, store: Store) -> list[str]:
    return Prompts(RunInputs(spec, store)).shots


def test_a_class_is_the_likelier_word_of_the_pretrained_model(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    spec = asked(tiny_world)
    run = trained(spec, tiny_store)
    assert isinstance(tiny_world.model.base, RunSpec)
    folder = tiny_store.run(tiny_world.model.base.id).model
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    numbers = tokenizer.convert_tokens_to_ids(list(WORDS))
    frame = read_split(spec.task, "test", tiny_store)
    rows = []
    for (text,) in frame["texts"]:
        with torch.no_grad():
            rows.append(
                model(torch.tensor([tokenizer(f"{text} da")["input_ids"]]))
                .logits[0, -1, numbers]
                .softmax(dim=0)
            )
    predicted = run.paths.read_predictions("test").align(frame["id"].tolist()).probabilities
    np.testing.assert_allclose(predicted, torch.stack(rows).numpy(), atol=1e-5)
    assert np.ptp(predicted[:, 0]) > 1e-3


def test_nothing_is_trained(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    run = trained(asked(tiny_world), tiny_store)
    assert run.info["num_steps"] == 0 and run.info["num_tokens"] == 0 and len(run.losses) == 0


def test_shots_come_before_the_text_each_class_in_turn(tiny_world: TinyWorld, tiny_store: Store) -> None:
    spec = asked(tiny_world, num_examples=4)
    frame = read_split(spec.task, "supervisor", tiny_store)
    label_of = {row[0]: label for row, label in zip(frame["texts"], frame["label"], strict=True)}
    drawn = [shot.rpartition(" da ") for shot in shots(spec, tiny_store)]
    assert [word for _, _, word in drawn] == ["ba", "de"] * 2 or [word for _, _, word in drawn] == [
        "de",
        "ba",
    ] * 2
    assert all(WORDS[label_of[text]] == word for text, _, word in drawn)
    assert shots(spec, tiny_store) == shots(spec, tiny_store) != shots(replace(spec, seed=1), tiny_store)


def test_a_prompt_that_is_too_long_loses_its_beginning(tiny_world: TinyWorld, tiny_store: Store) -> None:
    """A context of 16 tokens holds one text of about 8 words, the question, and the end of the last shot."""
    spec = asked(tiny_world, num_examples=4)
    split = Prompts(RunInputs(spec, tiny_store)).split("test")
    lengths = np.diff(split.offsets)
    assert lengths.max() == 16
    zero = Prompts(RunInputs(asked(tiny_world), tiny_store)).split("test")
    for row in range(5):
        whole = split.tokens[split.offsets[row] : split.offsets[row + 1]].tolist()
        text = zero.tokens[zero.offsets[row] : zero.offsets[row + 1]].tolist()
        assert whole[-len(text) :] == text


def test_shots_may_carry_weak_labels(tiny_world: TinyWorld, tiny_store: Store) -> None:
    spec = replace(
        asked(tiny_world, num_examples=6),
        train_split="transfer",
        labels=WeakLabels(supervisor=tiny_world.supervisor),
    )
    labels = tiny_store.run(tiny_world.supervisor.id).read_predictions("transfer")
    frame = read_split(spec.task, "transfer", tiny_store)
    id_of = {row[0]: name for row, name in zip(frame["texts"], frame["id"], strict=True)}
    says = dict(zip(labels.ids, labels.classes, strict=True))
    assert all(
        WORDS[says[id_of[text]]] == word
        for text, _, word in (shot.rpartition(" da ") for shot in shots(spec, tiny_store))
    )


def test_words_that_begin_alike_are_refused(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    alike = replace(tiny_world.model, tuning=Prompting(words=("ba", "ba be")))
    with pytest.raises(InvalidInput, match="begin with the same token"):
        trained(tiny_world.finetuning(model=alike, optimization=UNTRAINED), tiny_store)


def test_more_shots_than_examples_are_refused(tiny_world: TinyWorld, tiny_store: Store) -> None:
    with pytest.raises(InvalidInput, match=r"num_examples=1000.* has 160 labelled examples"):
        shots(asked(tiny_world, num_examples=1000), tiny_store)


def test_answers_can_be_asked_for(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    task = Pinner(tiny_store).task(TaskSpec(name="test_answers:ECHOES"))
    model = replace(tiny_world.model, tuning=Prompting(num_examples=1, question=" da", separator=" be "))
    run = trained(tiny_world.finetuning(task=task, model=model, optimization=UNTRAINED), tiny_store)
    assert len(run.paths.read_predictions("test").decisions) == 64
