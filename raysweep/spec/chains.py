"""Chains of runs that depend on each other, as a recipe or a model gives them."""

from __future__ import annotations

from raysweep.errors import InvalidInput
from raysweep.spec.run import RunSpec

LONGEST_CHAIN = 50
"""Runs from one that depends on none to the last one."""


def check_chain(run: RunSpec, what: str) -> None:
    """Refuse a run that depends on itself, or on a longer chain of runs than anybody means.

    Args:
        run: the last run of the chain.
        what: what has given it, at the beginning of the message: "recipe 'mine:method'".

    Raises:
        InvalidInput: the chain is a circle, or longer than `LONGEST_CHAIN`.
    """
    # Runs are told apart as objects: their ids and their equality follow the chain, which may have no end.
    lengths: dict[int, int] = {}
    on_the_way: set[int] = set()
    waiting: list[tuple[RunSpec, bool]] = [(run, False)]
    while waiting:
        current, is_left = waiting.pop()
        key = id(current)
        if is_left:
            on_the_way.remove(key)
            lengths[key] = 1 + max((lengths[id(earlier)] for earlier in current.dependencies), default=0)
            if lengths[key] > LONGEST_CHAIN:
                raise InvalidInput(
                    f"{what}: a run of {current.model.name!r} depends on a chain of more than "
                    f"{LONGEST_CHAIN} runs, each of which needs the one before it; give a shorter chain"
                )
        elif key in on_the_way:
            raise InvalidInput(
                f"{what}: the run of {current.model.name!r} on split {current.train_split!r} depends on "
                "itself, through its supervisor, its sources or the model that it starts from"
            )
        elif key not in lengths:
            on_the_way.add(key)
            waiting.append((current, True))
            waiting += [(earlier, False) for earlier in current.dependencies]
