"""A search space is tried before anything trains, so that a value that can't be used is an error of the
plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raysweep.errors import InvalidInput
from raysweep.planning.search.config import ROLES, Search, SearchedRole
from raysweep.planning.search.overrides import suggested, with_overrides
from raysweep.planning.search.sampling import make_sampler
from raysweep.planning.search.stopping import make_stopping_rule
from raysweep.planning.search.study import searched_space

if TYPE_CHECKING:
    from raysweep.planning.graph import PlannedRun

_NUM_DRAWS = 8


def check_search_space(
    search: Search, runs: Iterable[PlannedRun], check: Callable[[PlannedRun], None]
) -> None:
    """Draw some suggestions for every distinct run that is searched, and check them as runs.

    Raises:
        InvalidInput: a space names a field that no run of its role has, or holds a value that can't be used.
    """
    if search.stopping_call:
        make_stopping_rule(search)
    found: dict[SearchedRole, set[str]] = {role: set() for role in ROLES}
    seen: set[tuple[str, ...]] = set()
    for run in runs:
        for role in _roles(run):
            space = searched_space(search, role, run.spec)
            found[role] |= set(space)
            alike = (role, run.spec.task.label, run.spec.model.name, run.spec.objective.name, *space)
            if space and alike not in seen:
                seen.add(alike)
                _check_some(search, role, space, run, check)
    for role in ROLES:
        missing = [path for path in search.space(role) if path not in found[role]]
        if missing:
            raise InvalidInput(
                f"Search.{role} names {', '.join(missing)}, and no {role} of the sweep has such a "
                "field; look at its name, at the objective's parameters and at the model's tuning"
            )


def _roles(run: PlannedRun) -> list[SearchedRole]:
    if "supervisor" in run.roles:
        return ["supervisor"]
    return ["ceiling"] if "ceiling" in run.roles else (["student"] if "student" in run.roles else [])


def _check_some(
    search: Search, role: SearchedRole, space: Any, run: PlannedRun, check: Callable[[PlannedRun], None]
) -> None:
    suggester = make_sampler(space, replace(search, num_samples=min(search.num_samples, _NUM_DRAWS)))
    for _ in range(min(suggester.batch_size, _NUM_DRAWS)):
        values = suggester.suggest()
        if values is None:
            return
        with suggested(role, values):
            check(replace(run, spec=with_overrides(run.spec, values)))
