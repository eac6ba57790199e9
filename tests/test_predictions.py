"""A table of predictions is valid or refused, comes back as it was written, and damage to its file is
noticed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raysweep.errors import CorruptFile, InvalidInput
from raysweep.predictions import Predictions

IDS = ["a", "b", "c"]
PROBABILITIES = [[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]]


def table(**changes: Any) -> Predictions:
    fields = {
        "ids": np.array(IDS),
        "probabilities": np.array(PROBABILITIES),
        "weight": np.ones(3),
        "covered": np.ones(3, bool),
        "source": "test",
    }
    return Predictions(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": np.array(["a", "b"])}, "differ in length"),
        ({"weight": np.ones(2)}, "differ in length"),
        ({"covered": np.ones(4, bool)}, "differ in length"),
        ({"probabilities": np.ones(3)}, "differ in length"),
        ({"ids": np.array(["a", "b", "a"])}, "an example id occurs twice"),
        ({"probabilities": np.array([[0.2, 0.7], [0.5, 0.5], [1, 0]])}, "isn't a probability distribution"),
        (
            {"probabilities": np.array([[0.2, 0.8], [0.5, 0.5], [1.1, -0.1]])},
            "isn't a probability distribution",
        ),
        (
            {"probabilities": np.array([[0.2, 0.8], [np.nan, 0.5], [1, 0]])},
            "isn't a probability distribution",
        ),
        (
            {"probabilities": np.array([[0.2, 0.8], [np.inf, 0.5], [1, 0]])},
            "isn't a probability distribution",
        ),
        ({"weight": np.array([1, -1, 1.0])}, "weight is negative or not a number"),
        ({"weight": np.array([1, np.nan, 1.0])}, "weight is negative or not a number"),
    ],
)
def test_what_is_not_a_table_of_predictions_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"predictions of test: .*{message}"):
        table(**changes)


def test_rows_that_are_not_covered_may_hold_anything() -> None:
    rows = np.array([[0.2, 0.8], [np.nan, np.nan], [0.0, 0.0]])
    assert table(probabilities=rows, covered=np.array([True, False, False])).covered.sum() == 1


def test_labels_from_class_numbers() -> None:
    labels = Predictions.one_hot(IDS, [2, 0, 1], 3)
    assert labels.probabilities.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert labels.source == "ground truth" and labels.weight.tolist() == [1, 1, 1] and labels.covered.all()
    for wrong in ([0, 1, 2], [0, -1, 1]):
        with pytest.raises(InvalidInput, match="a class isn't one of 0 to 1"):
            Predictions.one_hot(IDS, wrong, 2)


def test_the_most_probable_class_and_the_lowest_on_a_tie() -> None:
    assert table().classes.tolist() == [1, 0, 0]
    assert len(table()) == 3


def test_rows_are_aligned_by_id() -> None:
    aligned = table(weight=np.array([1, 2, 3.0]), covered=np.array([True, False, True])).align(["c", "a"])
    assert (
        aligned.ids.tolist() == ["c", "a"]
        and aligned.weight.tolist() == [3, 1]
        and aligned.covered.tolist() == [True, True]
    )
    assert aligned.probabilities.tolist() == [[1.0, 0.0], [0.2, 0.8]]
    with pytest.raises(InvalidInput, match=r"predictions of test lack 2 of 3 examples, such as 'x'"):
        table().align(["x", "a", "y"])


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), size=50)
    written = Predictions(
        np.array([f"id–{n}" for n in range(50)]), probabilities, rng.random(50), rng.random(50) > 0.5, "run 1"
    )
    path = tmp_path / "deep" / "p.parquet"
    written.write(path)
    read = Predictions.read(path)
    for name in ("ids", "probabilities", "weight", "covered"):
        assert np.array_equal(getattr(read, name), getattr(written, name)), name
    assert read.source == "run 1" and read.probabilities.dtype == np.float64
    assert list(pd.read_parquet(path).columns) == ["id", "probabilities", "weight", "covered", "source"]
    assert [item.name for item in path.parent.iterdir()] == ["p.parquet"]


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    table().write(path)
    whole = path.read_bytes()
    for length in [0, 1, 4, *range(8, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptFile, match=r"p\.parquet can't be read as predictions"):
            Predictions.read(path)
    frames = [
        pd.DataFrame({"id": ["a"]}),
        pd.DataFrame(
            {"id": ["a"], "probabilities": [None], "weight": [1.0], "covered": [True], "source": ["x"]}
        ),
        pd.DataFrame(
            {"id": ["a"], "probabilities": [[0.1, 0.2]], "weight": [1.0], "covered": [True], "source": ["x"]}
        ),
        pd.DataFrame(
            {"id": ["a"], "probabilities": ["text"], "weight": [1.0], "covered": [True], "source": ["x"]}
        ),
        pd.DataFrame(
            {
                "id": ["a", "b"],
                "probabilities": [[1.0, 0.0], [1.0]],
                "weight": 1.0,
                "covered": True,
                "source": "x",
            }
        ),
        pd.DataFrame({"id": [], "probabilities": [], "weight": [], "covered": [], "source": []}),
    ]
    for frame in frames:
        frame.to_parquet(path)
        with pytest.raises(CorruptFile, match=r"p\.parquet can't be read as predictions"):
            Predictions.read(path)
    with pytest.raises(CorruptFile):
        Predictions.read(tmp_path / "absent.parquet")
