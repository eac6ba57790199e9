"""Sentences with the sentiment that people gave them (Hutto & Gilbert 2014, ICWSM), as tables.

Each was rated from -4 to 4 by 20 people. The label is the sign of their mean; sentences whose mean is less
than 0.5 away from 0 are left out. A sentence is the harder, the nearer to 0 its mean is.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from raysweep import InvalidInput

FILES = {"movies": "movieReviewSnippets", "tweets": "tweets", "products": "amazonReviewSnippets"}
"""Names of tables, and of the files with their sentences."""
NEUTRAL = 0.5
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"


def read_sentences(package: Path, name: str) -> list[str]:
    """The lines of a table's file in the source package: id, mean rating and sentence, with tabs between.

    Raises:
        InvalidInput: the package doesn't have it.
    """
    try:
        with (
            tarfile.open(package) as outer,
            _member(outer, INNER) as inner,
            tarfile.open(fileobj=inner) as files,
        ):
            lines = _member(files, f"hutto_ICWSM_2014/{FILES[name]}_GroundTruth.txt").read().decode()
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise InvalidInput(f"{package} isn't the source package of vaderSentiment 3.3.2: {error}") from None
    return lines.removesuffix("\n").split("\n")  # a sentence may hold other line breaks of Unicode


def _member(archive: tarfile.TarFile, name: str) -> io.BytesIO:
    """A file of an archive; nothing is unpacked to disk, whatever path it names."""
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} isn't a file")
    return io.BytesIO(file.read())


def rows(lines: list[str]) -> Iterator[dict[str, str | int | float]]:
    """Rows of a table. Sentences of one review have an id in common up to its underscore, if it has one."""
    for number, line in enumerate(lines, 1):
        try:
            name, mean, text = line.split("\t")
            rating = float(mean)
        except ValueError:
            raise InvalidInput(f"line {number} isn't an id, a rating and a sentence: {line[:60]!r}") from None
        if abs(rating) >= NEUTRAL and text.strip():
            yield {
                "text": text.strip(),
                "label": int(rating > 0),
                "difficulty": round(-abs(rating), 3),
                "review": name.partition("_")[0],
            }


def write_table(package: Path, name: str, target: Path) -> None:
    """Write a table as JSON Lines."""
    made = [json.dumps(row) for row in rows(read_sentences(package, name))]
    target.write_text("\n".join(made) + "\n")
