"""Tasks from a user's own tables: what rows become, in every format, and what is refused."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, disable_progress_bars

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks import classification_task, generative_task, load_task, preference_task
from raysweep.tasks.base import Example, Task
from raysweep.tasks.examples import Row
from raysweep.tasks.hub import HubData
from raysweep.tasks.splits import divide
from raysweep.tasks.table_files import TableReader

SHARED = Path(__file__).parents[3] / "shared/data"
REVIEWS = [
    {"title": "Good", "body": 'a "fine"\nbook', "stars": "5", "author": "x", "length": "3"},
    {"title": "Bad", "body": "boring", "stars": "1", "author": "y", "length": ""},
    {"title": "So so", "body": "fine, at times", "stars": "3", "author": "x", "length": "2.5"},
]
CSV = (
    "title,body,stars,author,length\n"
    'Good,"a ""fine""\nbook",5,x,3\n'
    "Bad,boring,1,y,\n"
    'So so,"fine, at times",3,x,2.5\n'
)  # fmt: skip


def examples_of(task: Task, pool: str = "train") -> list[Example]:
    return list(task.load()[pool])


def reviews(source: Any, **facts: Any) -> Task:
    known: dict[str, Any] = {"text": "{title}: {body}", "label": "stars", "classes": [1, 3, 5]}
    return classification_task(source, **(known | facts))


def written(path: Path) -> Path:
    """Write the reviews in the format of the file's suffix. The .tsv has others, without line breaks."""
    text = {
        ".csv": CSV,
        ".tsv": "title\tbody\tstars\nBad, really\tboring\t1\nGood\tfine\t5\n",
        ".jsonl": "\n".join(map(json.dumps, REVIEWS)) + "\n\n",
        ".json": json.dumps(REVIEWS),
    }.get(path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix)
    if text is None:
        disable_progress_bars()
        Dataset.from_list(REVIEWS).to_parquet(path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl", "r.json", "r.parquet", "r.csv.gz", "r.jsonl.gz"])
def test_every_format_gives_the_same_examples(tmp_path: Path, name: str) -> None:
    task = reviews(written(tmp_path / name), group="author", difficulty="length")
    assert (task.name, task.num_classes, task.class_names) == ("r", 3, ("1", "3", "5"))
    good, bad, so_so = examples_of(task)
    assert (good.texts, good.label, good.difficulty) == (('Good: a "fine"\nbook',), 2, 3.0)
    assert (bad.texts, bad.label, bad.difficulty) == (("Bad: boring",), 0, None)
    assert (so_so.texts, so_so.label, so_so.difficulty) == (("So so: fine, at times",), 1, 2.5)
    assert good.group == so_so.group != bad.group


def test_tab_separated_columns(tmp_path: Path) -> None:
    examples = examples_of(reviews(written(tmp_path / "r.tsv")))
    assert [(item.texts[0], item.label) for item in examples] == [
        ("Bad, really: boring", 0),
        ("Good: fine", 2),
    ]


def rows_of(path: Path, text: str) -> list[Row]:
    path.write_text(text)
    (source,) = TableReader(task="t").pools(path, ["a"])["train"]
    return list(source.rows)


def test_values_are_read_as_they_are_written(tmp_path: Path) -> None:
    text = 'a,b\nNA,007\n1.0,null\n2020-01-01,\n nan ,x"y"\n'
    assert rows_of(tmp_path / "r.csv", text) == [
        {"a": "NA", "b": "007"},
        {"a": "1.0", "b": "null"},
        {"a": "2020-01-01", "b": ""},
        {"a": " nan ", "b": 'x"y"'},
    ]
    lines = [
        '{"a": 1, "b": 123456789012345678901}',
        '{"a": 2.5}',
        '{"a": "2020-01-01"}',
        '{"a": [1, "x", {}]}',
    ]
    first, second, *others = rows_of(tmp_path / "r.jsonl", "\n".join(lines))
    assert first == {"a": 1, "b": 123456789012345678901} and type(first["a"]) is int
    assert second == {"a": 2.5}
    assert others == [{"a": "2020-01-01"}, {"a": [1, "x", {}]}]


def test_functions_in_place_of_columns(tmp_path: Path) -> None:
    def positive(row: Row) -> str:
        return "yes" if int(row["stars"]) > 2 else "no"

    task = reviews(
        written(tmp_path / "r.csv"),
        text=lambda row: row["body"].upper(),
        label=positive,
        classes=["no", "yes"],
    )
    assert [(item.texts[0], item.label) for item in examples_of(task)] == [
        ('A "FINE"\nBOOK', 1), ("BORING", 0), ("FINE, AT TIMES", 1),
    ]  # fmt: skip


def test_without_a_group_equal_texts_are_one(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t,l,g\nOne,0,A\none,0,a\ntwo,1,\nthree,1,\n")
    one, same, two, three = examples_of(
        classification_task(tmp_path / "t.csv", text="{t}", label="l", classes=[0, 1])
    )
    assert one.group == same.group and len({one.group, two.group, three.group}) == 3
    grouped = classification_task(tmp_path / "t.csv", text="{t}", label="l", classes=[0, 1], group="g")
    # Values that differ in case are different groups, and empty values are no group.
    assert len({item.group for item in examples_of(grouped)}) == 4


def test_files_of_several_pools_share_groups(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,l,g\none,0,p\ntwo,1,q\n")
    (tmp_path / "b.csv").write_text("t,l,g\nthree,1,p\n")
    source: dict[str, str | Path] = {"train": tmp_path / "a.csv", "test": str(tmp_path / "b.csv")}
    pools = classification_task(source, text="{t}", label="l", classes=[0, 1], group="g").load()
    (three,) = pools["test"]
    assert [item.group == three.group for item in pools["train"]] == [True, False]


def test_rows_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(tmp_path))
    (tmp_path / "org/reviews/default").mkdir(parents=True)
    written(tmp_path / "org/reviews/default/all.parquet")
    task = reviews(HubData(id="org/reviews", revision="0123abc", splits={"train": "all"}))
    assert task.name == "org/reviews" and [item.label for item in examples_of(task)] == [2, 0, 1]


def test_ten_lines_of_a_users_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_task.py").write_text(
        "from raysweep.tasks import classification_task\n"
        "parity = classification_task(\n"
        "    'numbers.csv', text='{number}', label='odd', classes=[0, 1], num_test=10\n"
        ")\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    spec = TaskSpec(name="my_own_task:parity", num_train=20)
    with pytest.raises(
        InvalidInput, match=r"task 'numbers': there is no file 'numbers\.csv'; a relative path is relative to"
    ):
        load_task(spec)  # imported, though the file isn't there
    (tmp_path / "numbers.csv").write_text(
        "number,odd\n" + "".join(f"{number},{number % 2}\n" for number in range(100))
    )
    data = load_task(spec)
    assert {name: len(examples) for name, examples in data.splits.items()} == {
        "supervisor": 20, "transfer": 20, "validation": 10, "test": 10,
    }  # fmt: skip
    assert all(int(item.texts[0]) % 2 == item.label for item in data.split("transfer"))


# Preferences


def test_chosen_and_rejected_texts(tmp_path: Path) -> None:
    rows = [
        {"q": f"Q{number}", "chosen": f"good {number}", "rejected": f"bad {number}"} for number in range(200)
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = preference_task(tmp_path / "p.jsonl", first="{q}\n{chosen}", second="{q}\n{rejected}")
    examples = examples_of(task)
    assert (task.kind, task.num_classes) == ("preference", 2)
    for number, item in enumerate(examples):
        assert item.label is not None
        assert (item.texts[item.label], item.texts[1 - item.label]) == (
            f"Q{number}\ngood {number}",
            f"Q{number}\nbad {number}",
        )
    assert 70 < sum(item.label or 0 for item in examples) < 130, "the better text is always on one side"


def test_a_label_that_says_which_is_better(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"a": "one", "b": "two", "won": "A", "p": 1},
        {"a": "three", "b": "four", "won": "B", "p": 1},
        {"a": "five", "b": "six", "won": None, "p": 2},
        {"a": "seven", "b": "eight", "won": "both", "p": 2},
        {"a": "same", "b": "Same", "won": "A", "p": 3},
    ]
    (tmp_path / "p.json").write_text(json.dumps(rows))
    known: dict[str, Any] = {
        "first": "{a}",
        "second": "{b}",
        "label": "won",
        "classes": ["A", "B"],
        "group": "p",
    }
    examples = examples_of(preference_task(tmp_path / "p.json", ties=(None, "both"), **known))
    assert [item.texts[item.label or 0] for item in examples] == ["one", "four"]
    assert examples[0].group == examples[1].group
    with pytest.raises(
        InvalidInput,
        match=r"p\.json, line 1, column 'won' .*: the label is 'both'; classes has 'A', 'B', ties None",
    ):
        examples_of(preference_task(tmp_path / "p.json", **known))


def majority(row: Row) -> int:
    """The answer that two of three annotators of PandaLM prefer: 1, 2, or 0 for a tie."""
    value, votes = Counter(row[f"annotator{number}"] for number in (1, 2, 3)).most_common(1)[0]
    return int(value) if votes > 1 else 0


@pytest.mark.parametrize(
    ("file", "prompt", "responses", "label", "classes", "ties", "num_pairs"),
    [
        ("preference_pandalm/testset-v1.json", "instruction", "response{}", majority, (1, 2), (0,), 523),
        ("preference_autoj/testdata_pairwise.jsonl.gz", "prompt", "response {}", "label", (0, 1), (2,), 671),
    ],
)
def test_real_preferences(
    file: str,
    prompt: str,
    responses: str,
    label: Any,
    classes: tuple[int, int],
    ties: tuple[int],
    num_pairs: int,
) -> None:
    path = SHARED / file
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    opener = gzip.open if path.suffix == ".gz" else open
    text = opener(path, "rt").read()
    rows = json.loads(text) if path.suffix == ".json" else list(map(json.loads, text.splitlines()))
    values = [label(row) if callable(label) else row[label] for row in rows]
    first, second = (f"{{{prompt}}}\n{{{responses.format(number)}}}" for number in (1, 2))
    task = preference_task(
        path, first=first, second=second, label=label, classes=classes, ties=ties, group=prompt
    )
    examples = examples_of(task)
    better = {
        f"{row[prompt]}\n{row[responses.format(1 + classes.index(value))]}"
        for row, value in zip(rows, values, strict=True)
        if value not in ties
    }
    assert {item.texts[item.label or 0] for item in examples} <= better
    # AutoJ: 900 less 229 ties. PandaLM: 593 of 659 aren't ties, and 70 of these are repeated.
    assert len(examples) == num_pairs
    splits = divide(task, {"train": examples}, TaskSpec(name=task.name)).splits
    prompts = [{item.texts[0].partition("\n")[0] for item in split} for split in splits.values()]
    assert len(splits["supervisor"]) == len(splits["transfer"]) > 150 and all(prompts)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"classes": (0, 0)}, r"classes is \(0, 0\); it must list different values"),
        ({"classes": {0, 1}}, "classes is .*; it must be a list: its order numbers the classes"),
        ({"ties": "tie"}, "ties is 'tie'; it must be a list of values"),
        ({"ties": None}, "ties is None; it must be a list of values"),
    ],
)
def test_outcomes_that_are_no_lists(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        preference_task("p.csv", first="{a}", second="{b}", label="l", **facts)


# What is refused


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"classes": [1]}, r"task 'r': classes is \[1\]; it must list the values of the label, two or more"),
        ({"classes": [1, "1"]}, r"classes is \[1, '1'\]; it must list different values"),
        ({"classes": "15"}, r"classes is '15'; it must be a list: its order numbers the classes"),
        ({"classes": {1, 5}}, r"classes is \{1, 5\}; it must be a list: its order numbers the classes"),
        ({"classes": {1: 0, 5: 1}}, "it must be a list: its order numbers"),
        ({"classes": range(10**9)}, "classes has 1,000,000,000 values; at most 10,000 are possible"),
        ({"classes": [None, 1]}, "classes has None; it must list texts or numbers"),
        ({"classes": [float("nan"), 1]}, "classes has nan; it must list texts or numbers"),
        ({"classes": [[1], [2]]}, r"classes has \[1\]; it must list texts or numbers"),
        ({"text": 3}, r"text is 3; it must be a text with the names of columns, as in '\{title\}"),
        ({"encoding": "utf-99"}, "encoding is 'utf-99'; it must be one that Python knows, such as 'utf-8'"),
        ({"encoding": None}, "encoding is None; it must be one"),
        ({"quoting": "no"}, "quoting is 'no'; it must be True, False or None"),
        ({"text": "title"}, r"text is 'title'; it must name columns, as in '\{title\}: \{body\}'"),
        ({"text": "{}"}, r"text is '\{\}'; it must name columns"),
        (
            {"text": "{title"},
            r"text is '\{title': expected '\}' before end of string; write \{\{ or \}\} for a brace",
        ),
    ],
)
def test_what_is_wrong_before_a_file_is_read(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        reviews("r.csv", **facts)


@pytest.mark.parametrize(
    ("classes", "ties"),
    [((0,), ()), ((0, 1, 2), ()), ((0, 1), (1,)), ((True, False), ("true",))],
    ids=["one", "three", "tie", "tie in another form"],
)
def test_outcomes_of_a_comparison_that_are_wrong(classes: Any, ties: Any) -> None:
    with pytest.raises(
        InvalidInput, match=r"classes must be the two values of the label .* no value may be a tie too"
    ):
        preference_task("p.csv", first="{a}", second="{b}", label="l", classes=classes, ties=ties)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"label": "rating"},
            r"task 'r': .*r\.csv has no column 'rating'; it has 'title', 'body', 'stars', 'author'",
        ),
        ({"text": "{head} {title}", "group": "writer"}, "has no column 'head', 'writer'; it has"),
        (
            {"classes": [1, 5]},
            r"r\.csv, line 5, column 'stars' can't be used: the label is '3'; classes has 1, 5$",
        ),
        (
            {"text": "{length}"},
            r"r\.csv, line 4, column 'length' can't be used: there is no value, which text needs\. Leave "
            "such rows out with skip_missing=True",
        ),
        ({"text": lambda row: row["nobody"]}, r"line 2 can't be used: KeyError\('nobody'\) \(3 of 3 rows"),
        (
            {"difficulty": "author"},
            "line 2, column 'author' can't be used: the difficulty is 'x'; it must be a finite number",
        ),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path: Path, facts: dict[str, Any], message: str) -> None:
    task = reviews(written(tmp_path / "r.csv"), **facts)
    with pytest.raises(InvalidInput, match=message):
        task.load()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.csv", b"", r"r\.csv has no rows: it is empty"),
        ("r.csv", b"title,body,stars\n", r"r\.csv has no rows"),
        ("r.parquet", b"PAR1", r"r\.parquet can't be read as Parquet"),
        ("r.csv.gz", b"title,body\n", r"r\.csv\.gz can't be read: Not a gzipped file"),
        (
            "r.csv.gz",
            gzip.compress(CSV.encode(), mtime=0)[:-12],  # with a time, the test had another name each time
            r"r\.csv\.gz can't be read: Compressed file ended",
        ),
        ("r.csv.gz", b"\x1f\x8b\x08" + b"\0" * 7 + b"\xff" * 20, r"r\.csv\.gz can't be read: Error -3"),
        (
            "r.xlsx",
            b"",
            r"r\.xlsx' isn't a table that can be read; .* called \*\.csv, .*HubData\(id=\.\.\., rev",
        ),
        ("r", b"", r"r' isn't a table that can be read"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        reviews(tmp_path / name).load()


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(CSV, encoding="utf-8-sig")
    assert len(examples_of(reviews(tmp_path / "r.csv"))) == 3


def test_pools_that_do_not_exist(tmp_path: Path) -> None:
    for source in ({"test": "a.csv"}, {"train": "a.csv", "dev": "b.csv"}):
        with pytest.raises(
            InvalidInput, match=r"there are tables for '.*'; there must be one for 'train' and may be for"
        ):
            reviews(source).load()


def test_a_class_without_rows_is_refused_when_the_task_is_divided(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("t,l\n" + "".join(f"{number},0\n" for number in range(20)))
    task = classification_task(tmp_path / "r.csv", text="{t}", label="l", classes=[0, 1])
    with pytest.raises(
        InvalidInput, match=r"task 'r': the pool 'train' has 20 examples \(20 of class 0, 0 of class 1\)"
    ):
        divide(task, task.load(), TaskSpec(name="r"))


def test_prompts_with_answers(tmp_path: Path) -> None:
    rows = [
        {"country": "Peru", "capital": " Lima ", "size": 1},
        {"country": "Mali", "capital": "Bamako", "size": 2.5},
        {"country": "Nowhere", "capital": "A"},
        {"country": "Nowhere", "capital": "B"},
    ]
    (tmp_path / "capitals.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = generative_task(
        tmp_path / "capitals.jsonl",
        prompt="The capital of {country} is",
        target="{capital}",
        difficulty="size",
    )
    assert (task.kind, task.num_classes) == ("generative", 0)
    peru, mali = examples_of(task)  # two answers to one prompt are no ground truth
    assert (peru.texts, peru.target, peru.label, peru.difficulty) == (
        ("The capital of Peru is",),
        "Lima",
        None,
        1,
    )
    assert (mali.target, mali.allowed) == ("Bamako", ())


@pytest.mark.skipif(not (SHARED / "gsm8k").is_dir(), reason=f"no real rows in {SHARED / 'gsm8k'}")
def test_real_prompts_with_answers() -> None:
    source = {"train": SHARED / "gsm8k/train.jsonl.gz", "test": SHARED / "gsm8k/test.jsonl"}
    task = generative_task(
        source, prompt="{question}", target=lambda row: row["answer"].rpartition("#### ")[2]
    )
    spec = TaskSpec(name="gsm8k", num_train=500, num_validation=50, num_test=100)
    data = divide(task, task.load(), spec).splits
    assert {name: len(examples) for name, examples in data.items()} == {
        "supervisor": 500, "transfer": 500, "validation": 50, "test": 100,
    }  # fmt: skip
    assert all(
        example.target and example.target.replace(",", "").lstrip("-")[0].isdigit()
        for example in data["test"]
    )
