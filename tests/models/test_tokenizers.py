"""Tokenizers that are made here, and which tokens of a text a model sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from raysweep.errors import InvalidInput
from raysweep.models.tokenizers import check_tokenizer, make_tokenizer
from raysweep.spec import Call

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
