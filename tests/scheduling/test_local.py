"""Real runs in this process: all of a plan, only what is missing, and the rest of it when one fails."""

import sys
from pathlib import Path

import numpy as np
import pytest
from grid_helpers import finish, small_model, small_sweep

from raysweep import Method, RaysweepError, grid
from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import Sweep
from raysweep.results.from_store import read_store
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.run import run_plan
from raysweep.store import RunStatus, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def run(sweep: Sweep, store: Store) -> tuple[Plan, RunQueue]:
    plan = make_plan(sweep, store)
    return plan, run_plan(plan, store)


def test_a_sweep_is_trained_once_and_what_is_damaged_again_to_the_same_bits(store: Store) -> None:
    sweep = small_sweep(methods=["naive", "confidence", "confidence_openai"])
    plan, queue = run(sweep, store)
    assert queue.is_complete and queue.count(RunStatus.DONE) == len(plan.runs) == 7
    for planned in plan.runs.values():
        paths = store.run(planned.id)
        info = paths.read_result()["info"]
        assert info["num_steps"] == (3 if planned.role == "pretrain" else 4) and info["num_tokens"] > 0
        assert paths.has_model == (planned.role != "student") and not paths.error.exists()
    (naive, *_) = read_store(plan, store).rows
    assert naive.gap is not None and 0 < naive.gap.student_accuracy < 1

    results = {key: store.run(key).result.stat().st_mtime_ns for key in plan.runs}
    _, again = run(sweep, store)
    assert again.count(RunStatus.CACHED) == 7
    assert {key: store.run(key).result.stat().st_mtime_ns for key in plan.runs} == results

    supervisor = plan.cells[0].runs.supervisor
    path = store.run(supervisor.id).predictions("transfer")
    honest = store.run(supervisor.id).read_predictions("transfer")
    path.write_bytes(path.read_bytes()[:-30])
    _, mended = run(sweep, store)
    assert mended.count(RunStatus.CACHED) == 6 and mended.count(RunStatus.DONE) == 1
    assert np.array_equal(
        store.run(supervisor.id).read_predictions("transfer").probabilities, honest.probabilities
    )


def test_a_run_that_fails_stops_only_what_depends_on_it(store: Store) -> None:
    weak = [small_model("fine", 4), small_model("diverging", 4, learning_rate=1e38)]
    sweep = small_sweep(pairs=grid(weak, [small_model("strong", 6)]))
    plan, queue = run(sweep, store)
    failed = {f"{entry.run.role} {entry.run.spec.model.name}": entry for entry in queue.failures}
    assert set(failed) == {"supervisor diverging", "student strong"}
    cause = failed["supervisor diverging"].reason
    assert "the loss became nan at step" in cause and "last good checkpoint: none was written before" in cause
    assert failed["student strong"].reason.endswith(f"which it depends on, failed: {cause}")
    assert queue.count(RunStatus.DONE) == 5
    error = store.run(failed["supervisor diverging"].run.id).error.read_text()
    assert error.startswith(cause) and "Traceback" in error
    fine, diverged = read_store(plan, store).rows
    assert fine.gap is not None and diverged.gap is None
    assert store.status(failed["student strong"].run.spec) is RunStatus.MISSING


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("raise KeyError('not yet written')", "KeyError: 'not yet written'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise BaseExceptionGroup('several', [GeneratorExit()])", "BaseExceptionGroup: several"),
    ],
)
def test_an_error_in_the_users_objective_fails_its_runs_with_its_traceback(
    statement: str, told: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "local_mine.py").write_text(
        "from raysweep import Call\n"
        "from raysweep.objectives import Objective\n"
        "from raysweep.recipes import CellRuns\n"
        f"def loss(logits, labels, context):\n    {statement}\n"
        "OBJECTIVE = Objective(loss)\n"
        "def recipe(cell):\n"
        "    supervisor = cell.supervisor()\n"
        "    student = cell.student(supervisor, Call('local_mine:OBJECTIVE'))\n"
        "    return CellRuns(supervisor=supervisor, student=student, ceiling=cell.ceiling())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "local_mine", raising=False)
    plan = make_plan(small_sweep(methods=["naive", Method(name="mine", recipe="local_mine:recipe")]), store)
    _, queue = run(plan.sweep, store)
    (failure,) = queue.failures
    assert told in failure.reason and queue.count(RunStatus.DONE) == 5
    assert "local_mine.py" in store.run(failure.run.id).error.read_text()


def test_a_thread_that_a_run_leaves_behind_ends_the_sweep_and_is_named(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "local_leaky.py").write_text(
        "import threading\n"
        "from raysweep import Call\n"
        "from raysweep.recipes import CellRuns\n"
        "from raysweep.transforms.base import Transform\n"
        "END = threading.Event()\n"
        "def leak(labels, context):\n"
        "    threading.Thread(target=END.wait, name='left-behind').start()\n"
        "    return labels\n"
        "LEAK = Transform(apply=leak)\n"
        "def recipe(cell):\n"
        "    supervisor = cell.supervisor()\n"
        "    student = cell.student(supervisor, transforms=(Call('local_leaky:LEAK'),))\n"
        "    return CellRuns(supervisor=supervisor, student=student, ceiling=cell.ceiling())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("raysweep.training.process._PATIENCE", 0.1)
    plan = make_plan(small_sweep(methods=[Method(name="leaky", recipe="local_leaky:recipe"), "naive"]), store)
    student = plan.cells[0].runs.student
    with pytest.raises(RaysweepError, match=rf"run {student.id} \(student, strong\).*left-behind") as told:
        run_plan(plan, store)
    assert "run the same command again to go on" in str(told.value)
    sys.modules["local_leaky"].END.set()
    assert store.status(student) is RunStatus.DONE


def test_a_run_whose_supervisor_is_forged_never_starts_from_it(store: Store) -> None:
    plan = make_plan(small_sweep(), store)
    supervisor = plan.cells[0].runs.supervisor
    for dependency in supervisor.dependencies:
        finish(dependency, store)
    paths = finish(supervisor, store)
    honest = paths.read_predictions("transfer")
    paths.predictions("transfer").write_bytes(paths.predictions("validation").read_bytes())
    (paths.model / "weights").unlink()
    assert store.status(supervisor) is RunStatus.MISSING
    # The model that the supervisor starts from isn't a model either: it is told, not used.
    queue = run_plan(plan, store)
    assert queue.runs[supervisor.id].status is RunStatus.FAILED and len(honest) == 32
