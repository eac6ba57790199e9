"""Tasks: what is learnt, from where, and how it is divided into halves, validation and test.

`load_task` turns a `TaskSpec` into examples by split. A new task is an entry of the registry
(`raysweep.tasks.base`), or a `Task` in the user's own module, named `module:object`: `classification_task`,
`preference_task` and `generative_task` make one from a table.
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
from raysweep.tasks.base import Example, Task, TaskData, tasks
from raysweep.tasks.chess import puzzles as puzzles
from raysweep.tasks.from_table import classification_task as classification_task
from raysweep.tasks.from_table import generative_task as generative_task
from raysweep.tasks.from_table import preference_task as preference_task
from raysweep.tasks.splits import divide


def load_task(spec: TaskSpec) -> TaskData:
    """Load a task with the parameters of its spec, check it, and divide it.

    Raises:
        InvalidInput: the task or a parameter is unknown, or the data can't be used as the spec says.
    """
    task = tasks.get(spec.name)
    if not isinstance(task, Task):
        raise InvalidInput(f"{spec.name!r} is a {type(task).__name__}; a task is a raysweep.tasks.base.Task")
    return TaskData(task=task, splits=divide(task, _pools(task, spec), spec))


def _pools(task: Task, spec: TaskSpec) -> Mapping[str, Iterable[Example]]:
    """Call the loader; what it refuses of the user's parameters is told as bad input."""
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
            raise  # nothing that the user has set: a bug
        given = ", ".join(f"{name}={value!r}" for name, value in spec.params.items())
        raise InvalidInput(f"task {spec.name!r}: its loader refuses {given}: {error}") from error


def _parameters(signature: inspect.Signature) -> str:
    """The parameters of a loader as a user writes them: `path (required), num_characters=400`."""
    listed = [
        parameter.name
        + (" (required)" if parameter.default is parameter.empty else f"={parameter.default!r}")
        for parameter in signature.parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    return ", ".join(listed) or "(none)"
