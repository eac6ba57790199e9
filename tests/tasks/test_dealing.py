"""Splits are spread over many groups, none of which is too much of a split."""

from collections import Counter

import pytest

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks.base import Example, Task
from raysweep.tasks.dealing import Dealing
from raysweep.tasks.splits import Division, divide


def rows(pool: str, *groups: str) -> list[Example]:
    """An example for each digit, its label, of each group."""
    return [
        Example(
            id=f"{pool}-{group}-{number}",
            group=f"{pool}-{group}",
            texts=(f"{pool} {group} {number}",),
            label=int(label),
        )
        for group, labels in enumerate(groups)
        for number, label in enumerate(labels)
    ]


def divided(train: list[Example], test: list[Example] | None = None, **sizes: int) -> Division:
    task = Task(name="toy", summary="", kind="classification", load=dict)
    pools = {"train": train} | ({"test": test} if test else {})
    return divide(task, pools, TaskSpec(name="toy", **sizes))


def by_group(examples: list[Example]) -> Counter[str]:
    return Counter(example.group for example in examples)


def test_every_group_of_a_test_pool_gives_equally_many() -> None:
    # 10 passages with 30 answers, a third of them right: 60 of 300 are 3 right and 3 wrong ones of each.
    test = rows("test", *["100" * 10] * 10)
    chosen = divided(rows("train", *["01"] * 40), test, num_test=60).splits["test"]
    assert set(by_group(chosen).values()) == {6} and len(by_group(chosen)) == 10
    assert Counter((example.group, example.label) for example in chosen) == {
        (f"test-{group}", label): 3 for group in range(10) for label in (0, 1)
    }


def test_in_a_round_each_group_gives_one_of_each_class_that_it_has() -> None:
    groups = Dealing(2, 0).shuffled_groups(rows("p", "0001", "11", "000", "01"))
    kinds = Counter((item.group, item.label) for item in Dealing(2, 0).in_rounds(groups, 3))
    # Class 0 is in three groups, so one round fills it. Class 1 is in three groups too.
    assert kinds == {("p-0", 0): 1, ("p-0", 1): 1, ("p-1", 1): 1, ("p-2", 0): 1, ("p-3", 0): 1, ("p-3", 1): 1}
    assert len(Dealing(2, 0).in_rounds(groups, 100)) == 4 + 2 + 3 + 2


@pytest.mark.parametrize(
    ("num_groups", "quota", "share", "num_taken"),
    [
        # Groups of 10, 5 of each class. 20 of each class need 4 groups; twice as many are 8.
        (100, 20, 0.2, 8),
        (100, 2, 0.2, 1),  # the first group has more than twice the 4 that are needed
        (30, 20, 0.2, 6),  # a fifth of all
        (20, 20, 0.1, 4),  # more than the share, since fewer can't fill it
    ],
)
def test_groups_that_are_taken_from_training(
    num_groups: int, quota: int, share: float, num_taken: int
) -> None:
    dealing = Dealing(2, 0)
    groups = dealing.shuffled_groups(rows("p", *["01" * 5] * num_groups))
    taken, rest = dealing.reserve(groups, quota, share)
    assert len(taken) == num_taken and len(taken) + len(rest) == num_groups
    assert {id(group) for group in taken}.isdisjoint(id(group) for group in rest)
    assert min(dealing.counts(item for group in taken for item in group)) >= quota


def test_single_examples_are_taken_once() -> None:
    dealing = Dealing(2, 0)
    taken, rest = dealing.reserve(dealing.shuffled_groups(rows("p", *"01" * 100)), 30, 0.2)
    # Of the shuffled rows the first 30 of each class: nothing is lost.
    assert dealing.counts(item for group in taken for item in group) == [30, 30] and len(rest) == 140


def test_a_large_group_stays_in_training_where_others_can_be_tested() -> None:
    train = rows("train", "01" * 100, *["01"] * 100)
    splits = divided(train, num_test=40, num_validation=20).splits
    large = {name: by_group(examples)["train-0"] for name, examples in splits.items()}
    assert large["test"] == large["validation"] == 0 < large["supervisor"] + large["transfer"]


@pytest.mark.parametrize("seed", range(3))
def test_no_group_is_more_than_a_tenth_of_a_test_pool(seed: int) -> None:
    # Of 400 test examples 260 are of one group (65 %), as of chained first sentences in ETHICS.
    test = rows("test", "01" * 130, *["01"] * 70)
    train = rows("train", *["01"] * 200)
    division = divided(train, test, split_seed=seed)
    # 70 others of each class, and 7 of the large one: 7 of 77 is below a tenth, 8 of 78 is more.
    assert len(division.splits["test"]) == 154 and by_group(division.splits["test"])["test-0"] == 14
    assert division.left_out["of groups that would be too much of a split"] == 246
    with pytest.raises(
        InvalidInput, match=r"num_test=400 .* 246 examples of groups that are too large are left"
    ):
        divided(train, test, num_test=400)


@pytest.mark.parametrize(
    ("others", "largest"),
    [
        (["01" * 2, "01" * 50], 50),  # 2 of 3 groups: none is more than twice the mean share
        (["01"] * 10, 2),  # 2 of 12 is less than 2/11, 3 of 13 more
        (["01" * 15] * 12, 32),  # 32 of 212 is less than 2/13, 33 of 213 more
    ],
)
def test_one_of_few_groups_is_at_most_twice_the_mean(others: list[str], largest: int) -> None:
    test = rows("test", "01" * 50, *others)
    splits = divided(rows("train", *["01"] * 40), test).splits
    assert by_group(splits["test"])["test-0"] == 2 * largest


def test_no_group_is_more_than_half_of_a_half() -> None:
    train = rows("train", "01" * 650, *["0101010"] * 50, *["1010101"] * 50)
    splits = divided(train, rows("test", *["01"] * 40), num_validation=20).splits
    sizes = {name: len(splits[name]) for name in ("supervisor", "transfer")}
    shares = {name: max(by_group(splits[name]).values()) / size for name, size in sizes.items()}
    assert min(sizes.values()) > 300 and max(shares.values()) <= 0.5


def test_what_is_left_out_is_counted_by_reason() -> None:
    train = [*rows("train", *["0"] * 300, *["1"] * 100), *rows("test", "0")]
    division = divided(train, rows("test", *["01"] * 10), num_train=50, num_validation=20)
    assert {name: len(examples) for name, examples in division.splits.items()} == {
        "supervisor": 50,
        "transfer": 50,
        "validation": 20,
        "test": 20,
    }
    # Of 421: one shares its group with the test pool, 200 of class 0 have no partner, and of 200 in balance
    # 120 are used.
    assert division.left_out == {
        "in groups of the test or validation pool too": 1,
        "for balance": 200,
        "beyond the splits' sizes": 80,
    }
