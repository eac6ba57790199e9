"""MLflow shows what the store holds: once each, equal to the results, whatever happens to the server in
between."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from grid_helpers import specs_of
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType

from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.files import write_json
from raysweep.models.families import Model
from raysweep.planning.plan import Plan, PlannedRun, make_plan
from raysweep.planning.sweep import Sweep, grid
from raysweep.predictions import Predictions
from raysweep.results.from_store import CellReader
from raysweep.results.measure import measure_curve, measure_run, remeasure
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec
from raysweep.store import Store
from raysweep.tracking import Tracker, TrackingFailed, log_report, sync, ui_command
from raysweep.training.history import History

NUM_STEPS = 300


def model(width: int) -> Model:
    scratch = Scratch(
        architecture="gpt2", config={"n_embd": width, "n_layer": 1, "n_head": 1}, tokenizer=Call("word_level")
    )
    pretraining = RunSpec(
        task=TaskSpec(name="sandbox_corpus", num_train=100, num_validation=20),
        model=ModelSpec(name=f"w{width}", base=scratch),
        optimization=Optimization(learning_rate=1e-3),
        train_split="train",
        objective=Call("language_modelling"),
    )
    return Model(
        spec=ModelSpec(name=f"w{width}", base=pretraining), optimization=Optimization(learning_rate=1e-3)
    )


def finish(run: PlannedRun, store: Store, attempt: int = 0) -> None:
    """Write a run's files as a training would, with made-up predictions: students are better than floors."""
    spec = run.spec
    paths = store.run(run.id)
    rng = np.random.default_rng([int(run.id, 16), attempt])
    paths.claim(spec)
    write_json(paths.environment, {"code": {"commit": "c0ffee"}})
    records = History()
    for step in range(1, NUM_STEPS + 1):
        records.add_step(step, 1 / step, 1e-3, 10)
    is_text = spec.kind == "text"
    for split in ("validation",) if is_text else ("validation", "test", "transfer"):
        frame = read_split(spec.task, split, store)
        ids = frame["id"].to_numpy(dtype=str)
        if is_text:
            outputs = rng.random((len(ids), 1))
        else:
            right = rng.random(len(ids)) < {"supervisor": 0.6, "student": 0.75, "ceiling": 0.95}[run.role]
            certain = np.eye(2)[np.where(right, frame["label"], 1 - frame["label"]).astype(int)]
            outputs = 0.1 + 0.8 * certain
            Predictions.of(ids, outputs, run.id).write(paths.predictions(split))
        if split != "transfer":
            for step in (NUM_STEPS // 2, NUM_STEPS):
                point = pd.DataFrame({"step": step, "id": ids, "outputs": list(outputs.astype(np.float32))})
                records.points.setdefault(split, []).append(point)
    records.save(paths)
    now = time.time()
    info = {"seconds_total": 2.0, "finished_at": now, "num_steps": NUM_STEPS, "resources": {"num_workers": 0}}
    paths.finish(spec, measure_run(RunInputs(spec, store)), info)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    store = Store(tmp_path_factory.mktemp("finished") / "store")
    sweep = Sweep(
        name="tiny",
        tasks=[TaskSpec(name="sandbox", num_train=40, num_validation=40, num_test=80)],
        pairs=grid([model(4)], [model(8)]),
        methods=["naive", "confidence"],
        seeds=[0],
        evaluation=Evaluation(every=NUM_STEPS // 2),
    )
    plan = make_plan(sweep, store)
    for run in plan.runs.values():
        finish(run, store)
    return plan, store


@pytest.fixture
def copied(finished: tuple[Plan, Store], tmp_path: Path) -> tuple[Plan, Store]:
    """The finished sweep, in a store that a test may change."""
    plan, store = finished
    return plan, Store(shutil.copytree(store.folder, tmp_path / "store"))


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make, and nothing in them."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(tmp_path: Path, empty_database: Path) -> str:
    path = tmp_path / "project" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(empty_database, path)
    return f"sqlite:///{path}"


def forget(run: PlannedRun, store: Store) -> None:
    shutil.rmtree(store.run(run.id).folder)


def shown(uri: str) -> dict[str, Run]:
    """What MLflow shows of the sweep, by run name; no name may occur twice."""
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    by_name = {run.info.run_name: run for run in runs}
    assert len(by_name) == len(runs)
    return by_name


def of_kind(runs: dict[str, Run], kind: str) -> list[Run]:
    return [run for run in runs.values() if run.data.tags["kind"] == kind]


def history(client: MlflowClient, run: Run) -> dict[str, list[tuple[int, float]]]:
    names = run.data.metrics
    return {
        name: [(item.step, item.value) for item in client.get_metric_history(run.info.run_id, name)]
        for name in names
    }


def snapshot(uri: str) -> dict[str, object]:
    """All that MLflow holds, deleted runs included."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    runs = client.search_runs([experiment], run_view_type=ViewType.ALL)
    return {run.info.run_id: (run.to_dictionary(), history(client, run)) for run in runs}


def assert_complete(uri: str, plan: Plan) -> None:
    runs = shown(uri)
    assert len(runs) == len(plan.runs) + len(plan.cells) + 1
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert all("raysweep.content" in run.data.tags for run in runs.values())


def test_one_mlflow_run_for_each_run_and_each_cell_with_the_values_of_results(
    finished: tuple[Plan, Store], uri: str
) -> None:
    plan, store = finished
    lines: list[str] = []
    summary = sync(uri, plan, store, lines.append)
    assert (summary.num_runs, summary.num_cells, summary.num_unchanged) == (
        len(plan.runs),
        len(plan.cells),
        0,
    )
    assert len(lines) == len(plan.runs) + len(plan.cells)
    assert_complete(uri, plan)
    runs = shown(uri)
    client = MlflowClient(uri)
    reader = CellReader(store)

    (parent,) = of_kind(runs, "sweep")
    for run in runs.values():  # runs are nested below the sweep, cells are beside it
        nested_below = None if run.data.tags["kind"] in ("sweep", "cell") else parent.info.run_id
        assert run.data.tags.get("mlflow.parentRunId") == nested_below

    for cell in plan.cells:
        run = runs[f"sandbox: w4 → w8, {cell.method}, seed {cell.seed}"]
        expected = reader.numbers(cell)
        assert {"pgr", "pgr_at_ground_truth_stop", "ceiling_agreement", "student_auroc"} <= set(expected)
        assert {name: value for name, value in run.data.metrics.items() if "/" not in name} == expected
        curve = measure_curve(RunInputs(cell.runs.student, store))
        points = list(zip(curve["step"], curve["test_accuracy"], strict=True))
        assert history(client, run)["curve/test_accuracy"] == points
        ceiling = measure_curve(RunInputs(cell.runs.ceiling, store), supervisor=cell.runs.supervisor)
        with_errors = list(zip(ceiling["step"], ceiling["test_agreement_supervisor_wrong"], strict=True))
        assert history(client, run)["curve/ceiling_test_agreement_supervisor_wrong"] == with_errors
        assert run.data.params["method"] == cell.method
        assert run.data.params["objective"] == (
            "confidence" if cell.method == "confidence" else "cross_entropy"
        )
        assert run.data.tags["raysweep.student"] == cell.runs.student.id
        linked = client.search_runs(
            [run.info.experiment_id], f"tags.`raysweep.run_id` = '{cell.runs.supervisor.id}'"
        )
        assert linked[0].info.run_id in run.data.tags["mlflow.note.content"]
        (dataset,) = run.inputs.dataset_inputs
        assert (dataset.dataset.name, dataset.dataset.digest) == ("sandbox", cell.runs.student.task.content)
        assert [(tag.key, tag.value) for tag in dataset.tags] == [("mlflow.data.context", "test")]


def test_a_run_shows_params_metrics_curves_dataset_and_files(
    finished: tuple[Plan, Store], uri: str, tmp_path: Path
) -> None:
    plan, store = finished
    sync(uri, plan, store)
    runs = shown(uri)
    client = MlflowClient(uri)
    student = next(
        run for run in plan.runs.values() if run.role == "student" and run.spec.objective.name == "confidence"
    )
    run = runs[f"student w8 of w4 on sandbox, confidence, seed {student.spec.seed}"]
    result = store.run(student.id).read_result()
    assert result["metrics"].items() <= run.data.metrics.items()
    assert run.data.metrics["num_steps"] == NUM_STEPS
    assert run.info.end_time == round(result["info"]["finished_at"] * 1000)
    assert run.info.start_time == round((result["info"]["finished_at"] - 2) * 1000)
    expected = {
        "kind": "student",
        "task": "sandbox",
        "model": "w8",
        "seed": str(student.spec.seed),
        "train_split": "transfer",
    }
    expected |= {
        "learning_rate": "0.001",
        "batch_size": "32",
        "objective_alpha_max": "0.5",
        "resources_num_workers": "0",
    }
    assert expected.items() <= run.data.params.items()
    tags = run.data.tags
    assert (tags["pairs"], tags["method"], tags["mlflow.source.git.commit"]) == (
        "w4 → w8",
        "confidence",
        "c0ffee",
    )
    loss = history(client, run)["curve/training_loss"]
    assert len(loss) <= 200
    assert loss[0] == (1, 1.0)
    assert loss[-1] == (NUM_STEPS, 1 / NUM_STEPS)
    curves = (
        "training_learning_rate",
        "test_accuracy",
        "validation_accuracy_on_own_labels",
        "test_agreement",
    )
    assert {f"curve/{name}" for name in curves} <= set(run.data.metrics)
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.tags[0].value == "transfer"
    for name in ("spec.json", "environment.json", "result.json"):
        copy = client.download_artifacts(run.info.run_id, name, str(tmp_path))
        assert Path(copy).read_bytes() == (store.run(student.id).folder / name).read_bytes()
    assert Path(uri.removeprefix("sqlite:///")).parent.joinpath("mlartifacts").is_dir()


def experiment_of(uri: str) -> Experiment:
    return MlflowClient(uri).get_experiment_by_name("tiny")


def test_kept_weights_are_a_logged_model_of_their_run_once(copied: tuple[Plan, Store], uri: str) -> None:
    plan, store = copied
    ceiling = next(run for run in plan.runs.values() if run.role == "ceiling")
    paths = store.run(ceiling.id)
    paths.model.mkdir()
    (paths.model / "weights").write_text("weights")
    paths.finish(ceiling.spec, paths.read_result()["metrics"], paths.read_result()["info"])
    sync(uri, plan, store)
    client = MlflowClient(uri)
    name = f"ceiling w8 on sandbox, seed {ceiling.spec.seed}"
    run = shown(uri)[name]
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert (model.source_run_id, model.status.name, model.params["folder"]) == (
        run.info.run_id,
        "READY",
        str(paths.model),
    )
    client.delete_tag(run.info.run_id, "raysweep.content")  # as if it had been killed while it was written
    assert sync(uri, plan, store).num_runs == 1
    assert [found.model_id for found in client.search_logged_models([run.info.experiment_id])] == [
        model.model_id
    ]
    paths.replace_metrics({"test_accuracy": 0.5})  # other numbers: another MLflow run, and its model
    sync(uri, plan, store)
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert model.source_run_id == shown(uri)[name].info.run_id != run.info.run_id


def test_a_description_that_somebody_wrote_is_left_alone(finished: tuple[Plan, Store], uri: str) -> None:
    plan, store = finished
    sync(uri, plan, store)
    tags = experiment_of(uri).tags
    links = re.findall(r"viewStateShareKey=([\w-]+)", tags["mlflow.note.content"])
    assert len(links) == 6
    for key in links:
        view = json.loads(tags[f"mlflow.sharedViewState.{key}"])
        assert view["name"] in tags["mlflow.note.content"]
        assert json.loads(view["state"])["searchFilter"].count("tags.kind") >= 1
    MlflowClient(uri).set_experiment_tag(
        experiment_of(uri).experiment_id, "mlflow.note.content", "my own words"
    )
    sync(uri, plan, store)
    assert experiment_of(uri).tags["mlflow.note.content"] == "my own words"


def write_report(folder: Path, text: str, *figures: str) -> Path:
    (folder / "figures").mkdir(parents=True)
    (folder / "report.html").write_text(text)
    for name in figures:
        (folder / "figures" / name).write_text(text)
    return folder


def assert_report_is_replaced(uri: str, plan: Plan, store: Store, folder: Path) -> None:
    log_report(uri, plan, store, write_report(folder / "first", "first", "pgr.svg", "old.svg"))
    log_report(uri, plan, store, write_report(folder / "second", "second", "pgr.svg"))
    (parent,) = of_kind(shown(uri), "sweep")
    client = MlflowClient(uri)
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} == {
        "figures",
        "report.html",
        "sweep.json",
    }
    assert [item.path for item in client.list_artifacts(parent.info.run_id, "figures")] == ["figures/pgr.svg"]
    assert (
        Path(client.download_artifacts(parent.info.run_id, "report.html", str(folder))).read_text()
        == "second"
    )
    assert (
        f"runs/{parent.info.run_id}/artifacts/report.html" in experiment_of(uri).tags["mlflow.note.content"]
    )


def test_a_report_is_put_into_the_sweeps_own_run_in_place_of_an_older_one(
    finished: tuple[Plan, Store], uri: str, tmp_path: Path
) -> None:
    assert_report_is_replaced(uri, *finished, tmp_path)


def test_a_report_that_cant_be_put_there_is_an_error(
    finished: tuple[Plan, Store], uri: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        log_report(uri, *finished, tmp_path / "nowhere")
    with pytest.raises(TrackingFailed, match="Connection refused"):
        log_report(f"http://127.0.0.1:{free_port()}", *finished, write_report(tmp_path / "report", "text"))


def test_syncing_again_changes_nothing(finished: tuple[Plan, Store], uri: str) -> None:
    plan, store = finished
    sync(uri, plan, store)
    before = snapshot(uri)
    summary = sync(uri, plan, store)
    assert (summary.num_runs, summary.num_cells) == (0, 0)
    assert summary.num_unchanged == len(plan.runs) + len(plan.cells)
    assert snapshot(uri) == before


def test_sync_rebuilds_a_deleted_database(finished: tuple[Plan, Store], uri: str) -> None:
    plan, store = finished
    sync(uri, plan, store)
    before = {name: run.data.metrics for name, run in shown(uri).items()}
    Path(uri.removeprefix("sqlite:///")).unlink()
    sync(uri, plan, store)
    assert {name: run.data.metrics for name, run in shown(uri).items()} == before


def test_sync_rebuilds_an_experiment_that_was_deleted_in_the_ui(
    finished: tuple[Plan, Store], uri: str
) -> None:
    plan, store = finished
    sync(uri, plan, store)
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name("tiny").experiment_id)
    sync(uri, plan, store)
    assert_complete(uri, plan)


def test_a_record_that_was_half_written_is_completed_without_doubled_points(
    finished: tuple[Plan, Store], uri: str
) -> None:
    plan, store = finished
    sync(uri, plan, store)
    before = {name: (run.info.run_id, run.data.metrics) for name, run in shown(uri).items()}
    client = MlflowClient(uri)
    (cell, *_) = of_kind(shown(uri), "cell")
    client.delete_tag(cell.info.run_id, "raysweep.content")  # the last thing that is written
    points = history(client, cell)
    assert sync(uri, plan, store).num_cells == 1
    assert {name: (run.info.run_id, run.data.metrics) for name, run in shown(uri).items()} == before
    assert history(client, cell) == points


def test_a_failed_run_that_is_done_later_stays_one_mlflow_run(copied: tuple[Plan, Store], uri: str) -> None:
    plan, store = copied
    cell = plan.cells[0]
    student = plan.runs[cell.runs.student.id]
    name = f"student w8 of w4 on sandbox, {cell.method}, seed {cell.seed}"
    forget(student, store)
    error = store.run(student.id).error
    error.parent.mkdir()
    error.write_text("the loss became nan at step 7\n\nTraceback …")
    sync(uri, plan, store)
    failed = shown(uri)[name]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["raysweep.error"] == "the loss became nan at step 7"
    assert of_kind(shown(uri), "sweep")[0].info.status == "FAILED"
    assert len(of_kind(shown(uri), "cell")) == len(plan.cells) - 1

    finish(student, store)
    sync(uri, plan, store)
    assert_complete(uri, plan)
    done = shown(uri)[name]
    assert done.info.run_id == failed.info.run_id
    assert "raysweep.error" not in done.data.tags
    assert "nan" not in done.data.tags["mlflow.note.content"]


def test_a_run_that_was_computed_again_replaces_what_mlflow_shows(
    copied: tuple[Plan, Store], uri: str
) -> None:
    plan, store = copied
    sync(uri, plan, store)
    ceiling = next(run for run in plan.runs.values() if run.role == "ceiling")
    forget(ceiling, store)
    finish(ceiling, store, attempt=1)
    summary = sync(uri, plan, store)
    assert (summary.num_runs, summary.num_cells) == (1, 2)
    assert_complete(uri, plan)
    reader = CellReader(store)
    for cell in plan.cells:
        metrics = shown(uri)[f"sandbox: w4 → w8, {cell.method}, seed {cell.seed}"].data.metrics
        assert metrics["ceiling_accuracy"] == reader.numbers(cell)["ceiling_accuracy"]


def test_what_is_measured_later_is_shown_after_syncing(copied: tuple[Plan, Store], uri: str) -> None:
    plan, store = copied
    student = store.run(plan.cells[0].runs.student.id)
    complete = student.read_result()["metrics"]
    student.replace_metrics({name: value for name, value in complete.items() if "auroc" not in name})
    sync(uri, plan, store)
    name = f"sandbox: w4 → w8, {plan.cells[0].method}, seed {plan.cells[0].seed}"
    assert "student_auroc" not in shown(uri)[name].data.metrics
    assert remeasure(specs_of(plan), store).changed == {plan.cells[0].runs.student.id}
    summary = sync(uri, plan, store)
    assert (summary.num_runs, summary.num_cells) == (1, 1)
    assert_complete(uri, plan)
    assert shown(uri)[name].data.metrics["student_auroc"] == complete["test_auroc"]
    run = shown(uri)[f"student w8 of w4 on sandbox, {plan.cells[0].method}, seed {plan.cells[0].seed}"]
    assert run.data.metrics["test_auroc"] == complete["test_auroc"]


def test_the_tracker_writes_runs_as_they_end_and_cells_as_they_are_complete(
    copied: tuple[Plan, Store], uri: str
) -> None:
    plan, store = copied
    last = [run for run in plan.runs.values() if run.role == "ceiling"]
    for run in last:
        forget(run, store)
    tracker = Tracker(uri, plan, store)
    wait_until(lambda: len(shown_or_nothing(uri)) == len(plan.runs) - len(last) + 1)  # what was there before
    assert of_kind(shown(uri), "sweep")[0].info.status == "RUNNING"
    for run in last:
        finish(run, store)
        tracker.run_ended(run.id)
    wait_until(lambda: len(of_kind(shown(uri), "cell")) == len(plan.cells))
    assert tracker.close(30) is None
    assert_complete(uri, plan)


def test_one_record_that_cant_be_written_holds_up_no_other(copied: tuple[Plan, Store], uri: str) -> None:
    plan, store = copied
    student = next(run for run in plan.runs.values() if run.role == "student")
    paths = store.run(student.id)
    write_json(paths.environment, {"no code": "here"})
    paths.finish(student.spec, paths.read_result()["metrics"], paths.read_result()["info"])
    tracker = Tracker(uri, plan, store)
    message = tracker.close(20)
    assert message is not None
    assert "1 run and 1 cell" in message
    assert "KeyError: 'code'" in message
    assert len(shown(uri)) == len(plan.runs) + len(plan.cells) - 1


def test_a_server_that_is_down_neither_stops_nor_slows_the_sweep(finished: tuple[Plan, Store]) -> None:
    plan, store = finished
    address = f"http://127.0.0.1:{free_port()}"
    tracker = Tracker(address, plan, store)
    started = time.monotonic()
    for run_id in plan.runs:
        tracker.run_ended(run_id)
    assert time.monotonic() - started < 0.1
    message = tracker.close(2)
    assert time.monotonic() - started < 3
    assert message is not None
    for part in (
        address,
        f"{len(plan.runs)} runs and {len(plan.cells)} cells",
        "Connection refused",
        "raysweep sync FILE",
    ):
        assert part in message
    with pytest.raises(TrackingFailed, match="Connection refused"):
        sync(address, plan, store)


def test_a_server_that_comes_up_later_gets_everything(
    finished: tuple[Plan, Store], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan, store = finished
    port = free_port()
    tracker = Tracker(f"http://127.0.0.1:{port}", plan, store)
    for run_id in plan.runs:
        tracker.run_ended(run_id)
    threads = threading.active_count()
    random_state = random.getstate()
    time.sleep(1.5)
    with mlflow_server(port, tmp_path):
        assert tracker.close(90) is None
        assert_complete(f"http://127.0.0.1:{port}", plan)
        # The local runner trains in this very process: no thread may be left behind, no random number drawn.
        assert threading.active_count() < threads
        assert random.getstate() == random_state
        assert sync(f"http://127.0.0.1:{port}", plan, store).num_runs == 0
        assert_report_is_replaced(f"http://127.0.0.1:{port}", plan, store, tmp_path)
        assert capfd.readouterr() == ("", "")


class mlflow_server:
    """A real tracking server while the block runs."""

    def __init__(self, port: int, folder: Path) -> None:
        database = f"sqlite:///{folder / 'server.db'}"
        options = [
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
            "--backend-store-uri",
            database,
        ]
        self._command = [sys.executable, "-m", "mlflow", "server", *options]
        self._folder = folder

    def __enter__(self) -> None:
        environment = os.environ | {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        with (self._folder / "server.log").open("w") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=environment,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )

    def __exit__(self, *exception: object) -> None:
        os.killpg(self._process.pid, 15)
        self._process.wait(30)


def test_two_trackers_on_one_database_make_no_second_run(finished: tuple[Plan, Store], uri: str) -> None:
    plan, store = finished
    trackers = [Tracker(uri, plan, store) for _ in range(2)]
    for run_id in plan.runs:
        for tracker in trackers:
            tracker.run_ended(run_id)
    assert [tracker.close(20) for tracker in trackers] == [None, None]
    assert_complete(uri, plan)
    assert sync(uri, plan, store).num_runs == 0


def test_a_database_that_another_process_has_locked_is_waited_for(
    finished: tuple[Plan, Store], uri: str
) -> None:
    plan, store = finished
    sync(uri, plan, store)
    client = MlflowClient(uri)
    for run in shown(uri).values():
        client.delete_run(run.info.run_id)
    database = sqlite3.connect(uri.removeprefix("sqlite:///"))
    database.execute("BEGIN EXCLUSIVE")
    tracker = Tracker(uri, plan, store)
    assert tracker.close(2) is not None
    database.rollback()
    database.close()
    tracker = Tracker(uri, plan, store)
    assert tracker.close(30) is None
    assert_complete(uri, plan)


@pytest.mark.parametrize(
    "wrong", ["runs", "file:///tmp/runs", "sqlite://", "sqlite:///:memory:", "htp://host", "http:/a", ""]
)
def test_a_tracking_uri_that_cant_be_used_is_refused_with_the_allowed_ones(
    finished: tuple[Plan, Store], wrong: str
) -> None:
    with pytest.raises(InvalidInput, match="sqlite:///PATH"):
        Tracker(wrong, *finished)


def test_a_database_that_cant_be_written_is_refused_before_anything_trains(
    finished: tuple[Plan, Store],
) -> None:
    with pytest.raises(InvalidInput, match="/proc/nowhere"):
        Tracker("sqlite:////proc/nowhere/mlflow.db", *finished)


def test_the_ui_is_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        ui_command("sqlite:///mlflow.db") == f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db"
    )
    assert ui_command("http://10.0.0.1:5000") == "http://10.0.0.1:5000"
    assert ui_command("https://me:secret@mlflow.org/team") == "https://mlflow.org/team"


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.1)


def shown_or_nothing(uri: str) -> dict[str, Run]:
    return shown(uri) if MlflowClient(uri).get_experiment_by_name("tiny") else {}


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
