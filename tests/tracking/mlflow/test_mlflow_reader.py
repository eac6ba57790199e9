"""What is read from MLflow alone is what the store holds, and what is missing is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from grid_helpers import small_sweep
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow_process import free_port, mlflow_server

from raysweep.errors import InvalidInput
from raysweep.planning.plan import Plan, make_plan
from raysweep.results.frames import SweepData
from raysweep.results.from_store import read_store
from raysweep.scheduling.run import run_plan
from raysweep.store import Store
from raysweep.tracking import sync
from raysweep.tracking.mlflow.reader import read_mlflow


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """A sweep that was trained, of which one student was lost and one supervisor failed, with all that
    depends on it."""
    store = Store(tmp_path_factory.mktemp("swept") / "store")
    plan = make_plan(small_sweep(methods=["naive", "confidence"], seeds=[0, 1]), store)
    run_plan(plan, store, code={"commit": "c0ffee", "diff": "+ a line", "untracked": ""})
    naive = plan.cells[0].runs
    confidence = plan.cells[2].runs
    assert [cell.method for cell in plan.cells] == ["naive", "naive", "confidence", "confidence"]
    shutil.rmtree(store.run(confidence.student.id).folder)
    for cell in (plan.cells[1], plan.cells[3]):
        for run in (cell.runs.supervisor, cell.runs.student):
            shutil.rmtree(store.run(run.id).folder, ignore_errors=True)
    error = store.run(plan.cells[1].runs.supervisor.id).error
    error.parent.mkdir()
    error.write_text("the loss became nan at step 2\n\nTraceback …")
    assert naive.supervisor.id == confidence.supervisor.id
    return plan, store


@pytest.fixture(scope="module")
def recorded(swept: tuple[Plan, Store], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with the sweep in it."""
    database = tmp_path_factory.mktemp("recorded") / "mlflow.db"
    sync(f"sqlite:///{database}", *swept)
    return database


@pytest.fixture
def uri(recorded: Path, tmp_path: Path) -> str:
    """A copy of the database, which a test may change."""
    return f"sqlite:///{shutil.copy(recorded, tmp_path / 'mlflow.db')}"


def entry(uri: str, tag: str, value: str) -> Run:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small").experiment_id
    (found,) = client.search_runs([experiment], f"tags.`{tag}` = '{value}'")
    return found


def assert_equal(one: SweepData, other: SweepData, plan: Plan) -> None:
    assert one.name == other.name
    pd.testing.assert_frame_equal(one.cells, other.cells)
    pd.testing.assert_frame_equal(one.runs, other.runs)
    pd.testing.assert_frame_equal(one.curves, other.curves)
    assert one.provenance == other.provenance
    naive = plan.cells[0].runs
    for run in (naive.supervisor, naive.student, naive.ceiling):
        pd.testing.assert_frame_equal(one.examples(run.id), other.examples(run.id))
        for ours, theirs in zip(one.outcomes(run.id), other.outcomes(run.id), strict=True):
            assert ours is not None and theirs is not None and ours.tolist() == theirs.tolist()
    assert [row.to_json() for row in one.rows] == [row.to_json() for row in other.rows]


def test_a_database_gives_what_the_store_gives(swept: tuple[Plan, Store], uri: str) -> None:
    data = read_mlflow(uri, "small")
    assert_equal(data, read_store(*swept), swept[0])
    assert data.cells["student_accuracy"].notna().to_list() == [True, False, False, False]
    assert {"validation_accuracy_on_own_labels", "ceiling_test_agreement"} <= set(data.curves["name"])
    assert set(data.curves["step"]) == {2, 4}
    assert data.provenance["commits"] == ["c0ffee"] and data.provenance["has_uncommitted_changes"] is True
    assert data.provenance["num_finished_runs"] == len(swept[0].runs) - 4


def test_the_examples_of_an_earlier_raysweep_have_unknown_groups(swept: tuple[Plan, Store], uri: str) -> None:
    data = read_mlflow(uri, "small")
    earlier = SweepData.of_frames(
        name=data.name,
        cells=data.cells,
        runs=data.runs,
        curves=data.curves,
        provenance=data.provenance,
        read_examples=lambda run_id: data.examples(run_id).drop(columns="group"),
    )
    (known, *_), (unknown, *_) = data.rows, earlier.rows
    assert known.gap is not None and known.gap.num_groups == 40
    assert unknown.gap is not None and unknown.gap.num_groups is None
    assert (unknown.gap.pgr, unknown.gap.interval) == (known.gap.pgr, known.gap.interval)


def test_a_server_gives_what_the_store_gives(swept: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, store = swept
    with mlflow_server(tmp_path) as address:
        sync(address, plan, store)
        assert_equal(read_mlflow(address, "small"), read_store(plan, store), plan)


def test_what_is_missing_is_told_with_the_reason(swept: tuple[Plan, Store], uri: str) -> None:
    plan, _ = swept
    data = read_mlflow(uri, "small")
    assert data.cell_statuses.to_list() == ["done", "failed", "missing", "failed"]
    assert data.cells["is_finished"].to_list() == [True, False, False, False]
    runs = data.runs.set_index("run_id")
    assert len(runs) == len(plan.runs)
    supervisor = plan.cells[1].runs.supervisor.id
    student = plan.cells[1].runs.student.id
    lost = plan.cells[2].runs.student.id
    assert (runs.loc[supervisor, "status"], runs.loc[supervisor, "reason"]) == (
        "failed",
        "the loss became nan at step 2",
    )
    assert (runs.loc[lost, "status"], runs.loc[lost, "reason"]) == ("missing", "")
    assert runs.loc[student, "status"] == "missing"
    assert (
        runs.loc[student, "reason"] == f"needs run {supervisor}, which failed: the loss became nan at step 2"
    )
    assert runs.loc[[supervisor, lost], ["num_tokens", "seconds_total", "num_devices"]].isna().all(axis=None)
    with pytest.raises(InvalidInput, match="the loss became nan"):
        data.examples(supervisor)
    pretraining = data.runs.loc[data.runs["role"] == "pretrain", "run_id"].iloc[0]
    with pytest.raises(InvalidInput, match=r"no readable examples/test\.parquet"):
        data.examples(pretraining)
    with pytest.raises(InvalidInput, match="no run 'abc'"):
        data.examples("abc")


def test_of_two_entries_of_a_run_the_one_with_the_smaller_id_counts_and_deleted_ones_never(
    swept: tuple[Plan, Store], uri: str
) -> None:
    run_id = swept[0].cells[0].runs.supervisor.id
    client = MlflowClient(uri)
    first = entry(uri, "raysweep.run_id", run_id)
    second = client.create_run(first.info.experiment_id, tags={"raysweep.run_id": run_id})
    client.log_metric(second.info.run_id, "num_tokens", 999)
    client.set_terminated(second.info.run_id)
    tokens = {first.info.run_id: first.data.metrics["num_tokens"], second.info.run_id: 999}
    for expected in (tokens[min(tokens)], tokens[max(tokens)]):
        runs = read_mlflow(uri, "small").runs.set_index("run_id")
        assert len(runs) == len(swept[0].runs)
        assert runs.loc[run_id, "num_tokens"] == expected
        client.delete_run(min(tokens))


def test_only_entries_that_are_done_count(swept: tuple[Plan, Store], uri: str) -> None:
    student = swept[0].cells[0].runs.student.id
    client = MlflowClient(uri)
    client.update_run(entry(uri, "raysweep.run_id", student).info.run_id, status="RUNNING")
    data = read_mlflow(uri, "small")
    assert data.runs.set_index("run_id").loc[student, "status"] == "missing"
    assert not data.cells["is_finished"].any() and data.curves.empty


def test_a_cell_of_runs_that_are_no_longer_planned_is_missing(swept: tuple[Plan, Store], uri: str) -> None:
    cell = entry(uri, "raysweep.student", swept[0].cells[0].runs.student.id)
    MlflowClient(uri).set_tag(cell.info.run_id, "raysweep.student", "0123456789abcdef")
    data = read_mlflow(uri, "small")
    assert data.cell_statuses.to_list() == ["missing", "failed", "missing", "failed"]
    assert (data.runs["status"] == "done").sum() == len(swept[0].runs) - 4


def test_an_unknown_sweep_is_refused_with_those_that_are_there(uri: str) -> None:
    with pytest.raises(InvalidInput, match=r"no sweep 'smal'; it has small$"):
        read_mlflow(uri, "smal")
    MlflowClient(uri).create_experiment("someone else's")
    with pytest.raises(InvalidInput, match="holds no sweep"):
        read_mlflow(uri, "someone else's")


def test_what_cant_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no file .*none\.db"):
        read_mlflow(f"sqlite:///{tmp_path / 'none.db'}", "small")
    assert not (tmp_path / "none.db").exists()
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(InvalidInput, match=f"{address} couldn't be read: .*Connection refused"):
        read_mlflow(address, "small")


def test_the_command_writes_the_tables_and_says_what_is_missing(
    swept: tuple[Plan, Store], uri: str, tmp_path: Path
) -> None:
    options = ["--tracking-uri", uri, "--out", tmp_path / "tables"]
    command = [sys.executable, "-m", "raysweep.cli", "export"]
    done = subprocess.run([*command, "small", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "small: 4 cells: 1 done, 1 missing, 2 failed" in done.stdout
    assert "the loss became nan at step 2" in done.stdout
    data = read_store(*swept)
    cells = pd.read_csv(tmp_path / "tables" / "cells.csv", float_precision="round_trip")
    assert cells["status"].to_list() == ["done", "failed", "missing", "failed"]
    assert cells["student_accuracy"].to_list()[0] == data.cells["student_accuracy"][0]
    runs = pd.read_csv(tmp_path / "tables" / "runs.csv", dtype={"num_parameters": "Int64"})
    assert runs["num_parameters"].to_list() == data.runs["num_parameters"].to_list()
    curves = pd.read_csv(tmp_path / "tables" / "curves.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(curves, data.curves)
    refused = subprocess.run([*command, "large", *options], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "no sweep 'large'; it has small" in refused.stderr and "Traceback" not in refused.stderr
