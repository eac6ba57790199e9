"""A finished sweep, an MLflow database to write it to, and a backend in memory."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from memory_backend import MemoryBackend, memory
from mlflow import MlflowClient
from tracked_sweep import finish, tiny_plan

from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.store import Store

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """A sweep of which every run is done. Its store is shared: never write to it."""
    store = Store(tmp_path_factory.mktemp("finished") / "store")
    plan = tiny_plan(store)
    for run in plan.runs.values():
        finish(run, store)
    return plan, store


@pytest.fixture
def copied(finished: tuple[Plan, Store], tmp_path: Path) -> tuple[Plan, Store]:
    """The finished sweep in a store that a test may change."""
    plan, store = finished
    return plan, Store(shutil.copytree(store.folder, tmp_path / "store"))


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """A complete searched sweep that an earlier raysweep trained, see tests/test_earlier_store.py. Its store
    is shared: never write to it."""
    store = Store(tmp_path_factory.mktemp("earlier"))
    with tarfile.open(TESTS / "data" / "earlier_store.tar.xz") as archive:
        archive.extractall(store.folder, filter="data")
    return make_plan(load_sweep(str(TESTS / "experiments" / "earlier_store.py")), store), store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make, and nothing in them."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(tmp_path: Path, empty_database: Path) -> str:
    """The tracking URI of an empty MLflow database."""
    path = tmp_path / "project" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(empty_database, path)
    return f"sqlite:///{path}"


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    """The backend behind the tracking URI `memory:`, empty."""
    memory.clear()
    yield memory
    memory.clear()
