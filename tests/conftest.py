"""Fixtures for the whole suite: an empty store, and a tiny world of real runs (see tests/tiny.py)."""

from __future__ import annotations

import os

# Before torch is imported: no test needs more than one core or a network.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from raysweep.spec import ModelSpec, TaskSpec
from raysweep.store import Store

EACH = 5
"""Of the broken inputs, the share that is tried with the other tests."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out four of five broken inputs, unless they are asked for."""
    if "fuzz" in config.option.markexpr:
        return
    broken = [item for item in items if item.get_closest_marker("fuzz")]
    left_out = set(broken) - set(broken[::EACH])
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def tiny_task() -> TaskSpec:
    """The smallest sandbox task, not pinned."""
    return tiny.tiny_task()


@pytest.fixture(scope="session")
def tiny_model_spec() -> ModelSpec:
    """A model whose pretraining is a run of 20 steps, not pinned."""
    return tiny.tiny_model()


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> tiny.TinyWorld:
    """A task, a pretrained model and a supervisor, pinned and done. Its store is shared: copy it, never write
    to it."""
    return tiny.make_tiny_world(tmp_path_factory.mktemp("tiny") / "store")


@pytest.fixture
def tiny_store(tiny_world: tiny.TinyWorld, tmp_path: Path) -> Store:
    """A copy of the tiny world's store, for this test alone."""
    return tiny_world.copy(tmp_path / "tiny-store")


@pytest.fixture(scope="session")
def trained() -> Callable[..., tiny.Trained]:
    """`trained(spec, store, save_weights=…, **resources)` executes a pinned run in this process: see
    `tiny.train_run`."""
    return tiny.train_run
