"""Writes a sweep's report: the page, and every figure as vector graphics, picture and numbers, with the
captions."""

from __future__ import annotations

import ast
import inspect
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from raysweep.errors import InvalidInput
from raysweep.files import written_atomically
from raysweep.results.frames import SweepData

_PAGE = "report.html"
_FIGURES = "figures"
_MAX_CAUSE = 300


def publish(
    data: SweepData,
    experiment: str,
    log: Callable[[Path], None],
    page_file: Path | None = None,
    figures_folder: Path | None = None,
) -> None:
    """Make a sweep's report, finished or not; write it where it is wanted, then log it.

    Args:
        data: the sweep.
        experiment: FILE or FILE:function, as on the command line; its docstrings say what is asked. "" for a
            sweep that has no file.
        log: takes a folder with report.html, figures/NAME.svg, .pdf, .png and .csv, and figures/captions.md.
        page_file: where to write the page; its folder is made.
        figures_folder: where to write the figures; other files there stay.

    Raises:
        InvalidInput: the page or the figures can't be written there.
        CorruptFile: a file of a finished run isn't what was written.
    """
    if (
        page_file and page_file.exists() and not page_file.is_file()
    ):  # renaming a file onto a device would replace it
        what = "a folder" if page_file.is_dir() else "no ordinary file"
        raise InvalidInput(f"the report can't be written to {page_file}, which is {what}; name an HTML file")
    if figures_folder and figures_folder.exists() and not figures_folder.is_dir():
        raise InvalidInput(
            f"the figures can't be written to {figures_folder}, which isn't a folder; name another one"
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_report(data, experiment, folder)
        try:
            if page_file:
                with written_atomically(page_file.resolve()) as path:  # a link stays one
                    shutil.copyfile(folder / _PAGE, path)
            if figures_folder:
                shutil.copytree(folder / _FIGURES, figures_folder, dirs_exist_ok=True)
        except OSError as error:
            raise InvalidInput(
                f"the report can't be written ({error}); name another file or folder"
            ) from error
        log(folder)


def try_to_publish(data: SweepData, experiment: str, log: Callable[[Path], None]) -> str | None:
    """`publish` at the end of a sweep, whose runs are done whatever fails here: None, or what failed, in one
    line."""
    try:
        publish(data, experiment, log)
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return (
            f"the report wasn't made ({why[:_MAX_CAUSE]}); try again with raysweep report {experiment} --out "
            "PAGE"
        )
    return None


def write_report(data: SweepData, experiment: str, folder: Path) -> None:
    """Write report.html and figures/ into an empty folder."""
    from raysweep.report.figures import figures_of
    from raysweep.report.figures.save import captions, save
    from raysweep.report.page import page

    figures = figures_of(data)
    command = f"raysweep run {experiment}" if experiment else ""
    text = page(data, figures, question=question(experiment), command=command)
    (folder / _PAGE).write_text(text, encoding="utf-8")
    (folder / _FIGURES).mkdir()
    for figure in figures.figures:
        save(figure, folder / _FIGURES)
    (folder / _FIGURES / "captions.md").write_text(captions(data.name, figures), encoding="utf-8")


def question(experiment: str) -> str:
    """The question of an experiment: the docstrings of its file and of its function; "" if it has none."""
    if not experiment:
        return ""
    file, _, function = experiment.partition(":")
    module = ast.parse(Path(file).read_text(encoding="utf-8"))
    functions = (
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name == (function or "sweep")
    )
    told = [ast.get_docstring(module), *map(ast.get_docstring, functions)]
    return "\n\n".join(inspect.cleandoc(text) for text in told if text)
