"""A store that an earlier raysweep wrote (commit f04e60f, SCHEMA 2) holds for this one: every run is cached,
and the numbers are the same.

tests/data/earlier_store.tar.xz has the runs of tests/experiments/earlier_store.py, without their tasks and
tokens, which planning makes again; tests/data/earlier_results.json is what `raysweep results`
printed of them then as JSON.
"""

import json
import math
import tarfile
from pathlib import Path
from typing import Any

import pytest

from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.scheduling.run import run_plan
from raysweep.store import RunStatus, Store

TESTS = Path(__file__).parent
EXPERIMENT = str(TESTS / "experiments" / "earlier_store.py")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("earlier"))
    with tarfile.open(TESTS / "data" / "earlier_store.tar.xz") as archive:
        archive.extractall(store.folder, filter="data")
    return store


@pytest.fixture(scope="module")
def plan(store: Store) -> Plan:
    return make_plan(load_sweep(EXPERIMENT), store)


def test_every_run_of_the_store_is_one_of_the_plan_and_is_cached(plan: Plan, store: Store) -> None:
    assert set(plan.runs) == {folder.name for folder in (store.folder / "runs").iterdir()}
    results = {run_id: store.run(run_id).result for run_id in plan.runs}
    written = {run_id: path.stat().st_mtime_ns for run_id, path in results.items() if path.exists()}
    queue = run_plan(plan, store)
    assert queue.count(RunStatus.CACHED) == 30 and queue.count(RunStatus.STOPPED) == 2
    assert {run_id: path.stat().st_mtime_ns for run_id, path in results.items() if path.exists()} == written


def equal(found: Any, expected: Any) -> bool:
    """Whether all that was expected is there and the same, numbers to 12 digits: numpy and scipy may be
    others than then, and numbers may have been added."""
    if isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-12)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(equal, found, expected))
    if isinstance(expected, dict):
        return found.keys() >= expected.keys() and all(
            equal(found[name], expected[name]) for name in expected
        )
    return bool(found == expected)


def test_the_results_are_those_of_then(plan: Plan, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    from raysweep.cli.main import main

    assert plan.num_open_cells == 0
    assert main(["results", EXPERIMENT, "--format", "json", "--store", str(store.folder)]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = json.loads((TESTS / "data" / "earlier_results.json").read_text())
    assert len(expected["rows"]) == 6 and len(expected["cells"]) == 18 and len(expected["search"]) == 6
    for part in expected:
        assert equal(found[part], expected[part]), part
