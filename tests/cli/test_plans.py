"""Plans as tables and in a few lines."""

from typing import Any

import pytest
from grid_helpers import finish, small_model, small_sweep, small_task

from raysweep import grid
from raysweep.cli.plans import plan_overview, plan_remarks, plan_summary, plan_table
from raysweep.planning.plan import Plan, make_plan
from raysweep.store import Store


def test_the_table_of_a_plan_names_dependencies_and_statuses(store: Store) -> None:
    plan = make_plan(
        small_sweep(
            tasks=[small_task("sandbox [0]")], pairs=grid([small_model("m [b]")], [small_model("s")])
        ),
        store,
    )
    supervisor = plan.cells[0].runs.supervisor
    student = plan.cells[0].runs.student
    finish(supervisor, store)
    table = plan_table(plan, [run.status(store) for run in plan.runs.values()])
    assert len(table.rows) == len(plan.runs)
    rows = {row.cells[0]: dict(zip(table.columns, row.cells, strict=True)) for row in table.rows}
    own = rows[supervisor.id[:8]]
    assert (own["role"], own["task"], own["model"], own["status"]) == (
        "supervisor",
        "sandbox [0]",
        "m [b]",
        "done",
    )
    assert rows[student.id[:8]]["depends on"].split() == [run.id[:8] for run in student.dependencies]
    assert (rows[student.id[:8]]["supervisor"], rows[student.id[:8]]["method"]) == ("m [b]", "naive")
    assert (own["supervisor"], own["method"]) == ("", "")
    assert rows[student.id[:8]]["status"] == "missing"


def test_the_overview_of_a_plan_counts_runs_by_kind(store: Store) -> None:
    plan = make_plan(
        small_sweep(
            methods=["naive", "shuffled_labels"],
            seeds=[0, 1],
            pairs=grid([small_model("w", 4), small_model("v", 5)], [small_model("s", 6)]),
        ),
        store,
    )
    finish(plan.cells[0].runs.supervisor, store)
    table = plan_overview(plan, [run.status(store) for run in plan.runs.values()])
    assert table.columns == ("role", "model", "supervisor", "method", "runs", "done") and table.note == ""
    # 3 pretrainings, 2 × 2 supervisors, 2 ceilings, 2 × 2 × 2 students.
    assert {row.cells for row in table.rows} == {
        *(("pretrain", model, "", "", "1", "0") for model in "wvs"),
        ("supervisor", "w", "", "", "2", "1"),
        ("supervisor", "v", "", "", "2", "0"),
        ("ceiling", "s", "", "", "2", "0"),
        *(("student", "s", weak, method, "2", "0") for weak in "wv" for method in plan_methods(plan)),
    }
    assert sum(int(row.cells[4]) for row in table.rows) == len(plan.runs)


def plan_methods(plan: Plan) -> set[str]:
    return {cell.method for cell in plan.cells}


def test_a_large_plan_is_told_in_25_lines(store: Store) -> None:
    plan = make_plan(
        small_sweep(
            tasks=[small_task(f"task {number}", attribute=number) for number in range(6)],
            methods=["naive", "confidence", "shuffled_labels"],
            pairs=grid([small_model(f"w{width}", width) for width in (2, 4, 5)], [small_model("s", 6)]),
        ),
        store,
    )
    overview = plan_overview(plan, [run.status(store) for run in plan.runs.values()])
    lines = [*plan_summary(plan, 0).splitlines(), *plan_remarks(plan)]
    assert 1 + len(overview.rows) + 1 + len(lines) + 1 <= 25
    assert overview.note == "and 7 more kinds of run" and "and 2 more tasks" in lines
    assert sum(line.endswith(" more remarks") for line in lines) == 1 and "more" not in plan_remarks(
        plan, None
    )


def test_the_summary_of_a_plan_says_what_sharing_saves(store: Store) -> None:
    plan = make_plan(small_sweep(methods=["naive", "confidence"]), store)
    # Supervisor and ceiling serve both cells: 4 trainings instead of 6.
    assert plan_summary(plan, 1) == (
        "small: 2 cells need 4 trainings and 2 pretrainings (6 trainings without sharing: 2 saved); 1 of 6 "
        "runs are done already\n"
        "sandbox: 124 of 450 examples used: supervisor 32, transfer 32, validation 20, test 40"
    )


@pytest.mark.parametrize(
    ("fields", "covered"),
    [
        ({"seeds": [0]}, "the choice of test examples, not training (one seed) nor the draw of the halves."),
        (
            {"seeds": [0, 1, 2]},
            "the choice of test examples and, by 3 seeds, training, not the draw of the halves: "
            "Sweep(seeds_draw_halves=True) lets seeds draw them too.",
        ),
        (
            {"seeds": [0, 1], "seeds_draw_halves": True},
            "the choice of test examples and, by 2 seeds, training and the draw of the halves.",
        ),
    ],
)
def test_remarks_end_with_what_intervals_cover(fields: dict[str, Any], covered: str, store: Store) -> None:
    left_out, *near, last = plan_remarks(make_plan(small_sweep(**fields), store))
    assert left_out.startswith("sandbox: left out: ") and "beyond the splits' sizes" in left_out
    assert all(line.startswith("sandbox: near-duplicates: ") for line in near)
    assert last == f"Intervals cover {covered}"
