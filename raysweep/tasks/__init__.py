"""Tasks: the examples that models train and are tested on, and their division into splits.

`load_task` turns a `TaskSpec` into examples by split. The loader of a `Task` returns pools of examples, which
`divide` deals out to the two halves of the training data, validation and test. Start reading with `base`
(what a task and an example are) and `splits` (how they are divided).

A new task is an entry of the registry (`tasks.add`), or a `Task` in a module of the user's own, named
`module:object`; `classification_task`, `preference_task` and `generative_task` make one from a table.

This package imports `errors`, `registry` and `spec` only, and pandas, pyarrow, datasets and python-chess not
before a task that needs them is loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks import nlp as nlp
from raysweep.tasks import nlp_choice as nlp_choice
from raysweep.tasks import sandbox as sandbox
from raysweep.tasks import text_folder as text_folder
from raysweep.tasks.base import Example, Pools, Task, TaskData, tasks
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
    task = tasks.get(spec.name)
    if not isinstance(task, Task):
        raise InvalidInput(f"{spec.name!r} is a {type(task).__name__}; a task is a raysweep.tasks.base.Task")
    pools = _pools(task, spec)
    division = divide(task, pools, spec)
    rows = pools.rows if isinstance(pools, Pools) else None
    return TaskData(task=task, splits=division.splits, rows=rows, left_out=division.left_out)


def _pools(task: Task, spec: TaskSpec) -> Mapping[str, Iterable[Example]]:
    """Call the loader of a task, and report parameters that it refuses as invalid input."""
    signature = inspect.signature(task.load)
    try:
        signature.bind(**spec.params)
    except TypeError as error:
        raise InvalidInput(
            f"task {spec.name!r}: {error}; its parameters are {_parameters(signature)}"
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
