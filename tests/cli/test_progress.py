"""Progress of a sweep on the console."""

import io
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from grid_helpers import finish, small_sweep
from rich.console import Console

from raysweep.cli import progress
from raysweep.cli.progress import Progress
from raysweep.planning.plan import Plan, make_plan
from raysweep.scheduling.queue import RunQueue
from raysweep.store import Store
from raysweep.store.logs import log_of
from raysweep.store.progress import append_line

CAUSE = "the loss became [nan] at step 3; lower the learning_rate"


def play(plan: Plan, store: Store, shown: Progress) -> RunQueue:
    """Every run of a plan ends well but the first student of confidence, while the console watches."""
    queue = RunQueue(plan, store, lambda queued: shown.changed(queue, queued))
    with shown:
        while ready := queue.ready():
            run = ready[0]
            queue.start(run)
            if run.role == "student" and run.spec.objective.name == "confidence":
                store.run(run.id).tell_failure(CAUSE)
                queue.end(run)
            else:
                append_line(store.run(run.id).progress, {"step": 3, "num_steps": 9, "loss": 0.5})
                finish(run.spec, store, 0.75)
                queue.end(run)
    return queue


def terminal(width: int, height: int = 30) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=True,
        highlight=False,
        color_system=None,
    )


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def half_way(store: Store, width: int, height: int = 30) -> list[str]:
    """The live table while a student trains, another has failed and others wait."""
    plan = make_plan(small_sweep(methods=["naive", "confidence"], seeds=[0, 1]), store)
    shown = Progress(terminal(width, height))
    queue = RunQueue(plan, store, lambda queued: shown.changed(queue, queued))
    queue.expected_seconds = dict.fromkeys(plan.runs, 60.0)
    while all(run.role != "student" for run in queue.ready()):
        run = queue.ready()[0]
        queue.start(run)
        finish(run.spec, store, 0.75)
        queue.end(run)
    students = [run for run in queue.ready() if run.role == "student"]
    queue.start(students[0])
    store.run(students[0].id).tell_failure(CAUSE)
    queue.end(students[0])
    queue.start(students[1])
    append_line(store.run(students[1].id).progress, {"step": 300, "num_steps": 900, "loss": 0.5})
    append_line(
        store.run(students[1].id).progress, {"step": 300, "num_steps": 900, "validation_accuracy": 0.8125}
    )
    console = terminal(width)
    console.print(shown._render())
    return printed(console)


def test_progress_is_a_line_an_event_where_there_is_no_terminal(store: Store) -> None:
    plan = make_plan(small_sweep(methods=["naive", "confidence"]), store)
    console = Console(file=io.StringIO(), width=200, highlight=False)
    play(plan, store, Progress(console))
    lines = printed(console)
    assert len(lines) == 6
    assert (
        "done    pretrain weak on sandbox_corpus seed 0  loss 2.500  [1 done, 0 cached, 0 running, 0 failed"
        in lines[0]
    )
    (student,) = (
        line
        for line in lines
        if "student strong on sandbox seed 0 cross_entropy (weak → strong)  0.750" in line
    )
    assert student.startswith("done")
    failed = next(line for line in lines if line.startswith("failed"))
    assert f"confidence (weak → strong)  {CAUSE}" in failed
    assert "5 done, 0 cached, 0 running, 1 failed, 0 waiting]" in lines[-1]
    assert "about" in lines[0] and "left" in lines[0]


def test_nothing_is_shown_if_it_is_to_be_quiet(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    for console in (Console(file=io.StringIO(), width=200), terminal(100)):
        play(plan, store, Progress(console, is_quiet=True))
        assert printed(console) == []


def test_a_row_says_what_a_run_is_and_how_far(store: Store) -> None:
    lines = half_way(store, 120)
    assert lines[0].split() == ["task", "models", "method", "seed", "state", "step", "metric"]
    (running,) = (line for line in lines if " running " in line and "validation" in line)
    assert (
        running.split()
        == [
            *("sandbox", "weak", "→", "strong", "naive", "1", "running"),
            *("━━━───────", "300/900", "validation", "accuracy", "0.812"),
        ]
        or running.split()[4] == "confidence"
    )
    (failed,) = (line for line in lines if " failed" in line and line.startswith("sandbox"))
    assert failed.split()[:4] == ["sandbox", "weak", "→", "strong"]
    assert lines[-3].startswith("━") and " runs, " in lines[-3] and lines[-3].endswith(" so far")
    assert "1 running, 1 failed" in lines[-2] and "left" in lines[-2]
    assert lines[-1] == f"failed: {CAUSE}"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_nothing_in_the_table_is_cut_and_what_was_left_out_is_named(width: int, store: Store) -> None:
    lines = half_way(store, width)
    assert "…" not in "".join(lines) and all(len(line) <= width for line in lines)
    words = " ".join(lines).split()
    for word in ("strong", "naive", "confidence", "running", "failed", "waiting", "0.812", "accuracy"):
        assert word in words, word
    told = " ".join(words)
    assert ("300/900" in words) == (width >= 80), told
    assert ("━━━───────" in words) == (width >= 100) == ("No room for: " not in told), told


@pytest.mark.parametrize("height", [8, 12, 20])
def test_the_table_fits_a_low_terminal(height: int, store: Store) -> None:
    lines = half_way(store, 80, height)
    assert len(lines) <= height
    assert any(" running " in line for line in lines) and lines[-1].startswith("failed: ")


def test_what_is_left_is_forecast_at_once_and_then_learned(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    shown = Progress(terminal(100))
    queue = RunQueue(plan, store, lambda queued: shown.changed(queue, queued))
    queue.expected_seconds = dict.fromkeys(plan.runs, 100.0)
    queue.num_at_once = 2
    first = queue.ready()[0]
    queue.start(first)
    left = shown._left.seconds(queue)
    assert left == pytest.approx(len(plan.runs) * 100 / 2, abs=2)
    finish(first.spec, store, 0.75)
    queue._queued[first.id].started = time.monotonic() - 50  # half of what was forecast
    queue.end(first)
    assert shown._left.seconds(queue) == pytest.approx((len(plan.runs) - 1) * 50 / 2, abs=2)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_why_nothing_runs_is_told_after_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_TICK_SECONDS", 0.01)
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", 0.1)
    plan = make_plan(small_sweep(), store)
    console = Console(file=io.StringIO(), width=200, highlight=False)
    shown = Progress(console)
    queue = RunQueue(plan, store, lambda queued: shown.changed(queue, queued))
    with shown:
        shown.began(queue, lambda queue: "waiting for 8 GPUs")
        wait_until(lambda: bool(printed(console)))
        time.sleep(0.1)
    (line,) = printed(console)
    assert line == "nothing has run for 0 s: waiting for 8 GPUs"


def test_what_runs_print_is_shown_with_their_ids(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_TICK_SECONDS", 0.01)
    plan = make_plan(small_sweep(), store)
    console = Console(file=io.StringIO(), width=40, highlight=False)
    shown = Progress(console, follows_output=True)
    queue = RunQueue(plan, store, lambda queued: shown.changed(queue, queued))
    with shown:
        run = queue.ready()[0]
        queue.start(run)
        log = log_of(store.run(run.id))
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("epoch [1] of a line that is longer than the terminal is wide\nhalf a li")
        wait_until(lambda: len(printed(console)) == 1)
        with log.open("a") as file:
            file.write("ne\n")
        wait_until(lambda: len(printed(console)) == 2)
    assert printed(console) == [
        f"[{run.id[:8]}] epoch [1] of a line that is longer than the terminal is wide",
        f"[{run.id[:8]}] half a line",
    ]


def test_a_plan_that_grows_is_counted_anew(store: Store) -> None:
    larger = make_plan(small_sweep(methods=["naive", "confidence"]), store)
    last = list(larger.runs)[-1]
    smaller = replace(
        larger, runs={run_id: run for run_id, run in larger.runs.items() if run_id != last}, cells=()
    )
    shown = Progress(terminal(100))
    queue = RunQueue(smaller, store, lambda queued: shown.changed(queue, queued))
    queue.expected_seconds = dict.fromkeys(larger.runs, 10.0)
    first, second = queue.ready()[:2]
    queue.start(first)
    before = shown._left.seconds(queue)
    queue.extend(larger)
    queue.start(second)
    after = shown._left.seconds(queue)
    assert before is not None and after is not None and after > before / 2
