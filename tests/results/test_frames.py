"""The frames of a sweep hold what its runs' files say, and a row for each cell and run that is missing."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from grid_helpers import finish, finish_all, small_sweep, small_task

from raysweep import Method
from raysweep.data.examples import read_split
from raysweep.errors import InvalidInput
from raysweep.planning.plan import Plan, make_plan
from raysweep.results.frames import RunFacts, curves_frame, runs_frame, write_tables
from raysweep.results.from_store import read_store
from raysweep.results.provenance import num_devices
from raysweep.results.statistics import gap_recovered
from raysweep.store import RunStatus, Store
from raysweep.tasks import Example, tasks


@pytest.fixture
def plan(store: Store) -> Plan:
    """Two seeds, all runs done, with 24, 30 and 36 of 40 test examples right."""
    plan = make_plan(small_sweep(seeds=[0, 1]), store)
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.9)
    return plan


def test_a_cell_is_a_row_with_its_runs_and_numbers(plan: Plan, store: Store) -> None:
    data = read_store(plan, store)
    assert (data.name, len(data.cells)) == ("small", 2)
    first = data.cells.iloc[0]
    assert first[["task", "weak", "strong", "method", "seed"]].to_list() == [
        "sandbox",
        "weak",
        "strong",
        "naive",
        0,
    ]
    runs = plan.cells[0].runs
    assert first[["supervisor", "student", "ceiling"]].to_list() == [
        runs.supervisor.id,
        runs.student.id,
        runs.ceiling.id,
    ]
    assert first["is_finished"] and (first["weak_accuracy"], first["ceiling_accuracy"]) == (0.6, 0.9)
    assert first["pgr"] == pytest.approx(0.5)
    assert data.cell_statuses.to_list() == ["done", "done"]


def test_a_runs_examples_are_its_predictions_beside_the_truth(plan: Plan, store: Store) -> None:
    run = plan.cells[0].runs.student
    examples = read_store(plan, store).examples(run.id)
    split = read_split(run.task, "test", store).set_index("id")
    predicted = store.run(run.id).read_predictions("test")
    assert examples["id"].to_list() == predicted.ids.tolist()
    said = np.array([split.loc[name, "label"] for name in examples["id"]]) == predicted.classes
    assert examples["is_right"].to_list() == said.tolist() and examples["is_right"].sum() == 30
    assert examples["confidence"].to_list() == pytest.approx([0.9] * 40)
    assert examples["difficulty"].to_list() == split.loc[examples["id"], "difficulty"].to_list()
    assert examples["difficulty"].notna().all()
    assert examples["group"].to_list() == split.loc[examples["id"], "group"].to_list()


@pytest.fixture
def in_passages() -> Iterator[str]:
    """The sandbox, five sentences to a passage."""
    sandbox = tasks.get("sandbox")

    def load(**params: Any) -> dict[str, list[Example]]:
        return {
            pool: [
                dataclasses.replace(example, group=f"{pool} {number // 5}")
                for number, example in enumerate(examples)
            ]
            for pool, examples in sandbox.load(**params).items()
        }

    tasks.register("in_passages")(dataclasses.replace(sandbox, name="in_passages", load=load))
    yield "in_passages"
    del tasks._entries["in_passages"]


def test_intervals_are_over_the_groups_of_a_tasks_examples(in_passages: str, store: Store) -> None:
    plan = make_plan(small_sweep(tasks=[small_task(name=in_passages)], seeds=[0, 1]), store)
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.95)
    data = read_store(plan, store)
    ends = [[plan.cells[seed].runs.supervisor.id for seed in (0, 1)]]
    ends += [[plan.cells[seed].runs.student.id for seed in (0, 1)]]
    ends += [[plan.cells[seed].runs.ceiling.id for seed in (0, 1)]]
    passages = data.examples(ends[0][0])["group"]
    numbers = pd.factorize(passages)[0]
    assert 8 <= passages.nunique() < len(passages) == 40
    rights = [np.stack([data.examples(run)["is_right"].to_numpy(bool) for run in runs]) for runs in ends]
    expected = gap_recovered(*rights, groups=numbers)
    (row,) = data.rows
    assert row.gap == expected != gap_recovered(*rights)
    assert (row.to_json()["num_examples"], row.to_json()["num_groups"]) == (40, passages.nunique())
    numbers_of_cell = data.cells.iloc[0]
    assert (numbers_of_cell["num_examples"], numbers_of_cell["num_groups"]) == (40, passages.nunique())


def test_a_run_that_failed_and_one_that_is_missing_are_rows(plan: Plan, store: Store) -> None:
    failed = plan.cells[0].runs.ceiling
    missing = plan.cells[1].runs.student
    for run in (failed, missing):
        shutil.rmtree(store.run(run.id).folder)
    store.run(failed.id).folder.mkdir()
    store.run(failed.id).error.write_text("no memory left\nTraceback")
    data = read_store(plan, store)
    runs = data.runs.set_index("run_id")
    assert list(runs.index) == list(plan.runs)
    assert runs.loc[failed.id, ["status", "reason"]].to_list() == ["failed", "no memory left"]
    assert runs.loc[missing.id, ["status", "reason"]].to_list() == ["missing", ""]
    assert (runs["status"] == "done").sum() == len(plan.runs) - 2
    assert data.cell_statuses.to_list() == ["failed", "missing"]
    assert data.cells["is_finished"].to_list() == [False, False]
    assert data.curves.empty and data.curves["step"].dtype == np.int64
    assert data.provenance["num_finished_runs"] == len(plan.runs) - 2
    with pytest.raises(InvalidInput, match=r"failed \(no memory left\)"):
        data.examples(failed.id)
    with pytest.raises(InvalidInput, match=r"missing \(never tried\)"):
        data.examples(missing.id)


def test_numbers_of_a_run_and_what_isnt_known(plan: Plan, store: Store) -> None:
    run = plan.runs[plan.cells[0].runs.student.id]
    paths = store.run(run.id)
    result = paths.read_result()
    resources = {"num_workers": 2, "gpus_per_worker": 4}
    found = {
        "num_parameters": 1234,
        "num_trainable_parameters": 34,
        "num_tokens": 99,
        "seconds_training": 1.5,
    }
    paths.finish(run.spec, result["metrics"], result["info"] | found | {"resources": resources})
    runs = read_store(plan, store).runs.set_index("run_id")
    names = [
        "num_parameters",
        "num_trainable_parameters",
        "num_tokens",
        "num_devices",
        "seconds_training",
        "seconds_total",
    ]
    assert runs.loc[run.id, names].to_list() == [1234, 34, 99, 8, 1.5, 1.0]
    other = runs.loc[plan.cells[0].runs.supervisor.id]
    assert (
        other["num_devices"] == 0 and pd.isna(other["num_parameters"]) and pd.isna(other["seconds_training"])
    )
    assert str(runs["num_parameters"].dtype) == "Int64"


def test_a_shared_device_counts_as_one() -> None:
    assert num_devices({"num_workers": 0, "gpus_per_worker": 0.25}) == 1
    assert num_devices({"num_workers": "4", "gpus_per_worker": "1"}) == 4
    assert num_devices({"num_workers": 3, "gpus_per_worker": 0}) == 0


def test_what_waits_for_a_failed_run_names_it_however_far_away() -> None:
    names = {"role": "intermediate", "task": "t", "model": "m", "seed": 0}
    planned = [
        {"run_id": "a", "depends_on": [], **names},
        {"run_id": "b", "depends_on": ["a"], **names},
        {"run_id": "c", "depends_on": ["b"], **names},
        {"run_id": "d", "depends_on": [], **names},
    ]
    lost = RunFacts(status=RunStatus.MISSING)
    standings = {"a": RunFacts(status=RunStatus.FAILED, reason="boom"), "b": lost, "c": lost, "d": lost}
    frame = runs_frame(planned, standings)
    told = "needs run a, which failed: boom"
    assert frame["reason"].to_list() == ["boom", told, told, ""]
    assert frame["status"].to_list() == ["failed", "missing", "missing", "missing"]


def test_curves_are_long_and_sorted_by_name_and_step() -> None:
    cell = {"task": "t", "weak": "w", "strong": "s", "method": "m", "seed": 3}
    frame = curves_frame([(cell, {"test_accuracy": [(4, 0.5), (2, 0.25)], "agreement": [(2, 1.0)]})])
    assert frame[["name", "step", "value"]].to_numpy().tolist() == [
        ["agreement", 2, 1.0],
        ["test_accuracy", 2, 0.25],
        ["test_accuracy", 4, 0.5],
    ]
    assert frame["seed"].to_list() == [3, 3, 3]


def test_tables_are_files_with_a_row_for_what_is_missing(plan: Plan, store: Store, tmp_path: Path) -> None:
    lost = plan.cells[1].runs.student
    shutil.rmtree(store.run(lost.id).folder)
    paths = write_tables(read_store(plan, store), tmp_path / "new" / "tables")
    assert [path.name for path in paths] == ["cells.csv", "runs.csv", "curves.csv"]
    cells = pd.read_csv(paths[0])
    assert cells["status"].to_list() == ["done", "missing"] and cells[
        "student_accuracy"
    ].isna().to_list() == [False, True]
    runs = pd.read_csv(paths[1], keep_default_na=False).set_index("run_id")
    assert runs.loc[lost.id, ["status", "reason", "num_tokens"]].to_list() == ["missing", "", ""]


def test_controls_and_baselines_are_told_from_methods(store: Store) -> None:
    own = Method(name="mine", recipe="shuffled_labels")
    plan = make_plan(small_sweep(methods=["naive", own, "confidence", "linear_probe"], seeds=[0, 1]), store)
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.9)
    data = read_store(plan, store)
    assert data.provenance["yardsticks"] == ["mine", "linear_probe"]
    assert [(lead.method, lead.is_yardstick) for lead in data.leads] == [
        ("mine", True),
        ("confidence", False),
        ("linear_probe", True),
    ]


def test_the_task_and_the_models_are_in_the_provenance(plan: Plan, store: Store) -> None:
    finish(plan.cells[0].runs.supervisor, store, 0.6)
    told = read_store(plan, store).provenance
    assert told["tasks"]["sandbox"]["content"] == plan.cells[0].runs.supervisor.task.content
    assert told["tasks"]["sandbox"]["num_examples"]["test"] == 40
    assert told["models"].keys() == {"weak", "strong"}
    assert (told["num_cells"], told["num_trainings"], told["num_pretrainings"]) == (2, 6, 2)
    assert told["seconds_total"] == len(plan.runs) * 1.0
    assert (told["started_at"], told["finished_at"]) == (1.0, 2.0)
