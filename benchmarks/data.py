"""The cost of a run's data: tokens, which are made once and mapped by all processes, and points of curves.

    RAYSWEEP_DATASETS=../shared/data/hub .venv/bin/python benchmarks/data.py [number of texts]

default: 20000 texts.

Tokens: dialogues, for two GPT-2s of different sizes with equal tokenizers. Measured are the seconds to make
tokens, to get them again for the other model, and to get them in a new process (with checksums, without
imports). Then four processes read every token at the same time: the memory of one for them (its part of the
mapped pages, from /proc), once mapped, as in raysweep, and once loaded as copies. Then the local runner
trains a sweep of both models, while every text that is passed to a tokenizer is counted.

Curves: the same run with points every 2 steps, of all its validation and test examples and of an eighth of
them. A point of an eighth should cost an eighth. The evaluation itself is compared with its forward passes
alone, in a plain loop over the same batches.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from common import Row, dialogues, machine, record, write_gpt2, write_task

from raysweep.store import RunStatus

if TYPE_CHECKING:
    from raysweep import RunSpec, TaskSpec
    from raysweep.store import Store

ITEM = "Data"
CONTEXT = 512
BATCH = 32
STEPS = 8
EVERY = 2
SHARE = 8
REPETITIONS = 3
GOAL_EVALUATION = 0.92
GOAL_POINT = 1.25
MODELS = {"small": (64, 2), "other": (128, 2)}


def run_spec(folder: Path, model: str, task: TaskSpec, max_tokens: int | None = None) -> RunSpec:
    """A finetuning of one of the models on a task."""
    from raysweep import Evaluation, Folder, ModelSpec, Optimization, RunSpec

    return RunSpec(
        task=task,
        model=ModelSpec(
            name=model, base=Folder(path=str(folder / model)), truncation="right", max_tokens=max_tokens
        ),
        optimization=Optimization(learning_rate=1e-3, batch_size=BATCH, steps=STEPS),
        train_split="supervisor",
        evaluation=Evaluation(every=0),
    )


def clocked(function: Any, *arguments: Any) -> tuple[float, Any]:
    """(seconds, result) of a call."""
    start = time.perf_counter()
    found = function(*arguments)
    return time.perf_counter() - start, found


def tokens_once(folder: Path, task: TaskSpec, store: Store) -> None:
    """Make tokens, get them again, and record the cost of both."""
    from raysweep.data.pinning import Pinner
    from raysweep.data.tokens import prepare_tokens
    from raysweep.models.source import ModelInputs

    import_tokenizers(folder)
    specs = [Pinner(store).run(run_spec(folder, model, task)) for model in MODELS]
    inputs = [ModelInputs(spec.model, spec.task, store) for spec in specs]
    first, tokens = clocked(prepare_tokens, inputs[0])
    other, shared = clocked(prepare_tokens, inputs[1])
    (folder / "spec.pickle").write_bytes(pickle.dumps(specs[0]))
    arrays = [np.load(path, mmap_mode="r") for path in sorted(tokens.glob("*.tokens.npy"))]
    is_shared = all(path.samefile(shared / path.name) for path in tokens.glob("*.npy"))
    millions = sum(array.size for array in arrays) / 1e6
    what = f"{millions:.1f} million tokens, made in {first:.1f} s: for another model with that tokenizer"
    how = "the same files" if is_shared else "made anew"
    record(
        Row(item=ITEM, what=what, goal="the same files", measured=f"{how}, {other:.2f} s", is_met=is_shared)
    )
    seconds = []
    total = sum(int(array.sum()) for array in arrays)
    for _ in range(3):
        process = Child(folder, "map")
        process.memory()
        seconds.append(process.facts["seconds"])
        assert process.facts["total"] == total
    what = "seconds until a new process has them, as a share of the time to make them"
    value = statistics.median(seconds)
    measured = f"{value / first:.3f} ({value:.3f} s)"
    record(Row(item=ITEM, what=what, goal="≤ 0.1", measured=measured, is_met=value <= first / 10))


def import_tokenizers(folder: Path) -> None:
    """Import what the tokenizers need, so that it isn't in the times."""
    from transformers import AutoConfig, AutoTokenizer

    AutoTokenizer.from_pretrained(folder / "small")
    AutoConfig.from_pretrained(folder / "small")


class Child:
    """A process that holds the tokens: `data.py child KIND FOLDER`."""

    def __init__(self, folder: Path, kind: str) -> None:
        command = [sys.executable, __file__, "child", kind, str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.facts: dict[str, Any] = json.loads(self._process.stdout.readline())

    def memory(self) -> dict[str, float]:
        """End the process; return the MiB that it held for `all` of its splits and for mapped `tokens`."""
        out, _ = self._process.communicate("\n")
        found: dict[str, float] = json.loads(out)
        return found


def child(kind: str, folder: Path) -> None:
    """Load all splits, mapped or copied, and read every token; print the seconds and later the memory."""
    from raysweep.data.inputs import RunInputs
    from raysweep.store import Store
    from raysweep.training.tokenized import TokenizedSplit

    spec = pickle.loads((folder / "spec.pickle").read_bytes())
    store = Store(folder / "store")
    pd.read_parquet(store.task(spec.task.content) / "validation.parquet")  # imports
    before, _ = own_mib()
    inputs = RunInputs(spec, store)
    seconds, splits = clocked(lambda: [TokenizedSplit.load(inputs, name) for name in inputs.split_sizes])
    tokens = [split.tokens if kind == "map" else np.array(split.tokens) for split in splits]
    total = sum(int(array.sum()) for array in tokens)
    mib = sum(array.nbytes for array in tokens) / 2**20
    print(json.dumps({"seconds": seconds, "total": total, "mib": mib}), flush=True)
    sys.stdin.readline()
    own, mapped = own_mib()
    print(json.dumps({"all": own + mapped - before, "tokens": mapped}), flush=True)


def own_mib() -> tuple[float, float]:
    """MiB of this process's own memory, and of its part of the mapped tokens.

    A page that n processes have mapped counts for 1/n.
    """
    own = 0
    mapped = 0
    is_tokens = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, value = line.partition(":")
        if "-" in name:  # a new mapping: from-to, rights, …, path
            is_tokens = line.endswith(".tokens.npy")
        elif name == "Anonymous":
            own += int(value.split()[0])
        elif name == "Pss" and is_tokens:
            mapped += int(value.split()[0])
    return own / 1_024, mapped / 1_024


def memory(folder: Path) -> None:
    """Record the memory of each of four processes."""
    held: dict[str, dict[str, float]] = {}
    for kind in ("map", "copy"):
        children = [Child(folder, kind) for _ in range(4)]
        # All hold the tokens while the first is measured.
        held[kind] = children[0].memory() | ({"tokens": children[0].facts["mib"]} if kind == "copy" else {})
        for other in children[1:]:
            other.memory()
    mapped, copied = (found["tokens"] for found in held.values())
    what = "memory of the tokens in each of 4 processes on a node, as a share of a copy"
    measured = f"{mapped / copied:.2f} ({mapped:.1f} of {copied:.1f} MiB)"
    record(Row(item=ITEM, what=what, goal="≤ 0.3", measured=measured, is_met=mapped <= 0.3 * copied))
    everything = " and ".join(f"{found['all']:.1f}" for found in held.values())
    print(f"  with ids, offsets and other memory of reading them: {everything} MiB")


def counted_sweep(folder: Path, task: TaskSpec) -> None:
    """Plan and train a small sweep in an empty store, and record how often each text was tokenized."""
    from transformers import PreTrainedTokenizerBase

    from raysweep import Evaluation, Sweep
    from raysweep.models.families import Model
    from raysweep.planning.plan import make_plan
    from raysweep.scheduling.run import run_plan
    from raysweep.store import Store

    small = dataclasses.replace(task, num_train=200, num_validation=50, num_test=50)
    runs = [run_spec(folder, model, small) for model in MODELS]
    weak, strong = (Model(spec=run.model, optimization=run.optimization) for run in runs)
    sweep = Sweep(
        name="data",
        tasks=[small],
        pairs=[(weak, strong)],
        methods=["naive"],
        seeds=range(2),
        evaluation=Evaluation(every=4, num_examples=20),
    )
    counts: dict[str, int] = {}
    call = PreTrainedTokenizerBase.__call__

    def counting(self: Any, text: Any = None, *arguments: Any, **keywords: Any) -> Any:
        for item in [text] if isinstance(text, str) else text:
            counts[item] = counts.get(item, 0) + 1
        return call(self, text, *arguments, **keywords)

    PreTrainedTokenizerBase.__call__ = counting  # type: ignore[method-assign]
    try:
        store = Store(folder / "counted")
        for _ in range(2):  # the second time, all runs are cached
            queue = run_plan(make_plan(sweep, store), store, code={})
    finally:
        PreTrainedTokenizerBase.__call__ = call  # type: ignore[method-assign]
    assert queue.count(RunStatus.CACHED) == 6
    what = f"how often a text is tokenized in 6 runs of 2 models, planned twice ({len(counts)} texts)"
    most = max(counts.values())
    record(Row(item=ITEM, what=what, goal="1", measured=f"{most}", is_met=most == 1 and len(counts) == 500))


def curves(spec: RunSpec, store: Store) -> None:
    """Record the cost of points of curves, and of evaluations beyond their forward passes."""
    from raysweep import Evaluation, Resources
    from raysweep.data.examples import split_sizes
    from raysweep.data.pinning import Pinner
    from raysweep.training.process import clean_process
    from raysweep.training.run import Job, execute

    spec = Pinner(store).run(spec)
    sizes = split_sizes(spec.task, store)
    whole = max(sizes["validation"], sizes["test"])
    found: dict[str, list[float]] = {"none": [], "share": [], "whole": []}
    points = {"none": (0, 1), "share": (EVERY, whole // SHARE), "whole": (EVERY, whole)}
    for seed in range(REPETITIONS):
        for name, (every, count) in points.items():
            run = dataclasses.replace(spec, evaluation=Evaluation(every=every, num_examples=count), seed=seed)
            with clean_process():
                execute(Job(run, Resources(checkpoint_every=0), str(store.folder), False, {}))
            found[name].append(store.run(run.id).read_result()["info"]["seconds_evaluation"])
    last, some, all_ = (np.array(found[name]) for name in points)
    ratios = np.sort(SHARE * (some - last) / (all_ - last))
    ratio = float(np.median(ratios))
    what = f"a point of an eighth of {whole} examples, against an eighth of a point of all of them"
    measured = f"{ratio:.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
    record(Row(item=ITEM, what=what, goal=f"≤ {GOAL_POINT}", measured=measured, is_met=ratio <= GOAL_POINT))
    ratios = np.sort(evaluations(spec, store))
    what = "speed of an evaluation, against its forward passes alone in a plain loop"
    measured = f"{np.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
    ratio = float(np.median(ratios))
    goal = f"≥ {GOAL_EVALUATION}"
    record(Row(item=ITEM, what=what, goal=goal, measured=measured, is_met=ratio >= GOAL_EVALUATION))


def evaluations(spec: RunSpec, store: Store) -> list[float]:
    """Ratios of the seconds of plain forward passes to those of `evaluate`, on the same test batches."""
    import torch

    from raysweep import Resources
    from raysweep.data.inputs import RunInputs
    from raysweep.training.batching import evaluation_batches
    from raysweep.training.engine import Engine, process_group
    from raysweep.training.evaluation import evaluate
    from raysweep.training.heads import make_head
    from raysweep.training.model import build_model
    from raysweep.training.sharding import Sharding
    from raysweep.training.tokenized import TokenizedSplit

    torch.set_num_threads(1)
    resources = Resources()
    inputs = RunInputs(spec, store)
    split = TokenizedSplit.load(inputs, "test")
    size = resources.evaluation_batch_size
    ratios = []
    with process_group(on_gpu=False):
        engine = Engine(build_model(inputs, Sharding(None)), spec.optimization, resources)
        head = make_head(inputs, engine)
        batches = [head.inputs(split, rows) for rows in evaluation_batches(split.lengths, size, 0, 1)]
        for number in range(REPETITIONS + 1):
            ours, _ = clocked(evaluate, head, split, len(split), size)
            engine.module.eval()
            start = time.perf_counter()
            with torch.no_grad():
                for batch in batches:
                    engine.module(**batch).logits.softmax(dim=-1)
            if number:  # the first one warms up
                ratios.append((time.perf_counter() - start) / ours)
        engine.close()
    return ratios


def main() -> None:
    """Print a line for each number."""
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], Path(sys.argv[3]))
        return
    from raysweep import TaskSpec
    from raysweep.store import Store

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    num_texts = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    what, texts = dialogues(num_texts)
    print(f"{machine()}\n{num_texts} {what}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model, (width, layers) in MODELS.items():
            write_gpt2(folder / model, texts[:2_000], width=width, layers=layers, context=CONTEXT)
        write_task(folder / "table.jsonl", texts)
        os.environ["BENCHMARK_TABLE"] = str(folder / "table.jsonl")
        task = TaskSpec(name="common:task", num_train=num_texts // 4, num_validation=400, num_test=400)
        store = Store(folder / "store")
        tokens_once(folder, task, store)
        memory(folder)
        counted_sweep(folder, task)
        curves(
            run_spec(folder, "small", dataclasses.replace(task, num_train=BATCH * STEPS), max_tokens=128),
            store,
        )


if __name__ == "__main__":
    main()
