"""Natural language tasks of Burns et al. 2023 (arXiv 2312.09390), from the hub at pinned revisions.

Everything is made binary as in the paper's appendix A.1. A multiple-choice question gives as many right as wrong
(question, answer) examples, in one group; which wrong answer is taken follows from a hash of the question, so it is the
same on every machine and for every seed. The parameter `one_draw` takes a single answer a question instead, right with
probability one half, as the codes of OpenAI and EleutherAI do. Texts are worded as in openai/weak-to-strong and end
with the answer, which a cut from the left keeps.

A task is a call of `hub_task` (rows with a label), `choice_task` (questions with answers) or `preference_task`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from raysweep.errors import InvalidInput
from raysweep.identity import digest
from raysweep.tasks.base import Example, Task, tasks
from raysweep.tasks.hub import Draft, HubData, Row, normalized

Shares = Callable[[Row], Iterable[str]]
SPEAKS_OF_OTHERS = re.compile(
    r"\s*(all|any|both|neither|none) of (the|these|those)( above| others?)?( answers| choices| options)?[ .]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question; the texts of its examples are `text`, a blank, and an answer."""

    text: str
    answers: Sequence[str]
    right: int
    """Index of the right answer."""


def multiple_choice(question: Question, *, one_draw: bool = False) -> list[Draft]:
    """The right answer (class 1) and a wrong one (class 0); with `one_draw` only one of them, each with equal chance.

    Wrong answers that repeat the right one are left out, and so are answers that speak of the other ones ("none of the
    above"): alone they are neither right nor wrong. A question that has no right or no wrong answer left gives nothing.
    """
    if type(question.right) is not int or not 0 <= question.right < len(question.answers):
        raise InvalidInput(
            f"the number of the right answer is {question.right!r}; "
            f"it must be a whole number from 0 to {len(question.answers) - 1}"
        )
    right = question.answers[question.right]
    usable = [answer for answer in question.answers if answer.strip() and not SPEAKS_OF_OTHERS.match(answer)]
    wrongs = [answer for answer in usable if normalized(answer) != normalized(right)]
    if right not in usable or not wrongs:
        return []
    content = [question.text, *question.answers]
    wrong = wrongs[_draw(["wrong", *content], len(wrongs))]
    drafts = [
        Draft(texts=(f"{question.text} {answer.strip()}",), label=label, answer=answer.strip())
        for label, answer in enumerate((wrong, right))
    ]
    return [drafts[_draw(["class", *content], 2)]] if one_draw else drafts


def preference(chosen: str, rejected: str) -> list[Draft]:
    """A pair in an order that doesn't depend on which is better; the label is its index. Ties give nothing."""
    if normalized(chosen) == normalized(rejected):
        return []
    pair = sorted((chosen, rejected))
    if _draw(["order", *pair], 2):
        pair.reverse()
    return [Draft(texts=tuple(pair), label=pair.index(chosen))]


def _draw(content: list[str], count: int) -> int:
    """A number below `count`, as good as random, that follows from the content."""
    return int(digest(content), 16) % count


def hub_task(name: str, summary: str, data: HubData, *, render: Callable[[Row], Iterable[Draft]], shares: Shares) -> Task:
    """Register a classification task whose rows carry a label."""

    def load() -> dict[str, list[Example]]:
        return data.pools(render, shares)

    return tasks.add(name, Task(name=name, summary=summary, kind="classification", load=load))


def choice_task(name: str, summary: str, data: HubData, *, question: Callable[[Row], Question], shares: Shares) -> Task:
    """Register a task of right and wrong answers to multiple-choice questions; its parameter is `one_draw`."""

    def load(*, one_draw: bool = False) -> dict[str, list[Example]]:
        if not isinstance(one_draw, bool):
            raise InvalidInput(f"task {name!r}: one_draw is {one_draw!r}; it must be True or False")
        return data.pools(lambda row: multiple_choice(question(row), one_draw=one_draw), shares)

    return tasks.add(name, Task(name=name, summary=summary, kind="classification", load=load))


def preference_task(name: str, summary: str, data: HubData, *, pair: Callable[[Row], tuple[str, str]], shares: Shares) -> Task:
    """Register a task of (chosen, rejected) pairs."""

    def load() -> dict[str, list[Example]]:
        return data.pools(lambda row: preference(*pair(row)), shares)

    return tasks.add(name, Task(name=name, summary=summary, kind="preference", load=load))


def first_prompt(dialog: str) -> str:
    """The first human turn of a dialog of Anthropic's format ("\\n\\nHuman: …\\n\\nAssistant: …")."""
    return dialog.partition("\n\nAssistant:")[0]


choice_task(
    "sciq",
    "SciQ: is this the right answer to a science exam question? (Welbl et al. 2017)",
    HubData(
        id="allenai/sciq",
        revision="2c94ad3e1aafab77146f384e23536f97a4849815",
        columns=("question", "correct_answer", "distractor1", "distractor2", "distractor3", "support"),
    ),
    question=lambda row: Question(
        f"Q: {row['question']} A:", [row["correct_answer"], *(row[f"distractor{number}"] for number in (1, 2, 3))], 0
    ),
    shares=lambda row: (row["question"], row["support"]),
)

hub_task(
    "boolq",
    "BoolQ: yes-or-no questions about a passage (Clark et al. 2019)",
    HubData(
        id="google/boolq",
        revision="35b264d03638db9f4ce671b711558bf7ff0f80d5",
        columns=("passage", "question", "answer"),
    ),
    render=lambda row: [Draft((f"Passage: {row['passage']}\nQuestion: {row['question']}",), int(row["answer"]))],
    shares=lambda row: (row["passage"],),
)

choice_task(
    "cosmos_qa",
    "CosmosQA: is this the right answer to a question about everyday narratives? (Huang et al. 2019)",
    HubData(
        id="allenai/cosmos_qa",
        # The commit of the hub's own Parquet conversion: main holds a loading script, which datasets refuses.
        revision="ed50fe83db62b355759053b1cd5eef344ee371e0",
        columns=("context", "question", "answer0", "answer1", "answer2", "answer3", "label"),
    ),
    question=lambda row: Question(
        f"Context: {row['context']}\nQuestion: {row['question']}\nAnswer:",
        [row[f"answer{number}"] for number in range(4)],
        row["label"],
    ),
    shares=lambda row: (row["context"],),
)

hub_task(
    "sst2",
    "SST-2: is this sentence of a film review positive? (Socher et al. 2013)",
    HubData(
        id="nyu-mll/glue",
        config="sst2",
        revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
        columns=("sentence", "label"),
    ),
    render=lambda row: [Draft((row["sentence"],), row["label"])],
    shares=lambda row: (row["sentence"],),
)

preference_task(
    "anthropic_hh",
    "Anthropic HH, harmless-base: which of two dialogs is the less harmful? (Bai et al. 2022)",
    HubData(
        id="Anthropic/hh-rlhf",
        data_dir="harmless-base",
        revision="09be8c5bbc57cb3887f3a9732ad6aa7ec602a1fa",
        columns=("chosen", "rejected"),
        splits={"train": "train", "test": "test"},
    ),
    pair=lambda row: (row["chosen"], row["rejected"]),
    shares=lambda row: (first_prompt(row["chosen"]),),
)
