"""Texts of different splits that are nearly the same: what a model has learnt by heart isn't tested.

Two texts are near-duplicates if the Jaccard similarity of their sets of words is at least `SIMILARITY`. Pairs
are found by prefix filtering (Bayardo, Ma and Srikant 2007, "Scaling up all pairs similarity search"): only
the rarest words of each set are indexed, so many that two similar sets share some of them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

SIMILARITY = 0.85
MOST_WORDS_COMPARED = 20_000_000
"""Some seconds of work: what would be found after that isn't counted."""
_NUM_RARE = 3
"""How many of their rarest words two sets must share to be compared. The more, the fewer comparisons, and the
more words are looked up."""
_ROUNDING = 1e-9

_Words = tuple[int, ...]
"""The distinct words of a text by their rank, the rarest (0) first."""


@dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """The pairs of nearly equal texts in two splits."""

    num_pairs: Mapping[tuple[str, str], int]
    """By splits, in their order; without those that have none."""
    example: tuple[str, str] | None
    """A pair of the last two splits that have one."""
    is_complete: bool
    """Whether all pairs were counted."""


def near_duplicates(splits: Mapping[str, Sequence[str]]) -> NearDuplicates:
    """The near-duplicates among texts of different splits. Texts without words have none.

    Args:
        splits: the texts of each split.
    """
    sets = {
        name: [set(re.findall(r"\w+", text.casefold())) for text in texts] for name, texts in splits.items()
    }
    frequency = Counter(chain.from_iterable(chain.from_iterable(sets.values())))
    by_rarity = sorted(frequency, key=lambda word: (frequency[word], word))
    ranks = {word: rank for rank, word in enumerate(by_rarity)}
    indexes = {
        name: _Index([tuple(sorted(ranks[word] for word in words)) for words in found])
        for name, found in sets.items()
    }
    num_pairs = {}
    example = None
    search = _Search()
    for first, second in reversed(list(combinations(splits, 2))):  # those with the test split first
        pairs = list(search.pairs(indexes[first], indexes[second]))
        if pairs:
            num_pairs[first, second] = len(pairs)
            example = example or (splits[first][pairs[0][0]], splits[second][pairs[0][1]])
    return NearDuplicates(
        num_pairs=dict(reversed(num_pairs.items())), example=example, is_complete=search.is_complete
    )


class _Index:
    """The texts of a split by their words."""

    def __init__(self, texts: Sequence[_Words]) -> None:
        numbers: dict[_Words, list[int]] = {}
        for number, words in enumerate(texts):
            if words:
                numbers.setdefault(words, []).append(number)
        self.sets = list(numbers)
        self.texts = list(numbers.values())
        """The numbers of the texts that have the words of each set."""
        self.sizes = list(map(len, numbers))
        self.by_word: dict[int, list[int]] = {}
        """The numbers of the sets that have a word among their rarest."""
        for number, words in enumerate(self.sets):
            for word in _rarest(words):
                self.by_word.setdefault(word, []).append(number)


def _num_shared(num_words: int) -> int:
    """How many words a set shares at least with a set that is similar to it."""
    return math.ceil(SIMILARITY * num_words - _ROUNDING)


def _rarest(words: _Words) -> _Words:
    """The words of a set of which it shares at least `_NUM_RARE` with every similar set, or all if it has
    fewer."""
    return words[: len(words) - _num_shared(len(words)) + _NUM_RARE]


class _Search:
    """Finds similar sets until it has compared `MOST_WORDS_COMPARED` words."""

    def __init__(self) -> None:
        self._num_left = MOST_WORDS_COMPARED

    @property
    def is_complete(self) -> bool:
        return self._num_left >= 0

    def pairs(self, one: _Index, other: _Index) -> Iterator[tuple[int, int]]:
        """The numbers of similar texts in two splits."""
        for words, texts in zip(one.sets, one.texts, strict=True):
            lowest, highest = SIMILARITY * len(words) - _ROUNDING, len(words) / SIMILARITY + _ROUNDING
            having = [other.by_word.get(word, ()) for word in _rarest(words)]
            self._num_left -= sum(map(len, having))
            if not self.is_complete:
                return
            shared_rare = Counter(chain.from_iterable(having))
            needed = min(_NUM_RARE, len(words))
            candidates = [
                number
                for number, count in shared_rare.items()
                if count >= needed and lowest <= other.sizes[number] <= highest
            ]
            self._num_left -= len(words) * len(candidates)
            own = frozenset(words)
            for number in candidates:
                shared = len(own.intersection(other.sets[number]))
                if shared >= SIMILARITY * (len(words) + other.sizes[number] - shared) - _ROUNDING:
                    yield from ((text, partner) for text in texts for partner in other.texts[number])
