"""The sandbox: a synthetic language in which the probability of every label is known exactly.

A sentence has K hidden binary attributes z, each ±1 with equal probability. Its words are drawn independently
with P(word | z) ∝ exp(frequency_word + Σ_k z_k · loading_word,k), where the loadings are sparse. A language
model is never shown the attributes, but to predict the next word of a sentence it must infer them from the
words before; larger models are better at it. Task k is to name attribute k of a sentence. The posterior
P(z_k | words) is a sum over 2^K cases, so the difficulty of each example and the Bayes accuracy are exact.

Everything follows from the parameters by fixed seeds, so a task is the same on every machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.tasks.base import Example, Task, tasks

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class World:
    """A language of V words with K attributes."""

    num_words: int = 500
    num_attributes: int = 6
    """K. A small model can't represent all of them, and learns some better than others."""
    strength: float = 1.2
    """Standard deviation of the loadings: how strongly attributes influence words."""
    share_loaded: float = 0.3
    """Share of the words with a loading on an attribute."""
    sentence_length: int = 10
    """Mean number of words of a sentence; lengths are uniform within ±3 of it."""
    seed: int = 0

    def __post_init__(self) -> None:
        in_range = (
            10 <= self.num_words <= _MAX_WORDS
            and 1 <= self.num_attributes <= 12
            and self.sentence_length >= 4
        )
        if not in_range or not 0 < self.share_loaded <= 1 or not self.strength > 0:
            raise InvalidInput(
                f"sandbox: {self} can't be made; it needs 10 to {_MAX_WORDS} num_words, 1 to 12 "
                "num_attributes, sentence_length of at least 4, strength above 0 and share_loaded in (0, 1]"
            )

    @cached_property
    def words(self) -> list[str]:
        """The vocabulary: words of one and two syllables, in a fixed order."""
        syllables = (
            "".join(letters) for size in (1, 2) for letters in itertools.product(*[_SYLLABLES] * size)
        )
        return list(itertools.islice(syllables, self.num_words))

    @cached_property
    def settings(self) -> npt.NDArray[np.int64]:
        """(2^K, K) all settings of the attributes, ±1."""
        return np.array(list(itertools.product((-1, 1), repeat=self.num_attributes)))

    @cached_property
    def log_word_probabilities(self) -> Floats:
        """(2^K, V) log P(word | z)."""
        rng = np.random.default_rng([self.seed, 1])
        frequency = rng.normal(0, 0.7, self.num_words)
        loaded = rng.random((self.num_attributes, self.num_words)) < self.share_loaded
        loadings = rng.normal(0, self.strength, (self.num_attributes, self.num_words)) * loaded
        logits: Floats = frequency + self.settings @ loadings
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def sentences(self, count: int, stream: int) -> tuple[list[npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
        """The word numbers of `count` sentences, and their attributes (count, K).

        Each `stream` is an independent draw.
        """
        rng = np.random.default_rng([self.seed, 2, stream])
        setting = rng.integers(len(self.settings), size=count)
        lengths = rng.integers(self.sentence_length - 3, self.sentence_length + 4, size=count)
        cumulative = np.exp(self.log_word_probabilities).cumsum(axis=1)
        draws = rng.random((count, self.sentence_length + 3))
        words = [
            np.searchsorted(cumulative[z], draw[:length] * cumulative[z, -1])
            for z, draw, length in zip(setting, draws, lengths, strict=True)
        ]
        return words, self.settings[setting]

    def posterior(self, sentences: list[npt.NDArray[np.int64]], attribute: int) -> Floats:
        """(N,) the exact P(attribute = +1 | words) of N sentences."""
        likelihood = np.stack(
            [self.log_word_probabilities[:, sentence].sum(axis=1) for sentence in sentences]
        )
        likelihood = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
        positive = self.settings[:, attribute] == 1
        shares: Floats = likelihood[:, positive].sum(axis=1) / likelihood.sum(axis=1)
        return shares

    def text(self, sentence: npt.NDArray[np.int64]) -> str:
        """A sentence in words."""
        words = self.words
        return " ".join(words[number] for number in sentence)


_MAX_WORDS = 70 + 70**2
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
_STREAMS = {"train": 0, "test": 1, "corpus": 2, "corpus_validation": 3}


def bayes_accuracy(examples: list[Example]) -> float:
    """The best expected accuracy on these examples: the mean of max(p, 1 − p) of their exact posteriors."""
    return float(np.mean([1 - (example.difficulty or 0.0) / 2 for example in examples]))


def load_attribute(
    attribute: int = 0,
    num_sentences: int = 12_000,
    num_test_sentences: int = 4_000,
    num_words: int = 500,
    num_attributes: int = 6,
    strength: float = 1.2,
    share_loaded: float = 0.3,
    sentence_length: int = 10,
    world_seed: int = 0,
) -> Mapping[str, list[Example]]:
    """Sentences labelled with one attribute.

    Difficulty is 1 − |2·P(z = +1 | words) − 1|: 0 is certain, 1 undecidable. It is rounded to 6 digits, since
    its last digits differ between machines and the identity of the task must not.

    Raises:
        InvalidInput: a parameter is out of range.
    """
    world = World(
        num_words=num_words,
        num_attributes=num_attributes,
        strength=strength,
        share_loaded=share_loaded,
        sentence_length=sentence_length,
        seed=world_seed,
    )
    if not 0 <= attribute < num_attributes:
        raise InvalidInput(f"sandbox: attribute is {attribute}; this world has 0 to {num_attributes - 1}")
    pools = {}
    for pool, count in (("train", num_sentences), ("test", num_test_sentences)):
        sentences, attributes = world.sentences(count, _STREAMS[pool])
        difficulty = 1 - np.abs(2 * world.posterior(sentences, attribute) - 1)
        rows = zip(sentences, attributes[:, attribute], difficulty, strict=True)
        pools[pool] = [
            Example(
                id=f"{pool}-{number}",
                group=f"{pool}-{number}",
                texts=(world.text(sentence),),
                label=int(z == 1),
                difficulty=round(float(hardness), 6),
            )
            for number, (sentence, z, hardness) in enumerate(rows)
        ]
    return pools


def load_corpus(
    num_sentences: int = 60_000,
    num_words: int = 500,
    num_attributes: int = 6,
    strength: float = 1.2,
    share_loaded: float = 0.3,
    sentence_length: int = 10,
    world_seed: int = 0,
) -> Mapping[str, list[Example]]:
    """Unlabelled sentences for pretraining, drawn independently of those of the tasks.

    Raises:
        InvalidInput: a parameter is out of range.
    """
    world = World(
        num_words=num_words,
        num_attributes=num_attributes,
        strength=strength,
        share_loaded=share_loaded,
        sentence_length=sentence_length,
        seed=world_seed,
    )
    pools = {}
    for pool, stream, count in (
        ("train", "corpus", num_sentences),
        ("validation", "corpus_validation", 1_000),
    ):
        sentences, _ = world.sentences(count, _STREAMS[stream])
        pools[pool] = [
            Example(id=f"{pool}-{number}", group=f"{pool}-{number}", texts=(world.text(sentence),))
            for number, sentence in enumerate(sentences)
        ]
    return pools


tasks.add(
    "sandbox",
    Task(
        name="sandbox",
        summary="Sandbox: a hidden attribute of a synthetic sentence; the Bayes accuracy is known exactly",
        kind="classification",
        load=load_attribute,
        num_train=1_000,
        num_validation=500,
        num_test=2_000,
    ),
)
tasks.add(
    "sandbox_corpus",
    Task(
        name="sandbox_corpus",
        summary="Sandbox: unlabelled sentences, to pretrain its models on",
        kind="text",
        num_classes=0,
        load=load_corpus,
        num_train=60_000,
        num_validation=1_000,
        balanced=False,
    ),
)
