"""Tasks: the examples that models train and are tested on, and their division into splits.

`load_task` turns a `TaskSpec` into examples by split: the loader of a `Task` returns pools of examples
(`load_pools`), and these are dealt out to the two halves of the training data, validation and test
(`divided`). Start reading with `base` (what a task and an example are), `splits` and `dealing` (how they are
divided).

A new task is an entry of the registry (`tasks.add`), or a `Task` in a module of the user's own, named
`module:object`; `classification_task`, `preference_task` and `generative_task` make one from a table.

This package imports `errors`, `registry` and `spec` only, and pandas, pyarrow, datasets and python-chess not
before a task that needs them is loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from raysweep.errors import InvalidInput, did_you_mean
from raysweep.spec import TaskSpec
from raysweep.tasks import nlp as nlp
from raysweep.tasks import nlp_choice as nlp_choice
from raysweep.tasks import sandbox as sandbox
from raysweep.tasks import text_folder as text_folder
from raysweep.tasks.base import Example, Pools, RowCounts, Task, TaskData, tasks
from raysweep.tasks.chess import puzzles as puzzles
from raysweep.tasks.from_table import classification_task as classification_task
from raysweep.tasks.from_table import generative_task as generative_task
from raysweep.tasks.from_table import preference_task as preference_task
from raysweep.tasks.splits import divide


def load_task(spec: TaskSpec) -> TaskData:
    """Load a task with the parameters of its spec, check its examples, and divide them into splits.

    Raises:
        InvalidInput: the task or a parameter is unknown, or the data can't be used as the spec asks.
    """
    return divided(load_pools(spec), spec)


class LoadedPools(NamedTuple):
    """A task with the examples that its loader returned."""

    task: Task
    pools: Mapping[str, Iterable[Example]]
    rows: RowCounts | None
    """What became of the rows, if the loader has counted them."""


def load_pools(spec: TaskSpec) -> LoadedPools:
    """Call a task's loader with the parameters of a spec.

    Raises:
        InvalidInput: the task or a parameter is unknown, or the loader refuses them.
    """
    task = tasks.get(spec.name)
    if not isinstance(task, Task):
        raise InvalidInput(f"{spec.name!r} is a {type(task).__name__}; a task is a raysweep.tasks.base.Task")
    pools = _pools(task, spec)
    rows = pools.rows if isinstance(pools, Pools) else None
    if isinstance(pools, Mapping):  # a pool may be a generator, and a task be divided by several seeds
        pools = {name: list(pool) for name, pool in pools.items()}
    return LoadedPools(task, pools, rows)


def divided(loaded: LoadedPools, spec: TaskSpec) -> TaskData:
    """Check the examples of a task, and divide them into splits.

    Raises:
        InvalidInput: they can't be used as the spec asks.
    """
    division = divide(loaded.task, loaded.pools, spec)
    return TaskData(task=loaded.task, splits=division.splits, rows=loaded.rows, left_out=division.left_out)


def _pools(task: Task, spec: TaskSpec) -> Mapping[str, Iterable[Example]]:
    """Call the loader of a task, and report parameters that it refuses as invalid input."""
    signature = inspect.signature(task.load)
    try:
        signature.bind(**spec.params)
    except TypeError as error:
        wrong = next((name for name in spec.params if name not in signature.parameters), "")
        near = did_you_mean(wrong, signature.parameters)
        raise InvalidInput(
            f"task {spec.name!r}: {error}{near}; its parameters are {_parameters(signature)}"
        ) from error
    try:
        return task.load(**spec.params)
    except InvalidInput:
        raise
    except (TypeError, ValueError) as error:
        if not spec.params:
            raise  # a bug of the loader, not a parameter of the user's
        given = ", ".join(f"{name}={value!r}" for name, value in spec.params.items())
        raise InvalidInput(f"task {spec.name!r}: its loader refuses {given}: {error}") from error


def _parameters(signature: inspect.Signature) -> str:
    """The parameters of a loader in words: "path (required), num_characters=400"."""
    listed = [
        parameter.name
        + (" (required)" if parameter.default is parameter.empty else f"={parameter.default!r}")
        for parameter in signature.parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    return ", ".join(listed) or "(none)"
