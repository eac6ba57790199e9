"""The leakage check catches renderers that reveal the label, and passes the real tasks."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from raysweep.errors import InvalidInput
from raysweep.tasks.base import Example, tasks
from raysweep.tasks.leakage import check_leak, leak_scores

REAL_ROWS = Path(__file__).parents[3] / "shared/data/hub"
WORDS = [f"word{number}" for number in range(60)]


def some_words(rng: random.Random, low: int = 2, high: int = 6) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))


def answered(
    answer: Callable[[random.Random, int], str], num_questions: int = 200, num_classes: int = 2
) -> list[Example]:
    """Questions with one candidate answer of each class."""
    rng = random.Random(0)
    rows = [(question, label) for question in range(num_questions) for label in range(num_classes)]
    answers = [answer(rng, label) for _, label in rows]
    return [
        Example(
            id=f"{question}-{label}",
            group=str(question),
            texts=(f"{question} {text}",),
            label=label,
            answer=text,
        )
        for (question, label), text in zip(rows, answers, strict=True)
    ]


def preferred(better: Callable[[random.Random], str], worse: Callable[[random.Random], str]) -> list[Example]:
    rng = random.Random(0)
    examples = []
    for number in range(200):
        label = rng.randrange(2)
        texts = (better(rng), worse(rng)) if label == 0 else (worse(rng), better(rng))
        examples.append(Example(id=str(number), group=str(number), texts=texts, label=label))
    return examples


def near_chance(scores: dict[str, float], probes: Sequence[str]) -> bool:
    return list(scores) == list(probes) and all(0.4 < score < 0.6 for score in scores.values())


def test_answers_without_a_signal_score_one_half() -> None:
    assert near_chance(
        leak_scores(answered(lambda rng, label: some_words(rng))), ["answer_length", "answer_words"]
    )


def test_letters_for_right_answers_and_texts_for_wrong_ones_are_caught() -> None:
    leaky = answered(lambda rng, label: rng.choice("ABCD") if label else some_words(rng))
    assert min(leak_scores(leaky).values()) > 0.99
    with pytest.raises(
        InvalidInput, match=r"task 'openbookqa' leaks its labels: the probe answer_length.* AUC of 1\.0"
    ):
        check_leak("openbookqa", leaky)


def test_a_word_that_predicts_the_label_is_caught_where_lengths_are_equal() -> None:
    leaky = answered(lambda rng, label: f"{some_words(rng)} {'perhaps' if label else 'totally'}")
    scores = leak_scores(leaky)
    assert 0.4 < scores["answer_length"] < 0.6 and scores["answer_words"] > 0.99
    with pytest.raises(InvalidInput, match="the probe answer_words"):
        check_leak("toy", leaky)


def test_middling_lengths_are_caught() -> None:
    def answer(rng: random.Random, label: int) -> str:
        return "x" * (rng.choice([20, 21, 22]) if label else rng.choice([5, 6, 80, 90]))

    assert leak_scores(answered(answer))["answer_length"] > 0.95


def test_words_are_tested_on_other_questions_than_they_were_learnt_on() -> None:
    # A question's name is in its right answer, which predicts labels of questions in the training folds only.
    examples = [
        Example(
            id=f"{n}-{label}",
            group=str(n % 40),
            texts=("t",),
            label=label,
            answer=f"name{n % 40}" if label else f"other{n % 40}",
        )
        for n in range(400)
        for label in (0, 1)
    ]
    assert leak_scores(examples)["answer_words"] < 0.6


def test_one_leaking_class_of_three_is_caught() -> None:
    leaky = answered(lambda rng, label: "yes" if label == 2 else some_words(rng), num_classes=3)
    assert leak_scores(leaky)["answer_words"] > 0.99
    assert near_chance(
        leak_scores(answered(lambda rng, label: some_words(rng), num_classes=3)),
        ["answer_length", "answer_words"],
    )


def test_preferences_are_probed_by_the_difference_of_lengths() -> None:
    assert near_chance(leak_scores(preferred(some_words, some_words)), ["length_difference"])
    leaky = preferred(lambda rng: some_words(rng, 4, 9), lambda rng: some_words(rng, 1, 3))
    assert leak_scores(leaky)["length_difference"] > 0.99
    with pytest.raises(InvalidInput, match="the probe length_difference"):
        check_leak("toy", leaky)


def test_tasks_without_a_candidate_answer_are_not_probed() -> None:
    examples = [Example(id=str(n), group=str(n), texts=("x" * (1 + n % 2),), label=n % 2) for n in range(100)]
    assert leak_scores(examples) == {}
    check_leak("sentiment", examples)


@pytest.mark.parametrize("num_questions", [0, 10])
def test_too_few_examples_are_refused(num_questions: int) -> None:
    with pytest.raises(
        InvalidInput, match=f"needs 50 examples in 5 groups with 2 classes; there are {2 * num_questions} in"
    ):
        leak_scores(answered(lambda rng, label: some_words(rng), num_questions))


@pytest.mark.parametrize(
    ("name", "probes"),
    [
        ("sciq", {"answer_length", "answer_words"}),
        ("cosmos_qa", {"answer_length", "answer_words"}),
        ("boolq", set()),
        ("sst2", set()),
        ("anthropic_hh", {"length_difference"}),
    ],
)
def test_the_real_tasks_pass(name: str, probes: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if not REAL_ROWS.is_dir():
        pytest.skip(f"real rows of the hub are not at {REAL_ROWS}")
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(REAL_ROWS))
    examples = list(tasks.get(name).load()["train"])
    scores = leak_scores(examples)
    assert set(scores) == probes and all(0.5 < score < 0.65 for score in scores.values()), scores
    check_leak(name, examples)


def test_the_openbookqa_renderer_of_eleutherai_is_caught_on_real_rows() -> None:
    if not REAL_ROWS.is_dir():
        pytest.skip(f"real rows of the hub are not at {REAL_ROWS}")
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(REAL_ROWS / "allenai/openbookqa/main/train.parquet").to_pylist()[:500]
    examples = []
    for number, row in enumerate(rows):
        wrong = next(
            text for text, letter in zip(*row["choices"].values(), strict=True) if letter != row["answerKey"]
        )
        for label, answer in enumerate((wrong, row["answerKey"])):
            text = f"{row['question_stem']} {answer}"
            examples.append(
                Example(id=f"{number}-{label}", group=str(number), texts=(text,), label=label, answer=answer)
            )
    with pytest.raises(InvalidInput, match="task 'openbookqa' leaks its labels"):
        check_leak("openbookqa", examples)
