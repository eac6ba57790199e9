"""A sync writes every entry that the backend doesn't have, with any backend."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from memory_backend import MemoryBackend
from tracked_sweep import fail, finish, forget, of_role, write_report

from raysweep.errors import CorruptFile, InvalidInput
from raysweep.planning.plan import Plan
from raysweep.store import RunStatus, Store
from raysweep.tracking import BackgroundSync, TrackingFailed, log_report, sync
from raysweep.tracking.build import sweep_key


def test_every_run_and_cell_is_written_once(finished: tuple[Plan, Store], backend: MemoryBackend) -> None:
    plan, store = finished
    summary = sync("memory:", plan, store)
    assert (summary.num_runs, summary.num_cells) == (len(plan.runs), len(plan.cells))
    assert (summary.num_groups, summary.num_unchanged) == (2, 0)
    assert {entry.key.identity for entry in backend.of_kind("run")} == set(plan.runs)
    assert len(backend.of_kind("cell")) == 2 and len(backend.of_kind("sweep")) == 1
    before = dict(backend.entries)
    summary = sync("memory:", plan, store)
    assert (summary.num_runs, summary.num_cells, summary.num_groups) == (0, 0, 0)
    assert summary.num_unchanged == len(plan.runs) + len(plan.cells) + 2
    assert all(backend.entries[key] is entry for key, entry in before.items())


def test_runs_are_below_the_sweep_and_cells_link_to_runs(
    finished: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = finished
    sync("memory:", plan, store)
    sweep_id = backend.ids[sweep_key("tiny")]
    assert {entry.parent for entry in backend.of_kind("run")} == {sweep_id}
    assert {entry.parent for entry in backend.of_kind("cell")} == {""}
    ids = {key.identity: entry_id for key, entry_id in backend.ids.items()}
    for cell in backend.of_kind("cell"):
        for role in ("supervisor", "student", "ceiling"):
            assert f"(memory:{ids[cell.tags[f'raysweep.{role}']]})" in cell.note
    assert backend.described == ("method",)


def test_the_methods_of_a_student_are_in_its_entry(
    finished: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    sync("memory:", *finished)
    methods = {entry.tags["method"] for entry in backend.of_kind("run") if entry.tags["role"] == "student"}
    assert methods == {"naive", "confidence"}


def test_the_status_of_a_sweep_is_that_of_its_runs(
    copied: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = copied

    def status() -> RunStatus:
        sync("memory:", plan, store)
        return backend.of_kind("sweep")[0].status

    assert status() is RunStatus.DONE
    student = of_role(plan, "student")
    forget(student, store)
    assert status() is RunStatus.RUNNING
    finish(student, store)
    fail(student, store, "out of memory")
    assert status() is RunStatus.FAILED
    finish(student, store)
    assert status() is RunStatus.DONE


def test_a_sweep_whose_search_stopped_runs_is_done(
    earlier: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = earlier
    sync("memory:", plan, store)
    stopped = [entry for entry in backend.of_kind("run") if entry.status is RunStatus.STOPPED]
    assert len(stopped) == 2 and len(backend.of_kind("cell")) == len(plan.cells) == 18
    for entry in stopped:
        assert entry.tags["raysweep.stopped"] in entry.note and entry.tags["study"] and entry.commit == ""
        assert {point.name for point in backend.points[entry.key]} >= {
            "num_steps",
            "curve/validation_accuracy_on_own_labels",
        }
    assert backend.of_kind("sweep")[0].status is RunStatus.DONE


def test_cells_wait_for_their_runs(copied: tuple[Plan, Store], backend: MemoryBackend) -> None:
    plan, store = copied
    forget(of_role(plan, "ceiling"), store)
    summary = sync("memory:", plan, store)
    assert (summary.num_runs, summary.num_cells) == (len(plan.runs) - 1, 0)
    finish(of_role(plan, "ceiling"), store)
    summary = sync("memory:", plan, store)
    assert (summary.num_runs, summary.num_cells) == (1, 2)


def test_a_report_is_attached_to_the_sweeps_own_entry(
    finished: tuple[Plan, Store], backend: MemoryBackend, tmp_path: Path
) -> None:
    log_report("memory:", *finished, write_report(tmp_path / "report", "text"))
    assert backend.files == {sweep_key("tiny"): {"report.html", "figures"}}
    with pytest.raises(InvalidInput, match="nowhere"):
        log_report("memory:", *finished, tmp_path / "nowhere")


def test_whether_the_attached_report_is_of_what_the_store_holds(
    copied: tuple[Plan, Store], backend: MemoryBackend, tmp_path: Path
) -> None:
    plan, store = copied
    report = write_report(tmp_path / "report", "text")
    assert not sync("memory:", plan, store).has_report
    log_report("memory:", plan, store, report)
    for _ in range(2):
        assert sync("memory:", plan, store).has_report
        background = BackgroundSync("memory:", plan, store)
        assert background.close() is None and background.has_report
    student = of_role(plan, "student")
    finish(student, store, attempt=1)
    assert not sync("memory:", plan, store).has_report
    background = BackgroundSync("memory:", plan, store)
    assert background.close() is None and not background.has_report
    log_report("memory:", plan, store, report)
    assert sync("memory:", plan, store).has_report


def test_an_error_of_the_backend_says_that_nothing_is_lost(
    finished: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    backend.is_down = True
    with pytest.raises(
        TrackingFailed, match=r"^The memory at memory: couldn't be written: .*the memory is down"
    ):
        sync("memory:", *finished)


def test_an_error_of_the_store_is_none_of_the_backend(
    copied: tuple[Plan, Store], backend: MemoryBackend
) -> None:
    plan, store = copied
    store.run(of_role(plan, "student").id).spec.write_text("damaged")
    with pytest.raises(CorruptFile, match=r"spec\.json"):
        sync("memory:", plan, store)


def test_a_sync_needs_nothing_of_mlflow(
    finished: tuple[Plan, Store], backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)  # importing it raises
    with pytest.raises(ImportError):
        import mlflow  # noqa: F401
    assert sync("memory:", *finished).num_cells == 2
