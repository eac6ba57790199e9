"""What a run computes: frozen, validated values that form a graph and are identified by content.

A `RunSpec` holds everything that changes a result and nothing else. A student's spec contains the spec of
its supervisor, and the spec of a finetuned model may contain the spec of the run that pretrained it, so specs
are the nodes *and* the edges of the graph. Where a run computes (GPUs, ZeRO stage, micro batch) is in
`raysweep.spec.resources` and never part of the identity.

Users write specs by name ("sciq", "openai-community/gpt2"); `raysweep.data.pinning` *pins* them before they
are planned: a task gets the digest of its examples, a hub model its commit, a folder the checksum of its
files. Only a pinned spec has an id.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from raysweep.errors import InvalidInput
from raysweep.spec.identity import SCHEMA, canonical_json, digest, label_field
from raysweep.spec.optimization import Evaluation as Evaluation
from raysweep.spec.optimization import Optimization as Optimization
from raysweep.spec.optimization import Order as Order
from raysweep.spec.optimization import Precision as Precision
from raysweep.spec.optimization import Schedule as Schedule
from raysweep.spec.tuning import Full as Full
from raysweep.spec.tuning import HeadOnly as HeadOnly
from raysweep.spec.tuning import Lora as Lora
from raysweep.spec.tuning import Prompting as Prompting
from raysweep.spec.tuning import Unembedding as Unembedding
from raysweep.spec.validation import (
    require,
    require_bool,
    require_choice,
    require_int,
    require_name,
    require_short,
    require_stable,
    require_type,
)

TaskKind = Literal["classification", "preference", "generative", "text"]
Truncation = Literal["left", "right", "off"]
HeadInit = Literal["small", "zeros"]


@dataclass(frozen=True)
class Call:
    """A registered function (objective, transform) by name, with its keyword parameters."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_name(self, "name", "a registered name or module:object")
        require_type(self, "params", Mapping, "a dict of keyword parameters")
        require_stable(self, "params")

    def __str__(self) -> str:
        params = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.name}({params})" if params else self.name


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A registered task, or `module:object`, and how much of it is used. Identified by its name and the
    content of its examples."""

    name: str
    """The task's name in the registry, or `module:object`."""
    label: str = label_field(default="")
    """The task's name in tables; `name` if not given."""
    params: Mapping[str, Any] = label_field(default_factory=dict)
    """Keyword parameters of the task's loader. Recorded only: they enter the identity through the content."""
    num_train: int | None = label_field(default=None)
    """Examples in each half of the training data; here and below, None for the task's default."""
    num_validation: int | None = label_field(default=None)
    num_test: int | None = label_field(default=None)
    split_seed: int = label_field(default=0)
    """Seed of the division into splits. The seed of a run doesn't change its data, so that seeds are compared
    on the same examples."""
    training_seed: int | None = label_field(default=None)
    """Seed of the division into all splits but the test split, if it is another one than `split_seed`."""
    kind: TaskKind | None = label_field(default=None)  # noqa: RUF009
    num_classes: int | None = label_field(default=None)
    class_names: tuple[str, ...] = label_field(default=())
    content: str | None = None
    """Digest of the examples of all splits; filled in by pinning."""

    def __post_init__(self) -> None:
        require_name(self, "name", "a task's name or module:object")
        require_type(self, "label", str, "a string")
        for name in ("num_train", "num_validation", "num_test"):
            require_int(self, name, 1, optional=True)
        require_int(self, "split_seed", 0)
        require_int(self, "training_seed", 0, optional=True)
        require_type(self, "params", Mapping, "a dict of keyword parameters")
        require_stable(self, "params")
        if not self.label:
            object.__setattr__(self, "label", self.name)
        require_short(self, "label")


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A model of the Hugging Face hub."""

    id: str = label_field()
    revision: str = label_field(default="main")
    """A branch, tag or commit."""
    commit: str | None = None
    """The commit of the revision; filled in by pinning."""

    def __post_init__(self) -> None:
        require_name(self, "id", "a hub id such as openai-community/gpt2")
        require_name(self, "revision", "a branch, tag or commit")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A model in a local folder, as written by `save_pretrained`: config, weights, tokenizer."""

    path: str = label_field()
    content: str | None = None
    """Checksum of the folder's files; filled in by pinning."""

    def __post_init__(self) -> None:
        require_type(self, "path", (str, os.PathLike), "the path of a folder")
        object.__setattr__(self, "path", os.fspath(self.path))


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A new model with random weights, to be pretrained."""

    architecture: str
    """A `model_type` of transformers, such as "gpt2"."""
    config: Mapping[str, Any]
    """Values of the architecture's configuration; the vocabulary size comes from the tokenizer."""
    tokenizer: Call
    """How the tokenizer is made from the task's texts: see `raysweep.models.tokenizers`."""

    def __post_init__(self) -> None:
        require_name(self, "architecture", "a model_type of transformers, such as 'gpt2'")
        require_type(self, "config", Mapping, "a dict of the architecture's configuration values")
        require_stable(self, "config")
        require_type(self, "tokenizer", Call, "a Call, such as Call('word_level')")


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model, and which part of it is trained. What it predicts (class logits, a score, tokens) follows from
    the run."""

    name: str = label_field()
    """The model's name in tables."""
    base: Hub | Folder | Scratch | RunSpec
    tuning: Full | Lora | HeadOnly | Prompting = field(default_factory=Full)
    head_init: HeadInit | Unembedding = "small"
    """"small": normal with standard deviation 0.1/√width, so that the first logits are about 0.1; "zeros": as
    in openai/weak-to-strong; `Unembedding(words=…)`: the rows of the classes' words, as in Burns et al. 2023.
    """
    dropout: bool = False
    """Whether the dropout of the model's configuration is used in training."""
    max_tokens: int | None = None
    """Length of the longest text in tokens; None for the model's context length."""
    truncation: Truncation = "left"
    """Which end of a longer text is cut; with "off", such a text is refused before anything trains."""
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        require_name(self, "name", "a non-empty name")
        require_type(self, "base", (Hub, Folder, Scratch, RunSpec), "a Hub, Folder, Scratch or RunSpec")
        if isinstance(self.base, RunSpec) and not isinstance(self.base.model.tuning, Full | HeadOnly):
            raise InvalidInput(
                f"model {self.name!r}: the run of {self.base.model.name!r} that it starts from keeps no "
                f"whole model, since its tuning is {self.base.model.tuning}; start from one with Full()"
            )
        require_type(
            self, "tuning", (Full, Lora, HeadOnly, Prompting), "Full(), Lora(…), HeadOnly() or Prompting(…)"
        )
        if not isinstance(self.head_init, Unembedding):
            require_choice(self, "head_init", HeadInit, "Unembedding(words=…)")
        require_choice(self, "truncation", Truncation)
        require_int(self, "max_tokens", 1, optional=True)
        require_bool(self, "dropout", "trust_remote_code")


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """Train on the task's own labels, after pure transforms of them."""

    transforms: tuple[Call, ...] = ()

    def __post_init__(self) -> None:
        _require_calls(self)


@dataclass(frozen=True, kw_only=True)
class WeakLabels:
    """Train on the predictions of another run, the supervisor, after pure transforms of them."""

    supervisor: RunSpec
    transforms: tuple[Call, ...] = ()

    def __post_init__(self) -> None:
        require_type(self, "supervisor", RunSpec, "the RunSpec of the run that gives the labels")
        _require_calls(self)


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """Train on the texts alone, as a language model."""


def _require_calls(labels: GroundTruth | WeakLabels) -> None:
    are_calls = isinstance(labels.transforms, tuple | list) and all(
        isinstance(call, Call) for call in labels.transforms
    )
    require(are_calls, labels, "transforms", "a tuple of Call objects")


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One training run: a model, a split of a task, labels, an objective and a seed."""

    task: TaskSpec
    model: ModelSpec
    optimization: Optimization
    train_split: str
    labels: GroundTruth | WeakLabels | Unlabelled = field(default_factory=GroundTruth)
    objective: Call = field(default_factory=lambda: Call("cross_entropy"))
    evaluation: Evaluation = field(default_factory=Evaluation)
    seed: int = 0

    def __post_init__(self) -> None:
        require_type(self, "task", TaskSpec, "a TaskSpec")
        require_type(self, "model", ModelSpec, "a ModelSpec")
        require_type(self, "optimization", Optimization, "an Optimization")
        require_name(self, "train_split", "the name of a split")
        require_type(
            self,
            "labels",
            (GroundTruth, WeakLabels, Unlabelled),
            "GroundTruth(), WeakLabels(…) or Unlabelled()",
        )
        require_type(self, "objective", Call, "a Call, such as Call('cross_entropy')")
        require_type(self, "evaluation", Evaluation, "an Evaluation")
        require_int(self, "seed", 0)

    @property
    def kind(self) -> TaskKind | None:
        """What is learnt: the kind of the pinned task, or "text" where its texts alone are learnt."""
        return "text" if isinstance(self.labels, Unlabelled) else self.task.kind

    @cached_property
    def is_pinned(self) -> bool:
        """Whether everything that this run reads is identified by content."""
        base = self.model.base
        base_pinned = isinstance(base, Scratch | RunSpec) or (
            base.commit if isinstance(base, Hub) else base.content
        )
        return bool(self.task.content and base_pinned) and all(run.is_pinned for run in self.dependencies)

    @property
    def dependencies(self) -> tuple[RunSpec, ...]:
        """The runs whose results this run reads: the pretraining of its model, and its supervisor."""
        pretraining = (self.model.base,) if isinstance(self.model.base, RunSpec) else ()
        supervisor = (self.labels.supervisor,) if isinstance(self.labels, WeakLabels) else ()
        return pretraining + supervisor

    @cached_property
    def id(self) -> str:
        """16 hex digits: the digest of the schema number and all fields, in which dependencies are
        represented by their ids.

        Raises:
            InvalidInput: the run isn't pinned.
        """
        if not self.is_pinned:
            raise InvalidInput(
                f"the run of {self.model.name} on {self.task.name} isn't pinned; see raysweep.data.pinning"
            )
        return digest(self.content)

    @property
    def content(self) -> dict[str, Any]:
        """All fields and the schema number; the id is the digest of this."""
        return {"schema": SCHEMA} | {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}

    @property
    def identity(self) -> str:
        """What represents this run in the identity of another one: its id."""
        return self.id

    @cached_property
    def workload(self) -> tuple[object, ...]:
        """Equal for pinned runs that compute equally much: those that differ only in seed, labels or
        objective."""
        parts = (self.model, self.optimization, self.evaluation)
        return (self.kind, self.task.content, self.train_split, *map(canonical_json, parts))

    def curve_splits(self, splits: Iterable[str]) -> list[str]:
        """Those of a task's splits on which the run is evaluated while it trains."""
        wanted = ("validation",) if self.kind == "text" else ("validation", "test")
        return [name for name in splits if name in wanted]

    def evaluated_splits(self, splits: Iterable[str]) -> list[str]:
        """Those of a task's splits on which the trained model is evaluated: all that another run could learn
        from or that are measured, so not what supervisors and pretrainings are trained on."""
        if self.kind == "text":
            return self.curve_splits(splits)
        return [name for name in splits if name not in ("supervisor", "train")]
