"""Which parameters of a model are trained, and what a new head starts as: fields of `ModelSpec`."""

from __future__ import annotations

from dataclasses import dataclass

from raysweep.spec.validation import require, require_int, require_number, require_type


@dataclass(frozen=True, kw_only=True)
class Full:
    """All parameters are trained."""


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
    """Only the head is trained, on features of the frozen model (a linear probe)."""


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
