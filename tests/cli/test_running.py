"""What `raysweep status` tells of runs that are being trained, from the store alone."""

import io
import json

import pytest
from grid_helpers import finish, finish_all, small_sweep
from rich.console import Console

from raysweep.cli.running import SweepStatus, watch
from raysweep.planning.plan import Plan, make_plan
from raysweep.store import Store
from raysweep.store.progress import SILENT_SECONDS, append_line


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.fixture
def plan(store: Store) -> Plan:
    return make_plan(small_sweep(), store)


def begin(plan: Plan, store: Store, role: str, seconds_ago: float) -> str:
    """A run of that role tells that it has done 30 of 100 steps."""
    (run,) = (run for run in plan.runs.values() if run.role == role)
    path = store.run(run.id).progress
    append_line(path, {"step": 20, "num_steps": 100, "validation_accuracy": 0.75})
    append_line(path, {"step": 30, "num_steps": 100, "loss": 0.5})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line | {"at": line["at"] - seconds_ago}) + "\n" for line in lines))
    return run.id


def test_a_running_run_is_told_with_its_steps_and_its_last_sign_of_life(plan: Plan, store: Store) -> None:
    student = begin(plan, store, "student", 7)
    status = SweepStatus(plan, store)
    assert status.line() == "small: 5 runs: 1 running, 4 missing, 0 failed, 0 done"
    (told,) = status.begun
    assert told.to_json() == {
        "run": student,
        "role": "student",
        "step": 30,
        "num_steps": 100,
        "loss": 0.5,
        "validation_accuracy": 0.75,
        "seconds_since_sign": pytest.approx(7, abs=2),
    }
    console = Console(file=io.StringIO(), width=120)
    table = status.table()
    assert table is not None
    console.print(table)
    row = printed(console)[1]
    for part in (
        "weak → strong  naive",
        "running",
        "━━━───────",
        "30/100",
        "validation accuracy 0.750",
        "s ago",
    ):
        assert part in row
    assert student[:8] in row


def test_a_run_that_is_silent_for_long_does_not_count_as_running(plan: Plan, store: Store) -> None:
    begin(plan, store, "student", SILENT_SECONDS + 5)
    begin(plan, store, "supervisor", 0)
    status = SweepStatus(plan, store)
    assert status.counts["running"] == 1 and status.counts["missing"] == 4
    console = Console(file=io.StringIO(), width=160)
    console.print(status.table())
    lines = printed(console)
    assert "silent" in lines[2] and "2 min 5 s ago" in lines[2] and "interrupted" in lines[-1]


def test_what_has_ended_is_not_shown_as_running(plan: Plan, store: Store) -> None:
    begin(plan, store, "student", 0)
    finish_all(plan, store)
    status = SweepStatus(plan, store)
    assert status.begun == [] and status.table() is None and status.is_complete


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_sweep_is_watched_until_it_has_ended(is_terminal: bool, plan: Plan, store: Store) -> None:
    left = list(plan.runs.values())

    def pause(seconds: float) -> None:
        if left:
            finish(left.pop(0).spec, store)

    console = Console(file=io.StringIO(), width=100, force_terminal=is_terminal, color_system=None)
    begin(plan, store, "student", 0)
    watch(SweepStatus(plan, store), console, pause)
    assert not left
    if not is_terminal:
        assert printed(console)[0] == "small: 5 runs: 1 running, 4 missing, 0 failed, 0 done"
        assert printed(console)[-1].endswith("4 done") and len(printed(console)) == 5
    else:
        assert "30/100" in "".join(printed(console))
