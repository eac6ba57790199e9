"""From finished runs to what people read: the numbers, the tables, the progress, and nothing that isn't
known."""

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from grid_helpers import finish, finish_all, small_model, small_sweep, small_task
from rich.console import Console
from rich.table import Table

from raysweep import grid
from raysweep.cli.progress import Progress
from raysweep.planning.plan import Plan, PlannedRun, make_plan
from raysweep.predictions import Predictions
from raysweep.results.cells import Results
from raysweep.results.comparisons import compare_methods, over_tasks
from raysweep.results.tables import comparisons_table, over_tasks_table, plan_table, results_table
from raysweep.scheduling.queue import RunQueue
from raysweep.store import Store
from raysweep.store.code_state import code_state
from raysweep.store.run_folder import RunStatus


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def printed(table: Table) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def by_kind(plan: Plan, kind: str) -> list[PlannedRun]:
    return [run for run in plan.runs.values() if run.role == kind]


def test_the_numbers_of_a_cell_and_of_a_row(store: Store) -> None:
    plan = make_plan(small_sweep(seeds=[0, 1, 2]), store)
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.9)
    results = Results(plan, store)
    for cell in plan.cells:
        assert results.is_finished(cell)
        metrics = results.cell(cell).metrics
        assert (metrics["weak_accuracy"], metrics["student_accuracy"], metrics["ceiling_accuracy"]) == (
            0.6,
            0.75,
            0.9,
        )
        assert metrics["pgr"] == pytest.approx(0.5)
        right = metrics["agreement_supervisor_right"]
        wrong = metrics["agreement_supervisor_wrong"]
        assert 0.6 * right + 0.4 * (1 - wrong) == pytest.approx(0.75)
    (row,) = results.rows()
    assert (row.task, row.weak, row.strong, row.method) == ("sandbox", "weak", "strong", "naive")
    assert row.seeds == (0, 1, 2) and row.missing_seeds == ()
    assert row.gap is not None and row.gap.pgr == pytest.approx(0.5) and row.gap.num_seeds == 3
    assert row.agreement == pytest.approx(
        np.mean([results.cell(cell).metrics["agreement"] for cell in plan.cells])
    )
    flat = json.loads(json.dumps(row.to_json(), allow_nan=False))
    assert (
        flat["student_accuracy"] == pytest.approx(0.75)
        and flat["seeds"] == [0, 1, 2]
        and len(flat["interval"]) == 2
    )
    table = printed(results_table([row]))
    assert "weak → strong" in table and " 3 " in table and "0.600  0.750    0.900    0.50 [" in table


def test_rows_follow_the_plan_and_seeds_that_are_not_finished_are_named(store: Store) -> None:
    sweep = small_sweep(
        tasks=[small_task("one [a]"), small_task("two", attribute=1)],
        methods=["naive", "confidence"],
        seeds=[0, 1],
    )
    plan = make_plan(sweep, store)
    for run in plan.runs.values():
        if run.spec.objective.name != "confidence" and run.spec.task.label != "two" and run.spec.seed == 0:
            finish(run.spec, store)
    rows = Results(plan, store).rows()
    assert [(row.task, row.method) for row in rows] == [
        ("one [a]", "naive"),
        ("one [a]", "confidence"),
        ("two", "naive"),
        ("two", "confidence"),
    ]
    assert [(row.seeds, row.missing_seeds) for row in rows] == [
        ((0,), (1,)),
        ((), (0, 1)),
        ((), (0, 1)),
        ((), (0, 1)),
    ]
    assert rows[1].gap is None and rows[1].agreement is None
    assert json.loads(json.dumps(rows[1].to_json(), allow_nan=False))["student_accuracy"] is None
    table = printed(results_table(rows))
    assert "1 of 2" in table and "0 of 2" in table and table.count("missing") == 18 and "one [a]" in table


def test_a_gap_in_the_noise_is_undefined(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store, supervisor=0.8, student=0.8, ceiling=0.8)
    results = Results(plan, store)
    assert "pgr" not in results.cell(plan.cells[0]).metrics
    (row,) = results.rows()
    assert row.gap is not None and row.gap.pgr is None and row.gap.student_accuracy == 0.8
    assert "undefined (gap in the noise)" in printed(results_table([row]))


def test_a_single_seed_is_said_to_show_the_test_sets_noise_alone(store: Store) -> None:
    ends = {"weak": 0.6, "student": 0.75, "ceiling": 0.95}
    for seeds in ([0], [0, 1, 2]):
        plan = make_plan(small_sweep(seeds=seeds), store)
        finish_all(plan, store, **ends)
        (row,) = Results(plan, store).rows()
        assert (
            row.gap is not None
            and row.gap.interval is not None
            and row.to_json()["covers_seeds"] is (len(seeds) > 1)
        )
        assert ("1 seed: intervals" in printed(results_table([row]))) is (len(seeds) == 1)


def test_methods_are_compared_and_summed_up_over_tasks_from_finished_cells(store: Store) -> None:
    sweep = small_sweep(
        tasks=[small_task("one [a]"), small_task("two", attribute=1)],
        methods=["naive", "confidence"],
        seeds=[0, 1],
    )
    plan = make_plan(sweep, store)
    for run in plan.runs.values():
        if (run.spec.task.label, run.spec.seed) != ("two", 1):  # one seed of task two stays away
            good = run.spec.objective.name == "confidence"
            finish(
                run.spec,
                store,
                {"weak": 0.5, "student": 0.9 if good else 0.7, "ceiling": 0.95}.get(run.role, 0.8),
            )
    results = Results(plan, store)
    cells = results.finished_cells()
    assert cells["seed"].tolist() == [0, 1, 0, 1, 0, 0] and set(cells["method"]) == {"naive", "confidence"}
    found = compare_methods(cells, results.right)
    assert [(comparison.task, comparison.seeds, comparison.covers_seeds) for comparison in found] == [
        ("one [a]", (0, 1), True),
        ("two", (0,), False),
    ]
    assert [comparison.difference for comparison in found] == pytest.approx([0.2, 0.2])
    table = printed(comparisons_table(found))
    assert (
        "Methods compared" in table and "0.900     0.700     +0.200 [" in table and "p (Holm, of 2)" in table
    )
    assert "unknown" in table and "1 seed: intervals" in table and "nan" not in table

    gaps = {(row.task, row.weak, row.strong, row.method): row.gap for row in results.rows()}
    table = printed(over_tasks_table(over_tasks(gaps | {("three", "weak", "strong", "naive"): None})))
    assert "0.700    0.950" in table and "missing: three" in table and "none" in table and "nan" not in table


def test_a_supervisor_without_errors_leaves_nothing_to_agree_on(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store, supervisor=1.0)
    (row,) = Results(plan, store).rows()
    assert row.agreement_supervisor_wrong is None and row.agreement == row.agreement_supervisor_right == 0.8
    assert printed(results_table([row])).rstrip().endswith("none")
    assert (
        "test_agreement_supervisor_wrong"
        not in store.run(plan.cells[0].runs.student.id).read_result()["metrics"]
    )


def test_a_damaged_run_is_no_result(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store)
    path = store.run(plan.cells[0].runs.student.id).predictions("test")
    path.write_bytes(path.read_bytes()[:-9])
    (row,) = Results(plan, store).rows()
    assert row.gap is None and row.missing_seeds == (0,)


# Tables and progress
# ----------------------------------------------------------------------------------------------------


def test_the_table_of_a_plan_names_dependencies_states_and_brackets(store: Store) -> None:
    plan = make_plan(
        small_sweep(
            tasks=[small_task("sandbox [0]")], pairs=grid([small_model("m [b]")], [small_model("s")])
        ),
        store,
    )
    floor = plan.cells[0].runs.supervisor
    finish(floor, store)
    lines = printed(plan_table(plan, store)).splitlines()
    assert len(lines) == 1 + len(plan.runs)
    (floor_line,) = [line for line in lines if line.startswith(floor.id[:8])]
    assert "sandbox [0]" in floor_line and "m [b]" in floor_line and floor_line.rstrip().endswith("done")
    student = plan.cells[0].runs.student
    (student_line,) = [line for line in lines if line.startswith(student.id[:8])]
    assert all(dependency.id[:8] in student_line for dependency in student.dependencies)


def play(plan: Plan, store: Store, console: Console) -> None:
    """Every run of a plan ends well but the first student, while the console watches."""
    progress = Progress(console)
    queue = RunQueue(plan, store, lambda queued: progress.changed(queue, queued))
    with progress:
        while ready := queue.ready():
            run = ready[0]
            queue.start(run)
            if run.role == "student" and run.spec.objective.name == "confidence":
                queue.end(run, "the loss became [nan]")
            else:
                store.run(run.id).progress.parent.mkdir(parents=True, exist_ok=True)
                store.run(run.id).progress.write_text('{"step": 3, "num_steps": 9, "loss": 0.5}')
                finish(run.spec, store, 0.75)
                queue.end(run)


def test_progress_is_a_line_an_event_where_there_is_no_terminal(store: Store) -> None:
    plan = make_plan(small_sweep(methods=["naive", "confidence"]), store)
    console = Console(file=io.StringIO(), width=200, highlight=False)
    play(plan, store, console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 6
    assert (
        "done    pretrain weak on sandbox_corpus seed 0  loss 2.500  [1 done, 0 cached, 0 running, 0 failed"
        in lines[0]
    )
    student = next(
        line
        for line in lines
        if "student strong on sandbox seed 0 cross_entropy (weak → strong)  0.750" in line
    )
    assert student.startswith("done")
    failed = next(line for line in lines if line.startswith("failed"))
    assert "confidence (weak → strong)  the loss became [nan]" in failed
    assert "5 done, 0 cached, 0 running, 1 failed, 0 waiting]" in lines[-1]
    assert "about" in lines[0] and "left" in lines[0]


def test_progress_is_a_live_table_in_a_terminal(store: Store) -> None:
    plan = make_plan(small_sweep(methods=["naive", "confidence"], tasks=[small_task("brackets [x]")]), store)
    console = Console(file=io.StringIO(), width=160, force_terminal=True, highlight=False, color_system=None)
    play(plan, store, console)
    progress = Progress(console)
    queue = RunQueue(plan, store, lambda queued: progress.changed(queue, queued))
    with progress as shown:
        (run,) = queue.ready()
        queue.start(run)
        store.run(run.id).progress.write_text('{"step": 3, "num_steps": 9, "loss": 0.5}')
        text = Console(file=io.StringIO(), width=160, highlight=False)
        text.print(shown._render())
    assert isinstance(text.file, io.StringIO)
    lines = text.file.getvalue().splitlines()
    assert lines[0].split() == ["role", "model", "pair", "seed", "status", "step", "accuracy"]
    assert lines[1].split() == [
        "student",
        "strong",
        "weak",
        "→",
        "strong",
        "0",
        "running",
        "3/9",
        "loss",
        "0.500",
    ]
    assert lines[-1].startswith("0 done, 5 cached, 1 running, 0 failed, 0 waiting")


# Provenance
# ------------------------------------------------------------------------------------------------------------


def test_the_state_of_the_code(tmp_path: Path) -> None:
    assert code_state(tmp_path) == {"commit": None, "diff": None, "untracked": None}
    assert code_state(tmp_path / "absent") == {"commit": None, "diff": None, "untracked": None}

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    (tmp_path / "a.txt").write_bytes("caf\u00e9\n".encode("latin-1"))
    git("add", "a.txt")
    git("commit", "--quiet", "-m", "first")
    clean = code_state(tmp_path)
    assert (
        clean["commit"] is not None
        and len(clean["commit"]) == 40
        and clean["diff"] == clean["untracked"] == ""
    )
    (tmp_path / "a.txt").write_bytes("th\u00e9\n".encode("latin-1"))
    (tmp_path / "b.txt").touch()
    dirty = code_state(tmp_path)
    assert dirty["commit"] == clean["commit"] and dirty["untracked"] == "b.txt\n"
    assert dirty["diff"] is not None and "+th\ufffd" in dirty["diff"]  # bytes that aren't UTF-8 stop nothing
    json.dumps(dirty)


def test_states_are_read_back_by_a_new_store(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store)
    again = Store(store.folder)
    assert all(run.status(again) is RunStatus.DONE for run in make_plan(small_sweep(), again).runs.values())
    assert isinstance(again.run(plan.cells[0].runs.supervisor.id).read_predictions("test"), Predictions)
