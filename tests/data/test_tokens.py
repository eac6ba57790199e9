"""Which tokens of a text a model sees, and that they are made once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folders import save_tiny_model
from tiny import TinyWorld
from transformers import AutoModelForCausalLM, AutoTokenizer

from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.data.pinning import Pinner
from raysweep.data.tokens import prepare_tokens, truncating
from raysweep.errors import InvalidInput
from raysweep.models.source import ModelInputs
from raysweep.models.tokenizers import make_tokenizer
from raysweep.spec import Call, Folder, ModelSpec
from raysweep.store import Store
from raysweep.training.tokenized import TokenizedSplit

TEXTS = ["The cat sat.", "the cat sat on the mat, the cat sat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model("gpt2", tmp_path_factory.mktemp("tokenizers") / "gpt2")


def model_of(folder: Path, **changes: object) -> ModelSpec:
    return ModelSpec(name="tiny", base=Folder(path=str(folder)), **changes)  # type: ignore[arg-type]


def test_tokens_are_those_of_the_models_tokenizer(tiny_world: TinyWorld, tiny_store: Store) -> None:
    inputs = RunInputs(tiny_world.supervisor, tiny_store)
    folder = prepare_tokens(inputs)
    tokens = np.load(folder / "test.tokens.npy")
    offsets = np.load(folder / "test.offsets.npy")
    texts = [text for row in inputs.examples("test", ["texts"])["texts"] for text in row]
    assert len(offsets) == len(texts) + 1 and offsets[-1] == len(tokens)
    assert np.diff(offsets).tolist() == [len(text.split()) for text in texts]
    assert inputs.tokenizer.convert_ids_to_tokens(tokens.tolist()) == " ".join(texts).split()
    assert folder == prepare_tokens(ModelInputs(tiny_world.model, tiny_world.task, tiny_store))


@pytest.mark.parametrize("truncation", ["left", "right"])
def test_a_long_text_keeps_its_end_or_its_beginning(
    truncation: str, folder: Path, tiny_world: TinyWorld, tiny_store: Store
) -> None:
    model = Pinner(tiny_store).model(model_of(folder, max_tokens=7, truncation=truncation))
    split = TokenizedSplit.load(RunInputs(tiny_world.finetuning(model=model), tiny_store), "test")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [row[0].split() for row in read_split(tiny_world.task, "test", tiny_store)["texts"]]
    expected = [words[-7:] if truncation == "left" else words[:7] for words in texts]
    assert max(map(len, texts)) > 7 > min(map(len, texts))
    for number, words in enumerate(expected):
        tokens = split.tokens[split.offsets[number] : split.offsets[number + 1]]
        assert tokenizer.convert_ids_to_tokens(tokens.tolist()) == words
    np.testing.assert_array_equal(split.lengths, [len(words) for words in expected])


def test_without_truncation_a_long_text_is_refused(
    folder: Path, tiny_world: TinyWorld, tiny_store: Store
) -> None:
    model = Pinner(tiny_store).model(model_of(folder, max_tokens=7, truncation="off"))
    with pytest.raises(
        InvalidInput, match=r"the text of sandbox/\w+/\w+-\d+ has \d+ tokens.* holds 7 and truncation is off"
    ):
        prepare_tokens(ModelInputs(model, tiny_world.task, tiny_store))
    fits = replace(model, max_tokens=11)
    assert prepare_tokens(ModelInputs(fits, tiny_world.task, tiny_store)).exists()


def test_models_with_equal_tokenizers_have_the_same_files_of_tokens(
    tmp_path: Path, tiny_world: TinyWorld, tiny_store: Store
) -> None:
    folders = [save_tiny_model("gpt2", tmp_path / name) for name in ("a", "b", "c")]
    (folders[1] / "config.json").write_text((folders[1] / "config.json").read_text() + " ")  # another model
    make_tokenizer(Call("byte_pair", {"vocabulary_size": 300}), TEXTS, folders[2])
    resized = AutoModelForCausalLM.from_pretrained(folders[2])
    resized.resize_token_embeddings(300)
    resized.save_pretrained(folders[2])
    limits = {"max_tokens": 7, "truncation": "right"}
    models = [Pinner(tiny_store).model(model_of(folder, **limits)) for folder in folders]
    models += [replace(models[1], max_tokens=6), replace(models[1], truncation="left")]
    made = [
        prepare_tokens(ModelInputs(model, tiny_world.task, tiny_store)) / "test.tokens.npy"
        for model in models
    ]
    assert made[0] != made[1] and made[0].samefile(made[1])
    assert not any(made[0].samefile(other) for other in made[2:])
    contents = {path.read_bytes() for path in made}
    assert len(contents) == 4


def test_a_token_without_an_embedding_is_told_with_its_text(
    tmp_path: Path, tiny_world: TinyWorld, tiny_store: Store
) -> None:
    folders = [save_tiny_model("gpt2", tmp_path / name) for name in ("whole", "small")]
    small = AutoModelForCausalLM.from_pretrained(folders[1])
    small.resize_token_embeddings(30)
    small.save_pretrained(folders[1])
    models = [Pinner(tiny_store).model(model_of(folder)) for folder in folders]
    prepare_tokens(ModelInputs(models[0], tiny_world.task, tiny_store))  # the same tokens, already made
    message = (
        r"the text of sandbox/\w+/\w+-\d+ has the token '\w+', number 41, and model 'tiny' has embeddings "
        r"for 30 tokens, its tokenizer 42; call model.resize_token_embeddings\(42\)"
    )
    with pytest.raises(InvalidInput, match=message):
        prepare_tokens(ModelInputs(models[1], tiny_world.task, tiny_store))


def test_truncation_is_not_left_in_a_tokenizer(folder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = tokenizer.convert_ids_to_tokens([5, 6, 7, 8])
    tokenizer.save_pretrained(tmp_path / "before")
    cutting = truncating(tokenizer, "left")
    assert cutting([" ".join(words)], truncation=True, max_length=3)["input_ids"] == [[6, 7, 8]]
    assert tokenizer([" ".join(words)])["input_ids"] == [[5, 6, 7, 8]]
    tokenizer.save_pretrained(tmp_path / "after")
    for path in (tmp_path / "before").iterdir():
        assert path.read_bytes() == (tmp_path / "after" / path.name).read_bytes()
