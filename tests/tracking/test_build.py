"""Entries hold what the plan and the store hold, and nothing of any backend."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
from tracked_sweep import NUM_STEPS, fail, finish, forget, of_role

from raysweep.data.inputs import RunInputs
from raysweep.planning.plan import Plan
from raysweep.results.from_store import CellReader, read_store
from raysweep.results.measure import example_table
from raysweep.store import RunStatus, Store
from raysweep.tracking.build import (
    cell_entry,
    cell_key,
    linked_runs,
    names_of,
    run_entry,
    span,
    sweep_entry,
    sweep_key,
    varied_names,
)
from raysweep.tracking.entry import Entry, EntryKey


def all_entries(plan: Plan, store: Store) -> list[Entry]:
    done = [store.run(run_id) for run_id in plan.runs]
    entries = [sweep_entry(plan, read_store(plan, store), RunStatus.DONE, *span(done), is_active=False)]
    methods = {cell.runs.student.id: cell.method for cell in plan.cells}
    for run in plan.runs.values():
        entry = run_entry(run, methods.get(run.id, ""), store, "parent")
        assert entry is not None
        entries.append(entry)
    return entries + [cell_entry(cell, CellReader(store), store, {}) for cell in plan.cells]


def test_keys_are_those_of_every_earlier_raysweep(finished: tuple[Plan, Store]) -> None:
    # The first 16 digits of the SHA-256 of "tiny", with its quotes, and of this, by hand:
    # {"method":"naive","seed":"0","strong":"w8","task":"sandbox","weak":"w4"}
    plan, _ = finished
    assert sweep_key("tiny") == EntryKey("sweep", "be726b61602057ef")
    assert cell_key(names_of(plan.cells[0])) == EntryKey("cell", "d0fe538643ce7747")


def test_entries_that_are_built_twice_are_equal(finished: tuple[Plan, Store]) -> None:
    once = all_entries(*finished)
    again = all_entries(*finished)
    assert len(once) == len(finished[0].runs) + len(finished[0].cells) + 1
    for one, other in zip(once, again, strict=True):
        assert one.content == other.content and list(one.points()) == list(other.points())
        assert (one.start, one.end) == (other.start, other.end)
    assert len({entry.key for entry in once}) == len({entry.name for entry in once}) == len(once)


def test_entries_know_nothing_of_mlflow(finished: tuple[Plan, Store]) -> None:
    for entry in all_entries(*finished):
        texts = {item.name: getattr(entry, item.name) for item in fields(entry) if item.name != "points"}
        assert "mlflow" not in str(texts).lower()


def test_a_run_that_is_done_has_params_tags_numbers_and_files(
    finished: tuple[Plan, Store], tmp_path: Path
) -> None:
    plan, store = finished
    run = of_role(plan, "student")
    entry = run_entry(run, "naive", store, "the sweep's id")
    assert entry is not None
    result = store.run(run.id).read_result()
    assert (entry.key, entry.status, entry.parent) == (
        EntryKey("run", run.id),
        RunStatus.DONE,
        "the sweep's id",
    )
    assert entry.name == "student w8 of w4 on sandbox, naive, seed 0"
    assert entry.end == result["info"]["finished_at"] and entry.start == entry.end - 2
    assert entry.commit == "c0ffee" and str(store.run(run.id).folder) in entry.note
    assert entry.params["role"] == entry.tags["role"] == "student"
    assert entry.params["resources_num_workers"] == "0" and entry.params["train_split"] == "transfer"
    assert (entry.tags["pairs"], entry.tags["method"]) == ("w4 → w8", "naive")
    points = list(entry.points())
    final = {point.name: point.value for point in points if "/" not in point.name}
    assert result["metrics"].items() <= final.items() and final["num_steps"] == NUM_STEPS
    assert "finished_at" not in final
    assert [path.name for path in entry.artifacts] == ["spec.json", "environment.json", "result.json"]
    assert entry.dataset and (entry.dataset.name, entry.dataset.context) == ("sandbox", "transfer")
    assert entry.dataset.num_examples["test"] == 80
    (examples,) = entry.made
    examples.write(tmp_path / "test.parquet")
    table = pd.read_parquet(tmp_path / "test.parquet")
    assert table.equals(example_table(RunInputs(run.spec, store))) and len(table) == 80


def test_a_pretraining_without_a_test_split_has_no_examples(finished: tuple[Plan, Store]) -> None:
    plan, store = finished
    entry = run_entry(of_role(plan, "pretrain"), "", store, "")
    assert entry is not None and entry.made == () and "method" not in entry.tags


def test_a_run_of_two_roles_says_both(finished: tuple[Plan, Store]) -> None:
    plan, store = finished
    entry = run_entry(replace(of_role(plan, "ceiling"), roles=("supervisor", "ceiling")), "", store, "")
    assert entry is not None
    assert entry.params["role"] == entry.tags["role"] == "supervisor+ceiling"
    assert entry.name == "supervisor+ceiling w8 on sandbox, seed 0"


def test_a_run_that_failed_says_why_and_one_that_is_missing_has_no_entry(copied: tuple[Plan, Store]) -> None:
    plan, store = copied
    run = of_role(plan, "student")
    fail(run, store, "the loss became nan at step 7\n\nTraceback …")
    entry = run_entry(run, "naive", store, "")
    assert entry is not None and entry.status is RunStatus.FAILED
    assert entry.tags["raysweep.error"] == "the loss became nan at step 7"
    assert "Traceback …" in entry.note and list(entry.points()) == [] and entry.result == ""
    forget(run, store)
    assert run_entry(run, "naive", store, "") is None


def test_a_run_that_kept_its_weights_has_a_model(copied: tuple[Plan, Store]) -> None:
    plan, store = copied
    run = of_role(plan, "ceiling")
    folder = store.run(run.id)
    folder.model.mkdir()
    (folder.model / "weights").write_text("weights")
    folder.finish(run.spec, folder.read_result()["metrics"], folder.read_result()["info"])
    entry = run_entry(run, "", store, "")
    assert entry is not None and entry.model is not None
    assert (entry.model.name, entry.model.role) == ("ceiling w8 on sandbox seed 0", "ceiling")
    assert entry.model.params["folder"] == str(folder.model) and entry.model.params["run"] == run.id


def test_a_cell_names_its_runs_and_links_to_those_that_have_an_address(finished: tuple[Plan, Store]) -> None:
    plan, store = finished
    cell = plan.cells[0]
    runs = cell.runs
    links = {runs.supervisor.id: "address-of-the-supervisor", runs.student.id: "address-of-the-student"}
    entry = cell_entry(cell, CellReader(store), store, links)
    assert (entry.key.kind, entry.status, entry.parent) == ("cell", RunStatus.DONE, "")
    names = {"task": "sandbox", "weak": "w4", "strong": "w8", "method": "naive", "seed": "0"}
    assert names.items() <= entry.params.items() and names.items() <= entry.tags.items()
    assert entry.params["objective"] == "cross_entropy" and "labels" not in entry.params
    assert {role: entry.tags[f"raysweep.{role}"] for role in ("supervisor", "student", "ceiling")} == {
        "supervisor": runs.supervisor.id,
        "student": runs.student.id,
        "ceiling": runs.ceiling.id,
    }
    assert entry.note.splitlines() == [
        f"- supervisor: [w4, run {runs.supervisor.id}](address-of-the-supervisor)",
        f"- student: [w8, run {runs.student.id}](address-of-the-student)",
        f"- the student's supervisor: [w4, run {runs.supervisor.id}](address-of-the-supervisor)",
    ]
    assert entry.dataset and entry.dataset.context == "test"


def test_the_linked_runs_of_a_cell_are_its_own_and_the_chain_of_supervisors(
    finished: tuple[Plan, Store],
) -> None:
    runs = finished[0].cells[0].runs
    assert linked_runs(finished[0].cells[0]) == {
        "supervisor": runs.supervisor,
        "student": runs.student,
        "ceiling": runs.ceiling,
        "the student's supervisor": runs.supervisor,
    }


def test_a_sweeps_file_says_what_was_planned(finished: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, store = finished
    entry = sweep_entry(plan, read_store(plan, store), RunStatus.RUNNING, 1.0, 2.0, is_active=True)
    assert entry.note == "" and not list(entry.points())  # before the end there is no answer
    assert (entry.name, entry.status) == ("sweep tiny", RunStatus.RUNNING)
    assert entry.tags == {
        "tasks": "sandbox",
        "pairs": "w4 → w8",
        "methods": "naive, confidence",
        "seeds": "0",
        "num_runs": str(len(plan.runs)),
        "num_cells": "2",
    }
    (file,) = entry.made
    file.write(tmp_path / file.name)
    planned = json.loads((tmp_path / "sweep.json").read_text())
    assert [run["run_id"] for run in planned["runs"]] == list(plan.runs)
    assert [cell["method"] for cell in planned["cells"]] == ["naive", "confidence"]
    assert planned["provenance"]["num_finished_runs"] == len(plan.runs)


def test_a_changed_store_changes_the_sweeps_file_and_content(copied: tuple[Plan, Store]) -> None:
    plan, store = copied

    def entry() -> Entry:
        return sweep_entry(plan, read_store(plan, store), RunStatus.DONE, 1.0, 2.0, is_active=False)

    before = entry()
    forget(of_role(plan, "ceiling"), store)
    assert entry().content != before.content


def test_only_names_that_differ_between_cells_are_varied(finished: tuple[Plan, Store]) -> None:
    plan, _ = finished
    assert varied_names(plan) == ("method",)
    assert varied_names(replace(plan, cells=plan.cells[:1])) == ()


def test_a_span_is_from_the_first_start_to_the_last_end(copied: tuple[Plan, Store]) -> None:
    plan, store = copied
    first = of_role(plan, "supervisor")
    last = of_role(plan, "student")
    for run, end in ((first, 10.0), (last, 20.0)):
        folder = store.run(run.id)
        info = folder.read_result()["info"] | {"finished_at": end, "seconds_total": 3.0}
        folder.finish(run.spec, folder.read_result()["metrics"], info)
    assert span([store.run(first.id), store.run(last.id)]) == (7.0, 20.0)


def test_a_run_that_is_computed_again_has_other_content(copied: tuple[Plan, Store]) -> None:
    plan, store = copied
    run = of_role(plan, "ceiling")
    cell = plan.cells[0]
    before = [run_entry(run, "", store, ""), cell_entry(cell, CellReader(store), store, {})]
    forget(run, store)
    finish(run, store, attempt=1)
    after = [run_entry(run, "", store, ""), cell_entry(cell, CellReader(store), store, {})]
    for old, new in zip(before, after, strict=True):
        assert old and new and old.key == new.key and old.content != new.content
