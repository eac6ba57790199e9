"""Rows of the results table, from finished runs whose shares of right answers are known."""

import json

import numpy as np
import pytest
from grid_helpers import draw_curve, finish, finish_all, small_sweep, small_task

from raysweep.planning.graph import CellGroup
from raysweep.planning.plan import make_plan
from raysweep.results.cells import cells_to_json
from raysweep.results.from_store import CellReader, read_store
from raysweep.store import Store


def test_a_row_is_the_mean_over_seeds(store: Store) -> None:
    plan = make_plan(small_sweep(seeds=[0, 1, 2]), store)
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.9)
    data = read_store(plan, store)
    (row,) = data.rows
    assert row.group == CellGroup("sandbox", "weak", "strong", "naive")
    assert row.seeds == (0, 1, 2) and row.missing_seeds == () and row.num_planned == 3
    assert row.gap is not None and row.gap.pgr == pytest.approx(0.5) and row.gap.num_seeds == 3
    reader = CellReader(store)
    agreements = [reader.numbers(cell)["agreement"] for cell in plan.cells]
    assert row.agreement == pytest.approx(np.mean(agreements)) and len(set(agreements)) > 1
    flat = json.loads(json.dumps(row.to_json(), allow_nan=False))
    assert (flat["task"], flat["weak"], flat["strong"], flat["method"]) == row.group
    assert flat["student_accuracy"] == pytest.approx(0.75) and flat["seeds"] == [0, 1, 2]
    assert len(flat["interval"]) == 2 and flat["agreement"] == row.agreement


def test_rows_follow_the_plan_and_name_the_seeds_that_are_not_finished(store: Store) -> None:
    sweep = small_sweep(
        tasks=[small_task("one [a]"), small_task("two", attribute=1)],
        methods=["naive", "confidence"],
        seeds=[0, 1],
    )
    plan = make_plan(sweep, store)
    for run in plan.runs.values():
        if run.spec.objective.name != "confidence" and run.spec.task.label != "two" and run.spec.seed == 0:
            finish(run.spec, store)
    data = read_store(plan, store)
    assert [(row.group.task, row.group.method) for row in data.rows] == [
        ("one [a]", "naive"),
        ("one [a]", "confidence"),
        ("two", "naive"),
        ("two", "confidence"),
    ]
    assert [(row.seeds, row.missing_seeds) for row in data.rows] == [
        ((0,), (1,)),
        ((), (0, 1)),
        ((), (0, 1)),
        ((), (0, 1)),
    ]
    missing = data.rows[1]
    assert missing.gap is None and missing.agreement is None
    assert json.loads(json.dumps(missing.to_json(), allow_nan=False))["student_accuracy"] is None
    assert [item.means == {} for item in data.row_means] == [False, True, True, True]
    (cell,) = cells_to_json(data.cells)
    assert (cell["task"], cell["method"], cell["seed"]) == ("one [a]", "naive", 0)


def test_a_gap_in_the_noise_is_undefined(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store, supervisor=0.8, student=0.8, ceiling=0.8)
    data = read_store(plan, store)
    (row,) = data.rows
    assert row.gap is not None and row.gap.pgr is None and row.gap.student_accuracy == 0.8
    (cell,) = cells_to_json(data.cells)
    assert "pgr" not in cell and cell["pgr_is_undefined"] == 1  # undefined numbers are left out
    json.dumps(cell, allow_nan=False)


def test_a_cell_has_no_pgr_where_its_own_gap_is_in_the_noise(store: Store) -> None:
    """What the report would say of this seed alone, at every stop."""
    plan = make_plan(small_sweep(seeds=[0, 1]), store)
    for run in plan.runs.values():
        shares = {"supervisor": 0.6, "student": 0.75, "ceiling": 0.95 if run.spec.seed else 0.625}
        finish(run.spec, store, shares.get(run.role, 0.8))
    undefined, defined = map(CellReader(store).numbers, plan.cells)
    assert {name for name in undefined if name.startswith("pgr")} == {"pgr_is_undefined"}
    assert undefined["pgr_is_undefined"] == 1 and defined["pgr_is_undefined"] == 0
    assert defined["pgr"] == defined["pgr_at_last"] == pytest.approx(0.15 / 0.35)
    assert defined["student_accuracy_at_last"] == undefined["student_accuracy_at_last"] == 0.75


def test_a_single_seed_does_not_cover_the_noise_of_seeds(store: Store) -> None:
    for seeds in ([0], [0, 1, 2]):
        plan = make_plan(small_sweep(seeds=seeds), store)
        finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.95)
        (row,) = read_store(plan, store).rows
        assert row.gap is not None and row.gap.interval is not None
        assert row.to_json()["covers_seeds"] is (len(seeds) > 1)


def test_a_supervisor_without_errors_leaves_nothing_to_agree_on(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store, supervisor=1.0)
    (row,) = read_store(plan, store).rows
    assert row.agreement_supervisor_wrong is None and row.agreement == row.agreement_supervisor_right == 0.8
    result = store.run(plan.cells[0].runs.student.id).read_result()
    assert "test_agreement_supervisor_wrong" not in result["metrics"]


def test_a_damaged_run_is_no_result(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store)
    path = store.run(plan.cells[0].runs.student.id).predictions("test")
    path.write_bytes(path.read_bytes()[:-9])
    (row,) = read_store(plan, store).rows
    assert row.gap is None and row.missing_seeds == (0,)


def test_methods_are_compared_and_summed_up_over_tasks_from_finished_cells(store: Store) -> None:
    sweep = small_sweep(
        tasks=[small_task("one [a]"), small_task("two", attribute=1)],
        methods=["naive", "confidence"],
        seeds=[0, 1],
    )
    plan = make_plan(sweep, store)
    for run in plan.runs.values():
        if (run.spec.task.label, run.spec.seed) != ("two", 1):  # one seed of task two stays away
            student = 0.9 if run.spec.objective.name == "confidence" else 0.7
            shares = {"supervisor": 0.5, "student": student, "ceiling": 0.95}
            finish(run.spec, store, shares.get(run.role, 0.8))
    data = read_store(plan, store)
    assert [(found.group.task, found.seeds, found.covers_seeds) for found in data.comparisons] == [
        ("one [a]", (0, 1), True),
        ("two", (0,), False),
    ]
    assert [found.difference for found in data.comparisons] == pytest.approx([0.2, 0.2])
    naive, confidence = data.over_tasks
    assert (naive.method, naive.defined, naive.missing) == ("naive", ("one [a]", "two"), ())
    assert (naive.student_accuracy, confidence.student_accuracy) == pytest.approx((0.7, 0.9))


def test_the_means_over_seeds(store: Store) -> None:
    plan = make_plan(small_sweep(seeds=[0, 1, 2]), store)
    for cell in plan.cells:
        if cell.seed < 2:
            for run in (cell.runs.supervisor, cell.runs.ceiling):
                if not store.run(run.id).result.exists():
                    finish(run, store, 0.2 + cell.seed / 10 if run == cell.runs.supervisor else 1.0)
            finish(cell.runs.student, store, 0.7 + cell.seed / 10)
            for run, count in ((cell.runs.student, 7), (cell.runs.supervisor, 5)):
                draw_curve(run, store, validation={2: 10, 4: count}, test={2: 9 + cell.seed, 4: count})
    (item,) = read_store(plan, store).row_means
    row = item.row
    means = item.means
    reader = CellReader(store)
    cells = [reader.numbers(cell) for cell in plan.cells[:2]]
    assert row.missing_seeds == (2,) and means["student_accuracy"] == pytest.approx(0.75)
    for name in (
        "agreement",
        "ceiling_agreement",
        "student_auroc",
        "step_at_last",
        "student_accuracy_at_ground_truth_stop",
    ):
        assert means[name] == pytest.approx(np.mean([numbers[name] for numbers in cells]))
    # A PGR is that of the mean accuracies: with other floors it isn't the mean of the PGRs.
    assert row.gap is not None and means["pgr"] == row.gap.pgr
    floor = np.mean([numbers["weak_accuracy_at_last"] for numbers in cells])
    assert cells[0]["weak_accuracy_at_last"] != cells[1]["weak_accuracy_at_last"]
    assert means["student_accuracy_at_ground_truth_stop"] == pytest.approx(0.95)
    assert means["pgr_at_ground_truth_stop"] == pytest.approx((0.95 - floor) / (1 - floor))
    assert means["pgr_at_ground_truth_stop"] != pytest.approx(
        np.mean([numbers["pgr_at_ground_truth_stop"] for numbers in cells])
    )


def test_no_pgr_is_averaged_where_the_gap_is_in_the_noise(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store, supervisor=0.8, student=0.8, ceiling=0.825)
    (item,) = read_store(plan, store).row_means
    assert [name for name in item.means if name.startswith("pgr")] == ["pgr_is_undefined"]
