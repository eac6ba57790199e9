"""Tasks from the hub in a few lines each, made binary as in Burns et al. 2023, appendix A.1.

A multiple-choice question gives as many right as wrong (question, answer) examples, in one group; which wrong
answer is taken follows from a hash of the question, so it is the same on every machine and for every seed.
The parameter `one_draw` takes a single answer a question instead, right with probability one half, as the
codes of OpenAI and EleutherAI do. Texts end with the answer, which a cut from the left keeps.

A task is a call of `hub_task` (rows with a label), `choice_task` (questions with answers) or `pair_task`
(preferences).
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
    r"\s*(all|any|both|neither|none) of (the|these|those)( above| others?)?( answers| choices| options)?[ "
    r".]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question; the texts of its examples are `text`, a blank, and an answer."""

    text: str
    answers: Sequence[str]
    right: int
    """Index of the right answer."""


def candidate(text: str, answer: str, label: int) -> Draft:
    """A text and a candidate answer to it, right (class 1) or wrong (class 0)."""
    return Draft(texts=(f"{text} {answer.strip()}",), label=label, answer=answer.strip())


def multiple_choice(question: Question, *, one_draw: bool = False) -> list[Draft]:
    """The right answer (class 1) and a wrong one (class 0); with `one_draw` only one of them, each with equal
    chance.

    Wrong answers that repeat the right one are left out, and so are answers that speak of the other ones
    ("none of the above"): alone they are neither right nor wrong. A question that has no right or no wrong
    answer left gives nothing.
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
    drafts = [candidate(question.text, answer, label) for label, answer in enumerate((wrong, right))]
    return [drafts[_draw(["class", *content], 2)]] if one_draw else drafts


def preference(chosen: str, rejected: str) -> list[Draft]:
    """A pair in an order that doesn't depend on which is better; the label is its index. Ties give
    nothing."""
    if normalized(chosen) == normalized(rejected):
        return []
    pair = sorted((chosen, rejected))
    if _draw(["order", *pair], 2):
        pair.reverse()
    return [Draft(texts=tuple(pair), label=pair.index(chosen))]


def _draw(content: list[str], count: int) -> int:
    """A number below `count`, as good as random, that follows from the content."""
    return int(digest(content), 16) % count


def first_prompt(dialog: str) -> str:
    """The first human turn of a dialog of Anthropic's format ("\\n\\nHuman: …\\n\\nAssistant: …")."""
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
    """Register a classification task whose rows carry a label; `facts` are further fields of `Task`."""

    def load() -> dict[str, list[Example]]:
        return data.pools(render, shares)

    return tasks.add(name, Task(name=name, summary=summary, kind="classification", load=load, **facts))


def choice_task(
    name: str, summary: str, data: HubData, *, question: Callable[[Row], Question], shares: Shares
) -> Task:
    """Register a task of right and wrong answers to multiple-choice questions; its parameter is
    `one_draw`."""

    def load(*, one_draw: bool = False) -> dict[str, list[Example]]:
        if not isinstance(one_draw, bool):
            raise InvalidInput(f"task {name!r}: one_draw is {one_draw!r}; it must be True or False")
        return data.pools(lambda row: multiple_choice(question(row), one_draw=one_draw), shares)

    return tasks.add(name, Task(name=name, summary=summary, kind="classification", load=load))


def pair_task(
    name: str, summary: str, data: HubData, *, pair: Callable[[Row], tuple[str, str]], shares: Shares
) -> Task:
    """Register a task of (chosen, rejected) pairs."""

    def load() -> dict[str, list[Example]]:
        return data.pools(lambda row: preference(*pair(row)), shares)

    return tasks.add(name, Task(name=name, summary=summary, kind="preference", load=load))
