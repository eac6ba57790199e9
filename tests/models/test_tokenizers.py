"""Tokenizers that are made here, and which tokens of a text a model sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folders import replace_tokenizer, save_tiny_model
from tiny import TinyWorld
from transformers import AutoTokenizer

from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.data.pinning import Pinner
from raysweep.data.tokens import prepare_tokens
from raysweep.errors import InvalidInput
from raysweep.models.source import (
    ModelInputs,
    context_key,
    context_length,
    folder_problem,
    tokenizer_key,
)
from raysweep.models.tokenizers import check_tokenizer, make_tokenizer
from raysweep.spec import Call, Folder, Hub, ModelSpec, RunSpec, Scratch
from raysweep.store import Store
from raysweep.training.tokenized import TokenizedSplit

TEXTS = [
    "The cat sat.",
    "Ein Käse — 3 €?",
    "  two  spaces\nand a line",
    "日本語",
    "the cat sat on the mat, the cat sat",
]


def test_word_level_numbers_the_words_in_their_order_after_the_special_ones(tmp_path: Path) -> None:
    make_tokenizer(Call("word_level"), ["b a", "c  a\nb"], tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.get_vocab() == {"<pad>": 0, "<unk>": 1, "a": 2, "b": 3, "c": 4}
    assert tokenizer("c a new b")["input_ids"] == [4, 2, 1, 3]
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.eos_token_id) == (0, 1, None)


def test_byte_pairs_give_every_text_back(tmp_path: Path) -> None:
    make_tokenizer(Call("byte_pair", {"vocabulary_size": 300}), TEXTS * 5, tmp_path / "a")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert len(tokenizer) == 300
    for text in [*TEXTS, "unseen: żółw 🐢\t<pad"]:
        tokens = tokenizer(text)["input_ids"]
        assert tokenizer.decode(tokens) == text
        assert tokenizer.unk_token_id not in tokens
    # frequent words take fewer tokens than bytes
    assert len(tokenizer("the cat sat")["input_ids"]) <= 5

    make_tokenizer(Call("byte_pair", {"vocabulary_size": 300}), iter(TEXTS * 5), tmp_path / "b")
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (
        tmp_path / "b" / "tokenizer.json"
    ).read_bytes()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Call("letters"), r"unknown tokenizer 'letters'; known: byte_pair, word_level"),
        (
            Call("word_level", {"vocabulary_size": 500}),
            r"'word_level' takes no parameters, got \['vocabulary_size'\]",
        ),
        (Call("byte_pair"), r"'byte_pair' takes \['vocabulary_size'\], got \[\]"),
        (Call("byte_pair", {"vocabulary_size": 299}), "at least 300"),
        (Call("byte_pair", {"vocabulary_size": 1000.5}), "whole number"),
    ],
    ids=str,
)
def test_bad_tokenizers_are_refused(call: Call, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        check_tokenizer(call)
    with pytest.raises(InvalidInput, match=message):
        make_tokenizer(call, [], tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model("gpt2", tmp_path_factory.mktemp("tokenizers") / "gpt2")


def model_of(folder: Path, **changes: object) -> ModelSpec:
    return ModelSpec(name="tiny", base=Folder(path=str(folder), content="0" * 16), **changes)  # type: ignore[arg-type]


def test_a_model_without_a_padding_token_pads_with_its_end(
    folder: Path, tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    copy = save_tiny_model("gpt2", tmp_path / "end")
    replace_tokenizer(copy, eos_token="<unk>")
    tokenizer = ModelInputs(model_of(copy), tiny_world.task, store).tokenizer
    assert (tokenizer.pad_token_id, tokenizer.padding_side) == (1, "right")
    replace_tokenizer(copy)
    with pytest.raises(
        InvalidInput, match=r"model 'tiny': the tokenizer of .*end has neither a padding nor an end token"
    ):
        _ = ModelInputs(model_of(copy), tiny_world.task, store).tokenizer


def test_a_tokenizer_that_pads_on_the_left_is_turned_round(
    tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    copy = save_tiny_model("gpt2", tmp_path / "left")
    replace_tokenizer(copy, pad_token="<pad>", padding_side="left")
    assert ModelInputs(model_of(copy), tiny_world.task, store).tokenizer.padding_side == "right"


@pytest.mark.parametrize("name", ["tokenizer", "config"])
def test_unreadable_parts_of_a_folder_are_told_by_name(
    name: str, tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    copy = save_tiny_model("gpt2", tmp_path / "broken")
    (copy / f"{name}.json").write_text("{ not json")
    with pytest.raises(InvalidInput, match=rf"model 'tiny': no {name}.*{copy}"):
        getattr(ModelInputs(model_of(copy), tiny_world.task, store), name)


def test_code_in_a_folder_is_not_run_unless_trusted(
    tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "code.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"
        "from transformers import GPT2Config\nclass Own(GPT2Config):\n    model_type = 'own'\n"
    )
    (tmp_path / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoConfig": "code.Own"}}')
    with pytest.raises(InvalidInput, match="trust_remote_code"):
        _ = ModelInputs(model_of(tmp_path), tiny_world.task, store).config
    assert not (tmp_path / "ran").exists()


def test_what_a_model_folder_lacks_is_named(folder: Path, tmp_path: Path) -> None:
    assert folder_problem(folder) is None
    assert "no such folder" in (folder_problem(tmp_path / "none") or "")
    copy = save_tiny_model("gpt2", tmp_path / "copy")
    for name, problem in (
        ("tokenizer*", "no tokenizer"),
        ("*.safetensors", "no weights"),
        ("config.json", "no config.json"),
    ):
        for path in copy.glob(name):
            path.unlink()
        assert problem in (folder_problem(copy) or "")
    with pytest.raises(InvalidInput, match=r"model 'tiny': .*copy can't be used: it has no config"):
        Pinner(Store(tmp_path / "store")).model(model_of(copy))


def test_the_context_is_the_architecture_s_or_a_shorter_one(
    folder: Path, tiny_world: TinyWorld, store: Store
) -> None:
    config = ModelInputs(model_of(folder), tiny_world.task, store).config
    assert context_length(model_of(folder), config) == 32
    assert context_length(model_of(folder, max_tokens=5), config) == 5
    with pytest.raises(InvalidInput, match="max_tokens is 33, its context holds at most 32"):
        context_length(model_of(folder, max_tokens=33), config)
    config.max_position_embeddings = None
    with pytest.raises(InvalidInput, match=r"names no context length; set ModelSpec\.max_tokens"):
        context_length(model_of(folder), config)
    assert context_length(model_of(folder, max_tokens=99), config) == 99


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
    make_tokenizer(Call("byte_pair", {"vocabulary_size": 300}), TEXTS, folders[2])
    limits = {"max_tokens": 7, "truncation": "right"}
    models = [
        replace(model_of(folder, **limits), base=Folder(path=str(folder), content=folder.name))
        for folder in folders
    ]
    models += [replace(models[1], max_tokens=6), replace(models[1], truncation="left")]
    made = [
        prepare_tokens(ModelInputs(model, tiny_world.task, tiny_store)) / "test.tokens.npy"
        for model in models
    ]
    assert made[0] != made[1] and made[0].samefile(made[1])
    assert not any(made[0].samefile(other) for other in made[2:])
    contents = {path.read_bytes() for path in made}
    assert len(contents) == 4


def test_tokens_are_kept_apart_by_all_that_decides_them(tiny_world: TinyWorld) -> None:
    model = tiny_world.model
    base = tiny_world.model.base
    assert isinstance(base, RunSpec) and isinstance(base.model.base, Scratch)

    def new(**changes: object) -> ModelSpec:
        return ModelSpec(name="new", base=replace(base.model.base, **changes))  # type: ignore[type-var, union-attr, arg-type]

    # a model that starts from a run reads that run's tokens
    assert tokenizer_key(model, tiny_world.task) == tokenizer_key(base.model, base.task)
    assert tokenizer_key(new(), base.task) != tokenizer_key(new(), tiny_world.task)
    assert tokenizer_key(new(config={"n_embd": 8}), base.task) == tokenizer_key(new(), base.task)
    other = new(tokenizer=Call("byte_pair", {"vocabulary_size": 300}))
    assert tokenizer_key(other, base.task) != tokenizer_key(new(), base.task)
    # the same values mean another default context in another architecture
    contexts = [
        new(),
        new(architecture="llama"),
        new(config={"n_positions": 8}),
        replace(new(), max_tokens=5),
    ]
    contexts += [replace(new(), truncation="right")]
    assert len({context_key(item) for item in contexts}) == len(contexts)
    hub = [ModelSpec(name="hub", base=Hub(id="a/b", commit=commit * 40)) for commit in "01"]
    assert tokenizer_key(hub[0], base.task) != tokenizer_key(hub[1], base.task)
    assert context_key(hub[0]) != context_key(hub[1])


def test_where_weights_come_from_is_pinned(tiny_world: TinyWorld, tiny_store: Store) -> None:
    hub = ModelSpec(name="hub", base=Hub(id="a/b", commit="0" * 40))
    source = ModelInputs(hub, tiny_world.task, tiny_store).weights
    assert (source.name, source.keywords) == ("a/b", {"revision": "0" * 40, "trust_remote_code": False})
    base = tiny_world.model.base
    assert isinstance(base, RunSpec)
    inputs = ModelInputs(tiny_world.model, tiny_world.task, tiny_store)
    folder = Path(inputs.weights.name)
    assert folder == tiny_store.run(base.id).model
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(Exception, match=r"model\.safetensors .* isn't what raysweep wrote"):
        _ = inputs.weights
