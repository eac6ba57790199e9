"""TODO."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raysweep.data.examples import max_answer_tokens, read_split, split_names
from raysweep.errors import InvalidInput
from raysweep.models.source import context_key, context_length, load_config, load_tokenizer, tokenizer_key
from raysweep.models.tokenizers import make_tokenizer
from raysweep.spec import ModelSpec, RunSpec, Scratch, TaskSpec
from raysweep.spec.identity import digest
from raysweep.store import Store

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def prepare_tokens(task: TaskSpec, model: ModelSpec, store: Store) -> Path:
    """A pinned task's texts as token numbers of a pinned model, made once: the folder with, for each split,

    `<split>.tokens.npy` (all tokens, int32) and `<split>.offsets.npy` (number of texts + 1, int64). Models
    whose tokenizers and limits are equal, as those of a family often are, have the same files.

    Raises:
        InvalidInput: a text is longer than the model's context and truncation is off, or has no token.
    """
    _ensure_tokenizer(model, task, store)
    key = digest([task.content, tokenizer_key(model, task), context_key(model)])

    def write(folder: Path) -> None:
        limit = context_length(model, load_config(model, task, store)) - max_answer_tokens(task, store)
        _require_room(limit, model, task)
        tokenizer = load_tokenizer(model, task, store)
        backend = getattr(tokenizer, "backend_tokenizer", None)  # all that a tokenizer written in Rust does
        made_by = key if backend is None else hashlib.sha256(backend.to_str().encode()).hexdigest()
        shared = store.tokens(digest([task.content, made_by, limit, model.truncation]))
        store.fill(shared, lambda made: _write_tokens(made, task, model, tokenizer, limit, store))
        for path in shared.glob("*.npy"):
            try:
                os.link(path, folder / path.name)
            except OSError:  # a file system without hard links
                shutil.copyfile(path, folder / path.name)

    return store.fill(store.tokens(key), write)


def _write_tokens(
    folder: Path,
    task: TaskSpec,
    model: ModelSpec,
    tokenizer: PreTrainedTokenizerBase,
    limit: int,
    store: Store,
) -> None:
    cut = model.truncation != "off"
    if cut:
        tokenizer.truncation_side = model.truncation
    for split in split_names(task, store):
        frame = read_split(task, split, store, ["id", "texts"])
        texts = [text for row in frame["texts"] for text in row]
        lists = tokenizer(
            texts, truncation=cut, max_length=limit if cut else None, return_attention_mask=False
        )["input_ids"]
        owners = [example for example, row in zip(frame["id"], frame["texts"], strict=True) for _ in row]
        for owner, tokens in zip(owners, lists, strict=True):
            _require_fit(len(tokens), limit, model, f"{task.name}/{split}/{owner}")
        if task.kind == "generative":
            targets = read_split(task, split, store, ["target"])["target"].tolist()
            _require_room_for_answers(
                targets, answer_tokens(targets, tokenizer), max_answer_tokens(task, store), task
            )
        np.save(
            folder / f"{split}.tokens.npy", np.concatenate([np.asarray(tokens, np.int32) for tokens in lists])
        )
        np.save(folder / f"{split}.offsets.npy", np.cumsum([0, *map(len, lists)], dtype=np.int64))


def _ensure_tokenizer(model: ModelSpec, task: TaskSpec, store: Store) -> None:
    base = model.base
    if isinstance(base, RunSpec):
        _ensure_tokenizer(base.model, base.task, store)
    if isinstance(base, Scratch):

        def write(folder: Path) -> None:
            frame = read_split(task, "train", store)
            texts = [text for row in frame["texts"] for text in row]
            answers = [text for row in frame["allowed"] for text in row] + [
                text for text in frame["target"] if text is not None
            ]
            make_tokenizer(base.tokenizer, texts + answers, folder)

        store.fill(store.tokenizer(tokenizer_key(model, task)), write)


def _require_room(limit: int, model: ModelSpec, task: TaskSpec) -> None:
    if limit < 1:
        raise InvalidInput(
            f"model {model.name!r}: its context leaves no room for the prompts of task {task.label!r} beside "
            "an answer; give a model with a longer context, or a larger max_tokens"
        )


def answer_tokens(answers: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Answers as the tokens that follow a prompt, behind a blank."""
    lists: list[list[int]] = tokenizer([f" {answer}" for answer in answers], add_special_tokens=False)[
        "input_ids"
    ]
    return lists


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
            "and truncation "
            'is off; set ModelSpec.truncation to "left" or "right", or leave out such texts'
        )
