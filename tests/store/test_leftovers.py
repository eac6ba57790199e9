"""What killed processes left is removed, and nothing that a live process is writing."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from grid_helpers import finish, pinned_run, small_sweep

from raysweep.errors import InvalidInput
from raysweep.files import FileLock, require_private
from raysweep.planning.plan import make_plan
from raysweep.store import Store, leftovers

ABSENT = "0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


HOLD = """
import sys
from pathlib import Path
from raysweep.errors import InvalidInput
from raysweep.files import FileLock, require_private
from raysweep.store import Store
store = Store(sys.argv[1])
with store.run(sys.argv[2]).lock(), store.scratch() as scratch:
    (scratch / "jobs").mkdir()
    (store.run(sys.argv[2]).folder / ".model.12345678.tmp").mkdir(parents=True)
    def write(folder):
        (folder / "x").write_text("half")
        print(scratch, folder, flush=True)
        sys.stdin.read()
    store.fill(store.task("content"), write)
"""


def test_a_live_process_loses_nothing_and_a_killed_one_everything(store: Store) -> None:
    command = [sys.executable, "-c", HOLD, str(store.folder), ABSENT]
    held = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None and held.stdin is not None
    scratch, made = map(Path, held.stdout.readline().split())
    partial = store.run(ABSENT).folder / ".model.12345678.tmp"
    store.remove_leftovers()
    assert made.is_dir() and scratch.is_dir() and partial.is_dir()
    assert (scratch.stat().st_mode & 0o777) == 0o700
    assert store.run(ABSENT).lock(wait=False) is None
    held.send_signal(signal.SIGKILL)
    held.communicate()
    assert made.is_dir() and scratch.is_dir() and partial.is_dir()
    store.remove_leftovers()
    assert below(store.folder) == set()
    assert not made.exists() and not scratch.exists() and not partial.exists()


def test_a_folder_that_is_done_with_leaves_nothing(store: Store) -> None:
    with store.scratch() as scratch:
        (scratch / "file").touch()
    store.fill(store.task("content"), lambda folder: (folder / "x").write_text("whole") and None)
    assert below(store.folder) == {"tasks/content/x", "tasks/content/checksums.json"}
    assert list(store.ray.iterdir()) == []


def test_checkpoints_of_runs_that_are_done_are_removed_and_no_others(store: Store) -> None:
    runs = make_plan(small_sweep(), store).cells[0].runs
    done, open_run = runs.supervisor, runs.ceiling
    folders = [finish(done, store), store.run(open_run.id)]
    before = below(folders[0].folder)
    folders[1].claim(open_run)
    for folder in folders:
        (folder.checkpoints / "step-1").mkdir(parents=True)
        (folder.checkpoints / "step-1" / "state").touch()
    with folders[0].lock() or pytest.fail():
        store.remove_leftovers()
        assert folders[0].checkpoints.exists()
    store.remove_leftovers()
    assert below(folders[0].folder) == before
    assert (folders[1].checkpoints / "step-1" / "state").exists()


def test_a_run_is_begun_anew_without_what_was_half_written(store: Store) -> None:
    spec = pinned_run()
    folder = store.run(spec.id)
    (folder.folder / ".model.12345678.tmp").mkdir(parents=True)
    (folder.folder / ".result.json.12345678.tmp").touch()
    folder.claim(spec)
    assert below(folder.folder) == {"spec.json"}


def test_a_temporary_file_of_no_run_is_removed_when_it_is_old(store: Store) -> None:
    old, new = (store.folder / "model_sizes" / f".{name}.json.12345678.tmp" for name in ("old", "new"))
    old.parent.mkdir()
    for path in (old, new):
        path.touch()
    os.utime(old, (1e9, 1e9))
    store.remove_leftovers()
    assert not old.exists() and new.exists()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o777])
def test_what_others_may_have_written_isnt_unpickled(store: Store, mode: int) -> None:
    with store.scratch() as folder:
        require_private(folder)
        folder.chmod(mode)
        with pytest.raises(InvalidInput, match=f"has mode {mode:04o}.* chmod 700 {folder}"):
            require_private(folder)


def test_what_another_user_wrote_isnt_unpickled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.scratch() as folder:
        monkeypatch.setattr("os.geteuid", lambda: folder.stat().st_uid + 1)
        with pytest.raises(InvalidInput, match="and not to you"):
            require_private(folder)


# Locks
# ------------------------------------------------------------------------------------------------------------


def test_one_at_a_time_holds_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    inside = 0
    most = 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with FileLock.take(path) or pytest.fail():
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and not path.exists()


def test_without_waiting_a_lock_that_is_held_is_none(tmp_path: Path) -> None:
    with FileLock.take(tmp_path / "lock") or pytest.fail() as held:
        assert held.is_sure and FileLock.take(tmp_path / "lock", wait=False) is None
    again = FileLock.take(tmp_path / "lock", wait=False)
    assert again is not None
    again.release()


def test_where_there_are_no_locks_everybody_gets_one_and_nothing_is_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with store.run(ABSENT).lock() or pytest.fail() as first:
        second = store.run(ABSENT).lock(wait=False)
        assert not first.is_sure and second is not None and not second.is_sure
        second.release()
    with leftovers.owned_folder(store.ray, "tune-") as folder:
        store.remove_leftovers()
        assert folder.is_dir()
