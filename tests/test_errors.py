"""Whatever the user's own code raises is the user's error, but an interrupt."""

import re

import pytest

from raysweep.errors import InvalidInput, RaysweepError, user_code


@pytest.mark.parametrize(
    "raised",
    [
        ValueError("v"),
        SystemExit(0),
        GeneratorExit(),
        StopIteration(),
        BaseExceptionGroup("g", [SystemExit(0)]),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_user_code_ends_in_its_own_error_with_its_place(raised: BaseException) -> None:
    with pytest.raises(InvalidInput) as told, user_code("the loss of task 'mine:TASK'"):
        raise raised
    first, *_, last = str(told.value).splitlines()
    assert first == "the loss of task 'mine:TASK' failed:"
    assert re.search(rf'File "{re.escape(__file__)}", line \d+', str(told.value))
    assert type(raised).__name__ in str(told.value) and last and told.value.__cause__ is raised


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), RaysweepError("mine")])
def test_an_interrupt_and_an_error_for_the_user_pass_unchanged(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as told, user_code("experiment.py"):
        raise raised
    assert told.value is raised


def test_of_endless_recursion_the_end_is_shown() -> None:
    def one(depth: int) -> int:
        return other(depth)

    def other(depth: int) -> int:
        return one(depth + 1)

    with pytest.raises(InvalidInput, match="RecursionError") as told, user_code("recipe"):
        one(0)
    assert len(str(told.value).splitlines()) < 80
