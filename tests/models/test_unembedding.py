"""Heads that start as the unembedding of words: refused when planning, or equal to its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from folders import save_tiny_model
from safetensors.torch import load_file
from tiny import TinyWorld, Trained
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.data.pinning import Pinner
from raysweep.errors import InvalidInput
from raysweep.models.source import ModelInputs
from raysweep.models.unembedding import require_unembedding, word_tokens
from raysweep.spec import Folder, Hub, Lora, ModelSpec, RunSpec, Unembedding
from raysweep.store import Store
from raysweep.training.model import build_model
from raysweep.training.sharding import Sharding

WORDS = ("ba", "de")


def spec_of(folder: Path, world: TinyWorld, store: Store, *words: str, **changes: Any) -> RunSpec:
    model = ModelSpec(
        name=folder.name, base=Folder(path=str(folder)), head_init=Unembedding(words=words or WORDS)
    )
    return world.finetuning(model=replace(Pinner(store).model(model), **changes))


def planned(spec: RunSpec, store: Store) -> None:
    """What planning does with a run's task and model."""
    Pinner(store).tokens(spec.task, spec.model)


def tokens_of(spec: RunSpec, store: Store) -> list[int]:
    vocabulary = RunInputs(spec, store).tokenizer.get_vocab()
    return [vocabulary[word] for word in WORDS]


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("gpt2", "transformer.wte.weight"),  # the output layer is the embedding
        ("llama", "lm_head.weight"),
        ("gpt_neox", "embed_out.weight"),
    ],
)
def test_the_head_has_the_rows_of_the_words(
    architecture: str, layer: str, tiny_world: TinyWorld, tiny_store: Store, tmp_path: Path
) -> None:
    folder = save_tiny_model(architecture, tmp_path / architecture)
    spec = spec_of(folder, tiny_world, tiny_store)
    planned(spec, tiny_store)
    rows = load_file(folder / "model.safetensors")[layer][tokens_of(spec, tiny_store)]
    model = build_model(RunInputs(spec, tiny_store), Sharding(None))
    assert torch.equal(model.score.weight, rows) and rows.unique(dim=0).shape == (2, 16)

    adapted = replace(spec, model=replace(spec.model, tuning=Lora(rank=2)))
    head = build_model(RunInputs(adapted, tiny_store), Sharding(None)).get_submodule("base_model.model.score")
    assert torch.equal(head.modules_to_save.default.weight, rows)  # type: ignore[union-attr]


def test_the_first_logits_are_those_of_the_words_that_would_follow(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained], tmp_path: Path
) -> None:
    """The first loss of a student is worked out from the language model; under ZeRO 3 it is the same."""
    model = replace(tiny_world.model, head_init=Unembedding(words=WORDS))
    plan = replace(tiny_world.finetuning().optimization, order="fixed")
    spec = tiny_world.student(model=model, optimization=plan)
    planned(spec, tiny_store)
    assert isinstance(model.base, RunSpec)
    folder = tiny_store.run(model.base.id).model
    language_model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    first = read_split(spec.task, "transfer", tiny_store)[:16]
    with torch.no_grad():
        logits = [
            language_model(torch.tensor([tokenizer(row[0])["input_ids"]])).logits[0, -1]
            for row in first["texts"]
        ]
    own = torch.stack(logits)[:, tokens_of(spec, tiny_store)].double().log_softmax(dim=1).numpy()
    labels = RunInputs(spec, tiny_store).labels("transfer").align(first["id"].tolist()).probabilities
    run = trained(spec, tiny_store, micro_batch_size=4)
    assert run.losses[0] == pytest.approx(-(labels * own).sum(axis=1).mean(), abs=1e-6)
    sharded = trained(spec, tiny_world.copy(tmp_path / "sharded"), zero_stage=3)
    np.testing.assert_allclose(sharded.losses, run.losses, rtol=0, atol=2e-5)


def test_a_spec_without_it_has_the_identity_that_it_had() -> None:
    model = ModelSpec(name="m", base=Hub(id="a/b", commit="0" * 40))
    assert "head_init" in str(replace(model, head_init="small")) and model == replace(
        model, head_init="small"
    )
    assert replace(model, head_init=Unembedding()) != model
    assert replace(model, head_init=Unembedding()) == replace(model, head_init=Unembedding(words=("0", "1")))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("ba", "ba de"), r"makes 2 tokens of 'ba de' \('ba', 'de'\); each word must be one known token"),
        (("ba", "nonsense"), r"makes 1 tokens of 'nonsense' \('<unk>'\)"),
        (("ba", "ba"), "two of the words are the same token"),
        (("ba", "de", "di"), r"a model of task 'sandbox' \(classification\) takes 2 words"),
    ],
)
def test_words_that_are_not_one_token_each_are_refused(
    words: tuple[str, ...], told: str, tiny_world: TinyWorld, tiny_store: Store, tmp_path: Path
) -> None:
    spec = spec_of(save_tiny_model("gpt2", tmp_path / "gpt2"), tiny_world, tiny_store, *words)
    with pytest.raises(InvalidInput, match=rf"^model 'gpt2': head_init is the unembedding of 'ba', .*{told}"):
        planned(spec, tiny_store)


@pytest.mark.parametrize(
    ("kind", "words", "told"),
    [
        ("preference", ("ba", "de"), "takes 1 words"),
        ("preference", ("ba",), None),
        ("generative", ("ba", "de"), r"\(generative\) has no head"),
        ("text", ("ba", "de"), None),
    ],
)
def test_the_words_are_one_for_each_output(
    kind: Any,
    words: tuple[str, ...],
    told: str | None,
    tiny_world: TinyWorld,
    tiny_store: Store,
    tmp_path: Path,
) -> None:
    spec = spec_of(save_tiny_model("gpt2", tmp_path / "gpt2"), tiny_world, tiny_store, *words)
    inputs = ModelInputs(spec.model, replace(spec.task, kind=kind), tiny_store)
    if told is None:
        require_unembedding(inputs)
        return
    with pytest.raises(InvalidInput, match=told):
        require_unembedding(inputs)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "deberta-v2"])
def test_encoders_are_refused(
    architecture: str, tiny_world: TinyWorld, tiny_store: Store, tmp_path: Path
) -> None:
    spec = spec_of(save_tiny_model(architecture, tmp_path / architecture), tiny_world, tiny_store)
    with pytest.raises(
        InvalidInput, match=f"a {architecture} (isn't one matrix|can't be both)|of a {architecture}"
    ):
        planned(spec, tiny_store)


def test_weights_without_an_output_layer_or_with_a_head_are_refused(
    tiny_world: TinyWorld, tiny_store: Store, tmp_path: Path
) -> None:
    def body_alone(model: PreTrainedModel, tensors: dict[str, torch.Tensor]) -> None:
        del tensors["lm_head.weight"]

    def with_head(model: PreTrainedModel, tensors: dict[str, torch.Tensor]) -> None:
        tensors["score.weight"] = torch.ones(2, 16)

    for change, told in (
        (body_alone, "weights have no output layer"),
        (with_head, "have a head, which is kept"),
    ):
        folder = save_tiny_model("llama", tmp_path / change.__name__, change)
        spec = spec_of(folder, tiny_world, tiny_store)
        planned(spec, tiny_store)
        with pytest.raises(InvalidInput, match=told):
            build_model(RunInputs(spec, tiny_store), Sharding(None))
    again = ModelSpec(name="again", base=tiny_world.supervisor, head_init=Unembedding(words=WORDS))
    with pytest.raises(InvalidInput, match="the run that it starts from has a head, which is kept"):
        planned(tiny_world.finetuning(model=again), tiny_store)


def test_a_word_may_be_named_as_the_vocabulary_writes_it(
    tiny_world: TinyWorld, tiny_store: Store, tmp_path: Path
) -> None:
    """As in Llama 2, whose text "0" is "▁" and "0"."""
    folder = save_tiny_model("llama", tmp_path / "llama")
    vocabulary = {"<pad>": 0, "<unk>": 1, "▁": 2, "0": 3, "1": 4, "▁1": 5}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>", continuing_subword_prefix=""))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(
        folder
    )
    found = RunInputs(spec_of(folder, tiny_world, tiny_store, "0", "1"), tiny_store)
    assert found.tokenizer.tokenize("0") == ["▁", "0"]
    assert word_tokens(found) == [3, 5]
