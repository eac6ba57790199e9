"""A hook of mkdocs: pages of the reference made from the registries and the command line.

What is registered is the only list of tasks, models, methods and so on; a page that repeated it would be
wrong after the next entry.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import partial

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from raysweep.cli.commands.details import details
from raysweep.cli.commands.listing import catalogue
from raysweep.cli.options import make_parser
from raysweep.models.families import families
from raysweep.tasks.base import tasks


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of docs/."""
    for name, page in _PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=page()))
    return files


def _tasks() -> str:
    rows = ((f"`{name}`", task.kind, task.summary) for name, task in tasks)
    return (
        "# Tasks\n\nRows come from the Hugging Face hub at pinned revisions, or from a local mirror of it "
        "that `RAYSWEEP_DATASETS` names. Classes are balanced where the task says so, and rows that belong "
        "together never stand on both sides of a split. Your own: [How to](../how-to/task.md).\n\n"
        + _table(("name", "kind", "what it asks"), rows)
    )


def _models() -> str:
    parts = [
        "# Models\n\n`families.get(NAME)[MODEL]` is a model with values for its training. Any other causal "
        'or encoder model works too: `Model(spec=ModelSpec(name="mine", base=Folder(path="…")), '
        'optimization=Optimization(learning_rate=…))`, or with `base=Hub(id="…")`.\n'
    ]
    for name, family in families:
        rows = (
            (f"`{model.name}`", f"{model.optimization.learning_rate:g}", f"{model.optimization.epochs:g}")
            for model in family.models
        )
        parts.append(
            f"## {name}\n\n{family.summary}.\n\n{_table(('model', 'learning rate', 'epochs'), rows)}"
        )
    return "\n".join(parts)


def _named(kind: str, title: str, about: str) -> str:
    """A page of all of a kind: what each is, and its parameters."""
    commands = f"`raysweep list {kind}` prints this list, `raysweep list {kind} NAME` one of it."
    parts = [f"# {title}\n\n{about} {commands}\n"]
    for name in sorted(catalogue()[kind]):
        found = details(kind, name)
        rows = (
            (f"`{parameter}`", f"`{told['default']}`", told["allowed"])
            for parameter, told in found.parameters.items()
        )
        table = _table(("parameter", "default", "allowed"), rows) if found.parameters else ""
        parts.append(f"## {name}\n\n{_escaped(found.text)}\n\n{table}")
    return "\n".join(parts)


def _command_line() -> str:
    parser = make_parser()
    (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    parts = [f"# Command line\n\n{_escaped(parser.description or '')}\n\n{_escaped(parser.epilog or '')}\n"]
    for name, command in commands.choices.items():
        rows = [
            (
                f"`{', '.join(action.option_strings) or action.metavar or action.dest}`",
                _escaped(action.help or ""),
            )
            for action in command._actions
            if action.dest != "help" and action.help != argparse.SUPPRESS
        ]
        table = _table(("argument", "meaning"), rows) if rows else ""
        parts.append(f"## raysweep {name}\n\n{_escaped(command.description or '')}\n\n{table}")
    return "\n".join(parts)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )


def _escaped(text: str) -> str:
    """A text in which Markdown would take something for markup: `__init__`, *args, <…>."""
    for character in "*_<":
        text = text.replace(character, f"\\{character}")
    return text


_PAGES: dict[str, Callable[[], str]] = {
    "tasks": _tasks,
    "models": _models,
    "methods": partial(
        _named,
        "methods",
        "Methods",
        "Recipes: from a cell of the grid to its supervisor, student and ceiling.",
    ),
    "objectives": partial(
        _named, "objectives", "Objectives", 'What a student minimizes, named as `Call("NAME", {…})`.'
    ),
    "transforms": partial(
        _named, "transforms", "Transforms", "Pure functions of the labels before they are trained on."
    ),
    "metrics": partial(_named, "metrics", "Metrics", "Pure functions of saved predictions."),
    "command_line": _command_line,
}
