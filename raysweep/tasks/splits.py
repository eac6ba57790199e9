"""Division of a task's pools into splits: pure, and the same for the same rows in any order.

Whole groups are dealt out, so that no passage, question or prompt is in two splits; a group of the test pool
leaves the training pool. Order and choice come from hashes of (seed, group), never from the order of rows, so
a data set that was reordered gives the same splits. Each split of a balanced task holds equally many examples
of every class: the larger classes are undersampled (Burns et al. 2023, appendix A.1). The two halves are of
equal size.

"Bins" are what is counted: the classes of a balanced task, else one bin for all examples, as in tasks without
classes (kinds "generative" and "text").
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks.base import TRAINING_SPLITS, Example, Task

POOLS = ("train", "validation", "test")
MINIMUM_PER_BIN = 2
"""A split with fewer examples of a class can neither be trained on nor measured."""
TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
TEXT_VALIDATION_SHARE = 0.02
"""Largest shares of the training pool that are cut from it by default: small data sets keep most for
training."""

Groups = list[list[Example]]


def divide(task: Task, pools: Mapping[str, Iterable[Example]], spec: TaskSpec) -> dict[str, list[Example]]:
    """The splits of a task: `supervisor`, `transfer`, `validation` and `test`, or `train` and `validation` of
    text.

    Sizes are those of the spec, else the task's; a balanced split holds a multiple of the number of classes,
    so a size is rounded down to one. Sizes of the task are reduced to what is there; sizes of the spec
    aren't.

    Raises:
        InvalidInput: unusable examples, too few of them, or fewer than the spec asks for.
    """
    rules = _Rules(task, spec)
    own = _disjoint_pools(task, pools)
    rules.check(own)
    remaining = rules.shuffled_groups(own["train"])
    usable = rules.usable(own["train"])
    splits: dict[str, list[Example]] = {}
    for name in ("validation",) if not task.has_halves else ("test", "validation"):
        splits[name], remaining = rules.held_out(name, own.get(name), remaining, usable)
    if not task.has_halves:
        splits["train"] = rules.equal("train", [remaining])[0]
    else:
        splits |= dict(zip(TRAINING_SPLITS, rules.equal("train", rules.halves(remaining)), strict=True))
    names = ("train", "validation") if not task.has_halves else (*TRAINING_SPLITS, "validation", "test")
    return {name: rules.shuffled(splits[name], name) for name in names}


def _rank(*parts: object) -> bytes:
    """A number that looks random, by which things are put in a random but reproducible order."""
    return hashlib.blake2b(
        "\n".join(str(part) for part in parts).encode(errors="replace"), digest_size=8
    ).digest()


def _disjoint_pools(task: Task, pools: Mapping[str, Iterable[Example]]) -> dict[str, list[Example]]:
    """The pools without shared groups: test keeps a group that several have, then validation."""
    allowed = ("train", "validation") if not task.has_halves else POOLS
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
    """What is asked for, and how examples are counted, ordered and cut."""

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
        """How many are left when the larger classes are undersampled."""
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
        """The first `quota` examples of each bin; group by group, so that right and wrong answers stay
        together."""
        counts = [0] * self.num_bins
        chosen = []
        for example in (example for group in groups for example in group):
            if counts[self.bin(example)] < quota:
                counts[self.bin(example)] += 1
                chosen.append(example)
        return chosen

    def cut(self, groups: Groups, quota: int) -> tuple[Groups, Groups]:
        """As many whole groups as give `quota` examples of each bin, and the other groups."""
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
        """Deal out whole groups, the largest first, each to the half that has less of what is in it."""
        loads = ([0] * self.num_bins, [0] * self.num_bins)
        half_of: dict[str, int] = {}
        for group in sorted(groups, key=len, reverse=True):
            counts = self.counts(group)
            first, second = (sum(a * b for a, b in zip(counts, load, strict=True)) for load in loads)
            half = half_of[group[0].group] = int(second < first)
            for number, count in enumerate(counts):
                loads[half][number] += count
        # In the shuffled order again: a half that is cut to size should not be made of its largest groups.
        return [[group for group in groups if half_of[group[0].group] == half] for half in (0, 1)]

    def held_out(
        self, split: str, pool: list[Example] | None, training: Groups, usable: int
    ) -> tuple[list[Example], Groups]:
        """The test or validation split, from its own pool or else cut from training, and what is left of
        training."""
        if pool is not None:
            return self.equal(split, [self.shuffled_groups(pool)])[0], training
        share = (
            TEST_SHARE
            if split == "test"
            else TEXT_VALIDATION_SHARE
            if not self.task.has_halves
            else VALIDATION_SHARE
        )
        asked, default = self.size(split)
        quota = max((asked or min(default, int(share * usable))) // self.num_bins, MINIMUM_PER_BIN)
        taken, rest = self.cut(training, quota)
        return self.equal(split, [taken], quota)[0], rest

    def equal(self, split: str, parts: Sequence[Groups], quota: int | None = None) -> list[list[Example]]:
        """Cut every part to the same number in each bin: the largest that all have, up to the split's
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
            self._require_two_classes(part, name)
        return chosen

    def size(self, split: str) -> tuple[int | None, int]:
        """The size of a split that the spec asks for, if it does, and the task's default."""
        asked: int | None = getattr(self.spec, f"num_{split}")
        if asked and asked < MINIMUM_PER_BIN * self.num_bins:
            raise InvalidInput(
                f"task {self.task.name!r}: num_{split} is {asked}; it must be at least "
                f"{MINIMUM_PER_BIN * self.num_bins}, {MINIMUM_PER_BIN} examples of each of {self.num_bins} "
                "classes"
            )
        return asked, getattr(self.task, f"num_{split}")

    def check(self, pools: Mapping[str, list[Example]]) -> None:
        """Refuse examples that no split could use."""
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
            self._require_two_classes(pool, f"the pool {name!r}")

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
                f"{where}: its target is {example.target!r:.200}; a generative example needs a non-empty "
                "answer"
            )
        if example.allowed and example.target not in example.allowed:
            raise InvalidInput(
                f"{where}: its target {example.target!r:.200} isn't among its {len(example.allowed)} allowed "
                f"answers, {example.allowed!r:.200}; an allowed answer must be written as the target is"
            )

    def _require_two_classes(self, examples: Sequence[Example], name: str) -> None:
        """Require all classes in a balanced task, at least two in another; nothing where there are none."""
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
