"""The training loop: one flat function for every objective, head, ZeRO stage and number of workers.

It knows neither Ray nor MLflow. It is called in each worker, with a process group in place, reads from the
store, and reports its progress through a function.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from raysweep.data.inputs import RunInputs
from raysweep.errors import StoppedEarly
from raysweep.objectives import LossCall
from raysweep.spec import Probe, Prompting
from raysweep.spec.resources import Resources
from raysweep.training.batching import global_batches, learning_rate
from raysweep.training.checkpoint import Checkpoints
from raysweep.training.engine import Engine
from raysweep.training.evaluation import evaluate
from raysweep.training.heads import Head, make_head
from raysweep.training.history import History
from raysweep.training.losses import PendingLosses, require_finite
from raysweep.training.model import build_model, save_model
from raysweep.training.on_features import load_feature_splits, make_feature_head
from raysweep.training.parameters import count_parameters, parameters_without_head
from raysweep.training.prompting import Prompts
from raysweep.training.sharding import sharded_loading
from raysweep.training.step import TrainingSet, training_step
from raysweep.training.tokenized import TokenizedSplit
from raysweep.training.watchdog import alive

Report = Callable[[int, int, History], None]
"""(steps done, all steps, history). Called when losses have come from the device, and at every point of the
curves."""
ShouldStop = Callable[[int, int, History], bool]
"""(steps done, all steps, history) → whether the run must end. Called at every point of the curves."""

_FEATURES_AT_ONCE = 4096
"""Examples whose features are read at once."""


def train(
    inputs: RunInputs,
    resources: Resources,
    save_weights: bool,
    report: Report,
    should_stop: ShouldStop | None = None,
) -> History:
    """Train a run as one of its workers. Rank 0 saves predictions, curves and model.

    Args:
        inputs: of the run.
        resources: of the run.
        save_weights: whether the trained model is saved.
        report: called with the progress.
        should_stop: for a trial of a search.

    Returns:
        The history of the run.

    Raises:
        TrainingDiverged: a loss, a gradient or a prediction became NaN or infinite; names the step and the
            last good checkpoint.
        StoppedEarly: `should_stop` returned True; the curves so far are saved.
    """
    import torch

    torch.set_num_threads(max(1, int(resources.cpus_per_worker)))
    spec = inputs.spec
    paths = inputs.store.run(spec.id)
    if spec.features is not None:
        return _train_on_features(inputs, resources, report, should_stop)
    splits = _load_splits(inputs)
    alive("that its data were read")
    with sharded_loading(spec.optimization, resources) as sharding:
        model = build_model(inputs, sharding)
    with closing(Engine(model, spec.optimization, resources)) as engine:
        del model  # only the engine refers to it now, so that closing frees it
        alive("that its model was loaded")
        run = _Run(inputs, resources, make_head(inputs, engine), splits, Checkpoints(paths, resources))
        history = History()
        if not isinstance(spec.model.tuning, Prompting):
            history = _train(run, report, should_stop)
        counts = count_parameters(engine.module, spec.model.tuning)
        history.num_parameters = counts.num_parameters
        history.num_trainable_parameters = counts.num_trained
        _predict(run, history)
        alive("that it had made its predictions")
        if engine.rank == 0:
            history.save(paths)
        if save_weights:
            save_model(engine, paths.model, inputs.tokenizer)
    return history


def _train_on_features(
    inputs: RunInputs, resources: Resources, report: Report, should_stop: ShouldStop | None
) -> History:
    """`train` for a head or a probe on features, in one process."""
    spec = inputs.spec
    paths = inputs.store.run(spec.id)
    splits = load_feature_splits(inputs)
    # Nothing is padded and little is computed: whole batches at once.
    resources = replace(
        resources, micro_batch_size=spec.optimization.batch_size, evaluation_batch_size=_FEATURES_AT_ONCE
    )
    history = History()
    started = time.perf_counter()
    head = make_feature_head(inputs, splits)
    history.seconds["training"] += time.perf_counter() - started
    alive("that its features were read")
    run = _Run(inputs, resources, head, splits, Checkpoints(paths, resources))
    num_trained = 0
    if not isinstance(spec.model.tuning, Probe):
        history = _train(run, report, should_stop)
        num_trained = sum(parameter.numel() for parameter in head.engine.module.parameters())
    history.num_parameters = parameters_without_head(inputs) + num_trained
    history.num_trainable_parameters = num_trained
    _predict(run, history)
    history.save(paths)
    return history


def _load_splits(inputs: RunInputs) -> dict[str, TokenizedSplit]:
    if isinstance(inputs.model.tuning, Prompting):
        prompts = Prompts(inputs)
        return {name: prompts.split(name) for name in inputs.split_sizes}
    return {name: TokenizedSplit.load(inputs, name) for name in inputs.split_sizes}


@dataclass(frozen=True)
class _Run:
    """What the steps and evaluations of a run share."""

    inputs: RunInputs
    resources: Resources
    head: Head
    splits: Mapping[str, TokenizedSplit]
    checkpoints: Checkpoints

    def readings(self, split: str, num_examples: int, step: int) -> npt.NDArray[np.float64]:
        """The head's readings (n, K) of the first n examples of a split after `step` steps.

        Raises:
            TrainingDiverged: one isn't finite.
        """
        batch_size = self.resources.evaluation_batch_size
        readings = evaluate(self.head, self.splits[split], num_examples, batch_size)
        require_finite(readings, f"a prediction on {split}", step, self.checkpoints)
        return readings


def _train(run: _Run, report: Report, should_stop: ShouldStop | None) -> History:
    """Train from the newest checkpoint to the last step, with evaluations and checkpoints in between."""
    import torch

    spec = run.inputs.spec
    engine = run.head.engine
    optimization = spec.optimization
    data = TrainingSet.load(run.inputs, run.splits[spec.train_split], run.head)
    num_steps = optimization.num_steps(len(data.rows))
    objective = LossCall(spec.objective)
    start, history = run.checkpoints.restore(engine, run.inputs.curve_splits)
    pending = PendingLosses(engine, run.checkpoints)
    micro_batch = run.resources.micro_batch(optimization.batch_size)
    engine.train_mode(True)
    report(start, num_steps, history)

    batches = global_batches(
        len(data.rows), num_steps, optimization.batch_size, optimization.order, spec.seed
    )
    for step, drawn in enumerate(batches):
        if step < start:
            continue
        with _timed(history, "training"):
            if spec.model.dropout:  # seeded by step, so that a resumed run drops the same activations
                torch.manual_seed((spec.seed * 1_000_003 + step) * 1_009 + engine.rank)
            batch = data.rows[drawn]
            rate = learning_rate(optimization, step, num_steps)
            loss = training_step(run.head, data, batch, micro_batch, objective, step, num_steps, rate)
            pending.add(step, loss, rate, int(data.split.num_tokens[batch].sum()))
            done = step + 1
            alive(f"step {done} of {num_steps}")
            is_last = done == num_steps
            is_point = _is_due(done, spec.evaluation.every) and not is_last
            meets = pending.is_due or is_point
            is_checkpoint = not is_last and run.checkpoints.is_due(done, engine, meets=meets)
            if meets or is_checkpoint or is_last:
                pending.flush(history)
                report(done, num_steps, history)
        if is_point:
            with _timed(history, "evaluation"):
                for name in run.inputs.curve_splits:
                    readings = run.readings(name, spec.evaluation.num_examples, done)
                    history.add_point(name, done, run.splits[name].ids, readings, run.head)
            report(done, num_steps, history)
            if should_stop is not None and engine.any(should_stop(done, num_steps, history)):
                if engine.rank == 0:
                    history.save(run.inputs.store.run(spec.id))
                raise StoppedEarly(
                    f"stopped by the search after {done} of {num_steps} steps: others of its study were "
                    "better"
                )
        if is_checkpoint:
            run.checkpoints.save(done, engine, history)
    return history


def _is_due(step: int, every: int) -> bool:
    """Whether something is done after a step; never if `every` is 0."""
    return every > 0 and step % every == 0


def _predict(run: _Run, history: History) -> None:
    """Evaluate the trained model on whole splits: the last points of the curves, and the predictions, which
    rank 0 writes."""
    spec = run.inputs.spec
    paths = run.inputs.store.run(spec.id)
    step = len(history.training["step"])
    with _timed(history, "evaluation"):
        for name in run.inputs.evaluated_splits:
            ids = run.splits[name].ids
            readings = run.readings(name, len(ids), step)
            if name in run.inputs.curve_splits:
                history.add_point(name, step, ids, readings[: spec.evaluation.num_examples], run.head)
            if spec.kind != "text" and run.head.engine.rank == 0:
                run.head.predictions(ids, readings, spec.id).write(paths.predictions(name))


@contextmanager
def _timed(history: History, what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    history.seconds[what] += time.perf_counter() - start
