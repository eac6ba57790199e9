"""A corpus for pretraining: the text files of a folder (.txt and .md, plain or gzipped), in chunks.

A chunk is a sequence of paragraphs of one file, together of at most `num_characters`; a longer paragraph is
cut between words. With `num_characters_total`, the files are read in turn and each may use an equal share of
the characters that are left, so that the corpus comes from all files and what short files don't use goes to
later ones.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from raysweep.errors import InvalidInput
from raysweep.spec.identity import digest
from raysweep.tasks.base import Example, Task, require_count, tasks

NAME = "text_folder"
SUFFIXES = (".txt", ".md", ".txt.gz", ".md.gz")


def load_folder(
    *, path: str, num_characters: int = 400, num_characters_total: int | None = None
) -> dict[str, list[Example]]:
    """The distinct chunks of all text files below a folder, in the order of their paths.

    Raises:
        InvalidInput: the folder doesn't exist or has no text, a file can't be read, or a parameter is out of
            range.
    """
    require_count(NAME, "num_characters", num_characters)
    require_count(NAME, "num_characters_total", num_characters_total, optional=True)
    examples: dict[str, Example] = {}
    for text in _texts(_files(path), num_characters_total):
        for chunk in chunks(text, num_characters):
            identifier = digest(chunk)
            examples.setdefault(identifier, Example(id=identifier, group=identifier, texts=(chunk,)))
    if not examples:
        raise InvalidInput(f"task {NAME!r}: the text files in {path!r} are all empty")
    return {"train": list(examples.values())}


def _files(path: str) -> list[Path]:
    folder = Path(path).expanduser() if isinstance(path, str) else path
    if not isinstance(folder, Path) or not folder.is_dir():
        raise InvalidInput(f"task {NAME!r}: path is {path!r}; it must be an existing folder of text files")
    files = [item for item in folder.rglob("*") if item.name.endswith(SUFFIXES) and item.is_file()]
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    visible = [folder / name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    if not visible:
        raise InvalidInput(f"task {NAME!r}: {path!r} has no text file; any of {', '.join(SUFFIXES)} will do")
    return visible


def _texts(files: list[Path], num_characters: int | None) -> Iterator[str]:
    """The texts of files; with `num_characters`, their beginnings, which together have at most so many."""
    left = num_characters
    for position, file in enumerate(files):
        share = None if left is None else left // (len(files) - position)
        text = _read(file, share)
        if left is not None:
            left -= len(text)
        yield text


def _read(file: Path, num_characters: int | None) -> str:
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        # Replace invalid bytes: a few of them are no reason to refuse a corpus.
        with opener(file, "rt", encoding="utf-8", errors="replace") as stream:
            return stream.read(-1 if num_characters is None else num_characters)
    except (OSError, EOFError) as error:
        raise InvalidInput(f"task {NAME!r}: {file} can't be read: {error}") from error


def chunks(text: str, num_characters: int) -> Iterator[str]:
    """Chunks of consecutive paragraphs, of at most `num_characters` unless a single word is longer."""
    paragraphs = re.split(r"\n\s*\n", text)
    pieces = (piece for paragraph in paragraphs for piece in _joined(paragraph.split(), " ", num_characters))
    return _joined(pieces, "\n", num_characters)


def _joined(parts: Iterable[str], separator: str, num_characters: int) -> Iterator[str]:
    """Consecutive parts joined to texts of at most `num_characters`, as many as fit into each."""
    joined = ""
    for part in parts:
        if joined and len(joined) + len(separator) + len(part) > num_characters:
            yield joined
            joined = part
        else:
            joined = f"{joined}{separator}{part}" if joined else part
    if joined:
        yield joined


tasks.add(
    NAME,
    Task(
        name=NAME,
        summary="Text files of a folder (.txt, .md) in chunks, to pretrain a model on (params: path)",
        kind="text",
        num_classes=0,
        load=load_folder,
        num_train=1_000_000,  # in effect all chunks: num_characters_total limits the corpus
        balanced=False,
    ),
)
