"""Token numbers of a task's texts, made once for each task and tokenizer."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from raysweep.data.examples import max_answer_tokens, read_split, split_sizes
from raysweep.errors import InvalidInput
from raysweep.models.source import ModelInputs
from raysweep.models.tokenizers import make_tokenizer
from raysweep.spec import ModelSpec, Scratch, TaskSpec
from raysweep.spec.identity import digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def prepare_tokens(inputs: ModelInputs) -> Path:
    """The texts of a pinned task as token numbers of a pinned model, made once.

    Models with equal tokenizers and limits, such as those of a family, share the files.

    Returns:
        The folder with, for each split, `<split>.tokens.npy` (all tokens, int32) and `<split>.offsets.npy`
        (where each text starts; number of texts + 1, int64).

    Raises:
        InvalidInput: a text is longer than the model's context and truncation is off, has no token, or one
            without an embedding; an answer is longer than the task's `max_answer_tokens`; or the token that
            ends an answer is in a prompt or an answer.
    """
    ensure_tokenizer(inputs)
    task = inputs.task
    model = inputs.model
    store = inputs.store
    key = digest([task.content, inputs.tokenizer_key, inputs.context_length, model.truncation])

    def write(folder: Path) -> None:
        limit = inputs.context_length - max_answer_tokens(task, store)
        _require_room(limit, model, task)
        # The serialized tokenizer, where it is written in Rust, is all that decides the tokens.
        backend = getattr(inputs.tokenizer, "backend_tokenizer", None)
        made_by = key if backend is None else hashlib.sha256(backend.to_str().encode()).hexdigest()
        shared = store.tokens(digest([task.content, made_by, limit, model.truncation]))
        store.fill(shared, lambda made: _write_tokens(made, inputs, limit))
        for split in split_sizes(task, store):
            _require_known(inputs, split, shared)
        for path in shared.glob("*.npy"):
            try:
                os.link(path, folder / path.name)
            except OSError:  # a file system without hard links
                shutil.copyfile(path, folder / path.name)

    return store.fill(store.tokens(key), write)


def truncating(tokenizer: PreTrainedTokenizerBase, side: Literal["left", "right"]) -> PreTrainedTokenizerBase:
    """A copy of a tokenizer, to cut long texts at this end: a tokenizer keeps how it truncated last, and is
    saved with that."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.truncation_side = side
    return tokenizer


def answer_tokens(answers: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Answers as the tokens that follow a prompt after a blank."""
    lists: list[list[int]] = tokenizer([f" {answer}" for answer in answers], add_special_tokens=False)[
        "input_ids"
    ]
    return lists


def _write_tokens(folder: Path, inputs: ModelInputs, limit: int) -> None:
    task = inputs.task
    model = inputs.model
    tokenizer = (
        inputs.tokenizer if model.truncation == "off" else truncating(inputs.tokenizer, model.truncation)
    )
    options: dict[str, Any] = {} if model.truncation == "off" else {"truncation": True, "max_length": limit}
    for split in split_sizes(task, inputs.store):
        frame = read_split(task, split, inputs.store, ["id", "texts"])
        texts = [text for row in frame["texts"] for text in row]
        lists = tokenizer(texts, return_attention_mask=False, **options)["input_ids"]
        owners = [example for example, row in zip(frame["id"], frame["texts"], strict=True) for _ in row]
        for owner, tokens in zip(owners, lists, strict=True):
            _require_fit(len(tokens), limit, model, f"{task.name}/{split}/{owner}")
        if task.kind == "generative":
            targets = read_split(task, split, inputs.store, ["target"])["target"].tolist()
            room = max_answer_tokens(task, inputs.store)
            _require_room_for_answers(targets, answer_tokens(targets, inputs.tokenizer), room, task)
        values = np.concatenate([np.asarray(tokens, np.int32) for tokens in lists])
        np.save(folder / f"{split}.tokens.npy", values)
        np.save(folder / f"{split}.offsets.npy", np.cumsum([0, *map(len, lists)], dtype=np.int64))


def ensure_tokenizer(inputs: ModelInputs) -> None:
    """Make the tokenizer of a new model from the texts and answers that it is pretrained on."""
    base = inputs.origin.base
    if not isinstance(base, Scratch):
        return

    def write(folder: Path) -> None:
        frame = read_split(inputs.origin_task, "train", inputs.store)
        texts = [text for row in frame["texts"] for text in row]
        answers = [text for row in frame["allowed"] for text in row]
        answers += [text for text in frame["target"] if text is not None]
        make_tokenizer(base.tokenizer, texts + answers, folder)

    inputs.store.fill(inputs.store.tokenizer(inputs.tokenizer_key), write)


def _require_room(limit: int, model: ModelSpec, task: TaskSpec) -> None:
    if limit < 1:
        raise InvalidInput(
            f"model {model.name!r}: its context leaves no room for the prompts of task {task.label!r} beside "
            "an answer; give a model with a longer context, or a larger max_tokens"
        )


def _require_room_for_answers(
    answers: Sequence[str], lists: Sequence[Sequence[int]], room: int, task: TaskSpec
) -> None:
    for answer, tokens in zip(answers, lists, strict=True):
        if len(tokens) >= room:
            raise InvalidInput(
                f"task {task.label!r}: the answer {answer!r:.80} has {len(tokens)} tokens and an end token, "
                f"and the task's max_answer_tokens is {room}; raise it in its Task"
            )


def _require_fit(num_tokens: int, limit: int, model: ModelSpec, where: str) -> None:
    if num_tokens == 0:
        raise InvalidInput(
            f"the text of {where} has no token for model {model.name!r}; an example needs a text"
        )
    if num_tokens > limit:
        raise InvalidInput(
            f"the text of {where} has {num_tokens} tokens, the context of model {model.name!r} holds {limit} "
            'and truncation is off; set ModelSpec.truncation to "left" or "right", or leave out such texts'
        )


def _require_known(inputs: ModelInputs, split: str, folder: Path) -> None:
    """Refuse texts with tokens that the model has no embedding for, and prompts and answers with the token
    that ends an answer. Models that share tokens may differ in both."""
    tokens = np.load(folder / f"{split}.tokens.npy", mmap_mode="r")
    name = inputs.model.name
    rows = inputs.limits.embeddings
    largest = int(tokens.max(initial=0))
    if rows is not None and largest >= rows:
        where = _text_with(largest, inputs, split, folder)
        size = len(inputs.tokenizer)
        raise InvalidInput(
            f"the text of {where} has the token {inputs.tokenizer.convert_ids_to_tokens(largest)!r}, number "
            f"{largest}, and model {name!r} has embeddings for {rows} tokens, its tokenizer {size}; call "
            f"model.resize_token_embeddings({size}) and save the model again"
        )
    end = inputs.tokenizer.eos_token_id
    if inputs.task.kind != "generative" or end is None:
        return
    if (tokens == end).any():
        where = _text_with(end, inputs, split, folder)
        raise InvalidInput(
            f"the text of {where} has the token {inputs.tokenizer.eos_token!r}, with which model {name!r} "
            "ends an answer, so it can't be a prompt; take it out of the text"
        )
    answers = read_split(inputs.task, split, inputs.store, ["target"])["target"].tolist()
    for answer, found in zip(answers, answer_tokens(answers, inputs.tokenizer), strict=True):
        if end in found:
            raise InvalidInput(
                f"task {inputs.task.label!r}: the answer {answer!r:.80} has the token "
                f"{inputs.tokenizer.eos_token!r}, with which model {name!r} ends an answer; take it out"
            )


def _text_with(token: int, inputs: ModelInputs, split: str, folder: Path) -> str:
    """The id of the first example of a split with this token in a text, behind task and split."""
    tokens = np.load(folder / f"{split}.tokens.npy", mmap_mode="r")
    offsets = np.load(folder / f"{split}.offsets.npy")
    text = int(np.searchsorted(offsets, int(np.argmax(tokens == token)), side="right")) - 1
    ids = read_split(inputs.task, split, inputs.store, ["id"])["id"]
    return f"{inputs.task.name}/{split}/{ids.iloc[text * len(ids) // (len(offsets) - 1)]}"
