"""How examples are counted, ordered and dealt out, group by group. All follows from a seed, groups and ids,
never from the order of rows.

Examples are counted in bins. A balanced task has one bin per class; other tasks, such as those without
classes (kinds "generative" and "text"), have one bin for all examples.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raysweep.tasks.base import Example

SPREAD = 2
"""A split that is cut from the training pool may take groups of so many times its size, since a split of many
groups says more than one of few."""
LARGEST_TAKEN = 0.25
"""Groups that hold more than this share of what such a split may take are left to training, if others do."""
LARGEST_SHARE = 0.1
"""Largest share of one group in a bin of a validation or test pool: intervals of groups that differ more are
unreliable. Where there are less than 20 groups, twice their mean share."""
LARGEST_TRAINING_SHARE = 0.25
"""The same of what both halves of the training data are dealt from: half of one of them."""

Group = list[Example]


@dataclass(frozen=True)
class Dealing:
    """The rules of one task and one seed."""

    num_bins: int
    seed: int

    def bin(self, example: Example) -> int:
        return example.label or 0 if self.num_bins > 1 else 0

    def counts(self, examples: Iterable[Example]) -> list[int]:
        """The number of examples in each bin."""
        counter = Counter(map(self.bin, examples))
        return [counter[number] for number in range(self.num_bins)]

    def usable(self, examples: Iterable[Example]) -> int:
        """The number of examples that are left when the larger classes are undersampled."""
        return min(self.counts(examples)) * self.num_bins

    def shuffled(self, examples: Iterable[Example], purpose: str) -> list[Example]:
        return sorted(examples, key=lambda example: _rank(self.seed, purpose, example.id))

    def shuffled_groups(self, examples: Iterable[Example]) -> list[Group]:
        groups: dict[str, Group] = {}
        for example in self.shuffled(examples, "group"):
            groups.setdefault(example.group, []).append(example)
        return [groups[name] for name in sorted(groups, key=lambda name: _rank(self.seed, "groups", name))]

    def in_rounds(self, groups: Sequence[Group], quota: int) -> list[Example]:
        """`quota` examples of each bin, or as many as there are.

        In each round every group gives one example of each bin that it has, so that no group gives two before
        all have given one, and right and wrong answers to a question stay together.
        """
        counts = [0] * self.num_bins
        chosen = []
        waiting = [self._by_bin(group) for group in groups]
        depth = 0
        while waiting and min(counts) < quota:
            for bins in waiting:
                for number, members in bins.items():
                    if depth < len(members) and counts[number] < quota:
                        counts[number] += 1
                        chosen.append(members[depth])
            depth += 1
            waiting = [bins for bins in waiting if any(depth < len(members) for members in bins.values())]
        return chosen

    def reserve(self, groups: Sequence[Group], quota: int, share: float) -> tuple[list[Group], list[Group]]:
        """Whole groups with at least `quota` examples of each bin, and the other groups.

        There are more of them than the quota needs, so that each gives few examples: as many as make the
        first round of `in_rounds` fill it, while they hold at most `SPREAD` times the examples that the quota
        needs, and at most `share` of all. Groups with more than `LARGEST_TAKEN` of that are taken last.
        """
        total = sum(map(len, groups))
        needed = quota * total / max(min(self.counts(example for group in groups for example in group)), 1)
        budget = max(needed, min(SPREAD * needed, share * total))
        common = [group for group in groups if len(group) <= LARGEST_TAKEN * budget]
        large = sorted((group for group in groups if len(group) > LARGEST_TAKEN * budget), key=len)
        counts, rounds = Counter[int](), Counter[int]()  # examples and groups by bin
        taken: list[Group] = []
        num_taken, may_spread = 0, True
        for group in [*common, *large]:
            bins = self._by_bin(group)
            may_spread &= num_taken + len(group) <= budget
            if not any(counts[number] < quota or (may_spread and rounds[number] < quota) for number in bins):
                continue
            taken.append(group)
            num_taken += len(group)
            counts.update({number: len(members) for number, members in bins.items()})
            rounds.update(bins.keys())
        names = {group[0].group for group in taken}
        return taken, [group for group in groups if group[0].group not in names]

    def trimmed(self, groups: Sequence[Group], share: float) -> list[Group]:
        """The groups, cut where one would be more than this share of a bin, and more than twice the mean
        share."""
        sizes: dict[int, list[int]] = {}
        for group in groups:
            for number, members in self._by_bin(group).items():
                sizes.setdefault(number, []).append(len(members))
        most = {number: _most(found, share) for number, found in sizes.items()}
        if all(max(found) <= most[number] for number, found in sizes.items()):
            return list(groups)
        kept = []
        for group in groups:
            given = Counter[int]()
            for example in group:
                given[self.bin(example)] += 1
                if given[self.bin(example)] > most[self.bin(example)]:
                    continue
                kept.append(example)
        return _regrouped(kept)

    def halves(self, groups: Sequence[Group]) -> list[list[Group]]:
        """Deal out whole groups, the largest first, each to the half that has fewer examples of its bins."""
        loads = ([0] * self.num_bins, [0] * self.num_bins)
        half_of: dict[str, int] = {}
        for group in sorted(groups, key=len, reverse=True):
            bins = self._by_bin(group)
            first, second = (
                sum(len(members) * load[number] for number, members in bins.items()) for load in loads
            )
            half = half_of[group[0].group] = int(second < first)
            for number, members in bins.items():
                loads[half][number] += len(members)
        # In shuffled order again: a half that is cut to size should not consist of its largest groups.
        return [[group for group in groups if half_of[group[0].group] == half] for half in (0, 1)]

    def _by_bin(self, group: Group) -> dict[int, Group]:
        bins: dict[int, Group] = {}
        for example in group:
            bins.setdefault(self.bin(example), []).append(example)
        return bins


def _most(sizes: Sequence[int], share: float) -> int:
    """The most examples that a group may give, so that none gives more than this share, or twice the mean
    one."""
    share = max(share, 2 / len(sizes))
    # What is allowed grows more slowly than what is given, so the largest fitting number is found by halving.
    low, high = 1, max(sizes)
    while low < high:
        middle = (low + high + 1) // 2
        fits = middle <= share * sum(min(size, middle) for size in sizes)
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _regrouped(examples: Iterable[Example]) -> list[Group]:
    """Groups in the order of their first examples."""
    groups: dict[str, Group] = {}
    for example in examples:
        groups.setdefault(example.group, []).append(example)
    return list(groups.values())


def _rank(*parts: object) -> bytes:
    """A pseudo-random key that puts examples or groups in a reproducible random order."""
    return hashlib.blake2b(
        "\n".join(str(part) for part in parts).encode(errors="replace"), digest_size=8
    ).digest()
