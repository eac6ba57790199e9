"""Tasks of the hub on real rows: division, no texts shared by splits, and no labels leaked by answers."""

import itertools
import re
from collections import Counter
from pathlib import Path

import pytest

from raysweep.spec import TaskSpec
from raysweep.tasks import load_task
from raysweep.tasks.base import tasks
from raysweep.tasks.leakage import check_leak, leak_scores

REAL_ROWS = Path(__file__).parents[3] / "shared/data/hub"
SHARED_PARTS = {  # patterns of the parts of a text that no two splits may share
    "sciq": r"Q: (.*) A:",
    "boolq": r"Passage: (.*)\nQuestion",
    "cosmos_qa": r"Context: (.*)\nQuestion",
    "anli_r2": r"Premise: (.*)\nHypothesis",
    "paws": r"Sentence [12]: ([^\n]*)",
    "wic": r"Sentence [12]: ([^\n]*)",
    "quail": r"Context: (.*)\nQuestion",
    "social_i_qa": r"Context: (.*)\nQuestion",
    "piqa": r"Goal: (.*)\nSolution",
    "ethics_virtue": r"Scenario: (.*)\nTrait",
}


@pytest.fixture(autouse=True)
def real_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    if not REAL_ROWS.is_dir():
        pytest.skip(f"real rows of the hub are not at {REAL_ROWS}")
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(REAL_ROWS))


@pytest.mark.parametrize(
    ("name", "smallest_half", "smallest_test"),
    [
        ("sciq", 3500, 2000),
        ("boolq", 500, 350),
        ("cosmos_qa", 1000, 750),
        ("sst2", 1700, 850),
        ("anthropic_hh", 480, 360),
        ("anli_r2", 120, 40),
        ("anli_r2_three", 180, 60),
        ("cola", 1000, 640),
        ("ethics_deontology", 1400, 1450),
        ("ethics_justice", 1600, 1150),
        ("ethics_virtue", 700, 600),
        ("hellaswag", 3700, 2700),
        ("openbookqa", 3000, 990),
        ("paws", 1600, 1150),
        ("piqa", 750, 560),
        ("quail", 1050, 780),
        ("social_i_qa", 800, 600),
        ("twitter_sentiment", 950, 650),
        ("wic", 1500, 330),
    ],
)
def test_each_task(name: str, smallest_half: int, smallest_test: int) -> None:
    data = load_task(TaskSpec(name=name))
    groups = [{example.group for example in data.split(split)} for split in data.splits]
    assert not any(one & other for one, other in itertools.combinations(groups, 2))
    assert len(data.split("supervisor")) == len(data.split("transfer")) >= smallest_half
    assert len(data.split("test")) >= smallest_test
    for split, examples in data.splits.items():
        counts = Counter(example.label for example in examples)
        assert set(counts) == set(range(data.task.num_classes)) and len(set(counts.values())) == 1, (
            split,
            counts,
        )
    if name in SHARED_PARTS:
        texts = [[example.texts[0] for example in examples] for examples in data.splits.values()]
        parts = [
            {part for text in split for part in re.findall(SHARED_PARTS[name], text, re.DOTALL)}
            for split in texts
        ]
        assert all(parts) and not any(one & other for one, other in itertools.combinations(parts, 2))


@pytest.mark.parametrize(
    ("name", "highest"),
    [
        ("hellaswag", 0.6),
        ("openbookqa", 0.68),
        ("piqa", 0.6),
        ("quail", 0.68),
        ("social_i_qa", 0.6),
        ("ethics_deontology", 0.74),
        ("cosmos_qa", 0.65),
    ],
)
def test_answers_do_not_leak_the_label(name: str, highest: float) -> None:
    examples = list(tasks.get(name).load()["train"])
    scores = leak_scores(examples)
    assert set(scores) == {"answer_length", "answer_words"} and max(scores.values()) < highest, scores
    check_leak(name, examples)


def test_one_draw_of_real_questions_is_divided() -> None:
    for name in ("sciq", "openbookqa"):
        data = load_task(TaskSpec(name=name, params={"one_draw": True}))
        for item in data.split("transfer"):
            assert item.answer and item.texts[0].endswith(f" {item.answer}")
