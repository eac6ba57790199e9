"""What a run computes: frozen, validated values that form a graph and are identified by content.

A `RunSpec` holds everything that changes a result and nothing else. A student's spec holds its supervisor's spec, a
finetuned model's spec may hold the spec of the run that pretrained it, so specs are the nodes *and* the edges of the
graph. Where a run computes (GPUs, ZeRO stage, micro batch) is in `raysweep.resources` and never part of the identity.

Specs are written down by name ("sciq", "openai-community/gpt2") and *pinned* by `raysweep.prepare` before they are
planned: the task gets the digest of its examples, a hub model its commit, a folder the checksum of its files. Only a
pinned spec has an id.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from raysweep.errors import InvalidInput
from raysweep.identity import SCHEMA, digest, label_field

TaskKind = Literal["classification", "preference", "text"]
Precision = Literal["float32", "bfloat16"]
Schedule = Literal["cosine", "linear", "constant"]
Order = Literal["shuffled", "fixed"]
Truncation = Literal["left", "right", "off"]
HeadInit = Literal["small", "zeros"]


def _require(condition: bool, owner: object, field_name: str, allowed: str) -> None:
    if not condition:
        value = getattr(owner, field_name)
        raise InvalidInput(f"{type(owner).__name__}.{field_name} is {value!r}; it must be {allowed}")


def _require_number(owner: object, field_name: str, low: float, high: float = math.inf, *, above: bool = False) -> None:
    """Require a finite number in [low, high], or (low, high] where `above` is set."""
    value = getattr(owner, field_name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    bounds = f"a number {'above' if above else 'of at least'} {low:g}" + (f" and at most {high:g}" if high < math.inf else "")
    _require(is_number and (value > low if above else value >= low) and value <= high, owner, field_name, bounds)


def _require_int(owner: object, field_name: str, low: int, *, optional: bool = False) -> None:
    value = getattr(owner, field_name)
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
    allowed = f"a whole number of at least {low}" + (" or None" if optional else "")
    _require(fits or (optional and value is None), owner, field_name, allowed)


def _require_choice(owner: object, field_name: str, choices: object) -> None:
    allowed = get_args(choices)
    _require(getattr(owner, field_name) in allowed, owner, field_name, f"one of {', '.join(allowed)}")


@dataclass(frozen=True)
class Call:
    """A registered function (objective, transform) by name, with its keyword parameters."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(isinstance(self.name, str) and bool(self.name), self, "name", "a registered name or module:object")
        digest(self.params)  # raises on parameters without a stable identity

    def __str__(self) -> str:
        params = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.name}({params})" if params else self.name


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A registered task (or `module:object`) and how much of it is used. Identity: the content of its examples."""

    name: str
    """The task's name in the registry, or `module:object`."""
    label: str = label_field(default="")
    """How the task is called in tables; its name, if not given."""
    params: Mapping[str, Any] = label_field(default_factory=dict)
    """Keyword parameters of the task's loader; recorded, the content decides the identity."""
    num_train: int | None = label_field(default=None)
    """Examples in each half of the training data; None for the task's default."""
    num_validation: int | None = label_field(default=None)
    num_test: int | None = label_field(default=None)
    split_seed: int = label_field(default=0)
    """Seed of the division into halves. The run's seed doesn't change the data, so that seeds compare on equal examples."""
    kind: TaskKind | None = label_field(default=None)
    num_classes: int | None = label_field(default=None)
    content: str | None = None
    """Digest of the examples of all splits; filled in by pinning."""

    def __post_init__(self) -> None:
        _require(isinstance(self.name, str) and bool(self.name), self, "name", "a task's name or module:object")
        for name in ("num_train", "num_validation", "num_test"):
            _require_int(self, name, 1, optional=True)
        _require_int(self, "split_seed", 0)
        digest(self.params)
        if not self.label:
            object.__setattr__(self, "label", self.name)


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A model of the Hugging Face hub."""

    id: str = label_field()
    revision: str = label_field(default="main")
    """A branch, tag or commit; resolved to a commit by pinning."""
    commit: str | None = None

    def __post_init__(self) -> None:
        _require(isinstance(self.id, str) and bool(self.id), self, "id", "a hub id such as openai-community/gpt2")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A model in a local folder, as `save_pretrained` writes it: config, weights, tokenizer."""

    path: str = label_field()
    content: str | None = None
    """Checksum of the folder's files; filled in by pinning."""


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A new model with random weights, to be pretrained."""

    architecture: str
    """A `model_type` of transformers, such as "gpt2"."""
    config: Mapping[str, Any]
    """The architecture's configuration values; the vocabulary size comes from the tokenizer."""
    tokenizer: Call
    """How the tokenizer is made from the task's text: see `raysweep.models.tokenizers`."""

    def __post_init__(self) -> None:
        digest(self.config)


@dataclass(frozen=True, kw_only=True)
class Full:
    """All parameters are trained."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on the linear layers; the head is trained too."""

    rank: int = 8
    alpha: float = 16.0
    target_modules: tuple[str, ...] = ()
    """Names of the adapted modules; empty for peft's default of the architecture."""

    def __post_init__(self) -> None:
        _require_int(self, "rank", 1)
        _require_number(self, "alpha", 0, above=True)


@dataclass(frozen=True, kw_only=True)
class HeadOnly:
    """Only the head is trained, on the frozen model's features (a linear probe)."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Which model, and which part of it is trained. The head follows from the task: K logits, a scalar, or tokens."""

    name: str = label_field()
    """How the model is called in tables."""
    base: Hub | Folder | Scratch | RunSpec
    tuning: Full | Lora | HeadOnly = field(default_factory=Full)
    head_init: HeadInit = "small"
    """"small": normal with standard deviation 0.1/√width, so that first logits are about 0.1; "zeros": as openai/weak-to-strong."""
    dropout: bool = False
    """Whether the model's own dropout is on in training."""
    max_tokens: int | None = None
    """Longest text in tokens; None for the model's context."""
    truncation: Truncation = "left"
    """Which end of a longer text is cut; "off" refuses such a text before anything trains."""
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        _require(isinstance(self.name, str) and bool(self.name), self, "name", "a non-empty name")
        _require(isinstance(self.base, Hub | Folder | Scratch | RunSpec), self, "base", "a Hub, Folder, Scratch or RunSpec")
        _require(isinstance(self.tuning, Full | Lora | HeadOnly), self, "tuning", "Full(), Lora(…) or HeadOnly()")
        _require_choice(self, "head_init", HeadInit)
        _require_choice(self, "truncation", Truncation)
        _require_int(self, "max_tokens", 1, optional=True)
        _require(isinstance(self.trust_remote_code, bool), self, "trust_remote_code", "True or False")


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """Train on the task's own labels."""


@dataclass(frozen=True, kw_only=True)
class WeakLabels:
    """Train on what another run, the supervisor, predicts, after pure transforms of these predictions."""

    supervisor: RunSpec
    transforms: tuple[Call, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """Adam with decoupled weight decay (with 0, plain Adam) and its schedule. Defaults are openai/weak-to-strong's."""

    learning_rate: float
    batch_size: int = 32
    """Global: examples in one optimizer step, over all workers and micro batches."""
    epochs: float = 2.0
    steps: int | None = None
    """Optimizer steps instead of epochs."""
    schedule: Schedule = "cosine"
    warmup_fraction: float = 0.0
    """Share of the steps in which the learning rate grows linearly from 0."""
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    gradient_clipping: float | None = None
    """Largest global norm of the gradient."""
    precision: Precision = "float32"
    order: Order = "shuffled"
    """"shuffled": a new order each epoch; "fixed": the split's own order each epoch, as openai/weak-to-strong."""

    def __post_init__(self) -> None:
        _require_number(self, "learning_rate", 0, above=True)
        _require_int(self, "batch_size", 1)
        _require_number(self, "epochs", 0, above=True)
        _require_int(self, "steps", 1, optional=True)
        _require_choice(self, "schedule", Schedule)
        _require_number(self, "warmup_fraction", 0, 1)
        in_range = all(isinstance(beta, float | int) and 0 <= beta < 1 for beta in self.betas)
        _require(len(self.betas) == 2 and in_range, self, "betas", "two numbers in [0, 1)")
        _require_number(self, "epsilon", 0, above=True)
        _require_number(self, "weight_decay", 0)
        if self.gradient_clipping is not None:
            _require_number(self, "gradient_clipping", 0, above=True)
        _require_choice(self, "precision", Precision)
        _require_choice(self, "order", Order)

    def num_steps(self, num_examples: int) -> int:
        """Optimizer steps on a training set: whole global batches of the stream of epochs, as openai/weak-to-strong."""
        return self.steps or int(num_examples * self.epochs) // self.batch_size


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is looked at while a run trains; the whole splits are always evaluated at the end."""

    every: int = 50
    """Steps between two points of the curves; 0 for no curves."""
    num_examples: int = 500
    """The first that many examples of `validation` and of `test` are evaluated at a point of the curves."""

    def __post_init__(self) -> None:
        _require_int(self, "every", 0)
        _require_int(self, "num_examples", 1)


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One training: a model, on a split of a task, with labels, an objective, and a seed."""

    task: TaskSpec
    model: ModelSpec
    optimization: Optimization
    train_split: str
    labels: GroundTruth | WeakLabels = field(default_factory=GroundTruth)
    objective: Call = field(default_factory=lambda: Call("cross_entropy"))
    evaluation: Evaluation = field(default_factory=Evaluation)
    seed: int = 0

    def __post_init__(self) -> None:
        _require_int(self, "seed", 0)
        _require(isinstance(self.labels, GroundTruth | WeakLabels), self, "labels", "GroundTruth() or WeakLabels(…)")
        _require(isinstance(self.train_split, str), self, "train_split", "the name of a split")

    @property
    def is_pinned(self) -> bool:
        """Whether everything this run reads is identified by content."""
        base = self.model.base
        base_pinned = isinstance(base, Scratch | RunSpec) or (base.commit if isinstance(base, Hub) else base.content)
        return bool(self.task.content and base_pinned) and all(run.is_pinned for run in self.dependencies)

    @property
    def dependencies(self) -> tuple[RunSpec, ...]:
        """The runs whose results this run reads: its model's pretraining, its supervisor."""
        pretraining = (self.model.base,) if isinstance(self.model.base, RunSpec) else ()
        supervisor = (self.labels.supervisor,) if isinstance(self.labels, WeakLabels) else ()
        return pretraining + supervisor

    @cached_property
    def id(self) -> str:
        """16 hex digits: the digest of the schema number and of all fields, dependencies entering by their own ids."""
        if not self.is_pinned:
            raise InvalidInput(f"the run of {self.model.name} on {self.task.name} isn't pinned; use raysweep.prepare.pin first")
        return digest(self.content)

    @property
    def content(self) -> dict[str, Any]:
        """All fields and the schema number: what the id is the digest of."""
        return {"schema": SCHEMA} | {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}

    @property
    def identity(self) -> str:
        """What stands for this run in the identity of another one."""
        return self.id

    def closure(self) -> Iterator[RunSpec]:
        """This run and all it depends on, dependencies first; shared ones may come more than once."""
        for dependency in self.dependencies:
            yield from dependency.closure()
        yield self
