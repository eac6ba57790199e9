"""Inputs of tasks that are broken, or look so: what they are, and what must become of them.

A case is a few files and the lines of Python with which a user makes a task of them. It ends with a clear
message (an `InvalidInput` with certain words), or is accepted, and then certain words are in the texts of the
examples. `test_broken_tables` loads them in its own process, from a module as a user would write it.
"""

import csv
import gzip
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow
import pyarrow.parquet

Rows = list[dict[str, Any]]
CLASSIFICATION = 'classification_task({source}, text="{{text}}", label="label", classes=[0, 1]{more})'
PREFERENCE = 'preference_task({source}, first="{{text}} yes", second="{{other}}", label="label"{more})'
GENERATIVE = 'generative_task({source}, prompt="{{text}}", target="{{other}}"{more})'
TASKS = {"classification": CLASSIFICATION, "preference": PREFERENCE, "generative": GENERATIVE}
HEAD = """import datasets
import pandas as pd

from raysweep import TaskSpec
from raysweep.tasks import classification_task, generative_task, preference_task
from raysweep.tasks.hub import HubData
"""
TEXT_FORMATS = ("csv", "tsv", "jsonl", "ndjson", "json")
FORMATS = (*TEXT_FORMATS, "parquet", "DataFrame", "Dataset")


@dataclass(frozen=True)
class Case:
    """One input."""

    name: str
    kind: str
    """classification, preference, generative, text or chess."""
    files: Mapping[str, bytes | None]
    """By name; None for a folder."""
    task: str
    """Lines of Python with what `HEAD` imports. The last is an expression: a `Task` or a `TaskSpec`."""
    expected: Literal["clear", "accepted"]
    words: tuple[str, ...] = ()
    """Of the message; if the input is accepted, of the examples' texts."""

    @property
    def module(self) -> str:
        """A module in which `task` is the task."""
        *lines, last = self.task.split("\n")
        return "\n".join([HEAD, *lines, f"task = {last}", ""])


def good(**change: Any) -> Rows:
    """60 rows; the second of them has the changes."""
    rows: Rows = [
        {"text": f"word {number}", "other": f"other {number}", "label": number % 2, "g": number}
        for number in range(60)
    ]
    rows[1] |= change
    return rows


def written(rows: Rows, form: str) -> bytes:
    """Rows as a file of this format."""
    if form in ("csv", "tsv"):
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, delimiter="," if form == "csv" else "\t", lineterminator="\n")
        writer.writerows([list(rows[0]), *(list(row.values()) for row in rows)])
        return stream.getvalue().encode("utf-8", "surrogatepass")
    if form == "json":
        return b"[\n" + b",\n".join(json.dumps(row).encode() for row in rows) + b"\n]"
    if form == "parquet":
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
        return buffer.getvalue()
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def in_format(
    name: str,
    rows: Rows,
    form: str,
    expected: Literal["clear", "accepted"],
    words: Sequence[str] = (),
    *,
    kind: str = "classification",
    more: str = "",
) -> Case:
    """A case of rows in a format."""
    frames = {"DataFrame": "pd.DataFrame(rows, dtype=object)", "Dataset": "datasets.Dataset.from_list(rows)"}
    if form in frames:
        lines = f"rows = {rows!r}\n{TASKS[kind].format(source=frames[form], more=more)}"
        lines = lines.replace(": nan", ": float('nan')")
        return Case(f"{name} ({form}, {kind})", kind, {}, lines, expected, tuple(words))
    task = TASKS[kind].format(source=f"'d.{form}'", more=more)
    files = {f"d.{form}": written(rows, form)}
    return Case(f"{name} ({form}, {kind})", kind, files, task, expected, tuple(words))


def a_file(
    name: str,
    file: str,
    content: bytes | str | None,
    expected: Literal["clear", "accepted"],
    *words: str,
    kind: str = "classification",
    more: str = "",
) -> Case:
    """A case of one file in a task with default templates."""
    data = content.encode() if isinstance(content, str) else content
    task = TASKS[kind].format(source=repr(file), more=more)
    return Case(name, kind, {file: data}, task, expected, words)


def by_task(
    name: str, task: str, expected: Literal["clear", "accepted"], *words: str, kind: str = "classification"
) -> Case:
    """A case of good rows in d.csv and d.jsonl, and a task of its own."""
    return Case(
        name,
        kind,
        {"d.csv": written(good(), "csv"), "d.jsonl": written(good(), "jsonl")},
        task,
        expected,
        words,
    )


def where(form: str, column: str | None = None, number: int = 1) -> tuple[str, ...]:
    """The place of the row with this number, in words."""
    lines = {"csv": 2, "tsv": 2, "jsonl": 1, "ndjson": 1, "json": 2}
    place = f"line {number + lines[form]}" if form in lines else f"row {number} (counted from 0)"
    return (place,) if column is None else (place, f"column {column!r}")


def texts() -> Iterator[Case]:
    """Texts that are missing, or no texts, in every format that can hold them."""
    for form, kind in itertools.product(FORMATS, TASKS):
        yield in_format("all is well", good(), form, "accepted", ["word 7"], kind=kind)
        for blank in ("", "  ") if form in ("csv", "tsv") else ("", "  ", None):
            words = [*where(form, "text"), "no value", "skip_missing=True"]
            yield in_format(f"text {blank!r}", good(text=blank), form, "clear", words, kind=kind)
            more = ", skip_missing=True"
            rows = good(text=blank)
            yield in_format(f"skipped {blank!r}", rows, form, "accepted", ["word 2"], kind=kind, more=more)
    for form in ("jsonl", "ndjson", "json", "parquet", "DataFrame", "Dataset"):
        rows = [row | {"text": [row["text"], "b"]} for row in good()]
        words = [*where(form, "text", 0), "of type list", "60 of 60 rows"]
        yield in_format("a list as text", rows, form, "clear", words)
    for form, kind in itertools.product(("parquet", "DataFrame", "Dataset"), TASKS):
        rows = [row | {"text": f"é {row['g']}".encode()} for row in good()]
        yield in_format("bytes", rows, form, "accepted", ["é 7"], kind=kind)
        rows[1]["text"] = b"\xff\xfe"
        words = [*where(form, "text"), "bytes that aren't UTF-8"]
        yield in_format("bytes of something", rows, form, "clear", words, kind=kind)
    for form, kind in itertools.product(("jsonl", "ndjson", "json", "DataFrame"), TASKS):
        for column in ("text",) if kind == "classification" else ("text", "other"):
            words = [*where(form, column), "lone surrogate", "U+FFFD"]
            rows = good(**{column: "half \ud83d"})
            yield in_format(f"surrogate in {column}", rows, form, "clear", words, kind=kind)
    for form in ("csv", "tsv"):
        words = ["line 3", "lone surrogate"]
        yield in_format("surrogate", good(text="half \ud83d"), form, "clear", words)


def labels_and_numbers() -> Iterator[Case]:
    """Labels in several forms, missing ones, and difficulties and groups, in every format."""
    nan = float("nan")
    blanks: dict[str, tuple[Any, ...]] = {"jsonl": ("", None, nan), "json": ("", None, nan)}
    blanks |= {"parquet": (None,), "DataFrame": (None, nan), "Dataset": (None,)}
    conversions: dict[str, Callable[[int], Any]] = {
        "texts": str, "floats": float, "texts of floats": lambda label: f"{label}.0",
    }  # fmt: skip
    for form in FORMATS:
        for blank in blanks.get(form, ("",)):
            rows = good(label=blank)
            rows[5]["label"] = blank
            words = [*where(form, "label"), "the label has no value", "2 of 60 rows"]
            yield in_format(f"label {blank!r}", rows, form, "clear", words)
            yield in_format(f"a tie {blank!r}", rows, form, "accepted", ["word 7"], kind="preference")
        for name, convert in conversions.items():
            rows = [row | {"label": convert(row["label"])} for row in good()]
            yield in_format(f"labels as {name}", rows, form, "accepted", ["word 7"])
            yield in_format(f"labels as {name}", rows, form, "accepted", ["word 7"], kind="preference")
        yield in_format("a class of its own", good(label=2), form, "clear", [*where(form, "label"), "0, 1"])
        for bad in ("x", "inf", "1e999"):
            rows = [row | {"g": str(row["g"])} for row in good(g=bad)]
            words = [*where(form, "g"), "it must be a finite number"]
            yield in_format(f"difficulty {bad}", rows, form, "clear", words, more=', difficulty="g"')
        if form not in ("csv", "tsv"):
            rows = [row | {"g": {"a": row["g"]}} for row in good()]
            words = [*where(form, "g", 0), "of type dict"]
            yield in_format("an object as group", rows, form, "clear", words, more=', group="g"')
    for value in ("True", "b'1'", "1.0", "np.float32(1)", "np.int8(1)", "pd.Timestamp(1)", "[1]", "10**5000"):
        lines = f"import numpy as np\nrows = {good()!r}\nrows[1]['label'] = {value}\n"
        source = "pd.DataFrame(rows, dtype=object)"
        is_one = value in ("b'1'", "1.0", "np.float32(1)", "np.int8(1)")
        yield Case(
            f"a label {value} (DataFrame)",
            "classification",
            {},
            lines + CLASSIFICATION.format(source=source, more=""),
            "accepted" if is_one else "clear",
            () if is_one else where("DataFrame", "label"),
        )


def missing() -> Iterator[Case]:
    """No value in one of two columns of a template, in every form and format."""
    nan = float("nan")
    task = 'classification_task({}, text="{{other}} / {{text}}", label="label", classes=[0, 1])'
    for form in TEXT_FORMATS:
        for blank in [""] if form in ("csv", "tsv") else ["", None, nan]:
            yield Case(
                f"one of two columns is {blank!r} ({form})",
                "classification",
                {f"d.{form}": written(good(other=blank), form)},
                task.format(f"'d.{form}'"),
                "accepted",
                ("\n / word 1\n", "other 2 / word 2"),
            )
    for blank in ("''", "None", "float('nan')", "pd.NaT", "pd.NA"):
        lines = f"rows = {good()!r}\nrows[1]['other'] = {blank}\n"
        yield Case(
            f"one of two columns is {blank} (DataFrame)",
            "classification",
            {},
            lines + task.format("pd.DataFrame(rows)"),
            "accepted",
            ("\n / word 1\n",),
        )
        lines = f"rows = {good()!r}\nrows[1]['text'] = {blank}\n"
        yield Case(
            f"the only column is {blank} (DataFrame)",
            "classification",
            {},
            lines + CLASSIFICATION.format(source="pd.DataFrame(rows)", more=""),
            "clear",
            ("row 1 (counted from 0), column 'text'", "no value"),
        )


def columns() -> Iterator[Case]:
    """Names of columns."""
    table = b"text,label,text\n" + b"".join(b"a%d,%d,b\n" % (n, n % 2) for n in range(60))
    yield a_file("a header twice", "d.csv", table, "clear", "d.csv, line 1", "'text' occurs twice")
    yield a_file(
        "a header twice", "d.tsv", table.replace(b",", b"\t"), "clear", "line 1", "'text' occurs twice"
    )
    unnamed = table.replace(b",text\n", b",,\n").replace(b",b\n", b",,\n")
    yield a_file("columns without a name", "d.csv", unnamed, "accepted", "a7")
    line = '{"text": "a", "label": 0, "text": "b"}'
    yield a_file("a key twice", "d.jsonl", f'{{"text": "x", "label": 1}}\n{line}', "clear", "line 2", "twice")
    yield a_file("a key twice", "d.json", f"[\n{line}]", "clear", "d.json, line 2", "'text' occurs twice")
    twice = pyarrow.table([["a", "b"], [0, 1], ["c", "d"]], names=["text", "label", "text"])
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(twice, buffer)
    yield a_file("a column twice", "d.parquet", buffer.getvalue(), "clear", "'text' occurs twice")
    yield Case(
        "a column twice (DataFrame)",
        "classification",
        {},
        CLASSIFICATION.format(
            source="pd.DataFrame([['a', 0, 1]], columns=['text', 'label', 'label'])", more=""
        ),
        "clear",
        ("'label' occurs twice",),
    )
    for column, field in (("review.text", "review.text"), ("0", "0"), ("a[b]", "a[b]"), ("0.5", "0.5")):
        for form in FORMATS:
            rows = [{column: f"word {n}", "label": n % 2} for n in range(60)]
            case = in_format(f"a column {column}", rows, form, "accepted", ["word 7"])
            yield Case(
                case.name, case.kind, case.files, case.task.replace("{text}", f"{{{field}}}"), "accepted",
                case.words,
            )  # fmt: skip
    nested = written([{"text": {"a": [f"word {n}"]}, "label": n % 2} for n in range(60)], "jsonl")
    for field, expected, words in (
        ("text[a][0]", "accepted", ("word 7",)),
        ("text[b]", "clear", ("line 1, column 'text'", "no part {text[b]}")),
        ("text[a]", "clear", ("line 1, column 'text'", "of type list")),
        ("text.b", "clear", ("line 1, column 'text'", "no part {text.b}")),
        ("text!r", "accepted", ("['word 7']",)),
        ("nobody", "clear", ("d.jsonl has no column 'nobody'; it has 'text', 'label'",)),
    ):
        task = CLASSIFICATION.format(source="'d.jsonl'", more="").replace("{text}", f"{{{field}}}")
        yield Case(f"a field {field}", "classification", {"d.jsonl": nested}, task, expected, words)  # type: ignore[arg-type]
    semicolons = written(good(), "csv").replace(b",", b";")
    yield a_file("semicolons", "d.csv", semicolons, "clear", "no column", "read_csv(path, sep=';')")
    frame = "pd.DataFrame([[f'word {n}', n % 2] for n in range(60)])"
    yield by_task(
        "numbered columns",
        f'classification_task({frame}, text="{{0}}", label="1", classes=[0, 1])',
        "accepted",
        "word 7",
    )


def quotes() -> Iterator[Case]:
    """Quotes and lines."""
    lines = [f"word {n}\t{n % 2}" for n in range(60)]
    head = "text\tlabel\n"
    stray = ['"' + lines[0], *lines[1:11], lines[11].replace("\t", '"\t'), *lines[12:]]
    yield a_file("quotes over 12 lines", "d.tsv", head + "\n".join(stray), "accepted", '"word 0', "word 7")
    as_csv = (head + "\n".join(stray)).replace("\t", ",")
    yield a_file("quotes over 12 lines", "d.csv", as_csv, "clear", "d.csv, line 2", "quoting=False", "12")
    yield a_file("so they are", "d.csv", as_csv, "accepted", '"word 0', more=", quoting=False")
    yield a_file("one text", "d.csv", as_csv, "accepted", "word 7,1\n", more=", quoting=True")
    commas = as_csv + '\n"word, word",1'
    yield a_file("quotes over 12 lines, a comma", "d.csv", commas, "clear", "line 2", "lines 2 to 13")
    tabs = head + "\n".join(stray) + '\n"word\tword"\t1'
    yield a_file("quotes over 12 lines, a tab", "d.tsv", tabs, "clear", "line 2", "quoting=False")
    bare = [f'he "said" {lines[0]}', f'"so" {lines[1]}', f'"{lines[2]}', *lines[3:]]
    yield a_file("bare quotes", "d.tsv", head + "\n".join(bare), "accepted", '"so" word 1', '\n"word 2')
    as_csv = (head + "\n".join(bare)).replace("\t", ",")
    yield a_file("bare quotes", "d.csv", as_csv, "clear", "d.csv, line 3", "',' expected", '"so" word 1')
    yield a_file("bare quotes", "d.csv", as_csv, "accepted", '"so" word 1', more=", quoting=False")
    quoted = [f'"he ""said"" {n}"\t{n % 2}' for n in range(60)]
    yield a_file("quoted", "d.tsv", head + "\n".join(quoted), "accepted", '\nhe "said" 7\n')
    yield a_file(
        "quoted", "d.tsv", head + "\n".join(quoted), "accepted", '"he ""said"" 7"', more=", quoting=False"
    )
    broken = head + "\n".join([f'"a\nb {n}"\t{n % 2}' for n in range(60)])
    yield a_file("line breaks", "d.tsv", broken, "accepted", "a\nb 7")
    yield a_file("line breaks", "d.csv", broken.replace("\t", ","), "accepted", "a\nb 7")
    yield a_file("line breaks", "d.tsv", broken, "clear", "line 2", "1 values", more=", quoting=False")
    escaped = 'text,label\n"he \\"said, so\\" to her",1\n'
    yield a_file("backslashes", "d.csv", escaped, "clear", "line 2", "pandas.read_csv")
    unclosed = "text,label\n" + "a,0\n" * 3 + '"b,1\n' + "c,0\n" * 3
    yield a_file("an open quote", "d.csv", unclosed, "clear", "d.csv, line 5", "unexpected end of data")
    yield a_file("an open quote", "d.tsv", head + '"' + "\n".join(lines), "accepted", '\n"word 0\n')
    for form, separator in (("csv", ","), ("tsv", "\t")):
        good_lines = (head + "\n".join(lines)).replace("\t", separator)
        short, long = good_lines + "\nword", good_lines + f"\na{separator}1{separator}b"
        yield a_file("a row too short", f"d.{form}", short, "clear", "line 62", "1 values", "header 2")
        yield a_file("a row too long", f"d.{form}", long, "clear", "line 62", "3 values", "header 2")
        yield a_file("blank lines", f"d.{form}", f"\n\n{good_lines}\n\n".lstrip(), "accepted", "word 7")
        yield a_file("CRLF", f"d.{form}", good_lines.replace("\n", "\r\n"), "accepted", "word 7")
        yield a_file("CR", f"d.{form}", good_lines.replace("\n", "\r"), "accepted", "word 7")
        spaced = good_lines.replace("word 7", "word\u2028\x0b\x1c7")
        yield a_file("odd breaks", f"d.{form}", spaced, "accepted", "word\u2028\x0b\x1c7")
        yield a_file("a NUL", f"d.{form}", good_lines.replace("word 7", "a\0b"), "accepted", "a\0b")
        long_text = "x" * 300_000
        yield a_file(
            "a long text", f"d.{form}", good_lines.replace("word 7", long_text), "accepted", long_text
        )


def encodings() -> Iterator[Case]:
    """Encodings of text files."""
    for form in ("csv", "tsv", "jsonl", "json"):
        rows = [row | {"text": f"café “{row['g']}”"} for row in good()]
        data = written(rows, form).decode()
        if form in ("jsonl", "json"):
            data = data.replace("\\u00e9", "é").replace("\\u201c", "“").replace("\\u201d", "”")
        file = f"d.{form}"
        latin = data.replace("“", "<").replace("”", ">")
        line = where(form, number=0)[0]
        yield a_file("UTF-8 with a mark", file, data.encode("utf-8-sig"), "accepted", "café “7”")
        yield a_file("cp1252", file, data.encode("cp1252"), "clear", file, line, "encoding='cp1252'")
        yield a_file("latin-1", file, latin.encode("latin-1"), "clear", file, line, "encoding='latin-1'")
        yield a_file("cut", file, data.encode() + "é".encode()[:1], "clear", "ends within a character")
        for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
            yield a_file(name, file, data.encode(name), "clear", "isn't UTF-8", f"encoding={name!r}")
        for name in ("cp1252", "utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
            encoded = data.encode(name)
            more = f", encoding={name!r}"
            yield a_file(f"{name} as told", file, encoded, "accepted", "café “7”", more=more)
        more = ", encoding='ascii'"
        yield a_file("not ascii", file, data.encode(), "clear", line, "isn't ASCII", more=more)
        more = ", encoding='utf-16'"
        yield a_file("not UTF-16", file, b"abc", "clear", file, "isn't UTF-16", more=more)
    for more in (", encoding='cp1252'", ", quoting=True"):
        data = written(good(), "parquet")
        yield a_file(f"Parquet{more}", "d.parquet", data, "clear", "d.parquet isn't a", more=more)
    yield a_file("JSON, quoting", "d.json", "[]", "clear", "isn't a .csv or .tsv", more=", quoting=False")
    yield a_file("no encoding", "d.csv", "", "clear", "such as 'utf-8'", more=", encoding='klingon'")
    yield a_file("no text", "d.csv", "", "clear", "such as 'utf-8'", more=", encoding='hex'")


def broken_json() -> Iterator[Case]:
    """JSON that isn't, or holds something else."""
    row = '{"text": "a", "label": 0}'
    deep = "[" * 100_000 + "]" * 100_000
    for name, line, words in (
        ("cut", '{"text": "a', ("character 1",)),
        ("no object", "[1]", ("[1]", "an object of columns")),
        ("a number", "3", ("3", "an object of columns")),
        ("two objects", row * 2, ("",)),
        ("single quotes", "{'text': 'a'}", ("Expecting property name",)),
        ("nested deeply", f'{{"text": {deep}, "label": 0}}', ("nested too deeply",)),
        ("a huge number", f'{{"text": {"9" * 5000}, "label": 0}}', ("4300 digits",)),
        ("a comma", f"{row},", ("",)),
    ):
        yield a_file(f"{name} (jsonl)", "d.jsonl", f"{row}\n\n{line}\n", "clear", "d.jsonl, line 3", *words)
        if name not in ("two objects", "a comma"):
            data = f"[\n{row},\n{line}\n]\n"
            yield a_file(f"{name} (json)", "d.json", data, "clear", "d.json, line 3", *words)
    for name, data, words in (
        ("a dict of columns", '{"text": ["a"], "label": [0]}', ("a list of objects", "orient='records'")),
        ("lines", f"{row}\n{row}", ("call it *.jsonl",)),
        ("without an end", f"[\n{row},\n{row}\n", ("line 4", "the end of the file")),
        ("without a comma", f"[\n{row}\n{row}]", ("line 3", "','")),
        ("more after its end", f"[{row}]\n{row}", ("line 2", "after the end of the list")),
        ("empty", "", ("empty",)),
        ("blank", " \n", ("empty",)),
        ("an empty list", "[]", ("no rows",)),
        ("null", "null", ("a list of objects",)),
        ("a text", '"abc"', ("a list of objects",)),
        ("HTML", "<html></html>", ("line 1", "Expecting value")),
    ):
        yield a_file(f"{name} (json)", "d.json", data, "clear", "d.json", *words)
    pretty = json.dumps(good(), indent=2)
    yield a_file("a list", "d.jsonl", pretty, "clear", "line 1", "call it *.json")
    yield a_file("pretty", "d.json", pretty, "accepted", "word 7")
    yield a_file("HTML", "d.jsonl", "<html>\n", "clear", "d.jsonl, line 1", "Expecting value")
    deep_rows = [row | {"text": {"a": row["text"]}} for row in good()]
    yield a_file("an object", "d.jsonl", written(deep_rows, "jsonl"), "clear", "line 1", "of type dict")
    gap = [{"label": n % 2, **({"text": f"word {n}"} if n else {})} for n in range(60)]
    yield a_file(
        "a key is absent", "d.jsonl", written(gap, "jsonl"), "clear", "line 1, column 'text'", "no value"
    )


def files() -> Iterator[Case]:
    """Files of every sort, and lists of them."""
    csv_data = written(good(), "csv")
    yield a_file("empty", "d.csv", "", "clear", "d.csv has no rows: it is empty")
    yield a_file("empty", "d.tsv", "", "clear", "d.tsv has no rows: it is empty")
    yield a_file("empty", "d.jsonl", "", "clear", "d.jsonl has no rows: it is empty")
    yield a_file("only a header", "d.csv", "text,label\n", "clear", "d.csv has no rows")
    yield a_file(
        "only a header", "d.parquet", written(good()[:0] or good(), "parquet")[:-30], "clear", "Parquet"
    )
    yield a_file("zeros", "d.csv", b"\0" * 1000, "clear", "d.csv")
    yield a_file("zeros", "d.parquet", b"\0" * 1000, "clear", "d.parquet", "Copy the file again")
    yield a_file("a folder", "d.csv", None, "clear", "'d.csv' is a folder", "name the files in it")
    yield a_file("a folder", "d", None, "clear", "'d' is a folder")
    texts = pyarrow.array([b"a", b"\xff"], pyarrow.binary()).view(pyarrow.string())
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"label": [0, 1], "text": texts}), buffer)
    yield a_file("texts that aren't", "d.parquet", buffer.getvalue(), "clear", "d.parquet, column 'text'")
    yield a_file("Excel", "d.xlsx", "PK", "clear", "isn't a table that can be read", "*.csv")
    yield a_file("no suffix", "d", csv_data, "clear", "isn't a table that can be read")
    yield a_file("capitals", "D.CSV", csv_data, "accepted", "word 7")
    yield a_file("capitals, gzipped", "D.CSV.GZ", gzip.compress(csv_data), "accepted", "word 7")
    yield a_file("gzipped", "d.ndjson.gz", gzip.compress(written(good(), "jsonl")), "accepted", "word 7")
    yield a_file("gzipped", "d.json.gz", gzip.compress(written(good(), "json")), "accepted", "word 7")
    yield a_file("cut gzip", "d.csv.gz", gzip.compress(csv_data)[:-20], "clear", "d.csv.gz can't be read")
    yield a_file("no gzip", "d.csv.gz", csv_data, "clear", "d.csv.gz can't be read", "Not a gzipped file")
    yield a_file("gzip without suffix", "d.csv", gzip.compress(csv_data), "clear", "d.csv", "0x8b")
    yield a_file("Parquet as CSV", "d.csv", written(good(), "parquet"), "clear", "d.csv")
    yield a_file("CSV as Parquet", "d.parquet", csv_data, "clear", "can't be read as Parquet")
    yield a_file("CSV as JSON Lines", "d.jsonl", csv_data, "clear", "d.jsonl, line 1")
    for path, words in (
        ("n.csv", ("there is no file 'n.csv'", "relative to")),
        ("a\0b.csv", ("there is no file", "\\x00")),
        ("\ud83d.csv", ("lone surrogate", "\\ud83d")),
        ("~nobody-of-that-name/d.csv", ("~nobody-of-that-name", "home directory")),
        ("https://example.org/d.csv", ("there is no file",)),
        ("", ("is a folder",)),
        ("x" * 300 + "/d.csv", ("File name too long",)),
    ):
        task = CLASSIFICATION.format(source=ascii(path), more="")
        yield by_task(f"a path {ascii(path)[:30]}", task, "clear", *words)
    for source, expected, words in (
        ("['d.csv', 'd.jsonl']", "accepted", ("word 7",)),
        ("('d.csv',)", "accepted", ("word 7",)),
        ("['d.csv', 'n.csv']", "clear", ("there is no file 'n.csv'",)),
        ("[]", "clear", ("the source is []", "a list of such files")),
        ("[{'text': 'a', 'label': 0}]", "clear", ("the source is {'text'", "a pandas.DataFrame")),
        ("{'train': ['d.csv'], 'test': 'd.jsonl'}", "clear", ("",)),
        ("{'test': 'd.csv'}", "clear", ("there must be one for 'train'",)),
        ("{}", "clear", ("no pool", "there must be one for 'train'")),
        ("{'train': None}", "clear", ("the source is None",)),
        ("None", "clear", ("the source is None",)),
        ("3", "clear", ("the source is 3",)),
        ("b'd.csv'", "clear", ("the source is b'd.csv'",)),
        ("open('d.csv')", "clear", ("isn't a table",)),
        ("pd.read_csv('d.csv')", "accepted", ("word 7",)),
        ("[pd.read_csv('d.csv'), 'd.jsonl']", "accepted", ("word 7",)),
        ("pd.read_csv('d.csv').text", "clear", ("isn't a table",)),
        ("pd.DataFrame()", "clear", ("the DataFrame of pool 'train' has no rows",)),
        ("datasets.Dataset.from_pandas(pd.read_csv('d.csv'))", "accepted", ("word 7",)),
        ("datasets.DatasetDict(train=datasets.Dataset.from_dict({}))", "clear", ("has no rows",)),
        ("datasets.DatasetDict(all=datasets.Dataset.from_dict({}))", "clear", ("tables for 'all'",)),
        ("pd.read_csv('d.csv').itertuples()", "clear", ("isn't a table",)),
        ("datasets.Dataset.from_pandas(pd.read_csv('d.csv')).with_format('pandas')", "accepted", ("word 7",)),
        ("datasets.Dataset.from_pandas(pd.read_csv('d.csv')).with_format('numpy')", "accepted", ("word 7",)),
        (
            "datasets.Dataset.from_pandas(pd.read_csv('d.csv')).to_iterable_dataset()",
            "clear",
            ("IterableDataset",),
        ),
        ("datasets.DatasetDict(train=datasets.Dataset.from_pandas(pd.read_csv('d.csv')))", "accepted", ()),
        ("HubData(id='nobody/nothing', revision='main')", "clear", ("nobody/nothing",)),
        ("{'train': 'd.csv', 'test': 'd.xlsx'}", "clear", ("'d.xlsx' isn't a table",)),
        ("'/dev/null'", "clear", ("'/dev/null' isn't a table",)),
    ):
        task = CLASSIFICATION.format(source=source, more="")
        yield by_task(f"a source {source}", task, expected, *words)  # type: ignore[arg-type]


def arguments() -> Iterator[Case]:
    """Arguments of the functions, and functions in place of columns."""
    for more, words in (
        ("text='text', label='label', classes=[0, 1]", ("must name columns",)),
        ("text='{}', label='label', classes=[0, 1]", ("must name columns",)),
        ("text='{text', label='label', classes=[0, 1]", ("for a brace",)),
        ("text='{text:y}', label='label', classes=[0, 1]", ("line 2, column 'text'", "can't be shown")),
        ("text=3, label='label', classes=[0, 1]", ("text is 3",)),
        ("text='{text}', label='label', classes={0, 1}", ("must be a list: its order",)),
        ("text='{text}', label='label', classes={'a': 0, 'b': 1}", ("must be a list: its order",)),
        ("text='{text}', label='label', classes='01'", ("must be a list: its order",)),
        ("text='{text}', label='label', classes=(n for n in (0, 1))", ("must be a list: its order",)),
        ("text='{text}', label='label', classes=range(10**9)", ("at most 10,000",)),
        ("text='{text}', label='label', classes=[]", ("two or more",)),
        ("text='{text}', label='label', classes=['a', '\\ud83d']", ("classes has the lone surrogate",)),
        ("text='{text}', label='label', classes=[0, '0']", ("different values",)),
        ("text='{text}', label='label', classes=[0, float('nan')]", ("classes has nan",)),
        ("text='{text}', label='nobody', classes=[0, 1]", ("no column 'nobody'",)),
        ("text='{text}', label=2, classes=[0, 1]", ("label is 2", "name of a column or a function")),
        ("text='{text}', label='label', classes=[0, 1], skip_missing='no'", ("skip_missing is 'no'",)),
        ("text='{text}', label=None, classes=[0, 1]", ("label is None", "name of a column")),
        ("text='{text}', label='label', classes=[0, 1], group=2", ("group is 2", "name of a column")),
        ("text='{text}', label='label', classes=[0, 1], group=['g']", ("group is ['g']",)),
        ("text='{text}', label='label', classes=[0, 1], group='nobody'", ("no column 'nobody'",)),
        ("text='{text}', label='label', classes=[0, 1], difficulty=len", ("difficulty is <built-in",)),
        ("text='{text.upper}', label='label', classes=[0, 1]", ("line 2, column 'text'", "of type builtin")),
        ("text='{text.nobody}', label='label', classes=[0, 1]", ("line 2, column 'text'", "no part")),
        ("text=lambda row: None, label='label', classes=[0, 1]", ("line 2", "text is None", "60 of 60")),
        ("text=lambda row: ['a'], label='label', classes=[0, 1]", ("line 2", "text is ['a']")),
        ("text=lambda row: b'a', label='label', classes=[0, 1]", ("line 2", "text is b'a'")),
        ("text=lambda row: '\\ud83d', label='label', classes=[0, 1]", ("line 2", "lone surrogate")),
        ("text=lambda row: 1 / 0, label='label', classes=[0, 1]", ("line 2", "ZeroDivisionError")),
        ("text=lambda row: row['x'], label='label', classes=[0, 1]", ("line 2", "KeyError('x')")),
        ("text='{text}', label=lambda row: [], classes=[0, 1]", ("line 2", "the label is []")),
        ("text='{text}', label=lambda row: 10**5000, classes=[0, 1]", ("line 2",)),
        ("text='{text}', label=lambda row: float('nan'), classes=[0, 1]", ("line 2", "no value")),
        ("text='{text}', label='label', classes=[0, 1], difficulty='text'", ("line 2, column 'text'",)),
    ):
        yield by_task(more, f"classification_task('d.csv', {more})", "clear", *words)
    for more, words in (
        ("classes=[0]", ("two values of the label",)),
        ("classes={0, 1}", ("must be a list: its order",)),
        ("classes=[0, 1], ties=[1]", ("no value may be a tie too",)),
        ("classes=[0, 1], ties='tie'", ("ties is 'tie'",)),
        ("classes=[0, 2]", ("line 3, column 'label'", "the label is '1'", "30 of 60 rows")),
    ):
        task = f"preference_task('d.csv', first='{{text}}', second='{{other}}', label='label', {more})"
        yield by_task(more, task, "clear", *words, kind="preference")
    for more, words in (
        ("prompt='{text}', target=3", ("target is 3",)),
        ("prompt='{text}', target='Lima'", ("target is 'Lima'", "must name columns")),
        ("prompt='{text}', target=lambda row: 3", ("line 2", "target is 3")),
        ("prompt='{text}', target=lambda row: ' '", ("line 2", "target is ' '")),
        ("prompt='{text}', target=lambda row: '\\udc80'", ("line 2", "target has the lone surrogate")),
    ):
        yield by_task(more, f"generative_task('d.csv', {more})", "clear", *words, kind="generative")


def folders() -> Iterator[Case]:
    """Folders of texts, and files of chess."""

    def folder(
        name: str, data: bytes | None, expected: Any, *words: str, more: str = "", suffix: str = "txt"
    ) -> Case:
        task = f"TaskSpec(name='text_folder', params={{'path': 'f', 'num_characters': 9{more}}})"
        return Case(f"text folder: {name}", "text", {f"f/a.{suffix}": data}, task, expected, words)

    book = "\n\n".join(f"word {number}" for number in range(300))
    yield folder("good", book.encode(), "accepted", "word 7")
    yield folder("latin-1", book.encode() + b"\n\ncaf\xe9", "accepted", "caf\ufffd")
    yield folder(
        "latin-1", book.encode() + b"\n\ncaf\xe9", "accepted", "café", more=", 'encoding': 'latin-1'"
    )
    yield folder("UTF-16", book.encode("utf-16"), "clear", "a.txt", "encoding='utf-16'")
    yield folder("UTF-16", book.encode("utf-16"), "accepted", "word 7", more=", 'encoding': 'utf-16'")
    yield folder("surrogates", book.encode() + b"\n\n\xed\xa0\xbd", "accepted", "\ufffd")
    yield folder("no encoding", b"", "clear", "such as 'utf-8'", more=", 'encoding': 'x'")
    yield folder("empty", b"", "clear", "all empty")
    yield folder("no file", None, "clear", "has no text file")
    yield folder("broken gzip", gzip.compress(book.encode())[:99], "clear", "a.txt.gz", suffix="txt.gz")
    damaged = bytearray(gzip.compress(book.encode()))
    damaged[20:60] = b"\xff" * 40
    yield folder("damaged gzip", bytes(damaged), "clear", "a.txt.gz", suffix="txt.gz")
    for path in ("'f\\0'", "'~nobody-of-that-name/x'", "3", "['f']", "'a.txt'"):
        task = f"TaskSpec(name='text_folder', params={{'path': {path}}})"
        yield Case(f"text folder: path {path}", "text", {"a.txt": b"a"}, task, "clear", ("text_folder",))
    mate = "8/8/8/8/8/5k2/6q1/7K w - - 0 1"
    row = "r1bqkbnr/pppp1ppp/2n5/4p3/2B1P3/5N2/PPPP1PPP/RNBQK2R b KQkq - 3 3,g8f6 e1g1"
    for name, text, words in (
        ("a stray quote", f'{row},1\n"{row},2\n{row}",3\n', ("line 2",)),
        ("an open quote", f'{row},1\n"{row},2\n{row},3\n', ("p.csv, line", "can't be read")),
        ("a column twice", f"FEN,Moves,Rating,FEN\n{row},1,x\n", ("line 1", "'FEN' occurs twice")),
        ("NaN", f"{row},1\n{row.replace('3 3', '4 3')},nan\n", ("line 2", "the rating 'nan' isn't a number")),
        ("infinity", f"{row},inf\n", ("line 1", "the rating 'inf' isn't a number")),
        ("no position", f"{mate},h1g2 f3g2,1\n", ("line 1", "isn't a puzzle")),
        ("a surrogate", f"{row}\udced,1\n", ("line 1", "isn't a puzzle")),
        ("empty", "", ("begins with the columns []",)),
        ("only a header", "FEN,Moves,Rating\n", ("no puzzle is left",)),
        ("NUL characters", f"{row},1\n{row}\0,1\n", ("line 2", "NUL characters, as in UTF-16")),
    ):
        task = "TaskSpec(name='chess_puzzles', params={'path': 'p.csv'})"
        data = text.encode("utf-8", "surrogateescape")
        yield Case(f"chess puzzles: {name}", "chess", {"p.csv": data}, task, "clear", words)
    game = '[Event "?"]\n\n1. e4 e5 2. Nf3 Nc6 *\n'
    for name, data, words in (
        ("UTF-16", game.encode("utf-16"), ("a.pgn, line 1", "NUL characters, as in UTF-16")),
        ("an illegal move", game.encode() + game.replace("Nf3", "Nf6").encode(), ("a.pgn, line 4, game 2",)),
        ("no game", b"text without a game", ("a.pgn, line 1, game 1", "can't be played")),
        ("empty", b"", ("has no chess game",)),
    ):
        task = "TaskSpec(name='chess_games', params={'path': 'f'})"
        yield Case(f"chess games: {name}", "chess", {"f/a.pgn": data}, task, "clear", words)
    for path in ("'p\\0'", "'~nobody-of-that-name/x'", "3", "'.'"):
        task = f"TaskSpec(name='chess_puzzles', params={{'path': {path}}})"
        yield Case(f"chess puzzles: path {path}", "chess", {}, task, "clear", ("chess_puzzles",))
        task = f"TaskSpec(name='chess_games', params={{'path': {path}}})"
        yield Case(f"chess games: path {path}", "chess", {}, task, "clear", ("chess_games",))


CASES = [
    case
    for cases in (
        texts,
        labels_and_numbers,
        missing,
        columns,
        quotes,
        encodings,
        broken_json,
        files,
        arguments,
        folders,
    )
    for case in cases()
]
