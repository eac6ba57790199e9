"""`raysweep results --format`, `raysweep export` and `raysweep figures`: the same numbers in every form."""

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from grid_helpers import finish_all, small_model, small_sweep

from raysweep.cli.exit_codes import BAD_INPUT, SUCCESS
from raysweep.cli.main import main
from raysweep.planning.plan import make_plan
from raysweep.planning.sweep import grid
from raysweep.store import Store
from raysweep.tracking import sync

EXPERIMENT = """
from grid_helpers import small_model, small_sweep
from raysweep import grid


def sweep():
    pairs = grid([small_model("weak", 4)], [small_model("strong", 6)])
    return small_sweep(methods=["naive", "confidence"], seeds=[0, 1], pairs=pairs)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose runs are all done, in the store and in MLflow."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "experiment.py").write_text(EXPERIMENT)
    store = Store(folder / "raysweep-store")
    pairs = grid([small_model("weak", 4)], [small_model("strong", 6)])
    plan = make_plan(small_sweep(methods=["naive", "confidence"], seeds=[0, 1], pairs=pairs), store)
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.95)
    sync(f"sqlite:///{folder}/mlflow.db", plan, store)
    return folder


@pytest.fixture(autouse=True)
def in_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == SUCCESS
    return capsys.readouterr().out


def test_every_format_has_the_same_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    def results(form: str) -> str:
        return told(capsys, "results", "experiment.py", "--format", form)

    held = json.loads(results("json"))
    shown = told(capsys, "results", "experiment.py")
    assert shown == results("table") and shown.startswith(" ".join(held["answer"]))
    rows = list(csv.DictReader(io.StringIO(results("csv"))))
    for row, expected in zip(rows, held["rows"], strict=True):
        assert (row["method"], float(row["pgr"])) == (expected["method"], expected["pgr"])
        assert [float(row["pgr_low"]), float(row["pgr_high"])] == expected["interval"]
        assert float(row["student_accuracy"]) == expected["student_accuracy"]
        pgr = "{:.2f} [{:.2f}, {:.2f}]".format(expected["pgr"], *expected["interval"])
        assert pgr in shown
        assert f"| {pgr} |".replace("[", "\\[").replace("]", "\\]") in results("markdown")
        assert f"& {pgr} &".replace("[", "{[}").replace("]", "{]}") in results("latex")
    (compared,) = held["comparisons"]
    assert rows[0]["baseline"] == "" and rows[1]["baseline"] == "naive"
    assert float(rows[1]["p_value_corrected"]) == compared["p_value_corrected"]


def test_an_experiment_is_read_from_the_store_and_a_name_from_mlflow(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, folder in (("experiment.py", "from-store"), ("small", "from-mlflow")):
        assert "small: 4 cells: 4 done, 0 missing, 0 failed" in told(capsys, "export", name, "--out", folder)
        assert "methods_pgr.svg" in told(capsys, "figures", name, "--out", folder)
    for name in ("cells", "runs", "curves"):
        of_store, of_mlflow = (
            pd.read_csv(f"{folder}/{name}.csv") for folder in ("from-store", "from-mlflow")
        )
        pd.testing.assert_frame_equal(of_store, of_mlflow)
    files = {path.name for path in Path("from-store").iterdir()}
    assert files == {path.name for path in Path("from-mlflow").iterdir()} and "README.md" in files


def test_what_is_neither_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "smal", "--out", "out"]) == BAD_INPUT
    assert "has no sweep 'smal'; it has small" in capsys.readouterr().err
    assert main(["export", "nowhere.py", "--out", "out"]) == BAD_INPUT
    assert "there is no experiment file 'nowhere.py'" in capsys.readouterr().err
