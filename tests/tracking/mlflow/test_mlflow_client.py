"""MLflow shows what the store holds: every run and cell once, with the values of the results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, ViewType
from tracked_sweep import (
    NUM_STEPS,
    assert_complete,
    experiment_of,
    fail,
    finish,
    forget,
    history,
    of_kind,
    of_role,
    shown,
    snapshot,
    tiny_plan,
    write_report,
)

from raysweep.data.inputs import RunInputs
from raysweep.planning.plan import Plan
from raysweep.results.from_store import CellReader
from raysweep.results.measure import measure_curve, remeasure
from raysweep.store import RunStatus, Store
from raysweep.tracking import BackgroundSync, log_report, sync
from raysweep.tracking.entry import Entry, EntryKey
from raysweep.tracking.mlflow.tags import model_name, params_of, tags_of


def test_one_mlflow_run_for_each_run_and_each_cell_with_the_values_of_results(
    finished: tuple[Plan, Store], uri: str
) -> None:
    plan, store = finished
    summary = sync(uri, plan, store)
    assert (summary.num_runs, summary.num_cells, summary.num_unchanged) == (
        len(plan.runs),
        len(plan.cells),
        0,
    )
    assert_complete(uri, plan)
    runs = shown(uri)
    client = MlflowClient(uri)
    reader = CellReader(store)

    (parent,) = of_kind(runs, "sweep")
    for run in runs.values():  # runs are nested below the sweep, cells are beside it
        nested_below = parent.info.run_id if run.data.tags["kind"] == "run" else None
        assert run.data.tags.get("mlflow.parentRunId") == nested_below

    for cell in plan.cells:
        run = runs[f"sandbox: w4 → w8, {cell.method}, seed {cell.seed}"]
        expected = reader.numbers(cell)
        assert {"pgr", "pgr_at_ground_truth_stop", "ceiling_agreement", "student_auroc"} <= set(expected)
        assert {name: value for name, value in run.data.metrics.items() if "/" not in name} == expected
        curve = measure_curve(RunInputs(cell.runs.student, store))
        points = list(zip(curve["step"], curve["test_accuracy"], strict=True))
        assert history(client, run)["curve/test_accuracy"] == points
        ceiling = measure_curve(RunInputs(cell.runs.ceiling, store), cell.runs.supervisor)
        with_errors = list(zip(ceiling["step"], ceiling["test_agreement_supervisor_wrong"], strict=True))
        assert history(client, run)["curve/ceiling_test_agreement_supervisor_wrong"] == with_errors
        assert run.data.params["method"] == cell.method
        assert run.data.params["objective"] == (
            "confidence" if cell.method == "confidence" else "cross_entropy"
        )
        for role in ("supervisor", "student", "ceiling"):
            assert run.data.tags[f"raysweep.{role}"] == getattr(cell.runs, role).id
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
    students = [run for run in plan.runs.values() if run.role == "student"]
    (student,) = [run for run in students if run.spec.objective.name == "confidence"]
    run = runs[f"student w8 of w4 on sandbox, confidence, seed {student.spec.seed}"]
    result = store.run(student.id).read_result()
    assert result["metrics"].items() <= run.data.metrics.items()
    assert run.data.metrics["num_steps"] == NUM_STEPS
    assert run.info.end_time == round(result["info"]["finished_at"] * 1000)
    assert run.info.start_time == round((result["info"]["finished_at"] - 2) * 1000)
    expected = {
        "role": "student",
        "task": "sandbox",
        "model": "w8",
        "seed": str(student.spec.seed),
        "train_split": "transfer",
    }
    assert "kind" not in run.data.params
    expected |= {
        "learning_rate": "0.001",
        "batch_size": "32",
        "objective_alpha_max": "0.5",
        "resources_num_workers": "0",
    }
    assert expected.items() <= run.data.params.items()
    tags = run.data.tags
    assert (tags["kind"], tags["role"], tags["raysweep.run_id"]) == ("run", "student", student.id)
    assert (tags["pairs"], tags["method"]) == ("w4 → w8", "confidence")
    assert tags["mlflow.source.git.commit"] == "c0ffee"
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


def test_kept_weights_are_a_logged_model_of_their_run_once(copied: tuple[Plan, Store], uri: str) -> None:
    plan, store = copied
    ceiling = of_role(plan, "ceiling")
    folder = store.run(ceiling.id)
    folder.model.mkdir()
    (folder.model / "weights").write_text("weights")
    folder.finish(ceiling.spec, folder.read_result()["metrics"], folder.read_result()["info"])
    sync(uri, plan, store)
    client = MlflowClient(uri)
    run = shown(uri)["ceiling w8 on sandbox, seed 0"]

    def models() -> list[LoggedModel]:
        found = client.search_logged_models([run.info.experiment_id])
        return [model for model in found if model.name == "ceiling w8 on sandbox seed 0"]

    (model,) = models()
    assert (model.source_run_id, model.status.name) == (run.info.run_id, "READY")
    assert (model.model_type, model.params["role"]) == ("ceiling", "ceiling")
    assert model.params["folder"] == str(folder.model)
    client.delete_tag(run.info.run_id, "raysweep.content")  # as if it had been killed while it was written
    assert sync(uri, plan, store).num_runs == 1
    assert [found.model_id for found in models()] == [model.model_id]
    folder.replace_metrics({"test_accuracy": 0.5})  # other numbers: another MLflow run, and its model
    sync(uri, plan, store)
    (model,) = models()
    assert model.source_run_id == shown(uri)["ceiling w8 on sandbox, seed 0"].info.run_id != run.info.run_id


def test_a_description_that_a_user_wrote_is_left_alone(finished: tuple[Plan, Store], uri: str) -> None:
    plan, store = finished
    sync(uri, plan, store)
    tags = experiment_of(uri).tags
    links = re.findall(r"viewStateShareKey=([\w-]+)", tags["mlflow.note.content"])
    assert len(links) == 7
    for key in links:
        view = json.loads(tags[f"mlflow.sharedViewState.{key}"])
        assert view["name"] in tags["mlflow.note.content"]
        assert json.loads(view["state"])["searchFilter"].count("tags.kind") >= 1
    MlflowClient(uri).set_experiment_tag(
        experiment_of(uri).experiment_id, "mlflow.note.content", "my own words"
    )
    sync(uri, plan, store)
    assert experiment_of(uri).tags["mlflow.note.content"] == "my own words"


def assert_report(uri: str, folder: Path) -> None:
    """The second of two reports is on the sweep's own run, and the experiment's description links to it."""
    (parent,) = of_kind(shown(uri), "sweep")
    client = MlflowClient(uri)
    run_id = parent.info.run_id
    assert {item.path for item in client.list_artifacts(run_id)} == {"figures", "report.html", "sweep.json"}
    assert [item.path for item in client.list_artifacts(run_id, "figures")] == ["figures/pgr.svg"]
    assert Path(client.download_artifacts(run_id, "report.html", str(folder))).read_text() == "second"
    description = experiment_of(uri).tags["mlflow.note.content"]
    assert f"runs/{run_id}/artifacts/report.html" in description


def test_a_report_is_put_into_the_sweeps_own_run_in_place_of_an_older_one(
    finished: tuple[Plan, Store], uri: str, tmp_path: Path
) -> None:
    plan, store = finished
    log_report(uri, plan, store, write_report(tmp_path / "first", "first", "pgr.svg", "old.svg"))
    log_report(uri, plan, store, write_report(tmp_path / "second", "second", "pgr.svg"))
    assert_report(uri, tmp_path)
    sync(uri, plan, store)  # by a client that hasn't attached it
    assert_report(uri, tmp_path)


def test_syncing_again_changes_nothing(finished: tuple[Plan, Store], uri: str) -> None:
    plan, store = finished
    sync(uri, plan, store)
    before = snapshot(uri)
    summary = sync(uri, plan, store)
    assert (summary.num_runs, summary.num_cells) == (0, 0)
    assert summary.num_unchanged == len(plan.runs) + len(plan.cells) + 2  # rows of results
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
    fail(student, store, "the loss became nan at step 7\n\nTraceback …")
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
    ceiling = of_role(plan, "ceiling")
    forget(ceiling, store)
    finish(ceiling, store, attempt=1)
    summary = sync(uri, plan, store)
    assert (summary.num_runs, summary.num_cells) == (1, 2)
    assert_complete(uri, plan)
    reader = CellReader(store)
    for cell in plan.cells:
        metrics = shown(uri)[f"sandbox: w4 → w8, {cell.method}, seed {cell.seed}"].data.metrics
        assert metrics["ceiling_accuracy"] == reader.numbers(cell)["ceiling_accuracy"]


def test_cells_of_a_changed_sweep_of_the_same_name_are_told_and_stay_findable(
    copied: tuple[Plan, Store], uri: str
) -> None:
    plan, store = copied
    assert sync(uri, plan, store).replaced == ""
    before = {run.info.run_id for kind in ("cell", "group") for run in of_kind(shown(uri), kind)}
    changed = tiny_plan(store, learning_rate=2e-3)
    for run in changed.runs.values():
        if run.status(store) is not RunStatus.DONE:
            finish(run, store)
    told = sync(uri, changed, store).replaced
    assert told.startswith("2 of the cells of 'tiny' had other runs before, as 'sandbox: w4 → w8, ")
    assert "learning_rate 0.001 → 0.002" in told
    client, experiment = MlflowClient(uri), experiment_of(uri).experiment_id
    deleted = client.search_runs([experiment], "", ViewType.DELETED_ONLY)
    assert {run.info.run_id for run in deleted} == before
    assert len(client.search_runs([experiment], "tags.kind = 'cell'")) == 2
    assert sync(uri, changed, store).replaced == ""
    background = BackgroundSync(uri, plan, store)
    assert background.close() is None and background.replaced.startswith("2 of the cells of 'tiny'")


def test_what_is_measured_later_is_shown_after_syncing(copied: tuple[Plan, Store], uri: str) -> None:
    plan, store = copied
    student = store.run(plan.cells[0].runs.student.id)
    complete = student.read_result()["metrics"]
    student.replace_metrics({name: value for name, value in complete.items() if "auroc" not in name})
    sync(uri, plan, store)
    name = f"sandbox: w4 → w8, {plan.cells[0].method}, seed {plan.cells[0].seed}"
    assert "student_auroc" not in shown(uri)[name].data.metrics
    assert remeasure([run.spec for run in plan.runs.values()], store).changed == {
        plan.cells[0].runs.student.id
    }
    summary = sync(uri, plan, store)
    assert (summary.num_runs, summary.num_cells) == (1, 1)
    assert_complete(uri, plan)
    assert shown(uri)[name].data.metrics["student_auroc"] == complete["test_auroc"]
    run = shown(uri)[f"student w8 of w4 on sandbox, {plan.cells[0].method}, seed {plan.cells[0].seed}"]
    assert run.data.metrics["test_auroc"] == complete["test_auroc"]


def test_views_compare_what_differs_and_are_linked_from_the_sweeps_own_run(
    finished: tuple[Plan, Store], uri: str
) -> None:
    sync(uri, *finished)
    tags = experiment_of(uri).tags
    states = {
        key: json.loads(json.loads(tags[f"mlflow.sharedViewState.raysweep-{key}"])["state"])
        for key in ("cells", "means", "pgr", "curves", "parallel", "trainings", "failed")
    }
    assert states["cells"]["searchFilter"] == "tags.kind = 'cell'"
    assert states["trainings"]["searchFilter"] == "tags.kind = 'run'"
    assert states["failed"]["searchFilter"] == "attributes.status = 'FAILED' and tags.kind = 'run'"
    assert "params.`role`" in states["trainings"]["selectedColumns"]
    assert states["parallel"]["compareRunCharts"][0]["selectedParams"] == ["method"]
    # Means of single seeds' PGRs are another number: rows have their own entries, and nothing is averaged.
    for key in ("means", "pgr"):
        assert states[key]["searchFilter"] == "tags.kind = 'group'" and "groupBy" not in states[key]
    assert [key["groupByData"] for key in states["curves"]["groupBy"]["groupByKeys"]] == ["method"]
    assert not [chart for chart in states["curves"]["compareRunCharts"] if "pgr" in chart["metricKey"]]
    (parent,) = of_kind(shown(uri), "sweep")
    note = parent.data.tags["mlflow.note.content"]
    assert note.count("viewStateShareKey=raysweep-") == 7
    experiment = experiment_of(uri).experiment_id
    for key in states:
        assert f"(#/experiments/{experiment}/runs?viewStateShareKey=raysweep-{key}&" in note
    client = MlflowClient(uri)
    for condition, expected in (
        ("tags.kind = 'cell'", len(finished[0].cells)),
        ("tags.kind = 'run'", len(finished[0].runs)),
        ("tags.kind = 'group'", 2),
        ("tags.role = 'student'", 2),
        ("params.role = 'pretrain'", 2),
    ):
        assert len(client.search_runs([experiment], condition)) == expected, condition


def entry(**fields: Any) -> Entry:
    values = {
        "key": EntryKey("run", "0123"),
        "name": "run",
        "status": RunStatus.DONE,
        "start": 0.0,
        "end": 1.0,
    }
    return Entry(**values | fields)


def test_an_entry_in_the_words_of_mlflow() -> None:
    shown = entry(parent="p", note="text", commit="c0ffee", tags={"role": "student"}, params={"seed": "0"})
    assert tags_of(shown) == {
        "raysweep.run_id": "0123",
        "kind": "run",
        "role": "student",
        "mlflow.parentRunId": "p",
        "mlflow.note.content": "text",
        "mlflow.source.git.commit": "c0ffee",
    }
    assert params_of(shown) == {"seed": "0"}
    assert tags_of(entry(key=EntryKey("cell", "1"))) == {"raysweep.cell": "1", "kind": "cell"}
    assert tags_of(entry(key=EntryKey("sweep", "2"))) == {"raysweep.sweep": "2", "kind": "sweep"}
    assert model_name('ceiling a/b:c on 50% "x"\'.1') == "ceiling a-b-c on 50- -x---1"


def test_texts_that_are_longer_than_mlflow_takes_are_shortened() -> None:
    error = "the cause\n" + "x" * 20_000 + "\nthe last line"
    tags = tags_of(entry(note=f"Failed:\n{error}", tags={"raysweep.error": error}))
    params = params_of(entry(params={"pattern": error}))
    assert tags["raysweep.error"] == params["pattern"] == error[:4999] + "…"
    note = tags["mlflow.note.content"]
    assert len(note) <= 5000
    assert (
        note.startswith("Failed:\nthe cause\nxxx") and note.endswith("xxx\nthe last line") and "\n…\n" in note
    )


def test_a_failure_with_a_long_traceback_is_written(copied: tuple[Plan, Store], uri: str) -> None:
    plan, store = copied
    fail(of_role(plan, "student"), store, "broken" * 2_000 + "\n" + "line\n" * 5_000)
    sync(uri, plan, store)
    (failed,) = [
        run for run in shown(uri).values() if run.info.status == "FAILED" and "role" in run.data.tags
    ]
    assert failed.data.tags["raysweep.error"].startswith("brokenbroken")
    assert sync(uri, plan, store).num_runs == 0
