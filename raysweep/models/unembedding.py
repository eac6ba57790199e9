"""Heads that start as the unembedding of words: whether a model has the rows, and which they are."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from raysweep.errors import InvalidInput
from raysweep.models.architecture import auto_class
from raysweep.spec import RunSpec, Scratch, Unembedding

if TYPE_CHECKING:
    from raysweep.models.source import ModelInputs


def require_unembedding(inputs: ModelInputs) -> None:
    """Refuse a model whose head can't start as the unembedding of the words of its spec. Only for a model
    that starts a head so; the tokenizer must be there already.

    Raises:
        InvalidInput: the words aren't one for each output of the head, or not one token each; or the model
            has no language model's output layer, or one of another width than its head.
    """
    model = inputs.model
    task = inputs.task
    if not isinstance(model.head_init, Unembedding) or task.kind == "text":
        return
    what = f"model {model.name!r}: head_init is {model.head_init}"
    num_words = len(model.head_init.words)
    needed = {"classification": task.num_classes, "preference": 1}.get(task.kind or "")
    if needed != num_words:
        outputs = f"takes {needed} words" if needed else "has no head"
        raise InvalidInput(f"{what}; a model of task {task.label!r} ({task.kind}) {outputs}")
    base = model.base
    if isinstance(base, Scratch):
        raise InvalidInput(f"{what}, and a new model has learnt none; use 'small' or 'zeros'")
    if isinstance(base, RunSpec) and base.kind not in ("text", "generative"):
        raise InvalidInput(f"{what}, and the run that it starts from has a head, which is kept")
    word_tokens(inputs)
    _require_fitting_head(inputs, what)


def word_tokens(inputs: ModelInputs) -> list[int]:
    """The token of each word, as the text of the word alone is tokenized; or the token that the vocabulary
    writes like the word, such as "0" in Llama 2, where the text is "▁" and "0".

    Raises:
        InvalidInput: a word is no single token, or two are the same one.
    """
    model = inputs.model
    tokenizer = inputs.tokenizer
    assert isinstance(model.head_init, Unembedding)
    vocabulary = tokenizer.get_vocab()
    tokens: list[int] = []
    for word in model.head_init.words:
        numbers: list[int] = tokenizer(word, add_special_tokens=False)["input_ids"]
        if len(numbers) != 1 or numbers[0] == tokenizer.unk_token_id:
            if word not in vocabulary:
                pieces = ", ".join(map(repr, tokenizer.convert_ids_to_tokens(numbers)))
                raise InvalidInput(
                    f"model {model.name!r}: head_init is {model.head_init}, and its tokenizer makes "
                    f"{len(numbers)} tokens of {word!r} ({pieces}); each word must be one known "
                    "token. After a blank a word is another token, such as ' yes'"
                )
            numbers = [vocabulary[word]]
        tokens += numbers
    if len(set(tokens)) < len(tokens):
        raise InvalidInput(
            f"model {model.name!r}: head_init is {model.head_init}, and two of the words are the same token"
        )
    return tokens


def _require_fitting_head(inputs: ModelInputs, what: str) -> None:
    """Refuse a head that isn't one matrix on the last hidden state, as encoders have, or that has another
    width than the output layer. The modules are laid out without memory."""
    import torch

    config = copy.deepcopy(inputs.config)
    trust = inputs.origin.trust_remote_code
    kind = f"a {config.model_type}"
    with torch.device("meta"):
        try:
            classifier = auto_class("classes", config).from_config(config, trust_remote_code=trust)
            language_model = auto_class("tokens", config).from_config(config, trust_remote_code=trust)
        except (ValueError, KeyError, ImportError) as error:
            raise InvalidInput(
                f"{what}, and {kind} can't be both a classifier and a language model: {error}"
            ) from error
    body = f"{classifier.base_model_prefix}."
    head = {name: item.shape for name, item in classifier.named_parameters() if not name.startswith(body)}
    if len(head) != 1 or len(next(iter(head.values()))) != 2:
        raise InvalidInput(
            f"{what}, and the head of {kind} isn't one matrix on the last hidden state: it has "
            f"{', '.join(head)}. Use a decoder, such as GPT-2 or Llama, or 'small' or 'zeros'"
        )
    layer = language_model.get_output_embeddings()
    width = None if layer is None else layer.weight.shape[1]
    wanted = next(iter(head.values()))[1]
    if width != wanted:
        raise InvalidInput(
            f"{what}, and the output layer of {kind} has rows of {width} numbers, its head of {wanted}"
        )
