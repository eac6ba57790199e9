"""Rows of a user's own table: files of several formats, or a data set of the hub.

CSV and JSON are read by the standard library, which keeps every value as it is and refuses a broken row.
pandas and pyarrow change some silently: both read `"a" b` as `a b`, pandas fills rows that are too short, and
in JSON Lines both give all values of a column one type, so that 1 becomes 1.0 beside 2.5, and pyarrow turns
dates into timestamps and rounds large whole numbers.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias

from raysweep.errors import InvalidInput
from raysweep.tasks.base import POOLS
from raysweep.tasks.examples import Row, Rows
from raysweep.tasks.hub import HubData, read_parquet

Source: TypeAlias = str | Path | Mapping[str, str | Path] | HubData
"""A file, a file for each pool, or a data set of the hub."""


def _delimited(stream: IO[Any], delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # texts may be longer than the default of 128 kB
    reader = csv.DictReader(stream, delimiter=delimiter, strict=True)
    for row in reader:
        if None in row or None in row.values():  # the key of surplus values, the value of missing ones
            raise ValueError(
                f"the row that ends in line {reader.line_num} has more or fewer values than the header"
            )
        yield row


def _json_lines(stream: IO[Any]) -> Iterator[Row]:
    for number, line in enumerate(stream, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
            if not isinstance(row, dict):
                raise ValueError(
                    f"line {number} is {line.strip():.80}; it must be an object of columns and values"
                )
            yield row


def _json_list(stream: IO[Any]) -> Iterator[Row]:
    rows = json.load(stream)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it must hold a list of objects of columns and values")
    yield from rows


READERS: Mapping[str, Callable[[IO[Any]], Iterable[Row]]] = {
    ".csv": partial(_delimited, delimiter=","),
    ".tsv": partial(_delimited, delimiter="\t"),
    ".jsonl": _json_lines,
    ".json": _json_list,
}


def read_pools(name: str, source: Source, columns: Collection[str]) -> dict[str, Rows]:
    """The rows of each pool. A single file is the pool "train".

    Args:
        name: the task's name, for messages.
        columns: columns that the rows of each pool must have.

    Raises:
        InvalidInput: a file is missing, can't be read, has no rows or lacks a column.
    """
    if isinstance(source, HubData):
        pools = source.rows()
    else:
        files = source if isinstance(source, Mapping) else {"train": source}
        if "train" not in files or not set(files) <= set(POOLS):
            raise InvalidInput(
                f"task {name!r}: there are files for {', '.join(map(repr, files)) or 'no pool'}; there must "
                "be one for 'train' and may be for 'validation' and 'test'"
            )
        pools = {pool: Rows(str(file), _read(name, Path(file).expanduser())) for pool, file in files.items()}
    return {pool: Rows(source.where, _checked(name, source, columns)) for pool, source in pools.items()}


def _checked(name: str, source: Rows, columns: Collection[str]) -> list[Row]:
    rows = list(source.rows)
    if not rows:
        raise InvalidInput(f"task {name!r}: {source.where} has no rows")
    present = list(dict.fromkeys(column for row in rows for column in row))
    missing = sorted(set(columns) - set(present))
    if missing:
        raise InvalidInput(
            f"task {name!r}: {source.where} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, present))}"
        )
    return rows


def _read(name: str, path: Path) -> list[Row]:
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind not in (*READERS, ".parquet") or path.name.endswith(".parquet.gz"):
        raise InvalidInput(
            f"task {name!r}: {str(path)!r} isn't a table that can be read; a table is a file called "
            f"{', '.join(f'*{suffix}' for suffix in READERS)}, one of these with .gz, or *.parquet. "
            "A data set of the hub is given as HubData(id=..., revision=...)"
        )
    if not path.is_file():
        raise InvalidInput(
            f"task {name!r}: there is no file {str(path)!r}; a relative path is relative to "
            f"{str(Path.cwd())!r}"
        )
    if kind == ".parquet":
        rows: list[Row] = read_parquet(path).to_pylist()
        return rows
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        # utf-8-sig: spreadsheets write a byte order mark before the name of the first column
        with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
            return list(READERS[kind](stream))
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise InvalidInput(
            f"task {name!r}: {path} can't be read as {kind.removeprefix('.')}: {error}"
        ) from error
