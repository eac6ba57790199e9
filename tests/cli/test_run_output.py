"""`raysweep logs`: what a run printed, by the beginning of its id."""

import io
from pathlib import Path

import pytest
from grid_helpers import finish, small_sweep
from rich.console import Console

from raysweep.cli.run_output import show_log
from raysweep.cli.sweep_end import tell_end
from raysweep.errors import InvalidInput
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan, make_plan
from raysweep.results.from_store import read_store
from raysweep.scheduling.queue import RunQueue
from raysweep.store import Store
from raysweep.store.logs import is_own_line, last_lines, log_of, own_line


@pytest.fixture
def plan(store: Store) -> Plan:
    return make_plan(small_sweep(methods=["naive", "confidence"]), store)


def of_role(plan: Plan, role: str) -> PlannedRun:
    return next(run for run in plan.runs.values() if run.role == role)


def shown(store: Store, prefix: str, **options: object) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    show_log(store, prefix, console, **({"follows": False} | options))  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_log_is_shown_below_the_run_and_its_supervisor(plan: Plan, store: Store) -> None:
    for run in plan.runs.values():
        store.run(run.id).claim(run.spec)
    student, supervisor = of_role(plan, "student"), of_role(plan, "supervisor")
    log_of(store.run(student.id)).write_text("epoch [1]\npassword=hunter22\n")
    lines = shown(store, student.id[:10])
    assert lines == [
        f"run {student.id}: strong on sandbox, seed 0",
        f"  on the labels of run {supervisor.id}: weak on sandbox, seed 0",
        "epoch [1]",
        "password=***",
    ]
    log_of(store.run(student.id), 1).write_text("of rank 1\n")
    assert shown(store, student.id)[2:] == [
        *("── log.txt", "epoch [1]", "password=***"),
        *("── log-1.txt", "of rank 1"),
    ]


def test_an_id_that_names_no_run_or_several_is_refused(plan: Plan, store: Store) -> None:
    for run in plan.runs.values():
        store.run(run.id).claim(run.spec)
    with pytest.raises(InvalidInput, match=r"no run in .* has an id that begins with 'xyz'"):
        shown(store, "xyz")
    with pytest.raises(InvalidInput, match="no run in"):
        shown(store, "")
    for name in ("abc1", "abc2"):
        (store.folder / "runs" / name).mkdir()
    with pytest.raises(InvalidInput, match="2 runs have ids that begin with 'abc': abc1, abc2; give more"):
        shown(store, "abc")
    with pytest.raises(InvalidInput, match="run abc1 has no log"):
        shown(store, "abc1")


def test_a_log_is_followed_until_the_run_has_ended(plan: Plan, store: Store) -> None:
    run = of_role(plan, "supervisor")
    paths = store.run(run.id)
    paths.claim(run.spec)
    said = ["one\n", "two", " and a half\n", "three\n"]

    def pause(seconds: float) -> None:
        with log_of(paths).open("a") as file:
            file.write(said.pop(0))
        if not said:
            finish(run.spec, store)

    assert shown(store, run.id, follows=True, pause=pause)[1:] == ["one", "two and a half", "three"]


def test_our_own_lines_are_told_from_the_runs(tmp_path: Path) -> None:
    assert is_own_line(own_line("run abc")) and not is_own_line("[1] run abc")
    log = tmp_path / "log.txt"
    assert last_lines(log, 3) == []
    log.write_text("a\n\nb\nc\nd\n")
    assert last_lines(log, 3) == ["b", "c", "d"]


def test_failures_are_told_by_cause_with_their_last_words(
    plan: Plan, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = RunQueue(plan, store)
    cause = "ValueError: no such label"
    while ready := queue.ready():
        run = ready[0]
        queue.start(run)
        if run.role == "student":
            log = log_of(store.run(run.id))
            log.parent.mkdir(parents=True, exist_ok=True)
            trace = "Traceback (most recent call last):\n  a line\nValueError: no such label\n"
            log.write_text(f"{own_line('run')}\n1\n2\n3\nlabels are {{0, 1}}\n{trace}")
            store.run(run.id).tell_failure(cause)
            queue.end(run)
        else:
            finish(run.spec, store)
            queue.end(run)
    assert tell_end(queue, read_store(plan, store)) == 1
    lines = capsys.readouterr().err.splitlines()
    failed = [queued.run.id for queued in queue.failures]
    assert len(failed) == 2
    assert lines[0] == "raysweep: 2 of 6 runs failed:"
    assert lines[1] == f"  2 runs: {cause}"
    assert [line.split()[0] for line in lines[2:4]] == failed and "(student, strong on" in lines[2]
    assert lines[4:7] == ["      log.txt: 2", "      log.txt: 3", "      log.txt: labels are {0, 1}"]
    assert lines[7].startswith("Tracebacks are in") and len(lines) == 8
