"""Pinning and preparing: everything a run reads is checked, identified by content and put into the store
before it trains.

A task's examples are loaded, divided and written once; a hub model's revision becomes a commit, a folder the
checksum of its files; texts become token numbers once for each (task, tokenizer). Workers then read files of
the store only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from raysweep.data.tokens import prepare_tokens
from raysweep.errors import InvalidInput, user_code
from raysweep.files import write_json
from raysweep.models.source import (
    folder_problem,
)
from raysweep.models.tokenizers import check_tokenizer
from raysweep.spec import Folder, Hub, ModelSpec, RunSpec, Scratch, TaskSpec, WeakLabels
from raysweep.spec.identity import canonical_json, folder_checksum
from raysweep.store import Store
from raysweep.tasks import load_task
from raysweep.tasks.base import Example

if TYPE_CHECKING:
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


class Pinner:
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
            InvalidInput: a folder lacks weights or tokenizer, a hub revision can't be resolved, a name is
            unknown.
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
        return dataclasses.replace(
            spec, task=self.task(spec.task), model=self.model(spec.model), labels=labels
        )

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
                f"model {hub.id!r}: its revision {hub.revision!r} can't be resolved ({type(error).__name__}) "
                f"and isn't in the local cache; name an existing model, a 40-digit commit, or a local folder"
            ) from error
        commit = cached.read_text().strip()
    if commit is None:
        raise InvalidInput(f"model {hub.id!r}: the hub names no commit for revision {hub.revision!r}")
    return commit
