"""Division of a task's pools of examples into splits, by pure functions.

Whole groups are dealt out, so that no passage, question or prompt is in two splits. A group that is in the
test pool is removed from the training pool. Order and choice follow from hashes of the split seed with the
groups and ids, never from the order of rows, so a reordered data set gives the same splits. In a balanced
task every split has equally many examples of each class: the larger classes are undersampled (Burns et al.
2023, appendix A.1). The two halves of the training data are of equal size.

Splits are filled from their groups in rounds, so that none hangs on a few passages. `raysweep.tasks.dealing`
has the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks.base import POOLS, SPLITS, TRAINING_SPLITS, Example, Task
from raysweep.tasks.dealing import LARGEST_SHARE, LARGEST_TRAINING_SHARE, Dealing, Group
from raysweep.tasks.example_checks import checked_examples, described, has_classes, require_unique

MINIMUM_PER_BIN = 2
"""A split with fewer examples of a class is of no use for training or testing."""
TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
TEXT_VALIDATION_SHARE = 0.02
"""Largest shares of the training pool that are cut from it by default, so that small data sets keep most of
their examples for training."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """A task's examples by split, and why the others are in none."""

    splits: Mapping[str, list[Example]]
    left_out: Mapping[str, int]
    """Numbers of examples by reason, without those that are 0."""


def divide(task: Task, pools: Mapping[str, Iterable[Example]], spec: TaskSpec) -> Division:
    """The splits `supervisor`, `transfer`, `validation` and `test` of pools; `train` and `validation` if the
    task has no halves.

    Sizes are those of the spec, else the task's defaults. In a balanced task they are rounded down to a
    multiple of the number of classes. Defaults are reduced to what the data has; sizes of the spec aren't.
    The test split follows from the spec's `split_seed` alone, the others from its `training_seed` if there is
    one.

    Raises:
        InvalidInput: examples are unusable or too few, or fewer than the spec asks for.
    """
    rules = _Rules(task, spec)
    read = rules.checked(pools)
    own = _disjoint(read)
    require_unique(task, own)
    for name, pool in own.items():
        rules.require_classes(pool, f"the pool {name!r}")
    try:
        splits = _filled(rules, own)
    except _TooFewExamples as error:
        raise InvalidInput(f"{error}{_advice(rules, own)}") from error
    return Division(splits=splits, left_out=rules.left_out(read, own, splits))


def _filled(rules: _Rules, own: Mapping[str, list[Example]]) -> dict[str, list[Example]]:
    """The splits, from pools without common groups."""
    splits: dict[str, list[Example]] = {}
    training = own["train"]
    usable = rules.dealing("test").usable(training)
    has_halves = rules.task.has_halves
    for name in ("test", "validation") if has_halves else ("validation",):
        splits[name], training = rules.held_out(name, own.get(name), training, usable)
    dealing = rules.dealing("train")
    groups = dealing.shuffled_groups(training)
    if has_halves:
        groups = rules.trimmed(groups, LARGEST_TRAINING_SHARE, dealing)
        splits |= dict(zip(TRAINING_SPLITS, rules.equal("train", dealing.halves(groups)), strict=True))
    else:
        splits["train"] = rules.equal("train", [groups])[0]
    names = SPLITS if has_halves else ("train", "validation")
    return {name: rules.dealing(name).shuffled(splits[name], name) for name in names}


def _advice(rules: _Rules, own: Mapping[str, list[Example]]) -> str:
    """What else helps where there are too few examples of a class: no balance, if the splits can be filled
    without."""
    if rules.num_bins == 1:
        return ""
    try:
        splits = _filled(_Rules(replace(rules.task, balanced=False), rules.spec), own)
    except InvalidInput:
        return ""
    sizes = ", ".join(f"{name} {len(examples):,}" for name, examples in splits.items())
    return f"; or set balanced=False in the task, which uses the larger classes whole: {sizes}"


class _TooFewExamples(InvalidInput):
    """A split can't be filled."""


def _disjoint(pools: Mapping[str, list[Example]]) -> dict[str, list[Example]]:
    """The pools without common groups. A group of several pools stays in test, else in validation."""
    taken: set[str] = set()
    disjoint: dict[str, list[Example]] = {}
    for name in (name for name in reversed(POOLS) if name in pools):
        disjoint[name] = [example for example in pools[name] if example.group not in taken]
        taken.update(example.group for example in disjoint[name])
    return disjoint


class _Rules:
    """Sizes, shares and refusals, as a task and its spec ask."""

    def __init__(self, task: Task, spec: TaskSpec) -> None:
        self.task = task
        self.spec = spec
        self.num_bins = task.num_classes if task.balanced and has_classes(task) else 1
        self.num_trimmed = 0
        """Examples that were left out of groups that are too large a part of their split."""

    def checked(self, pools: Mapping[str, Iterable[Example]]) -> dict[str, list[Example]]:
        """The examples of pools, once each can be used."""
        task = self.task
        if not task.has_halves and self.spec.num_test:
            raise InvalidInput(
                f"task {task.name!r}: num_test is {self.spec.num_test}, but a task to pretrain on has "
                "the splits train and validation only; leave num_test out"
            )
        return checked_examples(task, pools)

    def dealing(self, split: str) -> Dealing:
        """How the examples of a split are counted and drawn."""
        drawn = None if split == "test" else self.spec.training_seed
        return Dealing(self.num_bins, self.spec.split_seed if drawn is None else drawn)

    def trimmed(self, groups: list[Group], share: float, dealing: Dealing) -> list[Group]:
        """The groups, without what is too large a part of them; see `Dealing.trimmed`."""
        kept = dealing.trimmed(groups, share)
        self.num_trimmed += sum(map(len, groups)) - sum(map(len, kept))
        return kept

    def held_out(
        self, split: str, pool: list[Example] | None, training: list[Example], usable: int
    ) -> tuple[list[Example], list[Example]]:
        """The test or validation split and the remaining training examples.

        The split comes from its own pool if there is one, else from groups that are taken from training.

        Args:
            usable: the number of training examples that balance leaves, of which shares are counted.
        """
        dealing = self.dealing(split)
        if pool is not None:
            groups = self.trimmed(dealing.shuffled_groups(pool), LARGEST_SHARE, dealing)
            return self.equal(split, [groups])[0], training
        if split == "test":
            share = TEST_SHARE
        else:
            share = VALIDATION_SHARE if self.task.has_halves else TEXT_VALIDATION_SHARE
        asked, default = self.size(split)
        quota = max((asked or min(default, int(share * usable))) // self.num_bins, MINIMUM_PER_BIN)
        taken, rest = dealing.reserve(dealing.shuffled_groups(training), quota, share)
        return self.equal(split, [taken], quota)[0], [example for group in rest for example in group]

    def equal(
        self, split: str, parts: Sequence[Sequence[Group]], quota: int | None = None
    ) -> list[list[Example]]:
        """Fill all parts with the same number of examples in each bin: as many as all have, up to the split's
        size."""
        asked, default = self.size(split)
        quota = quota or (asked or default) // self.num_bins
        dealing = self.dealing(split)
        counts = [dealing.counts(example for group in part for example in group) for part in parts]
        found = min(min(count) for count in counts)
        name = "each half of the training data" if len(parts) > 1 else f"split {split!r}"
        if found < MINIMUM_PER_BIN or (asked and found < asked // self.num_bins):
            self._refuse_shortage(split, name, asked, counts)
        chosen = [dealing.in_rounds(part, min(quota, found)) for part in parts]
        for part in chosen:
            self.require_classes(part, name)
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

    def require_classes(self, examples: Sequence[Example], name: str) -> None:
        """Require all classes in a balanced task and at least two in another task with classes."""
        if not has_classes(self.task):
            return
        present = {example.label for example in examples}
        needed = self.task.num_classes if self.task.balanced else 2
        if len(present) < needed:
            raise InvalidInput(
                f"task {self.task.name!r}: {name} has {described(self.task, examples)}; it needs examples of "
                f"{'all' if self.task.balanced else 'at least two of the'} {self.task.num_classes} classes"
            )

    def left_out(
        self,
        read: Mapping[str, list[Example]],
        own: Mapping[str, list[Example]],
        splits: Mapping[str, list[Example]],
    ) -> dict[str, int]:
        """The numbers of unused examples by reason.

        Args:
            read: all examples, by pool.
            own: those of the groups that each pool keeps.
            splits: those that are used.
        """
        dealing = self.dealing("test")
        num_read, num_own, num_used = (sum(map(len, examples.values())) for examples in (read, own, splits))
        num_usable = sum(map(dealing.usable, own.values()))
        reasons = {
            "in groups of the test or validation pool too": num_read - num_own,
            "for balance": num_own - num_usable,
            "of groups that would be too much of a split": min(self.num_trimmed, num_usable - num_used),
        }
        reasons["beyond the splits' sizes"] = num_read - num_used - sum(reasons.values())
        return {reason: count for reason, count in reasons.items() if count}

    def _refuse_shortage(self, split: str, name: str, asked: int | None, counts: list[list[int]]) -> None:
        there = " and ".join("/".join(map(str, count)) for count in counts)
        kinds = f" of class {'/'.join(map(str, range(self.num_bins)))}" if self.num_bins > 1 else ""
        needed = asked // self.num_bins if asked else MINIMUM_PER_BIN
        why = f"num_{split}={asked} was asked for" if asked else "there are too few rows for the splits"
        found = min(min(count) for count in counts)
        most = found * self.num_bins
        advice = f"at most num_{split}={most} can be met" if found >= MINIMUM_PER_BIN else "give more rows"
        trimmed = (
            f" and {self.num_trimmed} examples of groups that are too large are left out"
            if self.num_trimmed
            else ""
        )
        raise _TooFewExamples(
            f"task {self.task.name!r}: {why}: {name} needs {needed} "
            f"examples{' of each class' if kinds else ''}, and there are {there}{kinds} for it once whole "
            f"groups are dealt out{trimmed} and no group is in two splits; {advice}"
        )
