"""Tracking in the background follows a sweep, whatever the backend does, and never holds the sweep up."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import pytest
from memory_backend import MemoryBackend
from tracked_sweep import finish, forget, of_role, wait_until

from raysweep.errors import InvalidInput
from raysweep.files import write_json
from raysweep.planning.plan import Plan
from raysweep.store import RunStatus, Store
from raysweep.tracking import BackgroundSync
from raysweep.tracking.backend import Written
from raysweep.tracking.build import run_key
from raysweep.tracking.entry import Entry


def test_runs_are_written_as_they_end_and_cells_as_they_are_complete(
    copied: tuple[Plan, Store], backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)  # importing it raises: no backend but MLflow's needs it
    plan, store = copied
    ceiling = of_role(plan, "ceiling")
    forget(ceiling, store)
    background = BackgroundSync("memory:", plan, store)
    wait_until(lambda: len(backend.of_kind("run")) == len(plan.runs) - 1)  # what was done before
    assert backend.of_kind("sweep")[0].status is RunStatus.RUNNING and not backend.of_kind("cell")
    finish(ceiling, store)
    background.run_ended(ceiling.id)
    wait_until(lambda: len(backend.of_kind("cell")) == len(plan.cells))
    assert background.close(30) is None
    assert backend.of_kind("sweep")[0].status is RunStatus.DONE
    assert len(backend.entries) == len(plan.runs) + len(plan.cells) + 2 + 1  # rows, and the sweep


def test_a_plan_that_grows_is_followed(finished: tuple[Plan, Store], backend: MemoryBackend) -> None:
    plan, store = finished
    last = list(plan.runs)[-1]
    smaller = replace(
        plan,
        runs={run_id: run for run_id, run in plan.runs.items() if run_id != last},
        cells=tuple(cell for cell in plan.cells if cell.runs.student.id != last),
    )
    assert len(smaller.cells) == 1
    background = BackgroundSync("memory:", smaller, store)
    wait_until(lambda: len(backend.entries) == len(smaller.runs) + 2)
    background.extend(plan)
    background.run_ended(last)
    assert background.close(30) is None
    assert run_key(last) in backend.entries and len(backend.of_kind("cell")) == 2
    assert backend.of_kind("sweep")[0].tags["num_cells"] == "2"


def test_one_entry_that_is_refused_holds_up_no_other(
    finished: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = finished
    student = of_role(plan, "student")
    backend.refused = frozenset({run_key(student.id)})
    background = BackgroundSync("memory:", plan, store)
    message = background.close(3)
    assert message is not None
    assert message.startswith("not written to The memory at memory:: 1 run and 1 cell (MemoryIsDown: ")
    assert "isn't wanted" in message and "raysweep sync FILE" in message and str(store.folder) in message
    assert len(backend.entries) == len(plan.runs) + len(plan.cells) + 2 + 1 - 2


def test_one_entry_that_cant_be_built_holds_up_no_other(
    copied: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = copied
    student = of_role(plan, "student")
    folder = store.run(student.id)
    write_json(folder.environment, {"no code": "here"})
    folder.finish(student.spec, folder.read_result()["metrics"], folder.read_result()["info"])
    message = BackgroundSync("memory:", plan, store).close(3)
    assert message is not None
    assert ": 1 run and 1 cell (KeyError: 'code')" in message
    assert len(backend.entries) == len(plan.runs) + len(plan.cells) + 2 + 1 - 2


def test_a_backend_that_comes_back_gets_everything(
    finished: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = finished
    backend.is_down = True
    background = BackgroundSync("memory:", plan, store)
    started = time.monotonic()
    for run_id in plan.runs:
        background.run_ended(run_id)
    assert time.monotonic() - started < 0.1
    time.sleep(0.3)
    assert not backend.entries
    backend.is_down = False
    assert background.close(30) is None
    assert len(backend.entries) == len(plan.runs) + len(plan.cells) + 2 + 1  # rows, and the sweep


def test_a_backend_that_is_only_slow_gets_everything(
    finished: tuple[Plan, Store], backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = MemoryBackend.write

    def slow(self: MemoryBackend, entry: Entry) -> Written:
        time.sleep(0.3)  # longer than `close` would wait for one that fails
        return write(self, entry)

    monkeypatch.setattr(MemoryBackend, "write", slow)
    plan, store = finished
    assert BackgroundSync("memory:", plan, store).close(2) is None
    assert len(backend.entries) == len(plan.runs) + len(plan.cells) + 2 + 1  # rows, and the sweep


def test_a_backend_that_stays_down_is_told_at_the_end(
    finished: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = finished
    backend.is_down = True
    background = BackgroundSync("memory:", plan, store)
    started = time.monotonic()
    message = background.close(1)
    assert time.monotonic() - started < 2
    assert message is not None and f"{len(plan.runs)} runs and {len(plan.cells)} cells" in message
    assert "MemoryIsDown: the memory is down" in message


def test_runs_that_have_not_ended_are_not_counted_as_unwritten(
    copied: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = copied
    for role in ("student", "ceiling"):
        for run in plan.runs.values():
            if run.role == role:
                forget(run, store)
    backend.is_down = True
    message = BackgroundSync("memory:", plan, store).close(1)
    assert message is not None and ": 3 runs (" in message


def test_only_the_sweeps_own_entry_may_be_unwritten(
    copied: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = copied
    for run in plan.runs.values():
        forget(run, store)
    backend.is_down = True
    message = BackgroundSync("memory:", plan, store).close(1)
    assert message is not None and ": the entry of the sweep itself (" in message


def test_a_backend_that_cant_be_used_is_told_before_anything_trains(
    finished: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    backend.is_unusable = True
    with pytest.raises(InvalidInput, match="the memory is full"):
        BackgroundSync("memory:", *finished)


def test_a_uri_of_no_backend_is_refused_before_anything_trains(finished: tuple[Plan, Store]) -> None:
    with pytest.raises(InvalidInput, match="sqlite:///PATH"):
        BackgroundSync("nonsense://there", *finished)
