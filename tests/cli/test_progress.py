"""Progress of a sweep on the console."""

import io

from grid_helpers import finish, small_sweep, small_task
from rich.console import Console

from raysweep.cli.progress import Progress
from raysweep.planning.plan import Plan, make_plan
from raysweep.scheduling.queue import RunQueue
from raysweep.store import Store


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
