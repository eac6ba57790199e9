"""Plans as tables and in a few lines."""

from grid_helpers import finish, small_model, small_sweep, small_task

from raysweep import grid
from raysweep.cli.plans import plan_summary, plan_table
from raysweep.planning.plan import make_plan
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
    table = plan_table(plan, store)
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
    assert rows[student.id[:8]]["status"] == "missing"


def test_the_summary_of_a_plan_says_what_sharing_saves(store: Store) -> None:
    plan = make_plan(small_sweep(methods=["naive", "confidence"]), store)
    # Supervisor and ceiling serve both cells: 4 trainings instead of 6.
    assert plan_summary(plan, 1) == (
        "small: 2 cells need 4 trainings and 2 pretrainings (6 trainings without sharing: 2 saved); 1 of 6 "
        "runs are done already"
    )
