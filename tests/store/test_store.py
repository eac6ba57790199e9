"""Files appear whole or not at all, and what was damaged, edited or isn't ours is noticed and never used."""

import json
import re
import shutil
import threading
import time
from pathlib import Path

import pytest
from broken_stores import BROKEN_RUNS, RESULTS, BrokenRun, flip_a_byte
from grid_helpers import finish, finish_all, pinned_run, small_sweep, small_task

from raysweep.data.examples import read_split
from raysweep.errors import CorruptFile, ForeignFolder, InvalidInput
from raysweep.files import read_json, write_json, written_atomically
from raysweep.planning.plan import Plan, make_plan
from raysweep.predictions import Predictions
from raysweep.spec import RunSpec
from raysweep.store import RunStatus, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def plan(store: Store) -> Plan:
    return make_plan(small_sweep(), store)


def floor_of(plan: Plan) -> RunSpec:
    return plan.cells[0].runs.supervisor


def names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# Files
# ------------------------------------------------------------------------------------------------------------


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with written_atomically(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists() and temporary.parent == path.parent
    assert path.read_text() == "whole" and names_below(tmp_path) == ["new", "new/a.txt"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_atomically(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and names_below(tmp_path) == ["a.txt"]
    folder = tmp_path / "folder"
    for content in ("one", "two"):
        with written_atomically(folder) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert names_below(folder) == ["two"]
    with pytest.raises(ZeroDivisionError), written_atomically(folder) as temporary:
        temporary.mkdir()
        raise ZeroDivisionError
    assert names_below(tmp_path) == ["a.txt", "folder", "folder/two"]


def test_readers_of_a_file_that_is_written_again_and_again_never_see_half(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, [0] * 1000)
    seen = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(tuple(set(read_json(path))))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        write_json(path, [number] * 1000)
    stop.set()
    reader.join()
    assert seen and all(len(values) == 1 for values in seen)


def test_json_holds_numbers_only(tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="Out of range float"):
            write_json(tmp_path / "a.json", {"accuracy": value})
    assert names_below(tmp_path) == []
    (tmp_path / "bad.json").write_text('{"a": 1')
    with pytest.raises(
        CorruptFile, match=r"bad\.json isn't valid JSON .*; delete it and run the same command again"
    ):
        read_json(tmp_path / "bad.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorruptFile, match="isn't valid JSON"):
        read_json(tmp_path / "binary.json")
    with pytest.raises(CorruptFile, match="is missing"):
        read_json(tmp_path / "absent.json")


# Runs
# ------------------------------------------------------------------------------------------------------------


def test_the_states_of_a_run(plan: Plan, store: Store) -> None:
    spec = floor_of(plan)
    paths = store.run(spec.id)
    assert store.status(spec) is RunStatus.MISSING and not paths.folder.exists()
    paths.claim(spec)
    assert store.status(spec) is RunStatus.MISSING
    paths.error.write_text("ValueError: why it failed\n\nTraceback…")
    assert store.status(spec) is RunStatus.FAILED and paths.failure() == "ValueError: why it failed"
    finish(spec, store)
    assert store.status(spec) is RunStatus.DONE and not paths.error.exists()


def test_a_finished_run_records_everything_with_checksums(plan: Plan, store: Store) -> None:
    spec = floor_of(plan)
    paths = finish(spec, store, share_right=0.75)
    record = json.loads(paths.spec.read_text())
    assert record["id"] == spec.id and record["fields"]["task"]["params"]["attribute"] == 0
    result = paths.read_result()
    assert result["id"] == spec.id and result["metrics"]["test_accuracy"] == 0.75
    expected = {"spec.json", "environment.json", "curves/training.parquet", "model/weights"}
    expected |= {f"predictions/{split}.parquet" for split in ("transfer", "validation", "test")}
    assert set(result["files"]) == expected
    assert paths.has_model and paths.verified_model() == paths.model
    assert len(paths.read_predictions("transfer")) == 32
    paths.claim(spec)


def test_a_result_is_refused_a_number_that_is_none(plan: Plan, store: Store) -> None:
    spec = floor_of(plan)
    paths = store.run(spec.id)
    paths.claim(spec)
    with pytest.raises((ValueError, TypeError)):
        paths.finish(spec, {"test_accuracy": float("nan")}, {})
    assert store.status(spec) is RunStatus.MISSING


@pytest.mark.fuzz
@pytest.mark.parametrize("broken", BROKEN_RUNS, ids=lambda broken: broken.name)
def test_a_damaged_run_is_told_and_can_be_computed_again(
    finished: tuple[RunSpec, Store], tmp_path: Path, broken: BrokenRun
) -> None:
    spec, done = finished
    store = Store(shutil.copytree(done.folder, tmp_path / "store"))
    paths = store.run(spec.id)
    assert store.status(spec) is RunStatus.DONE
    broken.damage(paths)
    if not isinstance(broken.expected, RunStatus):
        with pytest.raises(broken.expected, match=re.escape(str(paths.folder))):
            store.status(spec)
        return
    assert [store.status(spec) for _ in range(2)] == [broken.expected] * 2
    if broken.expected is RunStatus.FAILED:
        assert "\n" not in paths.failure()
    finish(spec, store)
    assert store.status(spec) is RunStatus.DONE


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunSpec, Store]:
    """A run that is done. Its store is shared: never write to it."""
    store = Store(tmp_path_factory.mktemp("finished") / "store")
    spec = floor_of(make_plan(small_sweep(), store))
    finish(spec, store)
    return spec, store


def test_damaged_predictions_are_never_returned(plan: Plan, store: Store) -> None:
    spec = floor_of(plan)
    paths = finish(spec, store)
    honest = paths.read_predictions("test")
    forged = Predictions.of(honest.ids, honest.probabilities[:, ::-1], honest.source)
    forged.write(paths.predictions("test"))
    with pytest.raises(
        CorruptFile,
        match=r"test\.parquet is missing or isn't what raysweep wrote .* Run the same command again",
    ):
        paths.read_predictions("test")
    assert store.status(spec) is RunStatus.MISSING
    with pytest.raises(CorruptFile, match=r"result\.json is missing"):
        paths.read_predictions("test")


def test_asking_for_what_a_run_never_had_does_no_harm(plan: Plan, store: Store) -> None:
    spec = floor_of(plan)
    paths = finish(spec, store)
    with pytest.raises(InvalidInput, match=r"has no predictions/supervisor\.parquet; it has spec\.json"):
        paths.read_predictions("supervisor")
    assert store.status(spec) is RunStatus.DONE


def test_a_damaged_model_is_noticed_when_it_is_loaded(plan: Plan, store: Store) -> None:
    spec = floor_of(plan)
    paths = finish(spec, store)
    (paths.model / "weights").write_text("Weights")
    with pytest.raises(CorruptFile, match="model/weights is missing or isn't what raysweep wrote"):
        paths.verified_model()
    assert store.status(spec) is RunStatus.MISSING


def test_a_run_whose_weights_are_needed_but_were_not_kept_is_missing(plan: Plan, store: Store) -> None:
    run = next(run for run in plan.runs.values() if run.roles == ("pretrain",))
    paths = finish(run.spec, store)
    assert run.status(store) is RunStatus.DONE
    shutil.rmtree(paths.model)
    paths.finish(run.spec, {"validation_loss": 2.5}, {})
    assert store.status(run.spec) is RunStatus.DONE and run.status(store) is RunStatus.MISSING
    with pytest.raises(CorruptFile, match="has no saved model"):
        paths.verified_model()


def test_a_folder_of_another_run_is_refused(plan: Plan, store: Store) -> None:
    floor = plan.cells[0].runs.supervisor
    ceiling = plan.cells[0].runs.ceiling
    paths = finish(floor, store)
    shutil.copytree(paths.folder, store.run(ceiling.id).folder)
    for refused in (lambda: store.status(ceiling), lambda: store.run(ceiling.id).claim(ceiling)):
        with pytest.raises(
            ForeignFolder, match=f"{ceiling.id} holds the spec of another run .* Move the folder away"
        ):
            refused()
    record = json.loads(paths.spec.read_text())
    record["identity"]["seed"] = 5
    paths.spec.write_text(json.dumps(record))
    with pytest.raises(ForeignFolder):
        store.status(floor)
    paths.spec.write_text("{")
    with pytest.raises(CorruptFile, match=r"spec\.json isn't valid JSON"):
        store.status(floor)


def test_labels_in_a_spec_do_not_make_a_folder_foreign(store: Store) -> None:
    plan = make_plan(small_sweep(tasks=[small_task(label="one")]), store)
    other = make_plan(small_sweep(tasks=[small_task(label="two")]), store)
    finish(floor_of(plan), store)
    assert floor_of(plan).task.label != floor_of(other).task.label
    assert store.status(floor_of(other)) is RunStatus.DONE


@pytest.mark.parametrize("place", ["file", "below a file"])
def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        InvalidInput, match=r"the store .*file.* can't be written \(.*\); name another folder with --store"
    ):
        Store(tmp_path / "file" if place == "file" else tmp_path / "file" / "store")


# What runs read
# -----------------------------------------------------------------------------------------------------------


def test_a_folder_is_filled_once_and_whole(store: Store) -> None:
    target = store.task("abc")
    with pytest.raises(ZeroDivisionError):
        store.fill(target, lambda folder: (folder / "x").write_text(str(1 / 0)) and None)
    assert names_below(store.folder / "tasks") == []
    calls = []

    def write(folder: Path) -> None:
        calls.append(folder)
        (folder / "x").write_text("content")

    for _ in range(2):
        assert store.fill(target, write) == target
    assert len(calls) == 1 and (target / "x").read_text() == "content" and store.is_intact(target)
    assert [path.name for path in target.parent.iterdir()] == ["abc"]


def test_of_two_who_fill_a_folder_one_wins(store: Store) -> None:
    target = store.task("abc")
    barrier = threading.Barrier(2)

    def write(folder: Path) -> None:
        (folder / "x").write_text("content")
        barrier.wait(10)

    threads = [threading.Thread(target=store.fill, args=(target, write)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.is_intact(target) and [path.name for path in target.parent.iterdir()] == ["abc"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "checksums"])
@pytest.mark.parametrize("what", ["tasks", "tokens", "tokenizers"])
def test_damage_to_what_runs_read_is_made_good(plan: Plan, store: Store, what: str, damage: str) -> None:
    spec = floor_of(plan)
    folders = {path: names_below(path) for path in (store.folder / what).iterdir()}
    folder = next(iter(folders))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    victim = next(
        path
        for path in sorted(before)
        if path.suffix in (".parquet", ".npy") or path.name == "tokenizer.json"
    )
    time.sleep(0.02)  # a file system's clock may tick every 10 ms
    if damage == "flip":
        flip_a_byte(victim)
    elif damage == "truncate":
        victim.write_bytes(victim.read_bytes()[:-7])
    elif damage == "remove":
        victim.unlink()
    else:
        (folder / "checksums.json").write_text("{")
    assert not store.is_intact(folder)
    if what == "tasks" and folder == store.task(spec.task.content or ""):
        with pytest.raises(
            CorruptFile, match="isn't what raysweep wrote; run the same command again, which restores it"
        ):
            read_split(spec.task, "test", store)
    assert make_plan(small_sweep(), store).runs.keys() == plan.runs.keys()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert {path: names_below(path) for path in (store.folder / what).iterdir()} == folders


@pytest.mark.parametrize("content", [*RESULTS.values(), '{"a\\u0000b": "c"}', '{"x": 5}', '{"x": null}'])
def test_a_folder_with_a_broken_list_of_checksums_is_filled_again(store: Store, content: str | bytes) -> None:
    target = store.fill(store.task("abc"), lambda folder: (folder / "x").write_bytes(b"y") and None)
    whole = (target / "checksums.json").read_bytes()
    (target / "checksums.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert not store.is_intact(target)
    store.fill(target, lambda folder: (folder / "x").write_bytes(b"y") and None)
    assert store.is_intact(target) and (target / "checksums.json").read_bytes() == whole


def test_a_spec_that_is_claimed_is_written_once(store: Store) -> None:
    spec = pinned_run()
    store.run(spec.id).claim(spec)
    written = store.run(spec.id).spec.stat().st_mtime_ns
    store.run(spec.id).claim(spec)
    assert store.run(spec.id).spec.stat().st_mtime_ns == written


def test_statuses_are_read_back_by_a_new_store(plan: Plan, store: Store) -> None:
    finish_all(plan, store)
    again = Store(store.folder)
    assert all(run.status(again) is RunStatus.DONE for run in make_plan(small_sweep(), again).runs.values())
    assert isinstance(again.run(floor_of(plan).id).read_predictions("test"), Predictions)
