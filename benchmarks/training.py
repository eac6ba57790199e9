"""Training speed against a plain PyTorch loop on the same batches and against `transformers.Trainer`.

    .venv/bin/python benchmarks/training.py [repetitions] [model …]

default: 5 repetitions of the three in turn, after one of a single step to warm up; all models.

GPT-2s from random weights are trained on dialogues cut to 64 tokens and on whole ones, of 5 to 512 tokens.
All three get the same model, examples, AdamW, threads (`OMP_NUM_THREADS`, else 1) and no dropout:

- raysweep: `execute` with ZeRO-0 in this process; the time of its training, without loading and saving;
- plain: forward, backward and step in a plain loop over raysweep's own batches, padded as raysweep pads them.
  Its losses must equal raysweep's (the largest relative difference is shown), else the two would differ. In
  bfloat16 it is under torch's autocast, which has its weights in float32 as raysweep's optimizer has them;
- Trainer: its defaults (examples drawn without regard to length, padding to the longest of a batch, no micro
  batches) with 32 examples per batch, without saving and reporting.

Tokens are those of the texts, without padding. Ratios are medians over repetitions, with the smallest and the
largest.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, dialogues, machine, record, write_gpt2, write_task

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
MODELS = {
    "small": (64, 2, 32, 12),
    "middle": (256, 4, 6, 3),
    "MiniLM-sized": (384, 6, 4, 2),
    "large": (768, 12, 32, 16),
}
"""Width, layers, steps with texts of equal length, steps with whole texts; the large model is for GPUs."""
IN_BFLOAT16 = ("MiniLM-sized",)
BATCH = 32
RATE = 1e-3
CONTEXT = 512
EQUAL = 64
GOALS = {"CPU": 0.92, "GPU": 0.97}
GOAL_TRAINER = 1.5


@dataclass(frozen=True)
class Case:
    """A pinned run with its store, resources and device, for the three runners."""

    spec: Any
    store: Any
    resources: Any
    device: str


def raysweep(case: Case) -> tuple[float, list[float]]:
    """(tokens per second, losses) of raysweep."""
    import pandas as pd

    from raysweep.training.process import clean_process
    from raysweep.training.run import Job, execute

    with clean_process():
        execute(Job(case.spec, case.resources, str(case.store.folder), False, {}))
    paths = case.store.run(case.spec.id)
    info = paths.read_result()["info"]
    return info["num_tokens"] / info["seconds_training"], pd.read_parquet(paths.training_curve)[
        "loss"
    ].tolist()


def plain(case: Case) -> tuple[float, list[float]]:
    """(tokens per second, losses) of a plain loop."""
    import torch

    from raysweep.data.inputs import RunInputs
    from raysweep.training.batching import global_batches, learning_rate, micro_batches
    from raysweep.training.model import build_model
    from raysweep.training.sharding import Sharding
    from raysweep.training.tokenized import TokenizedSplit

    spec = case.spec
    device = case.device
    inputs = RunInputs(spec, case.store)
    data = TokenizedSplit.load(inputs, "supervisor")
    texts = [
        torch.tensor(data.tokens[a:b], dtype=torch.long)
        for a, b in zip(data.offsets, data.offsets[1:], strict=False)
    ]
    labels = torch.tensor(inputs.examples("supervisor", ["label"])["label"].to_numpy(int)).to(device)
    model = build_model(inputs, Sharding(None)).to(device)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, fused=True)
    plan = spec.optimization
    micro = case.resources.micro_batch(BATCH)
    num_tokens = 0
    losses = []
    start = time.perf_counter()
    for step, batch in enumerate(global_batches(len(texts), plan.steps, BATCH, plan.order, spec.seed)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step, plan.steps)
        total = torch.zeros((), device=device)
        for rows in micro_batches(batch, data.lengths, micro, 0, 1):
            some = [texts[row] for row in rows]
            inputs = torch.nn.utils.rnn.pad_sequence(
                some, batch_first=True, padding_value=model.config.pad_token_id
            )
            ends = torch.tensor([len(text) for text in some])
            mask = (torch.arange(inputs.shape[1]) < ends[:, None]).long()
            with torch.autocast(device, torch.bfloat16, enabled=plan.precision == "bfloat16"):
                logits = model(input_ids=inputs.to(device), attention_mask=mask.to(device)).logits.float()
            loss = torch.nn.functional.cross_entropy(logits, labels[rows], reduction="sum") / BATCH
            loss.backward()
            total += loss.detach()
            num_tokens += int(ends.sum())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    found = [float(loss) for loss in losses]
    return num_tokens / (time.perf_counter() - start), found


def trainer(case: Case) -> tuple[float, list[float]]:
    """(tokens per second, no losses) of the Trainer of transformers with its defaults."""
    import torch
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

    from raysweep.data.inputs import RunInputs
    from raysweep.training.model import build_model
    from raysweep.training.sharding import Sharding
    from raysweep.training.tokenized import TokenizedSplit

    spec = case.spec
    inputs = RunInputs(spec, case.store)
    data = TokenizedSplit.load(inputs, "supervisor")
    labels = inputs.examples("supervisor", ["label"])["label"].tolist()
    starts = data.offsets.tolist()
    rows = [
        {"input_ids": data.tokens[starts[n] : starts[n + 1]].tolist(), "labels": int(labels[n])}
        for n in range(len(labels))
    ]
    tokens = [0]

    class Collator(DataCollatorWithPadding):
        def __call__(self, features: Any) -> Any:
            tokens[0] += sum(len(item["input_ids"]) for item in features)
            return super().__call__(features)

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

        def on_train_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            max_steps=spec.optimization.steps,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=case.device == "cpu",
            bf16=spec.optimization.precision == "bfloat16",
            seed=spec.seed,
        )
        model = build_model(inputs, Sharding(None))
        runner = Trainer(
            model=model,
            args=arguments,
            train_dataset=rows,  # type: ignore[arg-type]
            data_collator=Collator(inputs.tokenizer),
            callbacks=[Clock()],
        )
        runner.train()
    if case.device != "cpu":
        torch.cuda.synchronize()
    # The batch after the last step is collated too, so batches are counted by their mean number of tokens.
    num_batches = tokens[0] / (sum(len(row["input_ids"]) for row in rows) / len(rows)) / BATCH
    assert num_batches < spec.optimization.steps + 2
    return tokens[0] / (times[1] - times[0]), []


RUNNERS: dict[str, Callable[[Case], tuple[float, list[float]]]] = {
    "raysweep": raysweep,
    "plain": plain,
    "Trainer": trainer,
}


def compare(cases: list[Case]) -> tuple[dict[str, list[float]], float]:
    """Tokens per second by runner, one for each case, and the largest difference to a loss of the plain loop.

    The runners take turns. The first case warms up and isn't counted.
    """
    import torch

    speeds: dict[str, list[float]] = {name: [] for name in RUNNERS}
    difference = 0.0
    for number, case in enumerate(cases):
        losses = {}
        for name, function in RUNNERS.items():
            torch.set_num_threads(THREADS)
            speed, losses[name] = function(case)
            if number:
                speeds[name].append(speed)
        differences = np.abs(np.array(losses["raysweep"]) / np.array(losses["plain"]) - 1)
        difference = max(difference, float(differences.max()))
    return speeds, difference


def make_cases(
    folder: Path, model_folder: Path, max_tokens: int | None, num_steps: int, repetitions: int, precision: Any
) -> list[Case]:
    """The same run with one seed per repetition, after a run of a single step."""
    import torch

    from raysweep import Evaluation, Folder, ModelSpec, Optimization, Resources, RunSpec, TaskSpec
    from raysweep.data.pinning import Pinner
    from raysweep.store import Store

    store = Store(folder / "store")
    on_gpu = torch.cuda.is_available()
    resources = Resources(cpus_per_worker=THREADS, gpus_per_worker=int(on_gpu), checkpoint_every=0)
    cases = []
    pinner = Pinner(store)
    for seed in range(repetitions + 1):
        spec = RunSpec(
            task=TaskSpec(
                name="common:task", num_train=BATCH * min(num_steps, 16), num_validation=10, num_test=10
            ),
            model=ModelSpec(name="gpt2", base=Folder(path=str(model_folder)), max_tokens=max_tokens),
            optimization=Optimization(
                learning_rate=RATE, batch_size=BATCH, steps=num_steps if seed else 1, precision=precision
            ),
            train_split="supervisor",
            evaluation=Evaluation(every=0, num_examples=10),
            seed=seed,
        )
        spec = pinner.run(spec)
        pinner.tokens(spec.task, spec.model)
        cases.append(Case(spec, store, resources, "cuda" if on_gpu else "cpu"))
    return cases


def compared(what: str, speeds: dict[str, list[float]], other: str, goal: float | None) -> Row:
    """A row with the median, smallest and largest ratio of raysweep's speed to another's."""
    found = sorted(a / b for a, b in zip(speeds["raysweep"], speeds[other], strict=True))
    middle = statistics.median(found)
    return Row(
        item="Training",
        what=f"{what}: speed against {other}",
        goal="" if goal is None else f"≥ {goal}",
        measured=f"{middle:.2f} [{found[0]:.2f}, {found[-1]:.2f}]",
        is_met=None if goal is None else middle >= goal,
    )


def main() -> None:
    """Print a line for each model with equal and with whole texts, and record the ratios."""
    import torch

    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    device = "GPU" if torch.cuda.is_available() else "CPU"
    chosen = sys.argv[2:] or [label for label in MODELS if label != "large" or device == "GPU"]
    description, texts = dialogues(2_000)
    setting = f"{repetitions} repetitions, {THREADS} thread(s), {device}"
    print(f"{machine()}\nsteps of {BATCH} {description}, {setting}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label in chosen:
            width, layers, *steps = MODELS[label]
            write_gpt2(folder / label, texts, width=width, layers=layers, context=CONTEXT)
            for kind, max_tokens, num_steps in zip(("equal", "whole"), (EQUAL, None), steps, strict=True):
                # Equal lengths: texts with at least as many words as tokens, cut to these.
                chosen_texts = [t for t in texts if max_tokens is None or len(t.split()) >= max_tokens]
                write_task(folder / "table.jsonl", chosen_texts)
                os.environ["BENCHMARK_TABLE"] = str(folder / "table.jsonl")
                precision = "bfloat16" if label in IN_BFLOAT16 else "float32"
                cases = make_cases(folder, folder / label, max_tokens, num_steps, repetitions, precision)
                speeds, difference = compare(cases)
                shown = ", ".join(f"{name} {statistics.median(found):,.0f}" for name, found in speeds.items())
                what = f"{label} model, {kind} texts, {precision}"
                print(f"{what}, tokens per second: {shown}; losses differ by {difference:.0e}", flush=True)
                record(compared(what, speeds, "plain", GOALS[device]))
                goal = GOAL_TRAINER if max_tokens is None else None
                record(compared(what, speeds, "Trainer", goal))


if __name__ == "__main__":
    main()
