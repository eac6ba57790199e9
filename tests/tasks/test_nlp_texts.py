"""Texts, labels and groups of each task of the hub, worked out by hand from rows with the documented columns,
types and label codes."""

from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value, disable_progress_bars

from raysweep.tasks.base import Example, tasks

TEXT = Value("string")
NUMBER = Value("int32")
Columns = dict[str, Any]


def classes(*names: str) -> ClassLabel:
    return ClassLabel(names=list(names))


CHOICES = {"text": Sequence(TEXT), "label": Sequence(TEXT)}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    disable_progress_bars()
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(tmp_path))
    return tmp_path


def pools_of(
    name: str, path: str, columns: Columns, rows: list[tuple[Any, ...]], root: Path
) -> dict[str, list[Example]]:
    """The pools of a task whose splits all hold these rows, at `path` with {split} in it."""
    table = Dataset.from_list(
        [dict(zip(columns, row, strict=True)) for row in rows], features=Features(columns)
    )
    for split in ("train", "validation", "test", "train_r2", "dev_r2", "test_r2"):
        file = root / path.format(split=split)
        file.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(file)
    return {pool: list(examples) for pool, examples in tasks.get(name).load().items()}


NLI: Columns = {
    "uid": TEXT,
    "premise": TEXT,
    "hypothesis": TEXT,
    "label": classes("entailment", "neutral", "contradiction"),
    "reason": TEXT,
}
NLI_ROWS = [
    ("1", "It rains.", "It is wet.", 0, ""),
    ("2", "It rains.", "It is May.", 1, ""),
    ("3", "Sun.", "Dark.", 2, ""),
]
RAINS = "Premise: It rains.\nHypothesis: "
TWITTER: Columns = {"text": TEXT, "label": classes("negative", "neutral", "positive")}
AMAZON: Columns = {"label": classes("negative", "positive"), "title": TEXT, "content": TEXT}
PAIR: Columns = {"id": NUMBER, "sentence1": TEXT, "sentence2": TEXT, "label": classes("0", "1")}
GLUE: Columns = {"sentence": TEXT, "label": classes("unacceptable", "acceptable"), "idx": NUMBER}
WIC: Columns = {
    "word": TEXT,
    "sentence1": TEXT,
    "sentence2": TEXT,
    **dict.fromkeys(("start1", "start2", "end1", "end2", "idx"), NUMBER),
    "label": classes("False", "True"),
}
TACO: Columns = {
    "sentence": TEXT,
    "question": TEXT,
    "answer": TEXT,
    "label": classes("no", "yes"),
    "category": classes("Event Duration", "Event Ordering", "Frequency", "Typical Time", "Stationarity"),
}
MULTIRC: Columns = {
    "paragraph": TEXT,
    "question": TEXT,
    "answer": TEXT,
    "idx": {"paragraph": NUMBER, "question": NUMBER, "answer": NUMBER},
    "label": classes("False", "True"),
}
RAN = "Context: He ran.\nQuestion: How long?\nAnswer: "
BOATS = "Passage: Boats float.\nQuestion: What floats?\nAnswer: "


@pytest.mark.parametrize(
    ("name", "path", "columns", "rows", "expected"),
    [
        (
            "anli_r2",
            "facebook/anli/plain_text/{split}.parquet",
            NLI,
            NLI_ROWS,
            [
                (f"{RAINS}It is wet.", 1, "a"),
                (f"{RAINS}It is May.", 0, "a"),
                ("Premise: Sun.\nHypothesis: Dark.", 0, "b"),
            ],
        ),
        (
            "anli_r2_three",
            "facebook/anli/default/{split}.parquet",
            NLI,
            NLI_ROWS,
            [
                (f"{RAINS}It is wet.", 0, "a"),
                (f"{RAINS}It is May.", 1, "a"),
                ("Premise: Sun.\nHypothesis: Dark.", 2, "b"),
            ],
        ),
        (
            "cola",
            "nyu-mll/glue/cola/{split}.parquet",
            GLUE,
            [("They slept.", 1, 0), ("Slept they the.", 0, 1)],
            [("They slept.", 1, "a"), ("Slept they the.", 0, "b")],
        ),
        (
            "paws",
            "google-research-datasets/paws/labeled_final/{split}.parquet",
            PAIR,
            [(1, "A to B", "B to A", 0), (2, "b to a", "From B to A", 1), (3, "C", "D", 1)],
            [
                ("Sentence 1: A to B\nSentence 2: B to A", 0, "a"),
                ("Sentence 1: b to a\nSentence 2: From B to A", 1, "a"),
                ("Sentence 1: C\nSentence 2: D", 1, "b"),
            ],
        ),
        (
            "wic",
            "aps/super_glue/wic/{split}.parquet",
            WIC,
            [
                ("bank", "By the bank.", "A bank pays.", 7, 2, 11, 6, 0, 0),
                ("go", "We go.", "They go.", 3, 5, 5, 7, 1, 1),
            ],
            [
                ("Sentence 1: By the bank.\nSentence 2: A bank pays.\nWord: bank", 0, "a"),
                ("Sentence 1: We go.\nSentence 2: They go.\nWord: go", 1, "b"),
            ],
        ),
        (
            "twitter_sentiment",
            "cardiffnlp/tweet_eval/sentiment/{split}.parquet",
            TWITTER,
            [("bad", 0), ("so so", 1), ("good", 2)],
            [("bad", 0, "a"), ("good", 1, "b")],
        ),
        (
            "amazon_polarity",
            "fancyzhx/amazon_polarity/default/{split}.parquet",
            AMAZON,
            [(1, "Great", "Works well."), (0, "", "Broke."), (1, "Super", "works  well.")],
            [("Great Works well.", 1, "a"), ("Broke.", 0, "b"), ("Super works  well.", 1, "a")],
        ),
        (
            "ethics_justice",
            "hendrycks/ethics/justice/{split}.parquet",
            {"label": NUMBER, "scenario": TEXT},
            [
                (1, "I deserve pay because I work."),
                (0, "I deserve a car because I work."),
                (0, "I deserve pay because I breathe."),
                (1, "I stopped calling him since he moved."),
            ],
            [
                ("I deserve pay because I work.", 1, "a"),
                ("I deserve a car because I work.", 0, "a"),
                ("I deserve pay because I breathe.", 0, "a"),
                ("I stopped calling him since he moved.", 1, "b"),
            ],
        ),
        (
            "ethics_deontology",
            "hendrycks/ethics/deontology/{split}.parquet",
            {"label": NUMBER, "scenario": TEXT, "excuse": TEXT},
            [
                (0, "Could you help?", " No because I'm bored."),
                (1, "Could you help?", "I have broken both arms."),
            ],
            [
                ("Could you help? No because I'm bored.", 0, "a"),
                ("Could you help? I have broken both arms.", 1, "a"),
            ],
        ),
        (
            "ethics_virtue",
            "hendrycks/ethics/virtue/{split}.parquet",
            {"label": NUMBER, "scenario": TEXT},
            [(1, "Bo shared. [SEP] generous"), (0, "Bo shared. [SEP] cruel"), (1, "Al fled. [SEP] timid")],
            [
                ("Scenario: Bo shared.\nTrait: generous", 1, "a"),
                ("Scenario: Bo shared.\nTrait: cruel", 0, "a"),
                ("Scenario: Al fled.\nTrait: timid", 1, "b"),
            ],
        ),
        (
            "mc_taco",
            "CogComp/mc_taco/plain_text/{split}.parquet",
            TACO,
            [("He ran.", "How long?", "an hour", 1, 0), ("He ran.", "How long?", " a century", 0, 0)],
            [(f"{RAN}an hour", 1, "a"), (f"{RAN}a century", 0, "a")],
        ),
        (
            "multirc",
            "aps/super_glue/multirc/{split}.parquet",
            MULTIRC,
            [
                ("Boats float.", "What floats?", "Boats", {"paragraph": 0, "question": 0, "answer": 0}, 1),
                ("Boats float.", "What floats?", "Stones", {"paragraph": 0, "question": 0, "answer": 1}, 0),
            ],
            [(f"{BOATS}Boats", 1, "a"), (f"{BOATS}Stones", 0, "a")],
        ),
    ],
)
def test_rows_with_a_label(
    mirror: Path,
    name: str,
    path: str,
    columns: Columns,
    rows: list[Any],
    expected: list[tuple[str, int, str]],
) -> None:
    """`expected`: text, label, and a letter for the group."""
    examples = pools_of(name, path, columns, rows, mirror)["train"]
    assert [(item.texts, item.label) for item in examples] == [
        ((text,), label) for text, label, _ in expected
    ]
    names = {letter: item.group for item, (_, _, letter) in zip(examples, expected, strict=True)}
    assert [item.group for item in examples] == [names[letter] for _, _, letter in expected]
    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize(
    ("name", "path", "columns", "row", "stem", "right", "wrongs"),
    [
        (
            "dream",
            "dataset-org/dream/default/{split}.parquet",
            {"id": NUMBER, "dialogue_id": TEXT, "dialogue": Sequence(TEXT), "question": TEXT}
            | {"choice": Sequence(TEXT), "answer": TEXT},
            (
                0,
                "5-510",
                ["M: Tea?", "W: No, coffee."],
                "What does she want?",
                ["Tea.", "Coffee.", "Milk."],
                "Coffee.",
            ),
            "Dialog: M: Tea?\nW: No, coffee.\nQuestion: What does she want?\nAnswer:",
            "Coffee.",
            {"Tea.", "Milk."},
        ),
        (
            "hellaswag",
            "Rowan/hellaswag/default/{split}.parquet",
            {"ind": NUMBER, "ctx": TEXT, "endings": Sequence(TEXT), "label": TEXT},
            (4, "She opens the door. she", ["sleeps.", "walks in.", "flies."], "1"),
            "She opens the door. she",
            "walks in.",
            {"sleeps.", "flies."},
        ),
        (
            "openbookqa",
            "allenai/openbookqa/main/{split}.parquet",
            {"id": TEXT, "question_stem": TEXT, "choices": CHOICES, "answerKey": TEXT},
            (
                "7-980",
                "The sun is",
                {"text": ["a star", "a moon", "a lamp", "a pet"], "label": ["A", "B", "C", "D"]},
                "A",
            ),
            "Q: The sun is A:",
            "a star",
            {"a moon", "a lamp", "a pet"},
        ),
        (
            "quail",
            "textmachinelab/quail/quail/{split}.parquet",
            {
                "id": TEXT,
                "context": TEXT,
                "question": TEXT,
                "answers": Sequence(TEXT),
                "correct_answer_id": NUMBER,
            },
            ("f1_0", "Ann left.", "Who left?", ["Bo", "not enough information", "Ann"], 2),
            "Context: Ann left.\nQuestion: Who left?\nAnswer:",
            "Ann",
            {"Bo", "not enough information"},
        ),
        (
            "piqa",
            "ybisk/piqa/default/{split}.parquet",
            {"goal": TEXT, "sol1": TEXT, "sol2": TEXT, "label": classes("0", "1")},
            ("cut bread", "use a spoon ", " use a knife", 1),
            "Goal: cut bread\nSolution:",
            "use a knife",
            {"use a spoon"},
        ),
        (
            "quartz",
            "allenai/quartz/default/{split}.parquet",
            {
                "id": TEXT,
                "question": TEXT,
                "choices": CHOICES,
                "answerKey": TEXT,
                "para": TEXT,
                "para_id": TEXT,
            },
            (
                "Q1",
                "It warms, so ice does what?",
                {"text": ["melt", "grow"], "label": ["A", "B"]},
                "B",
                "Heat melts.",
                "p",
            ),
            "Passage: Heat melts.\nQuestion: It warms, so ice does what?\nAnswer:",
            "grow",
            {"melt"},
        ),
        (
            "social_i_qa",
            "allenai/social_i_qa/default/{split}.parquet",
            {
                "context": TEXT,
                "question": TEXT,
                "answerA": TEXT,
                "answerB": TEXT,
                "answerC": TEXT,
                "label": TEXT,
            },
            ("Jo fell.", "How is Jo?", "hurt", "rich", "tall", "1"),
            "Context: Jo fell.\nQuestion: How is Jo?\nAnswer:",
            "hurt",
            {"rich", "tall"},
        ),
    ],
)
def test_questions(
    mirror: Path, name: str, path: str, columns: Columns, row: Any, stem: str, right: str, wrongs: set[str]
) -> None:
    wrong, correct = pools_of(name, path, columns, [row], mirror)["train"]
    assert (correct.texts, correct.label, correct.answer) == ((f"{stem} {right}",), 1, right)
    assert wrong.label == 0 and wrong.answer in wrongs and wrong.texts == (f"{stem} {wrong.answer}",)
    assert wrong.group == correct.group


def test_which_scenario_is_more_pleasant_does_not_follow_from_its_place(mirror: Path) -> None:
    rows = [
        (f"I ate fruit {number}. It was ripe.", f"I ate fruit {number}. It was off.") for number in range(400)
    ]
    columns: Columns = {"baseline": TEXT, "less_pleasant": TEXT}
    rows += [("I ate fruit 7. It was ripe.", "I ate fruit 7. I choked.")]
    examples = pools_of(
        "ethics_utilitarianism", "hendrycks/ethics/utilitarianism/{split}.parquet", columns, rows, mirror
    )["train"]
    for number, item in enumerate(examples[:400]):
        scenarios = [
            f"I ate fruit {number}. It was {word}."
            for word in (("off", "ripe") if item.label else ("ripe", "off"))
        ]
        assert item.texts == (
            f"Scenario 1: {scenarios[0]}\nScenario 2: {scenarios[1]}\nIs scenario 2 the more pleasant one?",
        )
    assert 150 < sum(item.label or 0 for item in examples) < 250
    assert len({item.group for item in examples}) == 400 and examples[400].group == examples[7].group


def test_helpful_and_harmless_pairs_come_from_their_own_folders(mirror: Path) -> None:
    columns: Columns = {"chosen": TEXT, "rejected": TEXT}
    for part in ("helpful", "harmless"):
        rows = [(f"\n\nHuman: hi\n\nAssistant: {part}", "\n\nHuman: hi\n\nAssistant: no")]
        name = "anthropic_hh_helpful" if part == "helpful" else "anthropic_hh"
        (item,) = pools_of(name, f"Anthropic/hh-rlhf/{part}-base/{{split}}.parquet", columns, rows, mirror)[
            "test"
        ]
        assert item.label is not None and item.texts[item.label].endswith(part)


def test_the_splits_that_are_not_train_and_validation(mirror: Path) -> None:
    folder = mirror / "CogComp/mc_taco/default"
    folder.mkdir(parents=True)
    for split, answer in (("validation", "a day"), ("test", "a year")):
        Dataset.from_list([dict(zip(TACO, ("He ran.", "How long?", answer, 1, 0), strict=True))]).to_parquet(
            folder / f"{split}.parquet"
        )
    pools = tasks.get("mc_taco").load()
    assert {pool: [item.answer for item in items] for pool, items in pools.items()} == {
        "train": ["a day"],
        "test": ["a year"],
    }
