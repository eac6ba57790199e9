"""Right and wrong answers to multiple-choice questions, and pairs: the draws are even and always the same."""

from collections import Counter
from hashlib import sha256
from typing import Any

import pytest

from raysweep.errors import InvalidInput
from raysweep.tasks.hub_tasks import Question, multiple_choice, preference


def test_a_question_gives_the_right_answer_and_one_wrong() -> None:
    wrong, right = multiple_choice(Question("Q: two and two? A:", ["three", " four ", "five"], 1))
    assert (right.texts, right.label, right.answer) == (("Q: two and two? A: four",), 1, "four")
    assert wrong.label == 0 and wrong.answer in ("three", "five")
    assert wrong.texts == (f"Q: two and two? A: {wrong.answer}",)


def test_wrong_answers_are_drawn_evenly_and_always_the_same() -> None:
    questions = [Question(f"question {number}", ["r", "a", "b", "c"], 0) for number in range(900)]
    drawn = [multiple_choice(question)[0].answer for question in questions]
    counts = Counter(drawn)
    assert set(counts) == {"a", "b", "c"} and min(counts.values()) > 240, counts  # 300 ± 14 each
    # Computed independently, so that it can't change unnoticed: by SHA-256 of the JSON list of question and
    # answers.
    content = [f'["wrong","question {number}","r","a","b","c"]' for number in range(900)]
    assert drawn == ["abc"[int(sha256(text.encode()).hexdigest()[:16], 16) % 3] for text in content]


def test_one_draw_is_right_half_the_time() -> None:
    questions = [Question(f"question {number}", ["r", "a", "b", "c"], 0) for number in range(1000)]
    drafts = [multiple_choice(question, one_draw=True) for question in questions]
    assert all(len(draft) == 1 for draft in drafts)
    assert 450 < sum(draft[0].label for draft in drafts) < 550
    assert all((draft[0].label == 1) == (draft[0].answer == "r") for draft in drafts)


def test_answers_that_cannot_be_wrong_are_never_drawn() -> None:
    answers = ["Four", "four ", "", "None of the above choices .", "all of these", "five"]
    drafts = [multiple_choice(Question(str(number), answers, 0)) for number in range(50)]
    assert {draft[0].answer for draft in drafts} == {"five"}
    # "None of the above" says nothing without the others.
    assert multiple_choice(Question("q", answers, 3)) == []
    assert multiple_choice(Question("q", ["four", "Four"], 0)) == []


@pytest.mark.parametrize("right", [-1, 4, "2"])
def test_a_wrong_number_of_the_right_answer_is_refused(right: Any) -> None:
    with pytest.raises(
        InvalidInput, match=rf"right answer is {right!r}; it must be a whole number from 0 to 3"
    ):
        multiple_choice(Question("q", ["a", "b", "c", "d"], right))


def test_the_order_of_a_preference_does_not_depend_on_which_is_better() -> None:
    labels = []
    for number in range(400):
        one = f"one {number}"
        other = f"other {number}"
        (draft,) = preference(one, other)
        (reversed_draft,) = preference(other, one)
        assert draft.texts == reversed_draft.texts and draft.label == 1 - reversed_draft.label
        assert draft.texts[draft.label] == one
        labels.append(draft.label)
    assert 150 < sum(labels) < 250
    assert preference("same", "Same ") == []
