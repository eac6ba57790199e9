"""From data to PGR for two models × three seeds, against the same trainings one process after another.

    .venv/bin/python benchmarks/field.py [micro batch of the serial run …]      default: 32 1

The 15 trainings are those of sweep.py of openai/weak-to-strong for two models and three seeds: each model on
ground truth of half A, and each model on the labels of every model that is no stronger. GPT-2s of width 32
and 64 from random weights, 2,000 sentences of the sandbox in each half, 2 epochs, 1,000 test sentences; head
of zeros, Adam, cosine schedule, as theirs.

raysweep: the command `raysweep run` with an empty store, from its start until it prints PGR, with planning,
tokens, and the start and end of Ray. What follows, the rest of MLflow and the report, isn't counted but
shown.
 Serial: written here after that script. Each training is a new process that imports, loads, tokenizes, trains
with a micro batch (32, or their default of 1 for one seed, times three), evaluates, labels half B, and saves
the model and its results. It has one thread (`OMP_NUM_THREADS`), which is as fast as two for models of this
size. Batches have the same examples, so the losses of the first steps on ground truth must agree; later, a
training amplifies the rounding, the more so the higher its learning rate: at five times the rates here, a
difference of 1e-16 in a weight grew to 4e-2 in 60 steps.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common import Row

    from raysweep import Sweep

GOALS = {32: 4.0, 1: 6.0}
GOAL_DIFFERENCE = 0.01
"""For the mean test accuracy."""
FIRST_STEPS = 10
GOAL_LOSSES = 1e-6
"""For the losses of the first steps, relative: they are sums in float32."""
MODELS = {"gpt2-32": (32, 1, 4e-4), "gpt2-64": (64, 2, 2e-4)}
"""Width, layers, learning rate; weaker first."""
SEEDS = range(3)
SERIAL_SEEDS = {1: range(1)}
"""By micro batch: fewer seeds, where a training takes minutes. Their seconds are multiplied."""
BATCH = 32
EPOCHS = 2
CONTEXT = 32
NUM_TRAIN = 2_000
NUM_TEST = 1_000
WORLD = {"sentence_length": 20, "num_sentences": 6_000, "num_test_sentences": 2_000}


@dataclass(frozen=True)
class Training:
    """What one training ended with."""

    accuracy: float
    losses: list[float]
    """Of the first steps."""


def sweep() -> Sweep:
    """The sweep of `raysweep run benchmarks/field.py`; its models are in the folder BENCHMARK_MODELS."""
    from raysweep import Evaluation, Folder, ModelSpec, Optimization, Resources, Sweep, TaskSpec
    from raysweep.models.families import Model

    models = [
        Model(
            spec=ModelSpec(
                name=name,
                base=Folder(path=str(Path(os.environ["BENCHMARK_MODELS"]) / name)),
                head_init="zeros",
            ),
            optimization=Optimization(learning_rate=rate, batch_size=BATCH, epochs=EPOCHS),
        )
        for name, (_, _, rate) in MODELS.items()
    ]
    task = TaskSpec(name="sandbox", params=WORLD, num_train=NUM_TRAIN, num_validation=100, num_test=NUM_TEST)
    return Sweep(
        name="field",
        tasks=[task],
        pairs=[(weak, strong) for number, strong in enumerate(models) for weak in models[: number + 1]],
        methods=["naive"],
        seeds=SEEDS,
        ceiling_split="supervisor",
        evaluation=Evaluation(every=0),
        resources=Resources(micro_batch_size=32, checkpoint_every=0),
    )


def train_one(config: dict[str, Any]) -> None:
    """One training of the serial run, in a process of its own."""
    import numpy as np
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    out = Path(config["out"])
    train = config["split"]
    seed = config["seed"]
    micro = config["micro_batch"]
    tokenizer = AutoTokenizer.from_pretrained(config["model"])
    data: dict[str, list[dict[str, Any]]] = json.loads(Path(config["data"]).read_text())
    tokens = {name: [tokenizer(row["text"])["input_ids"] for row in rows] for name, rows in data.items()}
    if config["labels"]:
        labels = torch.tensor(np.load(config["labels"]), dtype=torch.float32)
    else:
        labels = torch.nn.functional.one_hot(torch.tensor([row["label"] for row in data[train]]), 2).float()
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(config["model"], num_labels=2, pad_token_id=0)
    torch.nn.init.zeros_(model.score.weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=config["rate"])
    num_steps = len(tokens[train]) * EPOCHS // BATCH
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / num_steps)) / 2
    )

    def logits(split: str, rows: Any) -> torch.Tensor:
        padded = tokenizer.pad({"input_ids": [tokens[split][row] for row in rows]}, return_tensors="pt")
        found: torch.Tensor = model(
            input_ids=padded["input_ids"], attention_mask=padded["attention_mask"]
        ).logits
        return found

    def predict(split: str) -> torch.Tensor:
        with torch.no_grad():
            starts = range(0, len(tokens[split]), BATCH)
            return torch.cat(
                [logits(split, range(n, min(n + BATCH, len(tokens[split])))).softmax(dim=1) for n in starts]
            )

    order = np.concatenate(
        [np.random.default_rng([seed, epoch]).permutation(len(tokens[train])) for epoch in range(EPOCHS)]
    )
    losses = []
    for step in range(num_steps):
        losses.append(0.0)
        batch = order[step * BATCH : (step + 1) * BATCH]
        for start in range(0, BATCH, micro):
            rows = batch[start : start + micro]
            loss = (
                torch.nn.functional.cross_entropy(logits(train, rows), labels[rows], reduction="sum") / BATCH
            )
            loss.backward()
            losses[-1] += float(loss.detach())
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()
    truth = torch.tensor([row["label"] for row in data["test"]])
    accuracy = float((predict("test").argmax(dim=1) == truth).double().mean())
    out.mkdir(parents=True)
    np.save(out / "weak_labels.npy", predict("transfer").numpy())
    model.save_pretrained(out / "model")
    (out / "results.json").write_text(json.dumps({"accuracy": accuracy, "losses": losses[:FIRST_STEPS]}))


def run_serially(folder: Path, micro_batch: int) -> tuple[float, dict[str, Training]]:
    """(total seconds, outcome by training) of one process per training, one after another."""
    seeds = SERIAL_SEEDS.get(micro_batch, SEEDS)
    out = folder / f"serial-{micro_batch}"
    start = time.perf_counter()
    for seed in seeds:
        names = list(MODELS)
        trainings: list[tuple[str | None, str]] = [(None, name) for name in names]
        trainings += [(weak, strong) for number, strong in enumerate(names) for weak in names[: number + 1]]
        for weak, name in trainings:
            config = {
                "out": str(out / _key(weak, name, seed)),
                "model": str(folder / "models" / name),
                "data": str(folder / "data.json"),
                "labels": str(out / _key(None, weak, seed) / "weak_labels.npy") if weak else None,
                "split": "transfer" if weak else "supervisor",
                "rate": MODELS[name][2],
                "seed": seed,
                "micro_batch": micro_batch,
            }
            command = [sys.executable, __file__, "train", json.dumps(config)]
            subprocess.run(command, check=True, capture_output=True)
    seconds = (time.perf_counter() - start) * len(SEEDS) / len(seeds)
    return seconds, {
        path.parent.name: Training(**json.loads(path.read_text())) for path in out.glob("*/results.json")
    }


def run_raysweep(folder: Path) -> tuple[float, dict[str, Training], str]:
    """(seconds until PGR is printed, outcome by training, breakdown of the time) of `raysweep run`."""
    import pandas as pd

    from raysweep.planning.plan import make_plan
    from raysweep.store import Store

    store = folder / "store"
    command = [str(Path(sys.executable).parent / "raysweep"), "run", __file__, "--store", str(store)]
    command += ["--tracking-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    began = time.time()
    start = time.perf_counter()
    seconds = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout or ():
            if "PGR" in line:
                seconds = time.perf_counter() - start
    assert process.returncode == 0 and seconds
    whole = time.perf_counter() - start
    plan = make_plan(sweep(), Store(store))
    trainings = {}
    infos = []
    starts = []
    for cell in plan.cells:
        ends = ((None, cell.weak, cell.runs.supervisor), (None, cell.strong, cell.runs.ceiling))
        for weak, name, spec in (*ends, (cell.weak, cell.strong, cell.runs.student)):
            paths = Store(store).run(spec.id)
            losses = pd.read_parquet(paths.training_curve)["loss"].tolist()[:FIRST_STEPS]
            accuracy = paths.read_result()["metrics"]["test_accuracy"]
            trainings[_key(weak, name, cell.seed)] = Training(accuracy, losses)
    for run_id in plan.runs:
        paths = Store(store).run(run_id)
        infos.append(paths.read_result()["info"])
        starts.append(paths.spec.stat().st_mtime)
    first = min(starts) - began
    last = max(info["finished_at"] for info in infos) - began
    spent = {
        what: sum(info[f"seconds_{what}"] for info in infos) for what in ("training", "evaluation", "total")
    }
    spent["overhead"] = spent.pop("total") - spent["training"] - spent["evaluation"]
    num_processes = len({info["process"] for info in infos})
    parts = ", ".join(f"{what} {value:.1f} s" for what, value in spent.items())
    breakdown = (
        f"{first:.1f} s until the first run starts, {last - first:.1f} s of runs, "
        f"{seconds - last:.1f} s until PGR is printed, {whole - seconds:.1f} s of MLflow and report after "
        f"that; in {num_processes} processes: {parts}"
    )
    return seconds, trainings, breakdown


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def _key(weak: str | None, name: str | None, seed: int) -> str:
    return f"{weak or 'truth'}-to-{name}-seed-{seed}"


def prepare(folder: Path) -> None:
    """Write the models, and the splits as raysweep divides them."""
    from common import write_gpt2

    from raysweep.data.examples import read_split
    from raysweep.data.pinning import pin_task
    from raysweep.store import Store
    from raysweep.tasks.sandbox import World

    words = " ".join(World(sentence_length=20).words)
    for name, (width, layers, _) in MODELS.items():
        write_gpt2(
            folder / "models" / name, [words], width=width, layers=layers, context=CONTEXT, word_level=True
        )
    os.environ["BENCHMARK_MODELS"] = str(folder / "models")
    store = Store(folder / "splits")
    data = {}
    spec = sweep().tasks[0]
    assert not isinstance(spec, str)
    task = pin_task(spec, store)
    for split in ("supervisor", "transfer", "test"):
        frame = read_split(task, split, store)
        rows = zip(frame["texts"], frame["label"], strict=True)
        data[split] = [{"text": str(texts[0]), "label": int(label)} for texts, label in rows]
    (folder / "data.json").write_text(json.dumps(data))


def compared(ours: dict[str, Training], serial: dict[str, Training], micro_batch: int) -> list[Row]:
    """Rows with the difference of the first losses, of trainings on ground truth, since labels of a model
    carry its rounding; and with that of the accuracies."""
    from common import Row

    pairs = [
        (ours_loss, loss)
        for key, found in serial.items()
        if key.startswith("truth-")
        for ours_loss, loss in zip(ours[key].losses, found.losses, strict=True)
    ]
    loss = max(abs(ours_loss / loss - 1) for ours_loss, loss in pairs)
    differences = [found.accuracy - ours[key].accuracy for key, found in serial.items()]
    mean = abs(statistics.mean(differences))
    largest = max(map(abs, differences))
    where = f"to that at micro batch {micro_batch}"
    item = "Against the field"
    return [
        Row(
            item=item,
            what=f"largest difference of a loss of the first {FIRST_STEPS} steps {where}, on ground truth",
            goal=f"≤ {GOAL_LOSSES:.0e}",
            measured=f"{loss:.1e}",
            is_met=loss <= GOAL_LOSSES,
        ),
        Row(
            item=item,
            what=f"difference of the mean test accuracy {where}",
            goal=f"≤ {GOAL_DIFFERENCE}",
            measured=f"{mean:.4f} (of one training, {largest:.3f})",
            is_met=mean <= GOAL_DIFFERENCE,
        ),
    ]


def main() -> None:
    """Print a line for raysweep and one for each serial run."""
    if sys.argv[1:2] == ["train"]:
        train_one(json.loads(sys.argv[2]))
        return
    from common import Row, machine, record

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        seconds, trainings, breakdown = run_raysweep(folder)
        print(
            f"raysweep run: {len(trainings)} trainings in {seconds:.1f} s ({_load()}): {breakdown}",
            flush=True,
        )
        for micro_batch in [int(text) for text in sys.argv[1:]] or list(GOALS):
            serial, found = run_serially(folder, micro_batch)
            what = f"serial, micro batch {micro_batch}: {len(found)} trainings"
            print(f"{what}; 15 take {serial:.1f} s ({_load()})", flush=True)
            ratio = serial / seconds
            goal = GOALS.get(micro_batch)
            what = f"15 trainings, against one after another at micro batch {micro_batch} ({serial:.0f} s)"
            record(
                Row(
                    item="Against the field",
                    what=what,
                    goal=f"≥ {goal:g}" if goal else "",
                    measured=f"{ratio:.2f} ({seconds:.1f} s)",
                    is_met=ratio >= goal if goal else None,
                )
            )
            for row in compared(trainings, found, micro_batch):
                record(row)
            for key in sorted(found):
                print(f"  {key}: {trainings[key].accuracy:.3f}, serial {found[key].accuracy:.3f}")


if __name__ == "__main__":
    main()
