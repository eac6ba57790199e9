"""A corpus for pretraining: the text files of a folder (.txt and .md, plain or gzipped), in chunks.

A chunk is a sequence of paragraphs of one file, together of at most `num_characters`; a longer paragraph is
cut between words. With `num_characters_total`, the files are read in turn and each may use an equal share of
the characters that are left, so that the corpus comes from all files and what short files don't use goes to
later ones.
"""

from __future__ import annotations

import codecs
import gzip
import logging
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from raysweep.errors import InvalidInput
from raysweep.spec.identity import digest
from raysweep.tasks import encodings
from raysweep.tasks.base import Example, Task, require_count, tasks
from raysweep.tasks.places import place, user_path

logger = logging.getLogger(__name__)

NAME = "text_folder"
_REPLACEMENT = "\ufffd"
SUFFIXES = (".txt", ".md", ".txt.gz", ".md.gz")


def load_folder(
    *,
    path: str,
    num_characters: int = 400,
    num_characters_total: int | None = None,
    encoding: str = encodings.DEFAULT,
) -> dict[str, list[Example]]:
    """The distinct chunks of all text files below a folder, in the order of their paths.

    Bytes that aren't text in this encoding are replaced by U+FFFD and counted: a few of them are no reason to
    refuse a corpus.

    Raises:
        InvalidInput: the folder doesn't exist or has no text, a file can't be read, is UTF-16 unless
            `encoding` says so, or a parameter is out of range.
    """
    encodings.require_encoding(NAME, encoding)
    require_count(NAME, "num_characters", num_characters)
    require_count(NAME, "num_characters_total", num_characters_total, optional=True)
    examples: dict[str, Example] = {}
    for text in _texts(_files(path), num_characters_total, encoding):
        for chunk in chunks(text, num_characters):
            identifier = digest(chunk)
            examples.setdefault(identifier, Example(id=identifier, group=identifier, texts=(chunk,)))
    if not examples:
        raise InvalidInput(f"task {NAME!r}: the text files in {path!r} are all empty")
    return {"train": list(examples.values())}


def _files(path: str) -> list[Path]:
    folder = user_path(f"task {NAME!r}", path) if isinstance(path, str) else path
    if not isinstance(folder, Path) or not folder.is_dir():
        raise InvalidInput(f"task {NAME!r}: path is {path!r}; it must be an existing folder of text files")
    files = [item for item in folder.rglob("*") if item.name.endswith(SUFFIXES) and item.is_file()]
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    visible = [folder / name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    if not visible:
        raise InvalidInput(f"task {NAME!r}: {path!r} has no text file; any of {', '.join(SUFFIXES)} will do")
    return visible


def _texts(files: list[Path], num_characters: int | None, encoding: str) -> Iterator[str]:
    """The texts of files; with `num_characters`, their beginnings, which together have at most so many."""
    left = num_characters
    for position, file in enumerate(files):
        share = None if left is None else left // (len(files) - position)
        text = _read(file, share, encoding)
        if left is not None:
            left -= len(text)
        yield text


def _read(file: Path, num_characters: int | None, encoding: str) -> str:
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rb") as stream:
            wide = encodings.wide_encoding(stream.read(encodings.SAMPLE))
        if wide and codecs.lookup(encoding).name == encodings.DEFAULT:
            raise InvalidInput(
                f"task {NAME!r}: {file} isn't UTF-8, but {wide}, as it seems; give the parameter "
                f"encoding={wide!r}, or write it again as UTF-8"
            )
        with opener(file, "rt", encoding=encoding, errors="replace") as stream:
            text: str = stream.read(-1 if num_characters is None else num_characters)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"task {NAME!r}: {file} can't be read: {error}") from error
    if replaced := text.count(_REPLACEMENT):
        line = 1 + text.count("\n", 0, text.index(_REPLACEMENT))
        logger.warning(
            "%s has %d characters U+FFFD, most likely for bytes that aren't %s; the parameter encoding says "
            "which encoding it has",
            place(file, line=line), replaced, encoding,
        )  # fmt: skip
    return text


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
