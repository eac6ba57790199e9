"""Near-duplicates in two splits: found exactly, by a Jaccard similarity of words of at least 0.85."""

import itertools
import random

import pytest

from raysweep.tasks import near_duplicates as module
from raysweep.tasks.near_duplicates import near_duplicates

TEN = "one two three four five six seven eight nine ten"


@pytest.mark.parametrize(
    ("text", "is_near"),
    [
        ("Ten, nine; EIGHT seven six five four three two one!", True),  # the same ten words
        (f"{TEN} {TEN}", True),
        (f"{TEN} eleven", True),  # 10 of 11: 0.91
        (TEN.removesuffix(" ten"), True),  # 9 of 10
        (TEN.removesuffix(" nine ten"), False),  # 8 of 10
        (f"{TEN} eleven twelve", False),  # 10 of 12: 0.83
        (TEN.replace("ten", "eleven"), False),  # 9 of 11: 0.82
        ("…", False),
    ],
)
def test_two_texts(text: str, is_near: bool) -> None:
    found = near_duplicates({"supervisor": [TEN], "test": [text]})
    assert found.num_pairs == ({("supervisor", "test"): 1} if is_near else {})
    assert found.example == ((TEN, text) if is_near else None) and found.is_complete


def test_texts_without_words_have_none() -> None:
    assert not near_duplicates({"supervisor": ["!!", "?"], "test": ["!!", "?"]}).num_pairs


def test_pairs_are_counted_by_splits_and_not_within_one() -> None:
    found = near_duplicates({"a": ["x y", "x y", "z"], "b": ["y x"], "c": ["Z", "x y", "other"]})
    assert found.num_pairs == {("a", "b"): 2, ("a", "c"): 3, ("b", "c"): 1}
    assert found.example == ("y x", "x y")


@pytest.mark.parametrize("seed", range(5))
def test_all_pairs_of_random_texts_are_found(seed: int) -> None:
    rng = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(60)]
    texts = [rng.sample(vocabulary, rng.randint(1, 25)) for _ in range(60)]
    for text in list(texts):  # variants with some words changed
        texts.append(
            [word for word in text if rng.random() > 0.06] + rng.sample(vocabulary, rng.randint(0, 2))
        )
    rng.shuffle(texts)
    splits = {name: [" ".join(text) for text in texts[start::3]] for start, name in enumerate("abc")}

    def similarity(one: str, other: str) -> float:
        first, second = set(one.split()), set(other.split())
        return len(first & second) / max(len(first | second), 1)

    expected = {
        (one, other): sum(
            similarity(*pair) >= 0.85 for pair in itertools.product(splits[one], splits[other]) if all(pair)
        )
        for one, other in itertools.combinations("abc", 2)
    }
    assert sum(expected.values()) > 10
    assert near_duplicates(splits).num_pairs == expected


def test_where_the_work_would_be_too_much_the_rest_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = {
        "a": [f"{TEN} {number}" for number in range(50)],
        "b": [f"{TEN} x{number}" for number in range(50)],
    }
    assert near_duplicates(splits).is_complete
    monkeypatch.setattr(module, "MOST_WORDS_COMPARED", 1000)
    found = near_duplicates(splits)
    assert not found.is_complete and sum(found.num_pairs.values()) < 2500
