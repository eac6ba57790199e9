"""Fixtures for the whole suite: an empty store, and a tiny world of real runs that is made once in each test process.

The tiny world is the sandbox at its smallest: a GPT-2 of width 16 that is pretrained for 20 steps on sentences of 40 words,
and a supervisor finetuned from it. Tests that train get a copy of its store, so that nothing on disk is shared.
"""

from __future__ import annotations

import os

# Before torch is imported: no test needs more than one core, a network, or a GPU that it hasn't asked for.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from raysweep.prepare import Preparation
from raysweep.resources import Resources
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec, WeakLabels
from raysweep.store import RunPaths, Store

WORDS = {"num_words": 40, "num_attributes": 2, "strength": 2.0, "share_loaded": 0.6, "sentence_length": 8}


def _task() -> TaskSpec:
    params = WORDS | {"num_sentences": 600, "num_test_sentences": 200}
    return TaskSpec(name="sandbox", params=params, num_train=160, num_validation=64, num_test=64)


def _model() -> ModelSpec:
    corpus = TaskSpec(name="sandbox_corpus", params=WORDS | {"num_sentences": 700}, num_train=512, num_validation=64)
    config = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16}
    scratch = Scratch(architecture="gpt2", config=config, tokenizer=Call("word_level"))
    pretraining = RunSpec(
        task=corpus,
        model=ModelSpec(name="tiny", base=scratch),
        optimization=Optimization(learning_rate=1e-2, batch_size=32, steps=20),
        train_split="train",
        objective=Call("language_modelling"),
        evaluation=Evaluation(every=10, num_examples=64),
    )
    return ModelSpec(name="tiny", base=pretraining)


@dataclass(frozen=True)
class Trained:
    """What a finished run left in its store."""

    paths: RunPaths

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """The loss of each step."""
        return pd.read_parquet(self.paths.training_curve)["loss"].to_numpy()

    def probabilities(self, split: str = "test") -> npt.NDArray[np.float64]:
        """(N, K) the final predictions."""
        return self.paths.read_predictions(split).probabilities

    @property
    def info(self) -> dict[str, Any]:
        """The info part of result.json."""
        info: dict[str, Any] = self.paths.read_result()["info"]
        return info


def train_run(spec: RunSpec, store: Store, *, save_weights: bool = False, **resources: Any) -> Trained:
    """Execute a pinned run in this process, as the local runner does."""
    from raysweep.training.execute import Job, execute
    from raysweep.training.process import clean_process

    with clean_process():
        execute(Job(spec, Resources(**resources), str(store.folder), save_weights, {}))
    return Trained(store.run(spec.id))


@dataclass(frozen=True)
class TinyWorld:
    """Pinned specs, and the store in which the pretraining and the supervisor are done. Copy it; never write to it."""

    folder: Path
    task: TaskSpec
    model: ModelSpec
    supervisor: RunSpec

    def finetuning(self, **changes: Any) -> RunSpec:
        """A run on ground truth of the supervisor's half: 12 steps of 16 examples."""
        spec = RunSpec(
            task=self.task,
            model=self.model,
            optimization=Optimization(learning_rate=1e-2, batch_size=16, steps=12),
            train_split="supervisor",
            evaluation=Evaluation(every=4, num_examples=24),
        )
        return replace(spec, **changes)

    def student(self, **changes: Any) -> RunSpec:
        """A run on the supervisor's labels of the other half."""
        return self.finetuning(train_split="transfer", labels=WeakLabels(supervisor=self.supervisor)) if not changes else (
            replace(self.student(), **changes)
        )

    def copy(self, folder: Path) -> Store:
        """A store of one's own that holds what this world's does."""
        shutil.copytree(self.folder, folder)
        return Store(folder)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def tiny_task() -> TaskSpec:
    """The smallest sandbox task, not pinned."""
    return _task()


@pytest.fixture(scope="session")
def tiny_model_spec() -> ModelSpec:
    """A model whose pretraining is a run of 20 steps, not pinned."""
    return _model()


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    """A tiny sandbox whose pretraining and supervisor are done; see `TinyWorld`."""
    store = Store(tmp_path_factory.mktemp("tiny") / "store")
    preparation = Preparation(store)
    task, model = preparation.task(_task()), preparation.model(_model())
    assert isinstance(model.base, RunSpec)
    train_run(model.base, store, save_weights=True)
    supervisor = TinyWorld(store.folder, task, model, model.base).finetuning(
        optimization=Optimization(learning_rate=2e-2, batch_size=16, steps=9)
    )
    train_run(supervisor, store, save_weights=True)
    return TinyWorld(store.folder, task, model, supervisor)


@pytest.fixture
def tiny_store(tiny_world: TinyWorld, tmp_path: Path) -> Store:
    """A copy of the tiny world's store, for this test alone."""
    return tiny_world.copy(tmp_path / "tiny-store")


@pytest.fixture(scope="session")
def trained() -> Callable[..., Trained]:
    """`trained(spec, store, save_weights=…, **resources)` executes a pinned run in this process: see `train_run`."""
    return train_run
