"""Pinning and preparing: everything a run reads is checked, identified by content and put into the store before it trains.

A task's examples are loaded, divided and written once; a hub model's revision becomes a commit, a folder the checksum of
its files; texts become token numbers once for each (task, tokenizer). Workers then read files of the store only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from raysweep.errors import CorruptFile, InvalidInput, user_code
from raysweep.files import read_json, write_json
from raysweep.identity import canonical_json, digest, folder_checksum
from raysweep.models.source import (
    context_key,
    context_length,
    folder_problem,
    load_config,
    load_tokenizer,
    tokenizer_key,
)
from raysweep.models.tokenizers import check_tokenizer, make_tokenizer
from raysweep.spec import Folder, Hub, ModelSpec, RunSpec, Scratch, TaskSpec, WeakLabels
from raysweep.store import Store
from raysweep.tasks import load_task
from raysweep.tasks.base import Example

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from raysweep.tasks.base import TaskData


def pin_task(spec: TaskSpec, store: Store) -> TaskSpec:
    """Load a task, write its examples into the store, and return its spec with the digest of their content.

    Raises:
        InvalidInput: the task is unknown, its own code fails, or its data can't be used.
    """
    with user_code(f"task {spec.name!r}") if ":" in spec.name else contextlib.nullcontext():
        data = load_task(spec)
    task = data.task
    content = _content_digest(data)

    def write(folder: Path) -> None:
        for name, examples in data.splits.items():
            _frame(examples).to_parquet(folder / f"{name}.parquet", index=False)
        sizes = {name: len(examples) for name, examples in data.splits.items()}
        facts = {"name": spec.name, "kind": task.kind, "num_classes": task.num_classes, "num_examples": sizes}
        write_json(folder / "task.json", facts | {"max_answer_tokens": task.max_answer_tokens})

    store.fill(store.task(content), write)
    return dataclasses.replace(
        spec, content=content, kind=task.kind, num_classes=task.num_classes, class_names=task.class_names
    )


def read_split(task: TaskSpec, split: str, store: Store, columns: list[str] | None = None) -> pd.DataFrame:
    """The examples of a pinned task's split: columns id, group, texts, label, difficulty, target, allowed.

    Raises:
        InvalidInput: there is no such split.
        CorruptFile: the store's copy of the task isn't what was written.
    """
    sizes = split_sizes(task, store)
    if split not in sizes:
        raise InvalidInput(f"unknown split {split!r} of task {task.name!r}; it has {', '.join(sizes)}")
    return pd.read_parquet(store.task(task.content or "") / f"{split}.parquet", columns=columns)


def split_names(task: TaskSpec, store: Store) -> list[str]:
    """The splits of a pinned task."""
    return list(split_sizes(task, store))


def split_sizes(task: TaskSpec, store: Store) -> dict[str, int]:
    """The number of examples in each split of a pinned task; raises as `read_split`."""
    return dict(_facts(task, store)["num_examples"])


def max_answer_tokens(task: TaskSpec, store: Store) -> int:
    """Room for an answer in a pinned task, in tokens, the end token counted: 0 unless it is generative."""
    return int(_facts(task, store)["max_answer_tokens"]) if task.kind == "generative" else 0


def _facts(task: TaskSpec, store: Store) -> dict[str, Any]:
    folder = store.task(task.content or "")
    if not store.is_intact(folder):
        raise CorruptFile(f"{folder} is missing or isn't what raysweep wrote; run the same command again, which makes it anew")
    facts: dict[str, Any] = read_json(folder / "task.json")
    return facts


def _frame(examples: list[Example]) -> pd.DataFrame:
    columns = ("id", "group", "texts", "label", "difficulty", "target", "allowed")
    frame = pd.DataFrame({name: [getattr(example, name) for example in examples] for name in columns})
    return frame.astype({"label": "Int64", "difficulty": "float64"})


def _content_digest(data: TaskData) -> str:
    task = data.task
    answers = f" {task.max_answer_tokens}" if task.kind == "generative" else ""
    hasher = hashlib.sha256(f"{task.kind} {task.num_classes}{answers}".encode())
    for name, examples in data.splits.items():
        hasher.update(f"\x1d{name}".encode())
        for example in examples:
            fields = (example.id, example.group, *example.texts, str(example.label), repr(example.difficulty))
            if example.target is not None:
                fields += (example.target, *example.allowed)
            hasher.update("\x1f".join(fields).encode() + b"\x1e")
    return hasher.hexdigest()[:16]


class Preparation:
    """Pins tasks and models for one plan, loading each task and hashing each folder once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: dict[str, TaskSpec] = {}
        self._models: dict[int, tuple[ModelSpec, ModelSpec]] = {}
        self._tokens: set[tuple[str | None, str]] = set()
        self._seen: dict[tuple[str | None, int], ModelSpec] = {}

    def task(self, spec: TaskSpec) -> TaskSpec:
        """The task with the digest of its content; see `pin_task`."""
        key = canonical_json([dataclasses.asdict(spec)])
        if key not in self._tasks:
            self._tasks[key] = pin_task(spec, self._store)
        return self._tasks[key]

    def model(self, model: ModelSpec) -> ModelSpec:
        """The model with its weights identified: a commit, a checksum, or the pinned run that makes them.

        Raises:
            InvalidInput: a folder lacks weights or tokenizer, a hub revision can't be resolved, a name is unknown.
        """
        if id(model) not in self._models:
            # The spec is kept beside its pinned form, so that its id() isn't given to another object.
            self._models[id(model)] = (model, dataclasses.replace(model, base=self._base(model)))
        return self._models[id(model)][1]

    def run(self, spec: RunSpec) -> RunSpec:
        """The run with all that it reads identified: its task, its model, its supervisor."""
        labels = spec.labels
        if isinstance(labels, WeakLabels):
            labels = dataclasses.replace(labels, supervisor=self.run(labels.supervisor))
        return dataclasses.replace(spec, task=self.task(spec.task), model=self.model(spec.model), labels=labels)

    def _base(self, model: ModelSpec) -> Hub | Folder | Scratch | RunSpec:
        base = model.base
        if isinstance(base, Hub):
            return dataclasses.replace(base, commit=base.commit or _hub_commit(base))
        if isinstance(base, Folder):
            problem = folder_problem(Path(base.path))
            if problem:
                raise InvalidInput(f"model {model.name!r}: {base.path} can't be used: {problem}")
            path = Path(base.path).absolute()
            return Folder(path=str(path), content=folder_checksum(path)[:16])
        if isinstance(base, RunSpec):
            return self.run(base)
        check_tokenizer(base.tokenizer)
        return base

    def tokens(self, task: TaskSpec, model: ModelSpec) -> None:
        """Make a pinned task's tokens for a pinned model; see `prepare_tokens`."""
        if (task.content, id(model)) in self._seen:
            return
        key = (task.content, canonical_json(model))
        if key not in self._tokens:
            prepare_tokens(task, model, self._store)
            self._tokens.add(key)
        self._seen[task.content, id(model)] = model  # kept, so that its id() isn't given to another object


def _hub_commit(hub: Hub) -> str:
    """The commit that a hub revision names now; without a network, what the local cache holds of it."""
    if len(hub.revision) == 40 and set(hub.revision) <= set("0123456789abcdef"):
        return hub.revision
    import huggingface_hub
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = Path(HF_HUB_CACHE) / f"models--{hub.id.replace('/', '--')}" / "refs" / hub.revision
    try:
        commit = huggingface_hub.HfApi().model_info(hub.id, revision=hub.revision, timeout=10).sha
    except Exception as error:
        if not cached.exists():
            raise InvalidInput(
                f"model {hub.id!r}: its revision {hub.revision!r} can't be resolved ({type(error).__name__}) and isn't in "
                f"the local cache; name an existing model, a 40-digit commit, or a local folder"
            ) from error
        commit = cached.read_text().strip()
    if commit is None:
        raise InvalidInput(f"model {hub.id!r}: the hub names no commit for revision {hub.revision!r}")
    return commit


def prepare_tokens(task: TaskSpec, model: ModelSpec, store: Store) -> Path:
    """A pinned task's texts as token numbers of a pinned model, made once: the folder with, for each split,

    `<split>.tokens.npy` (all tokens, int32) and `<split>.offsets.npy` (number of texts + 1, int64). Models whose tokenizers and
    limits are equal, as those of a family often are, have the same files.

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
    folder: Path, task: TaskSpec, model: ModelSpec, tokenizer: PreTrainedTokenizerBase, limit: int, store: Store
) -> None:
    cut = model.truncation != "off"
    if cut:
        tokenizer.truncation_side = model.truncation
    for split in split_names(task, store):
        frame = read_split(task, split, store, ["id", "texts"])
        texts = [text for row in frame["texts"] for text in row]
        lists = tokenizer(texts, truncation=cut, max_length=limit if cut else None, return_attention_mask=False)["input_ids"]
        owners = [example for example, row in zip(frame["id"], frame["texts"], strict=True) for _ in row]
        for owner, tokens in zip(owners, lists, strict=True):
            _require_fit(len(tokens), limit, model, f"{task.name}/{split}/{owner}")
        if task.kind == "generative":
            targets = read_split(task, split, store, ["target"])["target"].tolist()
            _require_room_for_answers(targets, answer_tokens(targets, tokenizer), max_answer_tokens(task, store), task)
        np.save(folder / f"{split}.tokens.npy", np.concatenate([np.asarray(tokens, np.int32) for tokens in lists]))
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
            f"model {model.name!r}: its context leaves no room for the prompts of task {task.label!r} beside an answer; "
            "give a model with a longer context, or a larger max_tokens"
        )


def answer_tokens(answers: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Answers as the tokens that follow a prompt, behind a blank."""
    lists: list[list[int]] = tokenizer([f" {answer}" for answer in answers], add_special_tokens=False)["input_ids"]
    return lists


def _require_room_for_answers(answers: Sequence[str], lists: Sequence[Sequence[int]], room: int, task: TaskSpec) -> None:
    for answer, tokens in zip(answers, lists, strict=True):
        if len(tokens) >= room:
            raise InvalidInput(
                f"task {task.label!r}: the answer {answer!r:.80} has {len(tokens)} tokens and an end token, and the task's "
                f"max_answer_tokens is {room}; raise it in its Task"
            )


def _require_fit(num_tokens: int, limit: int, model: ModelSpec, where: str) -> None:
    if num_tokens == 0:
        raise InvalidInput(f"the text of {where} has no token for model {model.name!r}; an example needs a text")
    if num_tokens > limit:
        raise InvalidInput(
            f"the text of {where} has {num_tokens} tokens, the context of model {model.name!r} holds {limit} and truncation "
            'is off; set ModelSpec.truncation to "left" or "right", or leave out such texts'
        )
