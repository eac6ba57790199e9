"""MLflow follows a running sweep, whatever happens to its server or database meanwhile."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow_process import answering, failing_proxy, free_port, mlflow_server
from tracked_sweep import assert_complete, finish, forget, history, of_kind, shown, wait_until, write_report

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.planning.plan import Plan
from raysweep.store import Store
from raysweep.store.progress import append_line
from raysweep.tracking import BackgroundSync, TrackingFailed, log_report, sync
from raysweep.tracking.curves import run_points


def test_runs_are_written_as_they_end_and_cells_as_they_are_complete(
    copied: tuple[Plan, Store], uri: str
) -> None:
    plan, store = copied
    last = [run for run in plan.runs.values() if run.role == "ceiling"]
    for run in last:
        forget(run, store)
    background = BackgroundSync(uri, plan, store)
    wait_until(lambda: len(shown(uri)) == len(plan.runs) - len(last) + 1)  # what was there before
    assert of_kind(shown(uri), "sweep")[0].info.status == "RUNNING"
    for run in last:
        finish(run, store)
        background.run_ended(run.id)
    wait_until(lambda: len(of_kind(shown(uri), "cell")) == len(plan.cells))
    assert background.close(30) is None
    assert_complete(uri, plan)


def test_a_run_is_running_while_it_trains_and_each_point_is_there_once(
    copied: tuple[Plan, Store], uri: str
) -> None:
    plan, store = copied
    (ceiling,) = (run for run in plan.runs.values() if run.role == "ceiling")
    points = [*run_points(RunInputs(ceiling.spec, store))]
    losses = [point for point in points if point.name == "curve/training_loss"]
    forget(ceiling, store)

    def found() -> Run:
        (run,) = those_found()
        return run

    def those_found() -> list[Run]:
        return [run for run in shown(uri).values() if run.data.tags.get("raysweep.run_id") == ceiling.id]

    progress = store.run(ceiling.id).progress
    for _ in range(2):  # the second time in another process, which knows nothing of the first
        background = BackgroundSync(uri, plan, store)
        background.run_started(ceiling.id)
        append_line(progress, {"step": losses[1].step + 1, "num_steps": 300, "loss": losses[1].value})
        append_line(progress, {"step": 6, "num_steps": 300, "loss": 0.125})  # a step that no curve keeps
        wait_until(lambda: any(run.info.status == "RUNNING" for run in those_found()))
        wait_until(lambda: "curve/training_loss" in found().data.metrics)
        (sweep,) = of_kind(shown(uri), "sweep")
        assert found().data.tags["mlflow.parentRunId"] == sweep.info.run_id
        assert background.close(30) is None
        assert found().info.status == "SCHEDULED"
    finish(ceiling, store)
    sync(uri, plan, store)
    assert found().info.status == "FINISHED"
    told = history(MlflowClient(uri), found())["curve/training_loss"]
    assert 5 not in {point.step for point in losses}
    assert sorted(told) == sorted([(point.step, point.value) for point in losses] + [(5, 0.125)])
    assert_complete(uri, plan)


def test_a_server_that_went_down_neither_stops_nor_slows_the_sweep(
    finished: tuple[Plan, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, store = finished
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with answering(200, "{}") as address:
        background = BackgroundSync(address, plan, store)
    started = time.monotonic()
    for run_id in plan.runs:
        background.run_ended(run_id)
    assert time.monotonic() - started < 0.1
    message = background.close(2)
    assert time.monotonic() - started < 3
    assert message is not None
    for part in (
        address,
        f"{len(plan.runs)} runs and {len(plan.cells)} cells",
        "Connection refused",
        "raysweep sync FILE",
    ):
        assert part in message
    with pytest.raises(InvalidInput, match="Connection refused"):
        BackgroundSync(address, plan, store)
    with pytest.raises(TrackingFailed, match="Connection refused"):
        sync(address, plan, store)
    with pytest.raises(TrackingFailed, match="Connection refused"):
        log_report(address, plan, store, write_report(tmp_path / "report", "text"))


def test_a_server_that_comes_up_later_gets_everything(
    finished: tuple[Plan, Store], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan, store = finished
    port = free_port()
    with answering(200, "{}", port) as address:
        background = BackgroundSync(address, plan, store)
    for run_id in plan.runs:
        background.run_ended(run_id)
    threads = threading.active_count()
    random_state = random.getstate()
    time.sleep(1.5)
    with mlflow_server(tmp_path, port):
        assert background.close(90) is None
        assert_complete(address, plan)
        # The local runner trains in this very process: no thread may be left behind, no random number drawn.
        assert threading.active_count() < threads
        assert random.getstate() == random_state
        assert sync(address, plan, store).num_runs == 0
        log_report(address, plan, store, write_report(tmp_path / "report", "text", "pgr.svg"))
        (parent,) = of_kind(shown(address), "sweep")
        files = {item.path for item in MlflowClient(address).list_artifacts(parent.info.run_id)}
        assert files == {"figures", "report.html", "sweep.json"}
        assert capfd.readouterr() == ("", "")
        # The same server behind one that fails now and then gets another sweep's worth of entries.
        forget_all(address)
        with failing_proxy(address, share=0.2) as failing:
            background = BackgroundSync(failing, plan, store)
            assert background.close(90) is None
        assert_complete(address, plan)
        assert capfd.readouterr() == ("", "")


def forget_all(address: str) -> None:
    """Delete every run that MLflow shows."""
    for run in shown(address).values():
        MlflowClient(address).delete_run(run.info.run_id)


def test_two_writers_of_one_database_make_no_second_run(finished: tuple[Plan, Store], uri: str) -> None:
    plan, store = finished
    writers = [BackgroundSync(uri, plan, store) for _ in range(2)]
    for run_id in plan.runs:
        for writer in writers:
            writer.run_ended(run_id)
    assert [writer.close(20) for writer in writers] == [None, None]
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
    background = BackgroundSync(uri, plan, store)
    assert background.close(0.3) is not None
    database.rollback()
    database.close()
    background = BackgroundSync(uri, plan, store)
    assert background.close(30) is None
    assert_complete(uri, plan)
