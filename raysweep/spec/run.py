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
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from raysweep.errors import InvalidInput
from raysweep.spec.bases import Folder, Hub, Scratch
from raysweep.spec.call import Call
from raysweep.spec.identity import SCHEMA, canonical_json, digest, label_field, later_field
from raysweep.spec.optimization import Evaluation, Optimization
from raysweep.spec.task import TaskKind, TaskSpec
from raysweep.spec.tuning import (
    Features,
    Full,
    HeadOnly,
    Lora,
    Pooling,
    Probe,
    Prompting,
    Unembedding,
    feature_choice,
)
from raysweep.spec.validation import (
    require,
    require_bool,
    require_choice,
    require_int,
    require_name,
    require_type,
)

Truncation = Literal["left", "right", "off"]
HeadInit = Literal["small", "zeros"]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model, and which part of it is trained. What it predicts (class logits, a score, tokens) follows from
    the run."""

    name: str = label_field()
    """The model's name in tables."""
    base: Hub | Folder | Scratch | RunSpec | Combination
    tuning: Full | Lora | HeadOnly | Prompting | Probe | Features = field(default_factory=Full)
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
    pooling: Pooling | None = later_field(default=None)  # noqa: RUF009
    """What of a text's hidden states a head is given; None for what its architecture takes, one token's."""

    def __post_init__(self) -> None:
        require_name(self, "name", "a non-empty name")
        bases = (Hub, Folder, Scratch, RunSpec, Combination)
        require_type(self, "base", bases, "a Hub, Folder, Scratch, RunSpec or Combination")
        if isinstance(self.base, RunSpec) and not self.base.keeps_whole_model:
            kept = self.base.combination or self.base.model.tuning
            raise InvalidInput(
                f"model {self.name!r}: the run of {self.base.model.name!r} that it starts from keeps no "
                f"whole model, since it has {kept}; start from one with Full()"
            )
        kinds = (Full, Lora, HeadOnly, Prompting, Probe, Features)
        require_type(self, "tuning", kinds, "Full(), Lora(…), HeadOnly(…), Probe(…) or Prompting(…)")
        if not isinstance(self.head_init, Unembedding):
            require_choice(self, "head_init", HeadInit, "Unembedding(words=…)")
        require_choice(self, "truncation", Truncation)
        require_int(self, "max_tokens", 1, optional=True)
        require_bool(self, "dropout", "trust_remote_code")
        if self.pooling is not None:
            require_choice(self, "pooling", Pooling, "None")
            is_taken = isinstance(self.tuning, Full | Lora | HeadOnly) and not feature_choice(self.tuning)
            require(is_taken, self, "pooling", f"None with {self.tuning}, which has its own or none")


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


@dataclass(frozen=True, kw_only=True)
class Combination:
    """In place of a model: a pure rule over what several sources say of each example. Nothing is trained.

    The run that has it as its model's base predicts every split, and is used as any other run: as a
    supervisor, a student, a source of another combination. `raysweep.recipes.Cell.combine` makes it.
    """

    rule: Call
    """The rule and its parameters; `raysweep list rules` names them."""
    sources: tuple[GroundTruth | WeakLabels, ...]
    """What is combined, each after transforms of its own."""

    def __post_init__(self) -> None:
        require_type(self, "rule", Call, "a Call, such as Call('mean')")
        is_list = isinstance(self.sources, tuple | list) and len(self.sources) > 0
        fits = is_list and all(isinstance(source, GroundTruth | WeakLabels) for source in self.sources)
        require(fits, self, "sources", "a tuple of at least one WeakLabels(…) or GroundTruth(…)")
        object.__setattr__(self, "sources", tuple(self.sources))

    @property
    def runs(self) -> tuple[RunSpec, ...]:
        """The runs among the sources, each once."""
        supervisors = [source.supervisor for source in self.sources if isinstance(source, WeakLabels)]
        return tuple({id(run): run for run in supervisors}.values())  # to compare them follows their chains

    def __str__(self) -> str:
        names = [
            source.supervisor.model.name if isinstance(source, WeakLabels) else "ground truth"
            for source in self.sources
        ]
        listed = ", ".join(
            name if names.count(name) == 1 else f"{names.count(name)} × {name}"
            for name in dict.fromkeys(names)
        )
        return f"{self.rule.name} of {listed}"


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
        """What is learnt or combined: the kind of the pinned task, or "text" where its texts alone are
        learnt."""
        is_text = isinstance(self.labels, Unlabelled) and self.combination is None
        return "text" if is_text else self.task.kind

    @property
    def combination(self) -> Combination | None:
        """What the run combines; None for one that has a model."""
        return self.model.base if isinstance(self.model.base, Combination) else None

    @property
    def loads_model(self) -> bool:
        """Whether the run reads a model's weights or texts itself: not if it reads only what other runs have
        made of them, features or predictions."""
        return self.features is None and self.combination is None

    @cached_property
    def is_pinned(self) -> bool:
        """Whether everything that this run reads is identified by content."""
        base = self.model.base
        base_pinned = isinstance(base, Scratch | RunSpec | Combination) or (
            base.commit if isinstance(base, Hub) else base.content
        )
        return bool(self.task.content and base_pinned) and all(run.is_pinned for run in self.dependencies)

    @property
    def dependencies(self) -> tuple[RunSpec, ...]:
        """The runs whose results this run reads: the pretraining of its model, or what computes its features,
        and its supervisor; of a combination, its sources."""
        if self.combination is not None:
            return self.combination.runs
        pretraining = (self.model.base,) if isinstance(self.model.base, RunSpec) else ()
        supervisor = (self.labels.supervisor,) if isinstance(self.labels, WeakLabels) else ()
        return ((self.features,) if self.features else pretraining) + supervisor

    @cached_property
    def features(self) -> RunSpec | None:
        """The run that computes the features which this run is trained or fitted on; None unless its tuning
        reads some. All runs of a model on a task in one precision have the same one."""
        if feature_choice(self.model.tuning) is None:
            return None
        return RunSpec(
            task=self.task,
            model=dataclasses.replace(self.model, tuning=Features(), head_init="small", dropout=False),
            optimization=Optimization(learning_rate=1, steps=1, precision=self.optimization.precision),
            train_split="transfer",
            labels=Unlabelled(),
            objective=Call("language_modelling"),
            evaluation=Evaluation(every=0),
        )

    @property
    def keeps_whole_model(self) -> bool:
        """Whether another run can start from the model that this run trains."""
        tuning = self.model.tuning
        return isinstance(tuning, Full | HeadOnly) and self.loads_model

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
