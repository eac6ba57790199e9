"""A hook of mkdocs: pages of the reference that are made from the registries and the command line.

What is registered is the only list of tasks, models, methods and so on; a page that repeated it would be wrong
after the next entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

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
        "# Tasks\n\nRows come from the Hugging Face hub at pinned revisions, or from a local mirror of it that "
        "`RAYSWEEP_DATASETS` names. Classes are balanced where the task says so, and rows that belong together "
        "never stand on both sides of a split.\n\n" + _table(("name", "kind", "what it asks"), rows)
    )


def _models() -> str:
    parts = [
        "# Models\n\n`families.get(NAME)[MODEL]` is a model with values for its training. Any other causal or "
        "encoder model works too: `Model(spec=ModelSpec(name=\"mine\", base=Folder(path=\"…\")), "
        "optimization=Optimization(learning_rate=…))`, or with `base=Hub(id=\"…\")`.\n"
    ]
    for name, family in families:
        rows = (
            (f"`{model.name}`", f"{model.optimization.learning_rate:g}", f"{model.optimization.epochs:g}")
            for model in family.models
        )
        table = _table(("model", "learning rate", "epochs"), rows)
        parts.append(f"## {name}\n\n{family.summary}.\n\n{table}")
    return "\n".join(parts)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


_PAGES: dict[str, Callable[[], str]] = {"tasks": _tasks, "models": _models}
