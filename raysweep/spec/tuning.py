"""Which parameters of a model are trained, and what a new head starts as: fields of `ModelSpec`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from raysweep.spec.call import Call
from raysweep.spec.identity import later_field
from raysweep.spec.validation import (
    require,
    require_bool,
    require_choice,
    require_int,
    require_number,
    require_type,
)

Pooling = Literal["first", "last", "mean"]
"""Of a text's tokens, whose hidden state stands for the text: the first one's ([CLS]), the last one's, or the
mean over all of them."""
Frozen = Literal["embeddings"]
Layer = int | Literal["middle"]
"""A hidden layer: 0 for the embeddings, 1 for the output of the first block, and so on; negative ones count
from the end, so that −1 is what a language model's output layer reads; "middle" is half way up."""


@dataclass(frozen=True, kw_only=True)
class Full:
    """All parameters are trained, but for what is frozen."""

    freeze: tuple[Frozen, ...] = later_field(default=())
    """"embeddings": the tables of words, positions and types, which are half of a small encoder. An output
    layer that is tied to them stays too."""

    def __post_init__(self) -> None:
        is_list = isinstance(self.freeze, tuple | list)
        names = is_list and all(name in get_args(Frozen) for name in self.freeze)
        require(names, self, "freeze", 'a tuple, empty or ("embeddings",)')
        object.__setattr__(self, "freeze", tuple(self.freeze))


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on linear layers are trained, and the head of a
    classifier or preference model."""

    rank: int = 8
    alpha: float = 16.0
    target_modules: tuple[str, ...] = ()
    """Names of the adapted modules, such as "c_attn"; empty for all linear layers of the body: those of
    attention and MLPs, without embeddings and output layers (Dettmers et al. 2023, arXiv 2305.14314)."""

    def __post_init__(self) -> None:
        require_int(self, "rank", 1)
        require_number(self, "alpha", 0, above=True)
        is_list = isinstance(self.target_modules, tuple | list)
        names = all(isinstance(name, str) for name in self.target_modules) if is_list else False
        require(names, self, "target_modules", "a tuple of module names")


@dataclass(frozen=True, kw_only=True)
class HeadOnly:
    """Only the head is trained, on features of the frozen model (a linear probe).

    Without a layer, the whole model runs in every step, and what is trained is the head that transformers
    puts on it. With a layer, the head is one linear layer, in float32, on features that are computed once for
    all runs of the plan (see `RunSpec.features`), so that a run costs next to nothing.
    """

    layer: Layer | None = later_field(default=None)  # noqa: RUF009
    """The layer that the features are taken from."""
    pooling: Pooling | None = later_field(default=None)  # noqa: RUF009
    """How the tokens of a text become its features; "mean" if there is a layer and nothing is given."""
    standardize: bool | None = later_field(default=None)
    """Whether each feature is shifted and scaled to mean 0 and deviation 1 over the texts of the training
    split, whatever their labels; True if there is a layer and nothing is given."""

    def __post_init__(self) -> None:
        if self.layer is None:
            for name in ("pooling", "standardize"):
                require(getattr(self, name) is None, self, name, "left out unless there is a layer")
            return
        object.__setattr__(self, "pooling", "mean" if self.pooling is None else self.pooling)
        object.__setattr__(self, "standardize", True if self.standardize is None else self.standardize)
        _require_feature_choice(self)


@dataclass(frozen=True)
class Probe:
    """Nothing is trained by gradient: a probe is fitted on features of the frozen model, in closed form or as
    a convex problem. `raysweep list` names the probes.

    The model's optimization doesn't matter but for its precision, in which the features are computed.
    """

    call: Call
    """The probe and its parameters."""
    layer: Layer = -1
    pooling: Pooling = "mean"
    standardize: bool = True
    """This and the two above: as of `HeadOnly`."""

    def __post_init__(self) -> None:
        require_type(self, "call", Call, "a Call, such as Call('ridge')")
        _require_feature_choice(self)


@dataclass(frozen=True, kw_only=True)
class Features:
    """Nothing is trained: hidden states of the model are kept as features. Runs of this tuning are in a plan
    because others read their features; no experiment names them."""


class Feature(NamedTuple):
    """What a features run keeps: the features of the texts of one split, from one layer, pooled in one
    way."""

    split: str
    layer: int
    """From 0, the embeddings."""
    pooling: Pooling

    def __str__(self) -> str:
        return f"{self.split}.layer{self.layer}.{self.pooling}"


def feature_choice(tuning: object) -> HeadOnly | Probe | None:
    """The tuning, if it reads features: one with a layer, a pooling, and whether to standardize."""
    reads = isinstance(tuning, Probe) or (isinstance(tuning, HeadOnly) and tuning.layer is not None)
    return tuning if reads else None  # type: ignore[return-value]


def _require_feature_choice(tuning: HeadOnly | Probe) -> None:
    layer = tuning.layer
    is_number = isinstance(layer, int) and not isinstance(layer, bool)
    allowed = 'the number of a layer (0 for the embeddings, −1 for the last one) or "middle"'
    require(is_number or layer == "middle", tuning, "layer", allowed)
    require_choice(tuning, "pooling", Pooling)
    require_bool(tuning, "standardize")


@dataclass(frozen=True, kw_only=True)
class Prompting:
    """Nothing is trained: a pretrained language model is prompted, zero-shot or after labelled examples.

    Its prediction is the most likely of the words for the classes, or the answer that it generates. Burns et
    al. 2023, section 5.2.1, compare finetuning with this.
    """

    num_examples: int = 0
    """Shots: labelled examples of the training split before each text. The classes take turns; the run's seed
    draws the examples."""
    words: tuple[str, ...] = ()
    """The word for each class, in the order of the classes; not needed for generative tasks."""
    question: str = "\nAnswer:"
    """What is put between a text and the word or answer."""
    separator: str = "\n\n"
    """What is put between one example and the next."""

    def __post_init__(self) -> None:
        require_int(self, "num_examples", 0)
        is_list = isinstance(self.words, tuple | list)
        names = all(isinstance(word, str) and word for word in self.words) if is_list else False
        require(names, self, "words", "a tuple of words, one for each class")
        require_type(self, "question", str, "a string")
        require_type(self, "separator", str, "a string")


@dataclass(frozen=True, kw_only=True)
class Unembedding:
    """A head that starts as rows of the language model's output layer, those of a word for each class.

    Burns et al. 2023 (appendix A.2) start with the words "0" and "1", so that the first logits of a text are
    those of the words that would follow it. A preference model, which has one output, takes one word. Only
    for decoders.
    """

    words: tuple[str, ...] = ("0", "1")
    """In the order of the classes; each one token. "yes" and " yes" are different tokens to most models."""

    def __post_init__(self) -> None:
        is_list = isinstance(self.words, tuple | list) and len(self.words) > 0
        names = all(isinstance(word, str) and word for word in self.words) if is_list else False
        require(names, self, "words", "a tuple of words, one for each class")
        object.__setattr__(self, "words", tuple(self.words))

    def __str__(self) -> str:
        return f"the unembedding of {', '.join(map(repr, self.words))}"
