"""Rows of a mirror and of the hub, and their examples: ids, groups, refusals."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import datasets.config
import huggingface_hub.constants
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from raysweep.errors import InvalidInput
from raysweep.tasks.base import Example
from raysweep.tasks.examples import Draft, Row, Rows, examples_of
from raysweep.tasks.hub import HubData, load_rows, require_columns

LABELLED = Features({"text": Value("string"), "label": ClassLabel(names=["negative", "positive"])})


def write(path: Path, rows: Sequence[dict[str, Any]], features: Features | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(list(rows), features=features).to_parquet(path)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(tmp_path))
    datasets.disable_progress_bars()
    return tmp_path


def pools_of(rows: dict[str, list[tuple[Any, ...]]], mirror: Path) -> dict[str, list[Example]]:
    """The examples of rows (text, label, passage) of the splits train and test."""
    for split, values in rows.items():
        write(
            mirror / f"org/toy/default/{split}.parquet",
            [dict(zip("tlp", row, strict=True)) for row in values],
        )
    data = HubData(
        id="org/toy", revision="main", columns=("t", "l", "p"), splits={split: split for split in rows}
    )
    return data.pools(lambda row: [Draft((row["t"],), int(row["l"]))], lambda row: row["p"].split("|"))


def test_rows_of_a_mirror_with_class_labels_as_numbers(mirror: Path) -> None:
    write(
        mirror / "org/toy/small/train.parquet",
        [{"text": "a", "label": 1}, {"text": "b", "label": 0}],
        LABELLED,
    )
    rows = load_rows("org/toy", "small", "train", "main")
    assert list(rows) == [{"text": "a", "label": 1}, {"text": "b", "label": 0}]


def test_the_folder_of_a_data_set_is_its_config_or_data_dir_or_default(mirror: Path) -> None:
    for folder in ("config", "part", "default"):
        write(mirror / f"org/toy/{folder}/train.parquet", [{"text": folder}])
    assert load_rows("org/toy", "config", "train", "main")["text"][0] == "config"
    assert load_rows("org/toy", None, "train", "main", data_dir="part")["text"][0] == "part"
    assert load_rows("org/toy", None, "train", "main")["text"][0] == "default"


def test_a_missing_file_is_named_with_the_alternatives(mirror: Path) -> None:
    write(mirror / "org/toy/default/train.parquet", [{"text": "a"}])
    with pytest.raises(
        InvalidInput, match=r"no .*/org/toy/default/test\.parquet; of org/toy it has default/train\.parquet"
    ):
        load_rows("org/toy", None, "test", "main")
    with pytest.raises(
        InvalidInput, match=r"no .*/x/test\.parquet and no .*/default/test\.parquet; it has .* org/toy"
    ):
        load_rows("org/other", "x", "test", "main")


def test_a_missing_config_is_looked_for_under_default(mirror: Path) -> None:
    write(mirror / "org/toy/default/train.parquet", [{"text": "only config"}])
    assert load_rows("org/toy", "plain_text", "train", "main")["text"][0] == "only config"
    assert load_rows("org/toy", None, "train", "main", data_dir="plain_text")["text"][0] == "only config"


def test_a_long_split_is_cut_to_rows_from_all_over_it(mirror: Path) -> None:
    path = mirror / "org/toy/default/train.parquet"
    write(path, [{"text": str(number), "label": number % 2} for number in range(2000)], LABELLED)
    import pyarrow.parquet

    # Several row groups, and more rows than pyarrow reads at a time.
    table = pyarrow.concat_tables([pyarrow.parquet.read_table(path)] * 50)
    pyarrow.parquet.write_table(table, path, row_group_size=30_000)
    rows = list(load_rows("org/toy", None, "train", "main", max_rows=1000))
    assert rows == list(load_rows("org/toy", None, "train", "main", max_rows=1000))
    assert len(rows) == 1000 and all(int(row["text"]) % 2 == row["label"] for row in rows)
    # 1000 rows drawn from very many copies of 2000 texts have 787 ± 10 different texts.
    assert 700 < len({row["text"] for row in rows}) < 870 and 440 < sum(row["label"] for row in rows) < 560
    assert len(load_rows("org/toy", None, "train", "main", max_rows=100_000)) == 100_000


def test_the_drawn_rows_are_the_same_from_the_hub(
    monkeypatch: pytest.MonkeyPatch, mirror: Path, tmp_path: Path
) -> None:
    rows = [{"text": f"{number}" if number else None, "label": 0} for number in range(500)]
    write(mirror / "org/toy/default/train.parquet", rows, LABELLED)
    write(tmp_path / "repository/default/train/0000.parquet", rows, LABELLED)
    from_mirror = load_rows("org/toy", None, "train", "main", max_rows=20)
    monkeypatch.delenv("RAYSWEEP_DATASETS")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    from_hub = load_rows(str(tmp_path / "repository"), None, "train", "main", max_rows=20)
    assert list(from_hub) == list(from_mirror) and len(from_hub) == 20
    require_columns(from_hub, ["text"], "toy")  # the row without a text wasn't drawn


def test_a_folder_takes_the_place_of_a_config_in_a_parquet_conversion(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RAYSWEEP_DATASETS", raising=False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for config in ("justice", "virtue"):  # that branch of the hub has folders, and no list of configs
        write(tmp_path / f"repository/{config}/train/0000.parquet", [{"text": config}])
    assert list(load_rows(str(tmp_path / "repository"), None, "train", "main", data_dir="virtue")) == [
        {"text": "virtue"}
    ]


def test_a_mirror_that_does_not_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(tmp_path / "nowhere"))
    with pytest.raises(InvalidInput, match=r"nowhere: there is no .* that folder doesn't exist"):
        load_rows("org/toy", None, "train", "main")


def test_a_truncated_file_is_refused(mirror: Path) -> None:
    path = mirror / "org/toy/default/train.parquet"
    write(path, [{"text": "a" * 1000}])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidInput, match=r"train\.parquet can't be read as Parquet"):
        load_rows("org/toy", None, "train", "main")


def test_an_unreachable_hub_leads_to_the_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSWEEP_DATASETS", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        InvalidInput, match=r"org/toy .*revision abc.*from the hub.*set RAYSWEEP_DATASETS .* org/toy/c/test"
    ):
        load_rows("org/toy", "c", "test", "abc")


def test_without_a_mirror_rows_come_through_load_dataset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAYSWEEP_DATASETS", raising=False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    # load_dataset takes a local repository instead of a hub id. This is the layout of the hub's Parquet
    # conversions.
    write(tmp_path / "repository/default/train/0000.parquet", [{"text": "a", "label": 1}], LABELLED)
    write(tmp_path / "repository/default/validation/0000.parquet", [{"text": "b", "label": 0}], LABELLED)
    rows = load_rows(str(tmp_path / "repository"), None, "validation", "main")
    assert list(rows) == [{"text": "b", "label": 0}]
    assert "examples/s" not in "".join(capfd.readouterr()), "progress bars are to be off"


def test_the_revision_reaches_load_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSWEEP_DATASETS", raising=False)
    calls: list[Any] = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: calls.append((args, kwargs)))
    load_rows("org/toy", None, "test", "0123abc", data_dir="part")
    assert calls == [(("org/toy", None), {"split": "test", "revision": "0123abc", "data_dir": "part"})]


def test_a_missing_column_and_a_missing_value_are_refused() -> None:
    rows = Dataset.from_list([{"question": "q", "label": 1}, {"question": None, "label": 0}])
    require_columns(rows, ["label"], "org/toy (train)")
    with pytest.raises(
        InvalidInput, match=r"org/toy \(train\) has no column 'answer'; it has 'question', 'label'"
    ):
        require_columns(rows, ["label", "answer"], "org/toy (train)")
    with pytest.raises(
        InvalidInput, match=r"row 1 \(counted from 0\), column 'question' has no value; so have 1 of 2"
    ):
        require_columns(rows, ["question"], "org/toy (train)")


def test_values_that_are_no_texts_or_numbers_are_refused() -> None:
    rows = Dataset.from_list([{"q": b"a", "n": 1.0}, {"q": b"b", "n": float("nan")}])
    with pytest.raises(InvalidInput, match=r"org/toy \(train\), column 'q' has bytes"):
        require_columns(rows, ["q"], "org/toy (train)")
    with pytest.raises(
        InvalidInput, match=r"row 1 \(counted from 0\), column 'n' has no value; so have 1 of 2"
    ):
        require_columns(rows, ["n"], "org/toy (train)")


def test_a_column_that_occurs_twice_is_refused(mirror: Path) -> None:
    import pyarrow.parquet

    path = mirror / "org/toy/default/train.parquet"
    path.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.table([["a"], ["b"]], names=["t", "t"]), path)
    with pytest.raises(InvalidInput, match=r"train\.parquet can't be read: column 't' occurs twice"):
        load_rows("org/toy", None, "train", "main")


def test_rows_that_the_library_cannot_read_are_named() -> None:
    def rows() -> Iterator[Row]:
        yield {"t": "a"}
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    with pytest.raises(
        InvalidInput, match=r"^toy, row 1 \(counted from 0\) can't be read: UnicodeDecodeError"
    ):
        examples_of({"train": Rows("toy", rows())}, lambda row: [Draft((row["t"],), 0)], lambda row: [])


def test_a_draft_has_a_tuple_of_texts() -> None:
    with pytest.raises(
        InvalidInput, match=r"toy, row 0 .* the texts of an example are 'ab'; they must be a tup"
    ):
        examples_of({"train": Rows("toy", [{}])}, lambda row: [Draft("ab", 0)], lambda row: [])  # type: ignore[arg-type]


def test_repeated_contradictory_and_blank_rows_are_left_out(mirror: Path) -> None:
    rows = [
        ("once", 1, "p"),
        ("twice", 0, "q"),
        ("twice", 0, "q"),
        ("both", 0, "r"),
        ("both", 1, "r"),
        (" ", 1, "s"),
    ]
    pools = pools_of({"train": rows}, mirror)
    assert [(example.texts, example.label) for example in pools["train"]] == [(("once",), 1), (("twice",), 0)]


def test_ids_follow_from_texts_alone(mirror: Path) -> None:
    first = pools_of({"train": [("a", 1, "p"), ("b", 0, "q")]}, mirror)["train"]
    second = pools_of({"train": [("c", 1, "r"), ("b", 1, "q"), ("a", 0, "p")]}, mirror)["train"]
    ids = {example.texts: example.id for example in second}
    assert [example.id for example in first] == [ids["a",], ids["b",]]


def test_rows_that_share_a_text_are_one_group_over_all_pools(mirror: Path) -> None:
    train = [("a", 1, "one"), ("b", 0, "ONE |two"), ("c", 1, "three"), ("d", 0, ""), ("e", 0, "")]
    pools = pools_of({"train": train, "test": [("f", 1, "two"), ("g", 0, "four")]}, mirror)
    group = {example.texts[0]: example.group for pool in pools.values() for example in pool}
    assert group["a"] == group["b"] == group["f"]  # a and f share nothing, but both share with b
    assert len({group[name] for name in "acdeg"}) == 5


def test_a_row_that_cannot_be_rendered_is_named(mirror: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"org/toy \(train\), row 1 \(counted from 0\) can't be used: .*'yes'"
    ):
        pools_of({"train": [("a", "1", "p"), ("b", "yes", "p")]}, mirror)


def test_a_renderer_gets_only_the_columns_it_declares(mirror: Path) -> None:
    write(mirror / "org/toy/default/train.parquet", [{"a": "x", "b": "y"}])
    seen: list[Row] = []
    data = HubData(id="org/toy", revision="main", columns=("a",), splits={"train": "train"})
    data.pools(lambda row: seen.append(row) or [], lambda row: (row["a"],))  # type: ignore[func-returns-value]
    assert seen == [{"a": "x"}]
