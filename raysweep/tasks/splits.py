"""Division of a task's pools of examples into splits, by pure functions.

Whole groups are dealt out, so that no passage, question or prompt is in two splits. A group that is in the
test pool is removed from the training pool. Order and choice follow from hashes of the split seed with the
groups and ids, never from the order of rows, so a reordered data set gives the same splits. In a balanced
task every split has equally many examples of each class: the larger classes are undersampled (Burns et al.
2023, appendix A.1). The two halves of the training data are of equal size.

Examples are counted in bins. A balanced task has one bin per class; other tasks, such as those without
classes (kinds "generative" and "text"), have one bin for all examples.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks.base import POOLS, SPLITS, TRAINING_SPLITS, Example, Task

MINIMUM_PER_BIN = 2
"""A split with fewer examples of a class is of no use for training or testing."""
TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
TEXT_VALIDATION_SHARE = 0.02
"""Largest shares of the training pool that are cut from it by default, so that small data sets keep most of
their examples for training."""

Groups = list[list[Example]]


def divide(task: Task, pools: Mapping[str, Iterable[Example]], spec: TaskSpec) -> dict[str, list[Example]]:
    """The splits `supervisor`, `transfer`, `validation` and `test` of pools; `train` and `validation` if the
    task has no halves.

    Sizes are those of the spec, else the task's defaults. In a balanced task they are rounded down to a
    multiple of the number of classes. Defaults are reduced to what the data has; sizes of the spec aren't.

    Raises:
        InvalidInput: examples are unusable or too few, or fewer than the spec asks for.
    """
    rules = _Rules(task, spec)
    own = _disjoint_pools(task, pools)
    rules.check(own)
    remaining = rules.shuffled_groups(own["train"])
    usable = rules.usable(own["train"])
    splits: dict[str, list[Example]] = {}
    for name in ("test", "validation") if task.has_halves else ("validation",):
        splits[name], remaining = rules.held_out(name, own.get(name), remaining, usable)
    if task.has_halves:
        splits |= dict(zip(TRAINING_SPLITS, rules.equal("train", rules.halves(remaining)), strict=True))
    else:
        splits["train"] = rules.equal("train", [remaining])[0]
    names = SPLITS if task.has_halves else ("train", "validation")
    return {name: rules.shuffled(splits[name], name) for name in names}


def _rank(*parts: object) -> bytes:
    """A pseudo-random key that puts examples or groups in a reproducible random order."""
    return hashlib.blake2b(
        "\n".join(str(part) for part in parts).encode(errors="replace"), digest_size=8
    ).digest()


def _disjoint_pools(task: Task, pools: Mapping[str, Iterable[Example]]) -> dict[str, list[Example]]:
    """The pools without common groups. A group of several pools stays in test, else in validation."""
    allowed = POOLS if task.has_halves else ("train", "validation")
    unknown = [name for name in pools if name not in allowed]
    if unknown or "train" not in pools:
        raise InvalidInput(
            f"task {task.name!r}: its loader returned the pools {', '.join(map(repr, pools)) or 'none'}; a "
            f"task of kind {task.kind!r} needs 'train' and may have {', '.join(map(repr, allowed[1:]))}"
        )
    taken: set[str] = set()
    disjoint: dict[str, list[Example]] = {}
    for name in (name for name in reversed(POOLS) if name in pools):
        disjoint[name] = [example for example in pools[name] if example.group not in taken]
        taken.update(example.group for example in disjoint[name])
    return disjoint


@dataclass(frozen=True)
class _Rules:
    """Counting, ordering and cutting of examples, as a task and its spec ask."""

    task: Task
    spec: TaskSpec

    @property
    def has_classes(self) -> bool:
        return self.task.kind in ("classification", "preference")

    @property
    def num_bins(self) -> int:
        return self.task.num_classes if self.task.balanced and self.has_classes else 1

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
        return sorted(examples, key=lambda example: _rank(self.spec.split_seed, purpose, example.id))

    def shuffled_groups(self, examples: Iterable[Example]) -> Groups:
        groups: dict[str, list[Example]] = {}
        for example in self.shuffled(examples, "group"):
            groups.setdefault(example.group, []).append(example)
        return [
            groups[name]
            for name in sorted(groups, key=lambda name: _rank(self.spec.split_seed, "groups", name))
        ]

    def first_of_each_bin(self, groups: Groups, quota: int) -> list[Example]:
        """The first `quota` examples of each bin, group by group, so that right and wrong answers to a
        question stay together."""
        counts = [0] * self.num_bins
        chosen = []
        for example in (example for group in groups for example in group):
            if counts[self.bin(example)] < quota:
                counts[self.bin(example)] += 1
                chosen.append(example)
        return chosen

    def cut(self, groups: Groups, quota: int) -> tuple[Groups, Groups]:
        """Take whole groups until each bin has `quota` examples; return these and the other groups."""
        counts = [0] * self.num_bins
        taken: Groups = []
        rest: Groups = []
        for group in groups:
            wanted = any(counts[self.bin(example)] < quota for example in group)
            (taken if wanted else rest).append(group)
            if wanted:
                counts = [count + more for count, more in zip(counts, self.counts(group), strict=True)]
        return taken, rest

    def halves(self, groups: Groups) -> list[Groups]:
        """Deal out whole groups, the largest first, each to the half that has fewer examples of its bins."""
        loads = ([0] * self.num_bins, [0] * self.num_bins)
        half_of: dict[str, int] = {}
        for group in sorted(groups, key=len, reverse=True):
            counts = self.counts(group)
            first, second = (sum(a * b for a, b in zip(counts, load, strict=True)) for load in loads)
            half = half_of[group[0].group] = int(second < first)
            for number, count in enumerate(counts):
                loads[half][number] += count
        # In shuffled order again: a half that is cut to size should not consist of its largest groups.
        return [[group for group in groups if half_of[group[0].group] == half] for half in (0, 1)]

    def held_out(
        self, split: str, pool: list[Example] | None, training: Groups, usable: int
    ) -> tuple[list[Example], Groups]:
        """The test or validation split and the remaining training groups.

        The split comes from its own pool if there is one, else it is cut from the training groups.
        """
        if pool is not None:
            return self.equal(split, [self.shuffled_groups(pool)])[0], training
        if split == "test":
            share = TEST_SHARE
        else:
            share = VALIDATION_SHARE if self.task.has_halves else TEXT_VALIDATION_SHARE
        asked, default = self.size(split)
        quota = max((asked or min(default, int(share * usable))) // self.num_bins, MINIMUM_PER_BIN)
        taken, rest = self.cut(training, quota)
        return self.equal(split, [taken], quota)[0], rest

    def equal(self, split: str, parts: Sequence[Groups], quota: int | None = None) -> list[list[Example]]:
        """Cut all parts to the same number of examples in each bin: as many as all have, up to the split's
        size."""
        asked, default = self.size(split)
        quota = quota or (asked or default) // self.num_bins
        counts = [self.counts(example for group in part for example in group) for part in parts]
        found = min(min(count) for count in counts)
        name = "each half of the training data" if len(parts) > 1 else f"split {split!r}"
        if found < MINIMUM_PER_BIN or (asked and found < asked // self.num_bins):
            self._refuse_shortage(split, name, asked, counts)
        chosen = [self.first_of_each_bin(part, min(quota, found)) for part in parts]
        for part in chosen:
            self._require_classes(part, name)
        return chosen

    def size(self, split: str) -> tuple[int | None, int]:
        """The size of a split in the spec, None if the spec has none, and the task's default."""
        asked: int | None = getattr(self.spec, f"num_{split}")
        if asked and asked < MINIMUM_PER_BIN * self.num_bins:
            raise InvalidInput(
                f"task {self.task.name!r}: num_{split} is {asked}; it must be at least "
                f"{MINIMUM_PER_BIN * self.num_bins}, {MINIMUM_PER_BIN} examples for each of "
                f"{self.num_bins} classes"
            )
        return asked, getattr(self.task, f"num_{split}")

    def check(self, pools: Mapping[str, list[Example]]) -> None:
        """Refuse pools with examples that can't be used."""
        if not self.task.has_halves and self.spec.num_test:
            raise InvalidInput(
                f"task {self.task.name!r}: num_test is {self.spec.num_test}, but a task to pretrain on has "
                "the splits train and validation only; leave num_test out"
            )
        seen: set[str] = set()
        for name, pool in pools.items():
            for example in pool:
                self._check_example(example, name)
                if example.id in seen:
                    raise InvalidInput(
                        f"task {self.task.name!r}: id {example.id!r} occurs twice; it must be unique"
                    )
                seen.add(example.id)
            self._require_classes(pool, f"the pool {name!r}")

    def _check_example(self, example: Example, pool: str) -> None:
        where = f"task {self.task.name!r}, pool {pool!r}, example {example.id!r}"
        num_texts = 2 if self.task.kind == "preference" else 1
        if len(example.texts) != num_texts or not all(
            isinstance(text, str) and text.strip() for text in example.texts
        ):
            raise InvalidInput(
                f"{where}: a {self.task.kind} example needs {num_texts} non-empty text(s), got "
                f"{example.texts!r:.200}"
            )
        if self.task.kind == "generative":
            self._check_target(example, where)
        if not self.has_classes:
            return
        if type(example.label) is not int or not 0 <= example.label < self.task.num_classes:
            raise InvalidInput(
                f"{where}: the label is {example.label!r}; this task's classes are whole numbers 0 to "
                f"{self.task.num_classes - 1}. A label of -1 usually means a published test set with hidden "
                "labels"
            )

    def _check_target(self, example: Example, where: str) -> None:
        if not isinstance(example.target, str) or not example.target.strip():
            raise InvalidInput(
                f"{where}: its target is {example.target!r:.200}; "
                "a generative example needs a non-empty answer"
            )
        if example.allowed and example.target not in example.allowed:
            raise InvalidInput(
                f"{where}: its target {example.target!r:.200} isn't among its {len(example.allowed)} allowed "
                f"answers, {example.allowed!r:.200}; an allowed answer must be written as the target is"
            )

    def _require_classes(self, examples: Sequence[Example], name: str) -> None:
        """Require all classes in a balanced task and at least two in another task with classes."""
        if not self.has_classes:
            return
        present = {example.label for example in examples}
        needed = self.task.num_classes if self.task.balanced else 2
        if len(present) < needed:
            raise InvalidInput(
                f"task {self.task.name!r}: {name} has {self._describe(examples)}; it needs examples of "
                f"{'all' if self.task.balanced else 'at least two of the'} {self.task.num_classes} classes"
            )

    def _describe(self, examples: Sequence[Example]) -> str:
        counter = Counter(example.label for example in examples)
        of_each = ", ".join(f"{counter[label]} of class {label}" for label in range(self.task.num_classes))
        return f"{len(examples)} examples ({of_each})"

    def _refuse_shortage(self, split: str, name: str, asked: int | None, counts: list[list[int]]) -> None:
        there = " and ".join("/".join(map(str, count)) for count in counts)
        kinds = f" of class {'/'.join(map(str, range(self.num_bins)))}" if self.num_bins > 1 else ""
        needed = asked // self.num_bins if asked else MINIMUM_PER_BIN
        why = f"num_{split}={asked} was asked for" if asked else "there are too few rows for the splits"
        found = min(min(count) for count in counts)
        most = found * self.num_bins
        advice = f"at most num_{split}={most} can be met" if found >= MINIMUM_PER_BIN else "give more rows"
        raise InvalidInput(
            f"task {self.task.name!r}: {why}: {name} needs {needed} "
            f"examples{' of each class' if kinds else ''}, and there are {there}{kinds} for it once whole "
            f"groups are dealt out and no group is in two splits; {advice}"
        )
