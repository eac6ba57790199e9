"""Leases: one process holds a run; a dead one is passed over, and what it still writes isn't taken."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from grid_helpers import finish, small_sweep

from raysweep.errors import CorruptFile
from raysweep.planning.plan import make_plan
from raysweep.store import RunStatus, Store, lease
from raysweep.store.lease import Fence, Holder, Leases, Overtaken, require_current

RUN = "0123456789abcdef"


@pytest.fixture
def folder(store: Store) -> Path:
    return store.run(RUN).folder


def taken(leases: Leases, folder: Path) -> Fence:
    fence = leases.take(folder)
    assert isinstance(fence, Fence)
    return fence


def on_another_machine(store: Store) -> Leases:
    """What another machine would hold: its process can't be seen."""
    leases = store.leases()
    leases._holder = replace(leases._holder, where="another boot", host="far")
    return leases


def set_age(store: Store, leases: Leases, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(store.folder / "holders" / leases._holder.name, (at, at))


def test_one_of_two_holds_and_the_other_is_told_who(store: Store, folder: Path) -> None:
    one, other = store.leases(), store.leases()
    assert taken(one, folder).number == 1
    found = other.take(folder)
    assert isinstance(found, Holder) and str(found) == f"process {os.getpid()} on {os.uname().nodename}"
    one.release(folder)
    assert not folder.exists()  # an undisturbed run has no trace of it
    assert taken(other, folder).number == 1


def test_of_many_at_once_one_gets_it(store: Store, folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda leases: leases.take(folder), [store.leases() for _ in range(32)]))
    assert sum(isinstance(item, Fence) for item in found) == 1


def test_who_is_dead_on_this_machine_is_passed_over_at_once(store: Store, folder: Path) -> None:
    hold = (
        "import sys; from pathlib import Path; from raysweep.store import Store\n"
        "print(Store(sys.argv[1]).leases().take(Path(sys.argv[2])).number, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", hold, str(store.folder), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "1\n"
    found = store.leases().take(folder)
    assert isinstance(found, Holder) and found.process == process.pid
    process.kill()
    process.communicate()
    assert taken(store.leases(), folder).number == 2


def test_who_is_elsewhere_is_judged_by_its_heartbeat_on_the_clock_of_the_store(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, here = on_another_machine(store), store.leases()
    fence = taken(far, folder)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # this machine's clock is not asked
    assert isinstance(here.take(folder), Holder) and here.holder(folder) == far._holder
    monkeypatch.undo()
    set_age(store, far, lease.STALE_SECONDS - 20)
    assert isinstance(here.take(folder), Holder)
    set_age(store, far, lease.STALE_SECONDS + 20)
    assert here.holder(folder) is None and taken(here, folder).number == 2
    with pytest.raises(Overtaken, match=f"taken over by process {os.getpid()} on "):
        require_current(folder, fence)


def test_a_process_that_lives_is_not_passed_over(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.01)
    far = on_another_machine(store)
    taken(far, folder)
    set_age(store, far, 10 * lease.STALE_SECONDS)
    deadline = time.monotonic() + 30
    while store.leases().holder(folder) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert store.leases().holder(folder) == far._holder
    far.close()
    assert store.leases().holder(folder) is None


def test_a_lease_whose_writer_was_killed_over_it_is_passed_over_when_it_is_old(
    store: Store, folder: Path
) -> None:
    folder.mkdir(parents=True)
    half = folder / ".lease-3"
    half.touch()
    assert isinstance(store.leases().take(folder), Holder)
    at = time.time() - 2 * lease.STALE_SECONDS
    os.utime(half, (at, at))
    assert taken(store.leases(), folder).number == 4


def test_the_result_of_who_was_passed_over_is_not_taken(store: Store) -> None:
    spec = make_plan(small_sweep(), store).cells[0].runs.supervisor
    folder = store.run(spec.id).folder
    one, other = store.leases(), store.leases()
    old = store.run(spec.id, taken(one, folder))
    old.claim(spec)
    one.forget(folder)  # it is lost: its holder takes it anew
    new = store.run(spec.id, taken(one, folder))
    with pytest.raises(Overtaken):
        old.tell_failure("a late word")
    # As if it had been written between the check and the other's taking.
    finish(spec, store)
    result = json.loads(old.result.read_text())
    del result["checksum"]
    new._write_result(result | {"fence": 1})
    with pytest.raises(CorruptFile, match="overtaken"):
        old.read_result()
    assert store.status(spec) is RunStatus.MISSING
    new._write_result(result | {"fence": 2})
    assert store.status(spec) is RunStatus.DONE
    one.release(folder)
    assert taken(other, folder).number == 3 and store.status(spec) is RunStatus.DONE
    other.release(folder)
    assert store.status(spec) is RunStatus.DONE


def test_looks_from_two_threads_do_not_take_a_holder_that_lives_for_dead(store: Store, folder: Path) -> None:
    taken(on_another_machine(store), folder)
    here = store.leases()
    here.take(store.run("f" * 16).folder)  # a process that holds something looks
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: here.holder(folder), range(400)))
    assert all(found)
