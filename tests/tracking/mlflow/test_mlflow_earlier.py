"""An MLflow database of an earlier raysweep is brought up to date: every entry is found and none is doubled.

tests/data/earlier_mlflow.json.xz holds what the raysweep of commit f04e60f wrote into MLflow of the sweep in
tests/data/earlier_store.tar.xz, MLflow run by MLflow run. The test takes from it what a raysweep before that
didn't write: the format of an entry's content, and the roles of the sweep's runs.
"""

from __future__ import annotations

import json
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

from raysweep.errors import InvalidInput
from raysweep.planning.plan import Plan
from raysweep.results.from_store import read_store
from raysweep.store import Store
from raysweep.tracking import sync
from raysweep.tracking.mlflow.reader import read_mlflow

WRITTEN = Path(__file__).parents[2] / "data" / "earlier_mlflow.json.xz"


def restore(uri: str, earlier: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Write what an earlier raysweep wrote; returns it by MLflow run id."""
    client = MlflowClient(uri)
    artifacts = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
    experiment = client.create_experiment("earlier", artifacts.as_uri(), tags=earlier["experiment_tags"])
    restored = {}
    new_ids: dict[str, str] = {}
    runs = sorted(earlier["runs"], key=lambda run: "mlflow.parentRunId" in run["tags"])  # parents first
    for run in runs:
        tags = run["tags"]
        if "mlflow.parentRunId" in tags:
            tags["mlflow.parentRunId"] = new_ids[tags["mlflow.parentRunId"]]
        run_id = client.create_run(experiment, run["start_time"], tags, run["name"]).info.run_id
        new_ids[run["id"]] = run_id
        restored[run_id] = run
        metrics = [
            Metric(name, value, run["end_time"] or run["start_time"], step)
            for name, points in run["metrics"].items()
            for step, value in points
        ]
        params = [Param(name, value) for name, value in run["params"].items()]
        client.log_batch(run_id, metrics, params, [RunTag(name, value) for name, value in tags.items()])
        client.set_terminated(run_id, run["status"], run["end_time"])
        if tags["kind"] == "sweep":
            client.log_dict(run_id, earlier["sweep.json"], "sweep.json")
    return restored


def test_an_earlier_database_is_brought_up_to_date(earlier: tuple[Plan, Store], uri: str) -> None:
    plan, store = earlier
    held = json.loads(lzma.decompress(WRITTEN.read_bytes()))
    for run in held["runs"]:
        run["tags"]["raysweep.content"] = "of another format"
    for run in held["sweep.json"]["runs"]:
        del run["role"]
    before = restore(uri, held)
    assert len(before) == len(plan.runs) + len(plan.cells) + 1 == 51
    with pytest.raises(InvalidInput, match="written by an earlier raysweep; raysweep sync FILE"):
        read_mlflow(uri, "earlier")
    summary = sync(uri, plan, store)
    assert (summary.num_runs, summary.num_cells, summary.num_unchanged) == (32, 18, 0)
    assert summary.num_groups == 6  # which the raysweep of then didn't write
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("earlier").experiment_id
    runs = client.search_runs([experiment], run_view_type=ViewType.ALL)
    by_id = {run.info.run_id: run for run in runs if run.data.tags["kind"] != "group"}
    assert set(by_id) == set(before)
    assert {run.info.lifecycle_stage for run in runs} == {"active"}
    assert Counter(run.data.tags["kind"] for run in runs) == {
        "run": 32,
        "cell": 18,
        "group": 6,
        "sweep": 1,
    }
    assert Counter(run.info.status for run in runs) == {"FINISHED": 55, "KILLED": 2}
    for run_id, old in before.items():
        run = by_id[run_id]
        tags = run.data.tags
        assert tags["raysweep.result"] == old["tags"]["raysweep.result"]
        if tags["kind"] != "sweep":  # which has the answer now
            metrics = {
                key: value
                for key, value in run.data.metrics.items()
                if "known_given_weak_wrong" not in key  # which the raysweep of then didn't measure
            }
            assert metrics == pytest.approx({key: points[-1][1] for key, points in old["metrics"].items()})
        assert old["params"].items() <= run.data.params.items()
        if tags["kind"] == "run":
            assert tags["raysweep.run_id"] == old["tags"]["raysweep.run_id"]
            assert tags["role"] == run.data.params["role"] == old["tags"]["role"]
            assert run.info.run_name.startswith(f"{tags['role']} ")
        elif tags["kind"] == "cell":
            assert tags["raysweep.supervisor"] == old["tags"]["raysweep.supervisor"]
    assert sync(uri, plan, store).num_unchanged == 56
    data = read_mlflow(uri, "earlier")
    expected = read_store(plan, store)
    pd.testing.assert_frame_equal(data.cells, expected.cells)
    pd.testing.assert_frame_equal(data.runs, expected.runs)
    pd.testing.assert_frame_equal(data.curves, expected.curves)
