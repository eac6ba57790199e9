"""CSV and TSV files, read by the standard library, which refuses a broken row.

In a CSV file a value in quotes may hold delimiters and line breaks (RFC 4180). A stray quote at the start of
a value therefore swallows all rows up to the next quote, without a trace. Such a value is found by its lines,
which are rows by themselves, and refused.

In most TSV files, such as those of GLUE, a row is a line and quotes are characters, but spreadsheets and
pandas quote as in CSV. So if every line has as many values as the header, quotes are taken as quotes only
where all of the file's can be read so.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence

from raysweep.tasks.examples import Row
from raysweep.tasks.places import Fault, brief, require_once

_HINT = (
    "quoting=False takes quotes as characters and every line as a row. What other programs write otherwise "
    '(quotes as \\" instead of "") pandas.read_csv can read with its options, and a DataFrame is a table too'
)
_SWALLOWED = {"\t": (2, 0), ",": (10, 0.9)}
"""From how many lines on, and from which share of lines with as many values as a row on, a row is suspicious
whose first and last lines have as many. Prose has commas, but hardly ever tabs."""


def read_delimited(text: str, delimiter: str, quoting: bool | None) -> Iterator[tuple[int, Row]]:
    """The rows of a table whose first row is a header, each with the line in which it begins.

    Args:
        quoting: whether a value that begins with a quote ends with the next single quote, and may hold
            delimiters and line breaks; None to find out.

    Raises:
        Fault: a row has more or fewer values than the header, a column occurs twice, or quotes are broken.
    """
    csv.field_size_limit(sys.maxsize)  # texts may be longer than the default of 128 kB
    lines = list(io.StringIO(text, newline=""))
    decide = quoting is None
    if decide:
        quoting = delimiter != "\t" or not _has_bare_quotes(lines, delimiter)
    records = _records(lines, delimiter, bool(quoting))
    _, _, header = next(records, (1, 1, []))
    require_once(header, 1)
    uniform = decide and _is_uniform(lines, delimiter)
    for first, last, values in records:
        if decide and last > first and len(header) > 1:
            _refuse_swallowed(lines[first - 1 : last], first, len(header), delimiter, uniform)
        if len(values) != len(header):
            raise Fault(
                f"the row has {len(values)} values and the header {len(header)}: {brief(values)}", line=first
            )
        yield first, dict(zip(header, values, strict=True))


def _records(lines: list[str], delimiter: str, quoting: bool) -> Iterator[tuple[int, int, list[str]]]:
    """Each record that isn't blank: its first line, its last one, and its values."""
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        strict=True,
        quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
    )
    while True:
        first = reader.line_num + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            end = f" in line {reader.line_num}" if reader.line_num != first else ""
            raise Fault(f"{error}{end}: {lines[first - 1].strip():.80}. {_HINT}", line=first) from error
        if values is None:
            return
        if values:
            yield first, reader.line_num, values


def _has_bare_quotes(lines: Sequence[str], delimiter: str) -> bool:
    """Whether every line is a row and some value begins with a quote that can't be one around the value."""
    return _is_uniform(lines, delimiter) and not all(
        _is_quoted(value)
        for line in lines
        for value in line.rstrip("\r\n").split(delimiter)
        if value.startswith('"')
    )


def _is_uniform(lines: Sequence[str], delimiter: str) -> bool:
    """Whether all lines that aren't blank have equally many values, if quotes are characters."""
    return len({line.count(delimiter) for line in lines if line.strip("\r\n")}) == 1


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value.endswith('"') and '"' not in value[1:-1].replace('""', "")


def _refuse_swallowed(
    lines: Sequence[str], first: int, num_values: int, delimiter: str, uniform: bool
) -> None:
    """Refuse a record of several lines that are rows by themselves."""
    are_rows = [line.count(delimiter) + 1 == num_values for line in lines]
    rows = sum(are_rows)
    num_lines, share = _SWALLOWED[delimiter]
    is_suspicious = len(lines) >= num_lines and rows >= share * len(lines) and are_rows[0] and are_rows[-1]
    if uniform or is_suspicious:
        raise Fault(
            f"lines {first} to {first + len(lines) - 1} are one row, with a value in quotes, but {rows} of "
            f"these {len(lines)} lines have {num_values} values by themselves, as a row has. With "
            "quoting=False quotes are characters and every line is a row; with quoting=True it is read as it "
            "stands",
            line=first,
        )
