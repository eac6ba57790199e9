"""Tokenizers for models that a sweep pretrains: made once from the corpus and shared by a family.

Call("word_level")                          one token per blank-separated word (sandbox)
Call("byte_pair", {"vocabulary_size": n})   byte-level byte-pair encoding (Sennrich et al. 2016; real text)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from raysweep.errors import InvalidInput, unknown
from raysweep.spec import Call

_SPECIAL = ["<pad>", "<unk>"]
_KNOWN = ("word_level", "byte_pair")


def check_tokenizer(call: Call) -> None:
    """Refuse an unknown tokenizer or invalid parameters before any text is read.

    Raises:
        InvalidInput: says what is allowed.
    """
    if call.name not in _KNOWN:
        raise unknown("tokenizer", call.name, _KNOWN)
    allowed = {"vocabulary_size"} if call.name == "byte_pair" else set()
    if set(call.params) != allowed:
        raise InvalidInput(
            f"tokenizer {call.name!r} takes {sorted(allowed) or 'no parameters'}, got {sorted(call.params)}"
        )
    if call.name == "byte_pair" and not (
        isinstance(call.params["vocabulary_size"], int) and call.params["vocabulary_size"] >= 300
    ):
        raise InvalidInput(
            "tokenizer 'byte_pair': vocabulary_size must be a whole number of at least 300 (256 of them are "
            "the bytes)"
        )


def make_tokenizer(call: Call, texts: Iterable[str], folder: Path) -> None:
    """Make a tokenizer from a corpus and save it in the format of transformers; raises as
    `check_tokenizer`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    check_tokenizer(call)
    if call.name == "word_level":
        words = sorted({word for text in texts for word in text.split()})
        vocabulary = {word: number for number, word in enumerate(_SPECIAL + words)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=call.params["vocabulary_size"],
            special_tokens=_SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")
    fast.save_pretrained(folder)
