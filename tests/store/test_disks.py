"""A disk that is full, read-only or gone: one line says which and what to do, nothing half-written is used,
and the next run goes on."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from grid_helpers import finish, small_sweep

from raysweep.errors import InvalidInput, StorageFailed
from raysweep.files import write_json, written_atomically
from raysweep.planning.plan import make_plan
from raysweep.spec import RunSpec
from raysweep.store import RunStatus, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def spec(store: Store) -> RunSpec:
    return make_plan(small_sweep(), store).cells[0].runs.supervisor


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOSPC, "is full; free some space"),
        (errno.EDQUOT, "has a quota for you, which is used up; free some space"),
        (errno.EROFS, "is read-only; make it writable"),
        (errno.EACCES, "doesn't let you write there; see to its permissions"),
        (errno.EIO, "fails; see to it"),
        (errno.ESTALE, "is gone; mount it again"),
    ],
)
@pytest.mark.parametrize("call", ["pathlib.Path.write_text", "pathlib.Path.mkdir", "os.rename", "os.replace"])
def test_a_fault_of_the_disk_is_told_in_one_line(
    store: Store, spec: RunSpec, code: int, told: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = finish(spec, store)
    result = paths.read_result()
    paths.result.unlink()

    def fail(path: object, *arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(call, fail)
    with pytest.raises(StorageFailed, match=told) as refused:
        if call == "os.replace":
            paths.finish(spec, result["metrics"], result["info"])
        else:
            store.fill(store.task("new"), lambda folder: (folder / "x").write_bytes(b"x") and None)
    message = str(refused.value)
    assert str(store.folder) in message and "\n" not in message and "run the same command again" in message
    monkeypatch.undo()
    assert store.status(spec) is RunStatus.MISSING and not store.is_intact(store.task("new"))
    paths.finish(spec, result["metrics"], result["info"])
    assert store.status(spec) is RunStatus.DONE


def test_another_fault_than_the_disks_stays_what_it_is(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_atomically(store.folder / "a"):
        (tmp_path / "absent").read_text()
    with pytest.raises(ZeroDivisionError), written_atomically(store.folder / "a"):
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError):
        store.fill(store.task("new"), lambda folder: (tmp_path / "absent").read_text() and None)


def test_a_store_that_was_deleted_is_not_begun_anew(store: Store, spec: RunSpec) -> None:
    shutil.rmtree(store.folder)
    paths = store.run(spec.id)
    for write in (lambda: paths.claim(spec), paths.lock, lambda: paths.tell_failure("why")):
        with pytest.raises(StorageFailed, match=f"the store {store.folder} was deleted, or its disk is gone"):
            write()
    assert not store.folder.exists()


def test_a_run_whose_folder_was_deleted_while_it_was_trained_is_not_done(store: Store, spec: RunSpec) -> None:
    paths = finish(spec, store)
    result = paths.read_result()
    shutil.rmtree(paths.folder)
    with pytest.raises(StorageFailed, match="was deleted, in part at least, while the run was trained"):
        paths.finish(spec, result["metrics"], result["info"])
    assert store.status(spec) is RunStatus.MISSING


# Real disks
# ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB and 200 files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=200", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems can't be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(disk: Path) -> None:
    store = Store(disk / "store")
    spec = make_plan(small_sweep(), store).cells[0].runs.supervisor
    paths = finish(spec, store)
    with (
        pytest.raises(StorageFailed, match=f"the disk at {disk} is full"),
        written_atomically(paths.model) as made,
    ):
        made.mkdir()
        (made / "weights").write_bytes(bytes(8 * 2**20))
    assert store.status(spec) is RunStatus.DONE and (paths.model / "weights").read_text() == "weights"
    left = disk / "left"
    with pytest.raises(OSError), left.open("wb") as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(StorageFailed, match=f"the disk at {disk} is full"):
        paths.replace_metrics({"test_accuracy": 0.5})
    with pytest.raises(StorageFailed, match=f"the disk at {disk} is full"), written_atomically(paths.model):
        raise RuntimeError("what a library says of a full disk")
    assert store.status(spec) is RunStatus.DONE
    left.unlink()
    paths.replace_metrics({"test_accuracy": 0.5})
    assert store.status(spec) is RunStatus.DONE


def test_a_disk_without_inodes(disk: Path) -> None:
    store = Store(disk / "store")
    with pytest.raises(OSError):
        for number in range(300):
            (disk / f"{number}").touch()
    (disk / "0").unlink()
    write_json(disk / "a.json", {})
    with pytest.raises(StorageFailed, match=f"the disk at {disk} has no inodes left"):
        store.fill(store.task("new"), lambda folder: (folder / "x").write_text("x") and None)
    with pytest.raises(StorageFailed, match=f"the disk at {disk} has no inodes left"):
        write_json(disk / "b.json", {})


def test_a_store_on_a_read_only_disk_is_read_as_any_other(disk: Path) -> None:
    store = Store(disk / "store")
    plan = make_plan(small_sweep(), store)
    spec = plan.cells[0].runs.supervisor
    paths = finish(spec, store)
    damaged = finish(plan.cells[0].runs.ceiling, store)
    (damaged.predictions("test")).write_bytes(b"damaged")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    read = Store(disk / "store")
    assert make_plan(small_sweep(), read).runs.keys() == plan.runs.keys()
    assert read.status(spec) is RunStatus.DONE and len(read.run(spec.id).read_predictions("test"))
    assert read.status(plan.cells[0].runs.ceiling) is RunStatus.MISSING
    with pytest.raises(InvalidInput, match=r"can't be written \(.*Read-only file system.*--store"):
        read.require_writable()
    with pytest.raises(StorageFailed, match=f"the disk at {disk} is read-only; make it writable"):
        paths.replace_metrics({"test_accuracy": 0.5})
    with pytest.raises(InvalidInput, match=r"can't be written"):
        Store(disk / "another")


def test_a_store_in_the_folder_of_a_job_is_refused(tmp_path: Path) -> None:
    unpacked = tmp_path / "working_dir_files" / "_ray_pkg_0123456789abcdef"
    with pytest.raises(InvalidInput, match="in the folder into which Ray unpacks this job, and which Ray"):
        Store(unpacked / "raysweep-store").require_writable()
