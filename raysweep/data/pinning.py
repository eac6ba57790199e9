"""Pinning: whatever a run reads is checked, identified by its content and put into the store before anything
trains.

The examples of a task are loaded, divided into splits and written once. A hub model's revision becomes a
commit, a model folder the checksum of its files. Texts become token numbers once for each task and tokenizer.
Workers then read only files of the store.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from raysweep.data.task_facts import TaskFacts, task_facts
from raysweep.data.tokens import ensure_tokenizer, prepare_tokens
from raysweep.errors import InvalidInput
from raysweep.files import write_json
from raysweep.models.architecture import use_of
from raysweep.models.folder import folder_problem, pin_folder
from raysweep.models.snapshots import hub_folder
from raysweep.models.source import ModelInputs
from raysweep.models.tokenizers import check_tokenizer
from raysweep.models.unembedding import require_unembedding
from raysweep.models.usability import require_usable
from raysweep.spec import (
    Combination,
    Folder,
    GroundTruth,
    Hub,
    ModelSpec,
    RunSpec,
    Scratch,
    TaskSpec,
    Unlabelled,
    WeakLabels,
)
from raysweep.spec.chains import check_chain
from raysweep.spec.identity import canonical_json
from raysweep.store import Store
from raysweep.tasks import LoadedPools, divided, load_pools
from raysweep.tasks.base import Example, tasks

if TYPE_CHECKING:
    from raysweep.tasks.base import TaskData


_Labels = TypeVar("_Labels", GroundTruth | WeakLabels, GroundTruth | WeakLabels | Unlabelled)


def _write(data: TaskData, folder: Path) -> None:
    """Write a task's examples and the facts that runs need."""
    task = data.task
    for name, examples in data.splits.items():
        _frame(examples).to_parquet(folder / f"{name}.parquet", index=False)
    sizes = {name: len(examples) for name, examples in data.splits.items()}
    facts = {"name": task.name, "kind": task.kind, "num_classes": task.num_classes, "num_examples": sizes}
    write_json(folder / "task.json", facts | {"max_answer_tokens": task.max_answer_tokens})


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
    """Pins the tasks and models of one plan. Each task is loaded, each revision resolved and each folder
    hashed once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.facts: dict[str, TaskFacts] = {}
        """What became of the rows of each task, by its content."""
        self._tasks: dict[str, TaskSpec] = {}
        self._pools: tuple[str, LoadedPools] | None = None
        """Those of the last task, which may be divided by other seeds."""
        self._commits: dict[tuple[str, str], str] = {}
        self._checksums: dict[Path, str] = {}
        self._tokens: set[tuple[str | None, str]] = set()
        self._usable: set[tuple[str | None, str, str]] = set()

    def task(self, spec: TaskSpec) -> TaskSpec:
        """Load a task, write its examples into the store, and return its spec with the digest of their
        content.

        Raises:
            InvalidInput: the task is unknown, its own code fails, or its data can't be used.
        """
        key = canonical_json([dataclasses.asdict(spec)])
        if key not in self._tasks:
            with tasks.calling(spec.name):
                data = divided(self._loaded(spec), spec)
            content = _content_digest(data)
            self._store.fill(self._store.task(content), lambda folder: _write(data, folder))
            self.facts[content] = task_facts(data, content, self._store)
            self._tasks[key] = dataclasses.replace(
                spec,
                content=content,
                kind=data.task.kind,
                num_classes=data.task.num_classes,
                class_names=data.task.class_names,
            )
        return self._tasks[key]

    def _loaded(self, spec: TaskSpec) -> LoadedPools:
        key = canonical_json([spec.name, spec.params])
        if self._pools is None or self._pools[0] != key:
            self._pools = (key, load_pools(spec))
        return self._pools[1]

    def model(self, model: ModelSpec) -> ModelSpec:
        """The model with its weights identified: by a commit, a checksum, or the pinned run that trains them.

        Raises:
            InvalidInput: a folder lacks weights or a tokenizer, a hub revision can't be resolved, or a name
                is unknown.
        """
        if isinstance(model.base, RunSpec):
            check_chain(model.base, f"model {model.name!r}")
        return dataclasses.replace(model, base=self._base(model))

    def run(self, spec: RunSpec) -> RunSpec:
        """The run with all that it reads identified: task, model and supervisor."""
        return dataclasses.replace(
            spec, task=self.task(spec.task), model=self.model(spec.model), labels=self._labels(spec.labels)
        )

    def _labels(self, labels: _Labels) -> _Labels:
        if not isinstance(labels, WeakLabels):
            return labels
        return dataclasses.replace(labels, supervisor=self.run(labels.supervisor))

    def tokens(self, task: TaskSpec, model: ModelSpec) -> None:
        """Make a pinned task's tokens for a pinned model, and check the words that its head starts as; raises
        as `prepare_tokens` and `require_unembedding`."""
        key = (task.content, canonical_json(model))
        if key not in self._tokens:
            inputs = ModelInputs(model, task, self._store)
            prepare_tokens(inputs)
            require_unembedding(inputs)
            self._tokens.add(key)

    def check_model(self, spec: RunSpec) -> None:
        """Refuse a pinned run whose model can't do what the run takes it for; see `require_usable`."""
        use = use_of(spec)
        key = (spec.task.content, canonical_json(spec.model), use)
        if key not in self._usable:
            inputs = ModelInputs(spec.model, spec.task, self._store)
            ensure_tokenizer(inputs)
            require_usable(inputs, use)
            self._usable.add(key)

    def _base(self, model: ModelSpec) -> Hub | Folder | Scratch | RunSpec | Combination:
        base = model.base
        if isinstance(base, Hub):
            return dataclasses.replace(base, commit=base.commit or self._commit(base))
        if isinstance(base, Folder):
            return self._folder(base, model.name)
        if isinstance(base, RunSpec):
            return self.run(base)
        if isinstance(base, Combination):
            return dataclasses.replace(base, sources=tuple(map(self._labels, base.sources)))
        check_tokenizer(base.tokenizer)
        return base

    def _commit(self, hub: Hub) -> str:
        key = (hub.id, hub.revision)
        if key not in self._commits:
            self._commits[key] = _hub_commit(hub)
        return self._commits[key]

    def _folder(self, base: Folder, model: str) -> Folder:
        try:
            path = Path(base.path).expanduser().absolute()
        except RuntimeError as error:  # ~ of a user whom the machine doesn't know
            raise InvalidInput(f"model {model!r}: {base.path!r} can't be used: {error}") from error
        if path not in self._checksums:
            problem = folder_problem(path)
            if problem:
                shown = str(path) if str(path).isprintable() else repr(str(path))
                raise InvalidInput(f"model {model!r}: {shown} can't be used: {problem}")
            self._checksums[path] = pin_folder(path, self._store)
        return Folder(path=str(path), content=self._checksums[path])


def _hub_commit(hub: Hub) -> str:
    """The commit that a hub revision names now; without a network, the one in the local cache."""
    if len(hub.revision) == 40 and set(hub.revision) <= set("0123456789abcdef"):
        return hub.revision
    import huggingface_hub

    cached = hub_folder(hub.id) / "refs" / hub.revision
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
