"""Rows of a user's own table: files of several formats, a DataFrame, or a data set.

CSV and JSON are read by the standard library, which keeps every value as it is and refuses a broken row.
pandas and pyarrow change some silently: both read `"a" b` as `a b`, pandas fills rows that are too short, and
in JSON Lines both give all values of a column one type, so that 1 becomes 1.0 beside 2.5, and pyarrow turns
dates into timestamps and rounds large whole numbers.
"""

from __future__ import annotations

import gzip
import logging
import zlib
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from raysweep.errors import InvalidInput
from raysweep.tasks import encodings
from raysweep.tasks.base import POOLS
from raysweep.tasks.delimited import read_delimited
from raysweep.tasks.examples import Row, Rows
from raysweep.tasks.hub import HubData, read_parquet
from raysweep.tasks.json_files import read_json_lines, read_json_list
from raysweep.tasks.places import Fault, brief, place, require_once, user_path
from raysweep.tasks.templates import Template, column_of
from raysweep.tasks.values import is_missing

if TYPE_CHECKING:
    import datasets
    import pandas as pd

Table: TypeAlias = "str | Path | pd.DataFrame | datasets.Dataset"
Tables: TypeAlias = "Table | Sequence[Table]"
Source: TypeAlias = "Tables | Mapping[str, Tables] | HubData"
"""A table, several of equal columns, these for each pool, or a data set of the hub."""
Lines: TypeAlias = Iterator[tuple[int, Row]]

logger = logging.getLogger(__name__)

DELIMITERS = {".csv": ",", ".tsv": "\t"}
READERS: Mapping[str, Callable[[str], Lines]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_list,
}
PARQUET = ".parquet"
ALLOWED = (
    "a table is a file called "
    f"{', '.join(f'*{suffix}' for suffix in (*DELIMITERS, *READERS))}, one of these with .gz, or *{PARQUET}; "
    "a list of such files; a pandas.DataFrame or a datasets.Dataset; one of these for each pool, as in "
    "{'train': ..., 'test': ...}; or a data set of the hub, HubData(id=..., revision=...)"
)


@dataclass(frozen=True, kw_only=True)
class TableReader:
    """How the text files of a task are read."""

    task: str
    """The task's name, for messages."""
    encoding: str = encodings.DEFAULT
    quoting: bool | None = None
    """See `read_delimited`."""
    skip_missing: bool = False
    """Whether rows without a value that they need are left out."""

    def __post_init__(self) -> None:
        encodings.require_encoding(self.task, self.encoding)
        if self.quoting is not None and type(self.quoting) is not bool:
            raise self.refuse(f"quoting is {self.quoting!r}; it must be True, False or None")
        if type(self.skip_missing) is not bool:
            raise self.refuse(f"skip_missing is {self.skip_missing!r}; it must be True or False")

    def refuse(self, why: str) -> InvalidInput:
        """The error that names the task."""
        return InvalidInput(f"task {self.task!r}: {why}")

    def pools(
        self, source: Source, columns: Collection[str], templates: Collection[Template] = ()
    ) -> dict[str, list[Rows]]:
        """The rows of each pool. A table that isn't for a certain pool is for "train".

        Args:
            source: the tables.
            columns: columns that every table must have.
            templates: texts with columns that it must have too. Gaps in these are reported.

        Raises:
            InvalidInput: a file is missing, can't be read, has no rows or lacks a column.
        """
        if isinstance(source, HubData):
            self._require_text(source.id, None)
            pools = {pool: [rows] for pool, rows in source.rows().items()}
        else:
            tables = source if isinstance(source, Mapping) else {"train": source}
            if "train" not in tables or not set(tables) <= set(POOLS):
                given = ", ".join(map(repr, tables)) or "no pool"
                raise self.refuse(
                    f"there are tables for {given}; there must be one for 'train' and may be for "
                    "'validation' and 'test'"
                )
            pools = {pool: list(self._tables(table, pool)) for pool, table in tables.items()}
        return {
            pool: [self._checked(rows, columns, templates) for rows in sources]
            for pool, sources in pools.items()
        }

    def _checked(self, source: Rows, columns: Collection[str], templates: Collection[Template]) -> Rows:
        rows = [row for _, row in source.numbered()]
        if not rows:
            raise self.refuse(f"{source.where} has no rows")
        present = list(dict.fromkeys(column for row in rows for column in row))
        named = {column_of(field, present) for template in templates for field in template.fields}
        missing = sorted({*columns, *named} - set(present))
        if missing:
            has = ", ".join(map(repr, present))
            raise self.refuse(
                f"{source.where} has no column {', '.join(map(repr, missing))}; it has {has:.1000}"
                + _delimiter_hint(present)
            )
        checked = Rows(source.where, rows, source.lines)
        for column in sorted({column for template in templates for column in template.optional(present)}):
            gaps = [number for number, row in enumerate(rows) if is_missing(row.get(column))]
            if gaps:
                logger.warning(
                    "task %r: %s has no value (%d of %d rows are like this one); it is left out of the text",
                    self.task, checked.place(gaps[0], column), len(gaps), len(rows),
                )  # fmt: skip
        return checked

    def _tables(self, source: Any, pool: str) -> Iterator[Rows]:
        if isinstance(source, list | tuple) and source:
            for table in source:
                yield from self._tables(table, pool)
        elif isinstance(source, str | Path):
            yield self._file(source)
        else:
            where = f"the {type(source).__name__} of pool {pool!r}"
            try:
                rows = _frame_rows(source, where)
            except Fault as fault:
                raise self.refuse(f"{where} can't be used: {fault}") from fault
            if rows is None:
                raise self.refuse(f"the source is {brief(source)}, which isn't a table; {ALLOWED}")
            self._require_text(where, None)
            yield rows

    def _require_text(self, where: object, kind: str | None) -> None:
        """Refuse options that this kind of table has no use for."""
        if self.quoting is not None and kind not in DELIMITERS:
            raise self.refuse(f"quoting is {self.quoting}, but {where} isn't a .csv or .tsv file")
        if self.encoding != encodings.DEFAULT and kind not in (*DELIMITERS, *READERS):
            raise self.refuse(f"encoding is {self.encoding!r}, but {where} isn't a text file")

    def _file(self, source: str | Path) -> Rows:
        path = user_path(f"task {self.task!r}", source)
        name = path.name.lower()
        kind = Path(name.removesuffix(".gz")).suffix
        if path.is_dir():
            raise self.refuse(f"{str(path)!r} is a folder; name the files in it: {ALLOWED}")
        if kind not in (*DELIMITERS, *READERS, PARQUET) or name.endswith(f"{PARQUET}.gz"):
            raise self.refuse(f"{str(path)!r} isn't a table that can be read; {ALLOWED}")
        if not path.is_file():
            what = f"{str(path)!r} isn't a file" if path.exists() else f"there is no file {str(path)!r}"
            raise self.refuse(f"{what}; a relative path is relative to {str(Path.cwd())!r}")
        self._require_text(path, kind)
        try:
            if kind == PARQUET:
                return Rows(str(path), _parquet_rows(path))
            text = encodings.decoded(_bytes(path, name), self.encoding)
            reader = READERS.get(kind) or partial(
                read_delimited, delimiter=DELIMITERS[kind], quoting=self.quoting
            )
            may_be_stray = kind in DELIMITERS and self.quoting is None
            return self._numbered(path, text, reader(text), may_be_stray=may_be_stray)
        except Fault as fault:
            where = place(path, line=fault.line, column=fault.column)
            raise self.refuse(f"{where} can't be read as {kind.removeprefix('.')}: {fault}") from fault
        except (OSError, EOFError, zlib.error) as error:
            raise self.refuse(f"{path} can't be read: {error}") from error

    def _numbered(self, path: Path, text: str, numbered: Lines, *, may_be_stray: bool) -> Rows:
        """The rows of a text file with their lines. Values with line breaks are reported, if they may be due
        to stray quotes."""
        rows: list[Row] = []
        lines = array("q")
        for line, row in numbered:
            rows.append(row)
            lines.append(line)
        if not text.strip():
            raise self.refuse(f"{path} has no rows: it is empty")
        broken = [line for line, row in zip(lines, rows, strict=True) if may_be_stray and _has_breaks(row)]
        if broken:
            logger.warning(
                "task %r: %s: %d of %d rows have values in quotes that go over several lines, the first in "
                "line %d; quoting=False reads every line as a row, quoting=True is silent",
                self.task, path, len(broken), len(rows), broken[0],
            )  # fmt: skip
        return Rows(str(path), rows, lines)


def _has_breaks(row: Row) -> bool:
    return any("\n" in value or "\r" in value for value in row.values())


def _bytes(path: Path, name: str) -> bytes:
    with (gzip.open if name.endswith(".gz") else open)(path, "rb") as file:
        data: bytes = file.read()
    return data


def _parquet_rows(path: Path) -> list[Row]:
    """The rows of a Parquet file.

    Raises:
        Fault: a column occurs twice, or has values that can't be read.
    """
    table = read_parquet(path)
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns.append(column.to_pylist())
        except Exception as error:  # texts that aren't UTF-8, times out of range
            raise Fault(
                f"it has a value of type {column.type} that can't be read: {error}", column=name
            ) from error
    return [dict(zip(table.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def _frame_rows(source: Any, where: str) -> Rows | None:
    """The rows of a DataFrame or a data set; None if it is neither."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        columns = list(map(str, source.columns))
        require_once(columns)
        values = [source.iloc[:, number].tolist() for number in range(len(columns))]
        return Rows(where, [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)])
    import datasets

    return Rows(where, source.with_format(None)) if isinstance(source, datasets.Dataset) else None


def _delimiter_hint(columns: Collection[str]) -> str:
    only = next(iter(columns)) if len(columns) == 1 else ""
    found = [sign for sign in (";", "\t", "|", ",") if sign in only]
    if not found:
        return ""
    return (
        f". If {found[0]!r} stands between its columns, call the file *.csv (',') or *.tsv (tab), or give "
        f"pandas.read_csv(path, sep={found[0]!r}) as the table"
    )
