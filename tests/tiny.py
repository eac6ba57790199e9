"""The tiny world: the sandbox at its smallest, with real runs in it, for every test that needs something
trained.

A GPT-2 of width 16 is pretrained for 20 steps on sentences of 40 words, and a supervisor (84 % right)
finetuned from it. The fixtures `tiny_world` and `tiny_store` of conftest.py make it once in each test process
and copy its store.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from raysweep.data.pinning import Pinner
from raysweep.objectives import BatchContext, Objective, cross_entropy
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec, WeakLabels
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.store.run_folder import RunFolder

if TYPE_CHECKING:
    from torch import Tensor

ROOT = Path(__file__).parent.parent
WORDS = {"num_words": 40, "num_attributes": 2, "strength": 1.2, "share_loaded": 0.6, "sentence_length": 8}

SCALED_LIMITS = {
    "stage3_max_live_parameters": 1_000,
    "stage3_max_reuse_distance": 1_000,
    "stage3_prefetch_bucket_size": 50,
    "stage3_param_persistence_threshold": 10,
}
"""ZeRO stage 3's limits, as small to the tiny model (6,000 parameters) as DeepSpeed's are to a model of many
billions: parameters are then let go of, fetched again, and fetched ahead of their use."""


def tiny_task() -> TaskSpec:
    params = WORDS | {"num_sentences": 600, "num_test_sentences": 200}
    return TaskSpec(name="sandbox", params=params, num_train=160, num_validation=64, num_test=64)


def tiny_model() -> ModelSpec:
    corpus = TaskSpec(
        name="sandbox_corpus", params=WORDS | {"num_sentences": 700}, num_train=512, num_validation=64
    )
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

    paths: RunFolder

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
    from raysweep.training.process import clean_process
    from raysweep.training.run import Job, execute

    with clean_process():
        execute(Job(spec, Resources(**resources), str(store.folder), save_weights, {}))
    return Trained(store.run(spec.id))


@dataclass(frozen=True)
class TinyWorld:
    """Pinned specs, and the store in which the pretraining and the supervisor are done. Copy it; never write
    to it."""

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
        labels = WeakLabels(supervisor=self.supervisor)
        return self.finetuning(**{"train_split": "transfer", "labels": labels} | changes)

    def copy(self, folder: Path) -> Store:
        """A store of one's own that holds what this world's does."""
        shutil.copytree(self.folder, folder)
        return Store(folder)


def make_tiny_world(folder: Path) -> TinyWorld:
    """Prepare the tiny world's task, pretrain its model and train its supervisor."""
    store = Store(folder)
    preparation = Pinner(store)
    task = preparation.task(tiny_task())
    model = preparation.model(tiny_model())
    assert isinstance(model.base, RunSpec)
    train_run(model.base, store, save_weights=True)
    supervisor = TinyWorld(store.folder, task, model, model.base).finetuning(
        optimization=Optimization(learning_rate=2e-2, batch_size=16, steps=20)
    )
    train_run(supervisor, store, save_weights=True)
    return TinyWorld(store.folder, task, model, supervisor)


def _focused(logits: Tensor, labels: Tensor, context: BatchContext) -> Tensor:
    """Cross-entropy of the examples that are harder than the mean of the global batch; needs its logits
    beside its labels."""
    assert context.batch_logits is not None and context.batch_labels is not None
    losses = cross_entropy(logits, labels, context)
    mean = cross_entropy(context.batch_logits, context.batch_labels, context).mean()
    return losses * (losses.detach() > mean)


FOCUSED = Objective(_focused, needs_global_batch=True)


def digest_of(tensor: Any) -> str:
    """SHA-256 of a tensor's values."""
    return hashlib.sha256(tensor.detach().float().numpy().tobytes()).hexdigest()


def run_ranks(
    calls: list[tuple[str, tuple[Any, ...]]], folder: Path, world_size: int = 2
) -> list[list[tuple[Any, str]]]:
    """Run calls of `tests/training/rank.py` in a group of processes; for each rank, (returned, traceback) of
    each call."""
    folder.mkdir(parents=True)
    (folder / "calls.pickle").write_bytes(pickle.dumps(calls))
    script = ROOT / "tests" / "training" / "rank.py"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "DS_ACCELERATOR": "cpu"}
    logs = [(folder / f"log-{rank}.txt").open("w+") for rank in range(world_size)]
    ranks = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(world_size), folder],
            env=environment,
            stdout=log,
            stderr=log,
        )
        for rank, log in enumerate(logs)
    ]
    try:
        codes = [process.wait(timeout=300) for process in ranks]
    finally:
        for process in ranks:
            process.kill()
        for log in logs:
            log.close()
    assert codes == [0] * world_size, "\n".join(
        (folder / f"log-{rank}.txt").read_text()[-3000:] for rank in range(world_size)
    )
    return [pickle.loads((folder / f"returned-{rank}.pickle").read_bytes()) for rank in range(world_size)]


def start_process(spec: RunSpec, store: Store, folder: Path, **resources: Any) -> subprocess.Popen[bytes]:
    """Start a fresh Python process that executes one run; what it says is in FOLDER/log.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.pickle").write_bytes(pickle.dumps((spec, store, resources)))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (folder / "log.txt").open("w") as log:
        return subprocess.Popen(
            [sys.executable, __file__, folder / "run.pickle"], env=environment, stdout=log, stderr=log
        )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    spec, store, resources = pickle.loads(Path(sys.argv[1]).read_bytes())
    train_run(spec, store, save_weights=True, **resources)
