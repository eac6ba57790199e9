"""The training loop: one flat function, for every objective, head, ZeRO stage and number of workers.

It knows no Ray and no MLflow: it is called in each worker with a process group in place, reads the store, and
tells its progress through `report`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from raysweep.data.examples import split_names
from raysweep.errors import StoppedEarly
from raysweep.models.source import load_tokenizer
from raysweep.spec import Prompting, RunSpec
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.store.run_folder import RunFolder
from raysweep.training.batching import global_batches, learning_rate
from raysweep.training.checkpoint import Checkpoints
from raysweep.training.engine import Engine
from raysweep.training.evaluation import evaluate
from raysweep.training.heads import Head, make_head
from raysweep.training.history import History
from raysweep.training.losses import PendingLosses
from raysweep.training.model import build_model, save_model
from raysweep.training.prompting import prompted
from raysweep.training.sharding import sharded_loading
from raysweep.training.step import TrainingSet, training_step
from raysweep.training.tokenized import TokenizedSplit

Report = Callable[[Mapping[str, Any]], None]
ShouldStop = Callable[[int, int, "History"], bool]
"""(steps done, all steps, what is known of them) → whether the run must end, asked at every point of its
curves."""

_LOOK_EVERY = 10
"""Steps between two looks at the losses: often enough to stop a diverged run soon, seldom enough not to hold
up a GPU."""


def train(
    spec: RunSpec,
    resources: Resources,
    store: Store,
    save_weights: bool,
    report: Report,
    should_stop: ShouldStop | None = None,
) -> History:
    """Train a run as one of its workers; rank 0 saves predictions, curves and model. Returns the records.

    Raises:
        TrainingDiverged: a loss, a gradient or a prediction became NaN or infinite; names the step and the
            last good checkpoint.
        StoppedEarly: `should_stop` said so; the curves so far are saved.
    """
    import torch

    torch.set_num_threads(max(1, int(resources.cpus_per_worker)))
    paths = store.run(spec.id)
    is_prompted = isinstance(spec.model.tuning, Prompting)
    load = prompted if is_prompted else TokenizedSplit.load
    splits = {name: load(spec, name, store) for name in split_names(spec.task, store)}
    tokenizer = load_tokenizer(spec.model, spec.task, store)
    with sharded_loading(spec.optimization, resources) as sharding:
        model = build_model(spec, store, sharding)
    with closing(Engine(model, spec.optimization, resources)) as engine:
        del model  # the engine's alone, so that closing frees it
        head = make_head(spec, engine, tokenizer, store)
        records = History()
        if not is_prompted:
            data = TrainingSet.load(spec, splits[spec.train_split], store, head)
            records = _train(spec, resources, head, data, splits, paths, report, should_stop)
        records.num_parameters = engine.num_parameters()
        records.num_trainable_parameters = 0 if is_prompted else engine.num_parameters(trained=True)
        _predict(spec, resources, head, splits, paths, records)
        if engine.rank == 0:
            records.save(paths)
        if save_weights:
            save_model(engine, paths.model, tokenizer)
    return records


def _train(
    spec: RunSpec,
    resources: Resources,
    head: Head,
    data: TrainingSet,
    splits: Mapping[str, TokenizedSplit],
    paths: RunFolder,
    report: Report,
    should_stop: ShouldStop | None,
) -> History:
    """The loop: step, log, evaluate, save."""
    import torch

    engine = head.engine
    plan = spec.optimization
    looks = spec.evaluation
    curve_splits = _curve_splits(spec, splits)
    num_steps = plan.num_steps(len(data.rows))
    checkpoints = Checkpoints(paths, resources)
    start, records = checkpoints.restore(engine, curve_splits)
    pending = PendingLosses(engine, checkpoints)
    micro_batch = resources.micro_batch(plan.batch_size)
    engine.train_mode(True)
    report({"step": start, "num_steps": num_steps})

    for step, drawn in enumerate(
        global_batches(len(data.rows), num_steps, plan.batch_size, plan.order, spec.seed)
    ):
        if step < start:
            continue
        with _timed(records, "training"):
            if spec.model.dropout:  # by step, so that a resumed run drops what it would have dropped
                torch.manual_seed((spec.seed * 1_000_003 + step) * 1_009 + engine.rank)
            batch = data.rows[drawn]
            rate = learning_rate(plan, step, num_steps)
            loss = training_step(head, data, batch, micro_batch, spec.objective, step, num_steps, rate)
            pending.add(step, loss, rate, int(data.split.num_tokens[batch].sum()))
            done = step + 1
            is_last = done == num_steps
            is_point = bool(looks.every) and done % looks.every == 0 and not is_last
            is_checkpoint = (
                bool(resources.checkpoint_every) and done % resources.checkpoint_every == 0 and not is_last
            )
            if done % _LOOK_EVERY == 0 or is_point or is_checkpoint or is_last:
                pending.flush(records)
                report({"step": done, "num_steps": num_steps, "loss": records.training["loss"][-1]})
        if is_point:
            with _timed(records, "evaluation"):
                for name in curve_splits:
                    readings = evaluate(
                        head, splits[name], looks.num_examples, resources.evaluation_batch_size
                    )
                    checkpoints.require_finite(readings, f"a prediction on {name}", done)
                    records.add_point(name, done, splits[name].ids, readings, head)
            if should_stop is not None and engine.any(should_stop(done, num_steps, records)):
                if engine.rank == 0:
                    records.save(paths)
                raise StoppedEarly(
                    f"stopped by the search after {done} of {num_steps} steps: others of its study were "
                    "better"
                )
        if is_checkpoint:
            checkpoints.save(done, engine, records)
    return records


def _predict(
    spec: RunSpec,
    resources: Resources,
    head: Head,
    splits: Mapping[str, TokenizedSplit],
    paths: RunFolder,
    records: History,
) -> None:
    """Evaluate the trained model on whole splits: the last points of the curves, and the predictions (rank 0
    writes)."""
    curve_splits = _curve_splits(spec, splits)
    step = len(records.training["step"])
    with _timed(records, "evaluation"):
        for name in splits if spec.kind != "text" else curve_splits:
            if name in ("supervisor", "train"):
                continue  # nobody is trained on what a run says of them
            readings = evaluate(head, splits[name], len(splits[name]), resources.evaluation_batch_size)
            Checkpoints(paths, resources).require_finite(readings, f"a prediction on {name}", step)
            if name in curve_splits:
                records.add_point(
                    name, step, splits[name].ids, readings[: spec.evaluation.num_examples], head
                )
            if spec.kind != "text" and head.engine.rank == 0:
                head.predictions(splits[name].ids, readings, spec.id).write(paths.predictions(name))


def _curve_splits(spec: RunSpec, splits: Iterable[str]) -> list[str]:
    """The splits that a run is looked at on while it trains."""
    return [name for name in splits if name == "validation" or (name == "test" and spec.kind != "text")]


@contextmanager
def _timed(records: History, what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    records.seconds[what] += time.perf_counter() - start
