"""MLflow shows what `raysweep results` says: a row each, and the answer on the sweep's own run."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from grid_helpers import finish, small_model, small_sweep
from mlflow import MlflowClient
from mlflow.entities import Run

from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import grid
from raysweep.results.answer import answer
from raysweep.results.from_store import read_store
from raysweep.store import Store
from raysweep.tracking import sync
from raysweep.tracking.build import sweep_key
from raysweep.tracking.mlflow.tags import metric_name

NAMES = ("task", "weak", "strong", "method")


@pytest.fixture
def plan(store: Store) -> Plan:
    """Two methods, two weak models, three seeds; the supervisors of one are worthless in one seed."""
    pairs = grid([small_model("weak", 4), small_model("weaker", 5)], [small_model("strong", 6)])
    plan = make_plan(small_sweep(methods=["naive", "confidence"], seeds=[0, 1, 2], pairs=pairs), store)
    students = {cell.runs.student.id: cell for cell in plan.cells}
    for number, run in enumerate(plan.runs.values()):
        share = {"supervisor": 0.6, "student": 0.7, "ceiling": 0.95}.get(run.role, 0.8)
        if run.role == "student":
            share += 0.15 * (students[run.id].method == "confidence") + 0.025 * run.spec.seed
        if run.role == "supervisor" and run.spec.model.name == "weaker" and run.spec.seed == 1:
            share = 0.2
        finish(run.spec, store, share, draw=number)
    return plan


def shown(uri: str, kind: str) -> list[Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    return list(client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'"))


def by_names(runs: Sequence[Run]) -> dict[tuple[str, ...], Run]:
    found = {tuple(run.data.tags[name] for name in NAMES): run for run in runs}
    assert len(found) == len(runs)
    return found


def test_a_row_of_results_is_a_run_with_the_numbers_of_results(plan: Plan, store: Store, uri: str) -> None:
    sync(uri, plan, store)
    data = read_store(plan, store)
    rows = json.loads(json.dumps([row.to_json() for row in data.rows]))
    compared = {found.group: found.to_json() for found in data.comparisons}
    runs = by_names(shown(uri, "group"))
    assert len(runs) == len(rows) == 4 and sum(row["pgr"] is None for row in rows) == 0
    for row in rows:
        run = runs[tuple(row[name] for name in NAMES)]
        expected = {
            name: row[name]
            for name in (
                *("weak_accuracy", "student_accuracy", "ceiling_accuracy", "pgr", "agreement"),
                *("agreement_supervisor_right", "agreement_supervisor_wrong", "num_examples", "num_groups"),
            )
        }
        expected |= {"pgr_low": row["interval"][0], "pgr_high": row["interval"][1]}
        expected |= {"num_seeds": 3, "num_missing_seeds": 0}
        expected |= {
            "runs_near_chance": sum(item["is_near_chance"] for item in row["odd_seeds"]),
            "runs_far_from_others": sum(item["is_far"] for item in row["odd_seeds"]),
        }
        group = next(found.group for found in data.rows if found.group._asdict().items() <= row.items())
        if group in compared:
            of = compared[group]
            expected |= {name: of[name] for name in ("difference", "p_value", "p_value_corrected")}
            expected |= {"difference_low": of["interval"][0], "difference_high": of["interval"][1]}
            assert run.data.tags["baseline"] == "naive"
        assert run.data.metrics == expected
        assert {name: run.data.params[name] for name in NAMES} == group._asdict()
        assert run.data.tags["seeds"] == "0, 1, 2" and run.info.status == "FINISHED"
    odd = runs["sandbox", "weaker", "strong", "naive"]
    assert odd.data.metrics["runs_far_from_others"] == 1
    assert "supervisor of seed 1: 0.200, near chance and far from the other" in odd.data.tags["odd_seeds"]
    assert "this interval is rough: supervisor of seed 1" in odd.data.tags["interval_doubt"]
    assert "far from" not in runs["sandbox", "weak", "strong", "naive"].data.tags.get("odd_seeds", "")


def test_the_sweeps_own_run_has_the_answer(plan: Plan, store: Store, uri: str) -> None:
    sync(uri, plan, store)
    data = read_store(plan, store)
    (lead,) = data.leads
    (own,) = shown(uri, "sweep")
    sentences = answer(data.rows, data.comparisons, data.leads)
    assert own.data.tags["mlflow.note.content"].startswith(" ".join(sentences) + "\n\n- [Cells](#/exp")
    assert lead.interval and lead.pgr_interval and lead.baseline_pgr is not None
    assert own.data.metrics == {
        "pgr/naive": lead.baseline_pgr,
        "pgr/confidence": lead.pgr,
        "pgr_low/confidence": lead.pgr_interval[0],
        "pgr_high/confidence": lead.pgr_interval[1],
        "difference/confidence": lead.difference,
        "difference_low/confidence": lead.interval[0],
        "difference_high/confidence": lead.interval[1],
        "p_value/confidence": lead.p_value,
        "p_value_corrected/confidence": lead.p_value_corrected,
        "num_ahead/confidence": 2,
        "num_compared/confidence": 2,
    }


def test_a_sync_again_doubles_nothing_and_follows_what_has_changed(
    plan: Plan, store: Store, uri: str
) -> None:
    sync(uri, plan, store)
    before = {kind: {run.info.run_id: run.to_dictionary() for run in shown(uri, kind)} for kind in KINDS}
    summary = sync(uri, plan, store)
    assert (summary.num_groups, summary.num_cells, summary.num_runs) == (0, 0, 0)
    for kind, held in before.items():
        assert {run.info.run_id: run.to_dictionary() for run in shown(uri, kind)} == held
    # Every seed of one method's students is gone: its rows and its lead can't be told any more.
    for cell in plan.cells:
        if cell.method == "confidence":
            shutil.rmtree(store.run(cell.runs.student.id).folder)
    sync(uri, plan, store)
    (own,) = shown(uri, "sweep")
    assert own.info.run_id in before["sweep"] and own.info.status == "RUNNING"
    assert math.isnan(own.data.metrics["pgr/confidence"]) and math.isnan(
        own.data.metrics["p_value/confidence"]
    )
    # One seed of it: another row, and one run of that name.
    finish(plan.cells[3].runs.student, store, 0.7)
    assert plan.cells[3].method == "confidence"
    assert sync(uri, plan, store).num_groups == 1
    row = by_names(shown(uri, "group"))[plan.cells[3].group]
    assert row.data.metrics["num_seeds"] == 1 and "p_value" not in row.data.metrics
    assert row.data.tags["missing_seeds"] == "1, 2"
    (own,) = shown(uri, "sweep")
    assert not math.isnan(own.data.metrics["difference/confidence"])


KINDS = ("sweep", "run", "cell", "group")


@pytest.mark.parametrize("method", ["confidence (0.75, à la Burns)", "a/../b", "..", "x" * 250, "50 %"])
def test_any_method_can_be_named_in_a_metric(method: str, uri: str) -> None:
    client = MlflowClient(uri)
    run = client.create_run(client.create_experiment("names")).info.run_id
    client.log_metric(run, metric_name(f"p_value_corrected/{method}"), 0.5)
    (name,) = client.get_run(run).data.metrics
    assert name.startswith("p_value_corrected/") and len(name) > len("p_value_corrected/")


def test_the_answer_is_in_sweep_json_too(plan: Plan, store: Store, uri: str, tmp_path: Path) -> None:
    sync(uri, plan, store)
    (own,) = shown(uri, "sweep")
    path = MlflowClient(uri).download_artifacts(own.info.run_id, "sweep.json", str(tmp_path))
    written = json.loads(Path(path).read_text())["answer"]
    assert written["confidence"]["difference"] == read_store(plan, store).leads[0].difference
    assert own.data.tags["raysweep.sweep"] == sweep_key("small").identity
