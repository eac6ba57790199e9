"""A corpus from a folder: every .txt and .md file in it, plain or gzipped, cut into chunks of whole
paragraphs.

For pretraining on whatever text a user has. A chunk is a run of consecutive paragraphs of one file, joined up
to about `num_characters`; a longer paragraph is cut between words. With `num_characters_total`, each file in
turn may give an equal share of what is left, so that a sample is spread over all files and what short files
leave goes to later ones.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from raysweep.errors import InvalidInput
from raysweep.spec.identity import digest
from raysweep.tasks.base import Example, Task, tasks

SUFFIXES = (".txt", ".md", ".txt.gz", ".md.gz")


def load_folder(
    *, path: str, num_characters: int = 400, num_characters_total: int | None = None
) -> dict[str, list[Example]]:
    """The distinct chunks of all text files below a folder, in the order of their paths.

    Raises:
        InvalidInput: the folder doesn't exist, has no text, or a file can't be read; or a parameter is out of
        range.
    """
    for name, value in (("num_characters", num_characters), ("num_characters_total", num_characters_total)):
        optional = name == "num_characters_total"
        if not (optional and value is None) and (type(value) is not int or value < 1):
            allowed = "a whole number of at least 1" + (" or None" if optional else "")
            raise InvalidInput(f"task 'text_folder': {name} is {value!r}; it must be {allowed}")
    examples: dict[str, Example] = {}
    for text in _texts(_files(path), num_characters_total):
        for chunk in chunks(text, num_characters):
            identifier = digest(chunk)
            examples.setdefault(identifier, Example(id=identifier, group=identifier, texts=(chunk,)))
    if not examples:
        raise InvalidInput(f"task 'text_folder': the text files in {path!r} are all empty")
    return {"train": list(examples.values())}


def _files(path: str) -> list[Path]:
    folder = Path(path).expanduser() if isinstance(path, str) else path
    if not isinstance(folder, Path) or not folder.is_dir():
        raise InvalidInput(
            f"task 'text_folder': path is {path!r}; it must be an existing folder of text files"
        )
    files = [item for item in folder.rglob("*") if item.name.endswith(SUFFIXES) and item.is_file()]
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    visible = [folder / name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    if not visible:
        raise InvalidInput(
            f"task 'text_folder': {path!r} has no text file; any of {', '.join(SUFFIXES)} will do"
        )
    return visible


def _texts(files: list[Path], num_characters: int | None) -> Iterator[str]:
    """The texts of files, or their beginnings that together have at most `num_characters`."""
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
        # An unreadable byte in a book is no reason to refuse a corpus.
        with opener(file, "rt", encoding="utf-8", errors="replace") as stream:
            return stream.read(-1 if num_characters is None else num_characters)
    except (OSError, EOFError) as error:
        raise InvalidInput(f"task 'text_folder': {file} can't be read: {error}") from error


def chunks(text: str, num_characters: int) -> Iterator[str]:
    """Consecutive paragraphs joined to chunks of at most `num_characters` (longer only where a single word
    is)."""
    chunk = ""
    for paragraph in re.split(r"\n\s*\n", text):
        for piece in _pieces(paragraph, num_characters):
            if chunk and len(chunk) + 1 + len(piece) > num_characters:
                yield chunk
                chunk = piece
            else:
                chunk = f"{chunk}\n{piece}" if chunk else piece
    if chunk:
        yield chunk


def _pieces(paragraph: str, num_characters: int) -> Iterator[str]:
    """A paragraph without its line breaks, in pieces of whole words of at most `num_characters`."""
    piece = ""
    for word in paragraph.split():
        if piece and len(piece) + 1 + len(word) > num_characters:
            yield piece
            piece = word
        else:
            piece = f"{piece} {word}" if piece else word
    if piece:
        yield piece


tasks.add(
    "text_folder",
    Task(
        name="text_folder",
        summary="Text of any folder of .txt and .md files, in chunks, to pretrain a model on (params: path)",
        kind="text",
        num_classes=0,
        load=load_folder,
        num_train=1_000_000,  # in effect all of it: num_characters_total is what limits a corpus
        balanced=False,
    ),
)
