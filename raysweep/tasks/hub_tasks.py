"""Tasks of the hub in a few lines each, made binary as in Burns et al. 2023, appendix A.1.

A task is a call of `hub_task` (rows with a label), `choice_task` (multiple-choice questions) or `pair_task`
(preferences).

A multiple-choice question gives one right and one wrong (question, answer) example, in one group. Which wrong
answer it is follows from a hash of the question and its answers, so it is the same on every machine and for
every seed. With the parameter `one_draw` a question gives a single example, right with probability one half,
as in the code of OpenAI and EleutherAI. Texts end with the answer, so that truncation on the left keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.errors import InvalidInput
from raysweep.spec.identity import digest
from raysweep.tasks.base import Example, Task, tasks
from raysweep.tasks.examples import Draft, Row, Shares, normalized
from raysweep.tasks.hub import HubData

SPEAKS_OF_OTHERS = re.compile(
    r"\s*(all|any|both|neither|none) of (the|these|those)( above| others?)?"
    r"( answers| choices| options)?[ .]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question. The text of an example is `text`, a space and an answer."""

    text: str
    answers: Sequence[str]
    right: int
    """Index of the right answer."""


def candidate(text: str, answer: str, label: int) -> Draft:
    """A text with a candidate answer: right (class 1) or wrong (class 0)."""
    return Draft(texts=(f"{text} {answer.strip()}",), label=label, answer=answer.strip())


def multiple_choice(question: Question, *, one_draw: bool = False) -> list[Draft]:
    """A wrong answer (class 0) and the right one (class 1); with `one_draw` one of the two, with equal
    probability.

    Wrong answers that repeat the right one are left out. So are answers about other answers ("none of the
    above"), which alone are neither right nor wrong. A question without a right or a wrong answer after that
    gives no example.

    Raises:
        InvalidInput: `question.right` isn't the index of an answer.
    """
    if type(question.right) is not int or not 0 <= question.right < len(question.answers):
        raise InvalidInput(
            f"the number of the right answer is {question.right!r}; it must be a whole number from 0 to "
            f"{len(question.answers) - 1}"
        )
    right = question.answers[question.right]
    usable = [answer for answer in question.answers if answer.strip() and not SPEAKS_OF_OTHERS.match(answer)]
    wrongs = [answer for answer in usable if normalized(answer) != normalized(right)]
    if right not in usable or not wrongs:
        return []
    content = [question.text, *question.answers]
    wrong = wrongs[_draw(["wrong", *content], len(wrongs))]
    drafts = [candidate(question.text, answer, label) for label, answer in enumerate((wrong, right))]
    return [drafts[_draw(["class", *content], 2)]] if one_draw else drafts


def preference(chosen: str, rejected: str) -> list[Draft]:
    """A pair in an order that doesn't depend on which text is better. The label is the index of the chosen
    text; two texts that count as the same give no example."""
    if normalized(chosen) == normalized(rejected):
        return []
    pair = sorted((chosen, rejected))
    if _draw(["order", *pair], 2):
        pair.reverse()
    return [Draft(texts=tuple(pair), label=pair.index(chosen))]


def _draw(content: list[str], count: int) -> int:
    """A pseudo-random number from 0 to count − 1, which follows from the content alone."""
    return int(digest(content), 16) % count


def first_prompt(dialog: str) -> str:
    """The first human turn of a dialog in Anthropic's format ("\\n\\nHuman: …\\n\\nAssistant: …")."""
    return dialog.partition("\n\nAssistant:")[0]


def hub_task(
    name: str,
    summary: str,
    data: HubData,
    *,
    render: Callable[[Row], Iterable[Draft]],
    shares: Shares,
    **facts: Any,
) -> Task:
    """Register a classification task whose rows have a label. `facts` are further fields of `Task`."""

    def load() -> dict[str, list[Example]]:
        return data.pools(render, shares)

    return tasks.add(name, Task(name=name, summary=summary, kind="classification", load=load, **facts))


def choice_task(
    name: str, summary: str, data: HubData, *, question: Callable[[Row], Question], shares: Shares
) -> Task:
    """Register a task of right and wrong answers to multiple-choice questions, with the parameter
    `one_draw`."""

    def load(*, one_draw: bool = False) -> dict[str, list[Example]]:
        if not isinstance(one_draw, bool):
            raise InvalidInput(f"task {name!r}: one_draw is {one_draw!r}; it must be True or False")
        return data.pools(lambda row: multiple_choice(question(row), one_draw=one_draw), shares)

    return tasks.add(name, Task(name=name, summary=summary, kind="classification", load=load))


def pair_task(
    name: str, summary: str, data: HubData, *, pair: Callable[[Row], tuple[str, str]], shares: Shares
) -> Task:
    """Register a preference task of (chosen, rejected) pairs."""

    def load() -> dict[str, list[Example]]:
        return data.pools(lambda row: preference(*pair(row)), shares)

    return tasks.add(name, Task(name=name, summary=summary, kind="preference", load=load))
