"""Generative tasks: answers learnt token by token, written by greedy decoding. The references call
transformers directly."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import TinyWorld, Trained, run_ranks
from transformers import AutoModelForCausalLM, AutoTokenizer

from raysweep.data.examples import read_split
from raysweep.data.pinning import Pinner
from raysweep.data.tokens import prepare_tokens
from raysweep.errors import InvalidInput
from raysweep.models.source import ModelInputs
from raysweep.spec import Lora, Optimization, RunSpec, TaskSpec, WeakLabels
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.tasks.base import Example, Task

WORDS = ["ba", "be", "bi", "bo", "bu", "da", "de", "di"]
"""Words of the tiny world's vocabulary."""


def load_echoes() -> Mapping[str, list[Example]]:
    """The answer to a sentence, which ends with "do", says which of two words it holds: in two words, or in
    one."""
    rng = np.random.default_rng(0)
    pools = {}
    for pool, count in (("train", 400), ("test", 80)):
        examples = []
        for number in range(count):
            words = [WORDS[2 + index] for index in rng.integers(0, 6, rng.integers(2, 8))]
            said = int(rng.integers(2))
            words[int(rng.integers(len(words)))] = WORDS[said]
            name = f"{pool}-{number}"
            allowed = ("ba be", "di")
            examples.append(
                Example(
                    id=name,
                    group=name,
                    texts=(f"{' '.join(words)} do",),
                    target=allowed[said],
                    allowed=allowed,
                )
            )
        pools[pool] = examples
    return pools


ECHOES = Task(
    name="echoes",
    summary="echoes",
    kind="generative",
    num_classes=0,
    load=load_echoes,
    max_answer_tokens=4,
    num_train=128,
    num_validation=32,
    num_test=64,
    balanced=False,
)

CRAMPED = replace(ECHOES, max_answer_tokens=2)


def load_long_echoes() -> Mapping[str, list[Example]]:
    """Prompts of more words than the context holds."""
    return {
        pool: [replace(example, texts=(f"{example.texts[0]} {' '.join(WORDS * 2)}",)) for example in examples]
        for pool, examples in load_echoes().items()
    }


LONG = replace(ECHOES, load=load_long_echoes)


@pytest.fixture
def supervisor(tiny_world: TinyWorld, tiny_store: Store) -> RunSpec:
    task = Pinner(tiny_store).task(TaskSpec(name="test_answers:ECHOES"))
    return tiny_world.finetuning(
        task=task, optimization=Optimization(learning_rate=3e-2, batch_size=16, steps=100)
    )


def test_answers_are_learnt_and_written(
    supervisor: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    run = trained(supervisor, tiny_store, evaluation_batch_size=7)
    metrics = run.paths.read_result()["metrics"]
    assert metrics["test_accuracy"] > 0.9 and metrics["test_legality"] > 0.9
    answers = run.paths.read_predictions("test").answers
    assert answers is not None and set(answers) >= {"ba be", "di"}
    curve = pd.read_parquet(run.paths.curve_predictions("test"))
    assert {"step", "id", "answer"} == set(curve.columns)
    last = curve[curve["step"] == 100].set_index("id")["answer"]
    written = dict(zip(run.paths.read_predictions("test").ids, answers, strict=True))
    assert all(written[str(name)] == answer for name, answer in last.items())


def test_answers_are_those_of_greedy_decoding_one_prompt_at_a_time(
    supervisor: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    """After a few steps answers are still of all kinds: too long, illegal, ended at once."""
    spec = replace(supervisor, optimization=Optimization(learning_rate=3e-3, batch_size=16, steps=6))
    run = trained(spec, tiny_store, save_weights=True, evaluation_batch_size=9)
    model = AutoModelForCausalLM.from_pretrained(run.paths.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(run.paths.model)
    frame = read_split(spec.task, "test", tiny_store)
    expected = {}
    for name, (prompt,) in zip(frame["id"], frame["texts"], strict=True):
        tokens = list(tokenizer(prompt)["input_ids"])
        start = len(tokens)
        with torch.no_grad():
            while len(tokens) < start + 4:
                token = int(model(torch.tensor([tokens])).logits[0, -1].argmax())
                if token == tokenizer.pad_token_id:
                    break
                tokens.append(token)
        expected[name] = " ".join(tokenizer.convert_ids_to_tokens(tokens[start:]))
    predicted = run.paths.read_predictions("test")
    assert predicted.answers is not None
    assert dict(zip(predicted.ids, predicted.answers, strict=True)) == expected
    assert len(set(expected.values())) > 1


def test_the_first_loss_by_hand(
    supervisor: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    """The mean over the batch's answer tokens, ends included; the prompts' own tokens aren't learnt."""
    spec = replace(
        supervisor, optimization=Optimization(learning_rate=1e-9, batch_size=16, steps=1, order="fixed")
    )
    run = trained(spec, tiny_store, save_weights=True, micro_batch_size=4)
    model = AutoModelForCausalLM.from_pretrained(run.paths.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(run.paths.model)
    frame = read_split(spec.task, "supervisor", tiny_store).iloc[:16]
    losses = []
    for (prompt,), target in zip(frame["texts"], frame["target"], strict=True):
        tokens = tokenizer(prompt)["input_ids"]
        answer = [*tokenizer(target)["input_ids"], tokenizer.pad_token_id]
        with torch.no_grad():
            scores = model(torch.tensor([[*tokens, *answer]])).logits[0].log_softmax(dim=-1)
        losses += [-float(scores[len(tokens) + place - 1, token]) for place, token in enumerate(answer)]
    assert run.losses[0] == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_student_learns_its_supervisor_s_answers(
    supervisor: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    poor = replace(supervisor, optimization=Optimization(learning_rate=3e-2, batch_size=16, steps=60))
    weak = trained(poor, tiny_store)
    spec = replace(supervisor, train_split="transfer", labels=WeakLabels(supervisor=poor))
    student = trained(spec, tiny_store)
    metrics = student.paths.read_result()["metrics"]
    assert metrics["test_agreement"] > 0.7
    labels = weak.paths.read_predictions("transfer")
    assert labels.answers is not None and len(labels) == 128


def test_two_workers_write_what_one_does_under_zero_3_too(
    supervisor: RunSpec, tiny_store: Store, trained: Callable[..., Trained], tmp_path: Path
) -> None:
    """Answers of unequal length and ranks with unequal shares: under ZeRO-3 no rank may stop before the
    others."""
    spec = replace(supervisor, optimization=Optimization(learning_rate=1e-2, batch_size=16, steps=30))
    stores = [shutil.copytree(tiny_store.folder, tmp_path / f"store-{stage}") for stage in (0, 3)]
    resources = [Resources(num_workers=2, zero_stage=stage, evaluation_batch_size=9) for stage in (0, 3)]
    calls = [
        ("execute_run", (spec, str(folder), False, what))
        for folder, what in zip(stores, resources, strict=True)
    ]
    returned = run_ranks(calls, tmp_path / "ranks")
    assert [error for rank in returned for _, error in rank] == [""] * 4
    alone = trained(spec, tiny_store)
    for folder in stores:
        together = Trained(Store(folder).run(spec.id))
        np.testing.assert_allclose(together.losses, alone.losses, rtol=1e-3)
        ours, theirs = (run.paths.read_predictions("test").decisions for run in (alone, together))
        assert (ours == theirs).mean() > 0.95


@pytest.mark.parametrize(
    "changes", [{"tuning": Lora(rank=4, target_modules=("c_attn",))}, {"precision": "bfloat16"}]
)
def test_adapters_and_bfloat16_write_answers_too(
    changes: dict[str, Any], supervisor: RunSpec, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    optimization = replace(supervisor.optimization, precision=changes.get("precision", "float32"))
    model = replace(supervisor.model, tuning=changes.get("tuning", supervisor.model.tuning))
    run = trained(replace(supervisor, model=model, optimization=optimization), tiny_store)
    assert run.losses[-10:].mean() < run.losses[0] - 0.5
    assert len(run.paths.read_predictions("test").decisions) == 64


def test_an_answer_without_room_is_refused(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    task = Pinner(tiny_store).task(TaskSpec(name="test_answers:CRAMPED"))
    with pytest.raises(
        InvalidInput, match="'ba be' has 2 tokens and an end token, and the task's max_answer_tokens is 2"
    ):
        prepare_tokens(ModelInputs(tiny_world.model, task, tiny_store))


def test_prompts_leave_room_for_an_answer(tiny_world: TinyWorld, tiny_store: Store) -> None:
    """The context holds 16 tokens, an answer 4 of them."""
    task = Pinner(tiny_store).task(TaskSpec(name="test_answers:LONG"))
    folder = prepare_tokens(ModelInputs(tiny_world.model, task, tiny_store))
    assert set(np.diff(np.load(folder / "test.offsets.npy"))) == {12}
