"""Divisions hold whole groups, are balanced and reproducible, and refuse what can't be divided."""

import itertools
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks import splits as division
from raysweep.tasks.base import Example, Task


def divide(task: Task, pools: dict[str, list[Example]], spec: TaskSpec) -> dict[str, list[Example]]:
    return dict(division.divide(task, pools, spec).splits)


FOUR = ["supervisor", "transfer", "validation", "test"]


def task(**fields: Any) -> Task:
    return Task(**{"name": "toy", "summary": "", "kind": "classification", "load": dict, **fields})


def spec(**fields: Any) -> TaskSpec:
    return TaskSpec(name="toy", **fields)


def example(number: int, label: int | None, group: str | None = None, pool: str = "train") -> Example:
    name = f"{pool}-{number}"
    return Example(id=name, group=group or name, texts=(f"text {name}",), label=label)


def singles(count: int, num_classes: int = 2, pool: str = "train") -> list[Example]:
    return [example(number, number % num_classes, pool=pool) for number in range(count)]


def pairs(count: int, pool: str = "train") -> list[Example]:
    return [example(number, number % 2, f"{pool}-pair-{number // 2}", pool) for number in range(2 * count)]


def random_groups(seed: int, num_classes: int, pool: str, num_groups: int = 150) -> list[Example]:
    """Groups of 1 to 6 examples, class 0 three times as frequent as each other class."""
    rng = random.Random(seed)
    weights = [3] + [1] * (num_classes - 1)
    members = [group for group in range(num_groups) for _ in range(rng.randint(1, 6))]
    labels = rng.choices(range(num_classes), weights, k=len(members))
    return [
        example(number, label, f"shared-{group}" if group < 10 else f"{pool}-{group}", pool)
        for number, (label, group) in enumerate(zip(labels, members, strict=True))
    ]


def sizes(splits: dict[str, list[Example]]) -> dict[str, int]:
    return {name: len(examples) for name, examples in splits.items()}


def classes(examples: list[Example]) -> dict[int | None, int]:
    return dict(Counter(example.label for example in examples))


def test_sizes_of_a_small_data_set_with_its_own_test_pool() -> None:
    splits = divide(task(), {"train": pairs(100), "test": pairs(10, "test")}, spec())
    # 200 rows: 10 % are 20 for validation; of the other 90 pairs each half gets 45
    assert sizes(splits) == {"supervisor": 90, "transfer": 90, "validation": 20, "test": 20}
    assert list(splits) == FOUR


def test_sizes_where_test_and_validation_are_cut_from_train() -> None:
    splits = divide(task(), {"train": singles(200)}, spec())
    assert sizes(splits) == {"supervisor": 70, "transfer": 70, "validation": 20, "test": 40}


def test_sizes_of_the_task_limit_a_large_data_set() -> None:
    small = task(num_train=20, num_validation=6, num_test=8)
    splits = divide(
        small,
        {"train": singles(500), "validation": singles(50, pool="v"), "test": singles(50, pool="t")},
        spec(),
    )
    assert sizes(splits) == {"supervisor": 20, "transfer": 20, "validation": 6, "test": 8}
    assert all(example.id.startswith("v-") for example in splits["validation"])
    assert all(example.id.startswith("t-") for example in splits["test"])


def test_sizes_of_the_spec_are_met_exactly_and_rounded_to_whole_classes() -> None:
    splits = divide(task(), {"train": singles(200)}, spec(num_train=21, num_validation=50, num_test=60))
    assert sizes(splits) == {"supervisor": 20, "transfer": 20, "validation": 50, "test": 60}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"num_train": 91}, None),  # 90, when rounded down to whole classes
        (
            {"num_train": 92},
            r"num_train=92 was asked for: each half .* 46 examples of each class"
            r".*45/45 and 45/45.*num_train=90",
        ),
        ({"num_test": 22}, r"num_test=22 was asked for.*at most num_test=20"),
        ({"num_validation": 500}, r"num_validation=500 was asked for.*at most num_validation=200"),
        ({"num_validation": 3}, r"num_validation is 3; it must be at least 4"),
    ],
)
def test_sizes_of_the_spec_that_cannot_be_met(wanted: dict[str, int], message: str | None) -> None:
    pools = {"train": pairs(100), "test": pairs(10, "test")}
    if message is None:
        assert sizes(divide(task(), pools, spec(**wanted)))["transfer"] == 90
    else:
        with pytest.raises(InvalidInput, match=message):
            divide(task(), pools, spec(**wanted))


@pytest.mark.parametrize(
    ("seed", "num_classes", "own_test"), itertools.product(range(6), (2, 3), (True, False))
)
def test_properties_on_random_groups(seed: int, num_classes: int, own_test: bool) -> None:
    pools = {"train": random_groups(seed, num_classes, "train")}
    if own_test:
        pools["test"] = random_groups(seed + 100, num_classes, "test", 60)
    splits = divide(task(num_classes=num_classes), pools, spec(split_seed=seed))
    groups = {name: {example.group for example in examples} for name, examples in splits.items()}
    for one, other in itertools.combinations(FOUR, 2):
        assert not groups[one] & groups[other], f"a group is in {one} and in {other}"
    assert len(splits["supervisor"]) == len(splits["transfer"])
    for name in FOUR:
        counts = classes(splits[name])
        assert len(counts) == num_classes and len(set(counts.values())) == 1, (
            f"{name} is not balanced: {counts}"
        )
    ids = [example.id for name in FOUR for example in splits[name]]
    assert len(ids) == len(set(ids))
    rarest = min(Counter(example.label for example in pools["train"]).values())
    kept = sum(len(splits[name]) for name in FOUR if name != "test" or not own_test)
    assert kept > 0.75 * rarest * num_classes, "far more examples were dropped than balance requires"


def test_the_same_seed_gives_the_same_splits_whatever_the_order_of_rows() -> None:
    train = random_groups(1, 2, "train")
    shuffled = random.Random(0).sample(train, len(train))
    assert divide(task(), {"train": train}, spec()) == divide(task(), {"train": shuffled}, spec())


def test_another_seed_gives_another_division_of_the_same_test_pool() -> None:
    pools = {"train": pairs(100), "test": pairs(10, "test")}
    first, second = (divide(task(), pools, spec(split_seed=seed)) for seed in (0, 1))
    assert {item.id for item in first["supervisor"]} != {item.id for item in second["supervisor"]}
    assert {item.id for item in first["test"]} == {item.id for item in second["test"]}


def test_a_group_of_the_test_pool_leaves_training() -> None:
    train = [*pairs(20), example(900, 0, "test-pair-0"), example(901, 1, "test-pair-3")]
    splits = divide(task(), {"train": train, "test": pairs(10, "test")}, spec())
    assert not {"train-900", "train-901"} & {item.id for name in FOUR for item in splits[name]}
    assert len(splits["test"]) == 20


def test_a_row_that_is_in_train_and_test_stays_in_test() -> None:
    test = singles(20, pool="test")
    splits = divide(task(), {"train": [*singles(60), *test[:4]], "test": test}, spec())
    assert {item.id for item in splits["test"]} == {item.id for item in test}


def test_right_and_wrong_answers_stay_together_when_cut_to_size() -> None:
    splits = divide(task(num_train=30), {"train": pairs(200)}, spec())
    assert Counter(item.group for item in splits["transfer"]).most_common()[-1][1] == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_large_group_is_no_half_by_itself(seed: int) -> None:
    large = [example(number, number % 2, "large") for number in range(1000, 1020)]
    own = {"validation": singles(20, pool="v"), "test": singles(20, pool="t")}
    splits = divide(task(), {"train": [*singles(20), *large], **own}, spec(split_seed=seed))
    # Of the large group 3 of each class are used, less than a quarter of 10 + 3: no half is one group.
    assert len(splits["supervisor"]) == len(splits["transfer"]) == 12


def test_classes_are_mixed_within_a_split() -> None:
    labels = [item.label for item in divide(task(), {"train": singles(2000)}, spec())["transfer"]]
    runs = 1 + sum(a != b for a, b in itertools.pairwise(labels))
    # In a random order about half of all neighbours differ: 350 ± 13.
    assert abs(runs - len(labels) / 2) < 80


def test_an_unbalanced_task_keeps_its_class_frequencies() -> None:
    rows = [example(number, int(number % 10 == 0)) for number in range(1000)]
    splits = divide(task(balanced=False), {"train": rows}, spec())
    assert sizes(splits) == {"supervisor": 350, "transfer": 350, "validation": 100, "test": 200}
    assert 0.05 < classes(splits["transfer"])[1] / 350 < 0.15


def test_preferences_are_balanced_over_the_place_of_the_better_text() -> None:
    rows = [
        replace(row, texts=("a", "b"), label=int(number % 4 == 0)) for number, row in enumerate(singles(200))
    ]
    splits = divide(task(kind="preference"), {"train": rows}, spec())
    # 50 pairs have the better text second, so 100 are usable: 20 test, 10 validation, 17 of each in a half
    assert sizes(splits) == {"supervisor": 34, "transfer": 34, "validation": 10, "test": 20}
    assert classes(splits["supervisor"]) == {0: 17, 1: 17}


def test_text_has_only_train_and_validation() -> None:
    corpus = task(kind="text", num_classes=0)
    rows = [example(number, None) for number in range(1000)]
    assert sizes(divide(corpus, {"train": rows}, spec())) == {"train": 980, "validation": 20}
    own = [example(number, None, pool="own") for number in range(30)]
    assert sizes(divide(corpus, {"train": rows, "validation": own}, spec(num_train=7))) == {
        "train": 7,
        "validation": 30,
    }
    with pytest.raises(InvalidInput, match="leave num_test out"):
        divide(corpus, {"train": rows}, spec(num_test=10))


def prompts(count: int, **fields: Any) -> list[Example]:
    return [
        replace(example(number, None), **{"target": f"answer {number}", **fields}) for number in range(count)
    ]


def test_generative_tasks_have_the_four_splits_and_no_classes() -> None:
    rows = [replace(row, group=f"group {number // 3}") for number, row in enumerate(prompts(1200))]
    splits = divide(
        task(kind="generative", num_classes=0, num_train=300), {"train": rows}, spec(num_validation=101)
    )
    assert sizes(splits) == {"supervisor": 300, "transfer": 300, "validation": 101, "test": 240}
    groups = [{row.group for row in examples} for examples in splits.values()]
    assert all(not one & other for one, other in itertools.combinations(groups, 2))


def test_a_target_among_the_allowed_answers_is_accepted() -> None:
    rows = prompts(40, target="e2e4", allowed=("e2e3", "e2e4"))
    assert sizes(divide(task(kind="generative"), {"train": rows}, spec())) == dict.fromkeys(FOUR, 14) | {
        "validation": 4,
        "test": 8,
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target": None}, "its target is None; a generative example needs a non-empty answer"),
        ({"target": "  "}, "its target is '  '"),
        (
            {"target": "e2e5", "allowed": ("e2e3", "e2e4")},
            r"target 'e2e5' isn't among its 2 allowed answers, \('e2e3', 'e2e4'\)",
        ),
        ({"texts": (" ",)}, "a generative example needs 1 non-empty text"),
    ],
)
def test_unusable_prompts_and_targets_are_refused(fields: dict[str, Any], message: str) -> None:
    rows = [*prompts(40)[1:], *prompts(1, **fields)]
    with pytest.raises(InvalidInput, match=rf"task 'toy', pool 'train', example 'train-0': .*{message}"):
        divide(task(kind="generative"), {"train": rows}, spec())


def bad_label(label: Any) -> dict[str, list[Example]]:
    return {"train": [*singles(40), example(99, label)]}


@pytest.mark.parametrize(
    ("pools", "message"),
    [
        (
            {"train": [example(number, 1) for number in range(40)]},
            r"pool 'train' has 40 examples \(0 of class 0, 40 of class 1\)",
        ),
        (
            {"train": singles(40), "test": [example(0, 0, pool="t")]},
            r"pool 'test' has 1 examples \(1 of class 0, 0 of class 1\)",
        ),
        ({"train": singles(40), "test": []}, "pool 'test' has 0 examples"),
        ({"train": []}, "pool 'train' has 0 examples"),
        (bad_label(-1), "label is -1; this task's classes are whole numbers 0 to 1"),
        (bad_label(2), "label is 2"),
        (bad_label(None), "label is None"),
        (bad_label("1"), "label is '1'"),
        (bad_label(True), "label is True"),
        (
            {"train": singles(8)},
            r"too few rows for the splits: each half .* 2 examples of each class, and there are 0/0 and 0/0",
        ),
        ({"train": [*singles(40), example(3, 1, "elsewhere")]}, "id 'train-3' occurs twice"),
        ({"train": [*singles(40), replace(example(99, 0), texts=("a", "b"))]}, "needs 1 non-empty text"),
        ({"train": [*singles(40), replace(example(99, 0), texts=(" ",))]}, "'train-99'.* non-empty text"),
        ({"training": singles(40)}, "needs 'train' and may have 'validation', 'test'"),
        ({"train": singles(40), "dev": singles(40, pool="d")}, "pools 'train', 'dev'"),
    ],
)
def test_unusable_examples_are_refused(pools: dict[str, list[Example]], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refusal:
        divide(task(), pools, spec())
    assert "task 'toy'" in str(refusal.value)


def test_the_smallest_data_set_that_can_be_divided() -> None:
    assert set(sizes(divide(task(), {"train": singles(16)}, spec())).values()) == {4}
    with pytest.raises(InvalidInput, match="too few rows"):
        divide(task(), {"train": singles(14)}, spec())


def test_a_class_that_never_occurs_is_named() -> None:
    with pytest.raises(
        InvalidInput, match=r"20 of class 0, 20 of class 1, 0 of class 2\); it needs examples of all 3"
    ):
        divide(task(num_classes=3), {"train": singles(40)}, spec())
